"""The shop's pages."""

import hashlib
import os
from collections.abc import AsyncIterator, Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse


def health(get_response: Callable[[HttpRequest], HttpResponse]) -> object:
    """Answer the load balancer's health check, whose Host is the task's own address."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path_info == "/health":
            return HttpResponse("OK")
        return get_response(request)

    return middleware


async def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse("the shop")


async def process(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"pid": os.getpid()})


async def request_as_seen(request: HttpRequest) -> HttpResponse:
    return JsonResponse(
        {
            "is_secure": request.is_secure(),
            "url": request.build_absolute_uri(),
            "reverse": reverse("articles"),
            "client": request.META["REMOTE_ADDR"],
        }
    )


def articles(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"articles": [], "query": request.GET.getlist("q")})


def old_articles(request: HttpRequest) -> HttpResponse:
    return redirect("articles", permanent=True)


def deliveries(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        note = request.FILES["note"]
        digest = hashlib.sha256(note.read()).hexdigest()
        messages.info(request, f"{note.name} of {request.POST['from']}: {digest}")
        return redirect("deliveries")
    return render(request, "deliveries.html")


def fail(request: HttpRequest) -> HttpResponse:
    raise ValueError(f"the shelves are empty: {request.GET['by']}")


async def export(request: HttpRequest) -> StreamingHttpResponse:
    async def lines() -> AsyncIterator[bytes]:
        for number in range(20):
            yield b"%d;%s\n" % (number, bytes(range(128, 256)))

    return StreamingHttpResponse(lines(), content_type="application/octet-stream")
