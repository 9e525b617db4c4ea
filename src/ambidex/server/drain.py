"""What a draining task answers: the health check fails, everything else is served and closed.

A balancer that has been told `connection: close` does not send the next request down a connection
that is about to go.
"""

from collections.abc import Awaitable

from ambidex.asgi.types import App, Message, Receive, Scope, Send
from ambidex.server.health_check import is_health_check

_BODY = b"draining\n"
_UNAVAILABLE: tuple[Message, Message] = (
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
        """Pass a request on; no coroutine of its own while nothing is drained."""
        if self.is_on and scope["type"] == "http":
            return self._last(scope, receive, send)
        return self._app(scope, receive, _closing(self, send) if scope["type"] == "http" else send)
