"""The access log: a line for each request, once its response is complete.

Client, method, path with query, status, milliseconds and trace id, in this order; `-` stands for
what there is not. Health checks have no line. Websockets have the one that uvicorn writes.
"""

import logging
from time import perf_counter

from ambidex.asgi.types import App, Message, Receive, Scope, Send
from ambidex.server.health_check import is_health_check

logger = logging.getLogger("ambidex.access")


class AccessLog:
    """Logs the requests to an app.

    Args:
        app: the app.
        health_path: the raw path of the load balancer's health check.
    """

    def __init__(self, app: App, health_path: bytes) -> None:
        self._app = app
        self._health_path = health_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and log it."""
        if (
            scope["type"] != "http"
            or not logger.isEnabledFor(logging.INFO)
            or is_health_check(scope, self._health_path)
        ):
            await self._app(scope, receive, send)
            return
        started_s = perf_counter()
        status = 500  # what uvicorn answers for an app that ends without a response
        is_complete = False

        async def noted(message: Message) -> None:
            nonlocal status, is_complete
            await send(message)
            kind = message["type"]
            if kind == "http.response.start":
                status = message["status"]
            elif kind == "http.response.body" and not message.get("more_body", False):
                is_complete = True
                _log(scope, status, started_s)

        try:
            await self._app(scope, receive, noted)
        finally:
            if not is_complete:
                _log(scope, status, started_s)


def _log(scope: Scope, status: int, started_s: float) -> None:
    client, query = scope["client"], scope["query_string"]
    target = scope["raw_path"] + b"?" + query if query else scope["raw_path"]
    logger.info(
        "%s %s %s %d %.1f ms %s",
        client[0] if client else "-",
        scope["method"],
        _text(target),
        status,
        (perf_counter() - started_s) * 1000,
        _trace_id(scope),
    )


def _trace_id(scope: Scope) -> str:
    """The root of X-Amzn-Trace-Id: `Self=…;Root=1-67891233-abcdef012345678912345678`.

    Source: elasticloadbalancing/latest/application/load-balancer-request-tracing.html
    """
    for name, value in scope["headers"]:
        if name == b"x-amzn-trace-id":
            return _text(value.partition(b"Root=")[2].partition(b";")[0]) or "-"
    return "-"


def _text(value: bytes) -> str:
    return value.decode("ascii", "backslashreplace")
