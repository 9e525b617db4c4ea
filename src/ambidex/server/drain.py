"""What a draining task answers: the health check fails, all else is served and says so.

A balancer that has read `connection: close` sends its next request down another connection, and so
none down one that is about to go.
"""

from collections.abc import Awaitable
from typing import Any

from ambidex.asgi.types import App, Message, Receive, Scope, Send
from ambidex.server.health_check import is_health_check

_BODY = b"draining\n"
_UNAVAILABLE: tuple[dict[str, Any], ...] = (
    {
        "type": "http.response.start",
        "status": 503,
        "headers": [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(_BODY)),
            (b"connection", b"close"),
        ],
    },
    {"type": "http.response.body", "body": _BODY},
)


class Drain:
    """An app that can be drained.

    Args:
        app: the app.
        health_path: the raw path of the load balancer's health check.

    Attributes:
        is_on: whether it drains.
    """

    def __init__(self, app: App, health_path: bytes) -> None:
        self._app = app
        self._health_path = health_path
        self.is_on = False

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on; without a coroutine of its own, as every request comes through."""
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        if self.is_on and is_health_check(scope, self._health_path):
            return _refuse(send)

        def closing(message: Message) -> Awaitable[None]:
            # Asked for each message: the drain may begin while the app still works.
            if self.is_on and message["type"] == "http.response.start":
                message = {**message, "headers": _closed(message)}
            return send(message)

        return self._app(scope, receive, closing)


async def _refuse(send: Send) -> None:
    for message in _UNAVAILABLE:
        await send(message)


def _closed(message: Message) -> list[tuple[bytes, bytes]]:
    headers = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"connection"]
    return [*headers, (b"connection", b"close")]
