"""Where the shop's pages are."""

import shop_views
from django.contrib import admin
from django.urls import path

urlpatterns = [
    path("", shop_views.home),
    path("process", shop_views.process),
    path("request", shop_views.request_as_seen),
    path("articles/", shop_views.articles, name="articles"),
    path("old-articles", shop_views.old_articles),
    path("deliveries/", shop_views.deliveries, name="deliveries"),
    path("fail", shop_views.fail),
    path("export", shop_views.export),
    path("admin/", admin.site.urls),
]
