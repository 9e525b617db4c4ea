"""A shop in Django, with its admin."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop_settings")

from django.core.asgi import get_asgi_application

app = get_asgi_application()
