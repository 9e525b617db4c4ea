"""An app that raises, answered for as on Lambda: a plain 500 and one log event.

uvicorn would close the connection of an app that raises after its response without having said so,
and a load balancer may have sent the next request down it already: that one would be a 502.
"""

import logging
from collections.abc import Awaitable

from ambidex.asgi.types import App, Message, Receive, Scope, Send

logger = logging.getLogger("ambidex")

_ANSWER: tuple[Message, ...] = (
    {
        "type": "http.response.start",
        "status": 500,
        "headers": [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"21"),
        ],
    },
    {"type": "http.response.body", "body": b"Internal Server Error"},
)


class Failures:
    """Answers for an app that raises.

    A response that has begun and is not complete cannot be mended: uvicorn then breaks the
    connection, so that nobody takes it for whole.

    Args:
        app: the app.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_started = False

        def noted(message: Message) -> Awaitable[None]:
            nonlocal has_started
            has_started = True
            return send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:
            logger.exception("the app raised")
            if not has_started:
                for message in _ANSWER:
                    await send(message)
