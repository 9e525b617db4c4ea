"""The request record: one for each HTTP request, once its response is complete.

What it says is in the record's fields; the message is method, path with query, and status. Its
logger is `ambidex.access`.
"""

import asyncio
import logging
from time import perf_counter

from ambidex.asgi.types import App, Message, Receive, Scope, Send
from ambidex.log.context import trace_id
from ambidex.log.controls import ACCESS
from ambidex.log.route import route

logger = logging.getLogger(ACCESS)


class AccessLog:
    """Logs the requests to an app.

    Args:
        app: the app.
        cancelled_status: what is answered for an app that is cancelled from outside.
        settled_by: the type of the message with which the app's status leaves; empty if it leaves
            with the whole response only. Before that another may take its place.
    """

    def __init__(
        self, app: App, cancelled_status: int = 500, settled_by: str = "http.response.start"
    ) -> None:
        self._app = app
        self._cancelled_status = cancelled_status
        self._settled_by = settled_by

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and log it."""
        if scope["type"] != "http" or not logger.isEnabledFor(logging.INFO):
            await self._app(scope, receive, send)
            return
        started_s = perf_counter()
        status = 0
        is_settled = is_complete = False

        async def noted(message: Message) -> None:
            nonlocal status, is_settled, is_complete
            kind = message["type"]
            is_settled = is_settled or kind == self._settled_by
            await send(message)
            if kind == "http.response.start":
                status = message["status"]
            elif kind == "http.response.body" and not message.get("more_body", False):
                is_complete = True
                _log(scope, status, started_s)

        try:
            await self._app(scope, receive, noted)
        finally:
            if not is_complete:
                status = status if is_settled else 0
                _log(scope, status or self._status_without(), started_s)

    def _status_without(self) -> int:
        """What is answered for an app that ends without its status."""
        task = asyncio.current_task()
        return self._cancelled_status if task is not None and task.cancelling() else 500


def _log(scope: Scope, status: int, started_s: float) -> None:
    client, query = scope["client"], scope["query_string"]
    path = _text(scope["raw_path"])
    fields = {
        "method": scope["method"],
        "path": path,
        "route": route(scope),
        "status": status,
        "durationMs": round((perf_counter() - started_s) * 1000, 3),
        "client": client and client[0],
        "traceId": trace_id(),
    }
    target = f"{path}?{_text(query)}" if query else path
    arguments = (scope["method"], target, status)
    # Made here, for `logger.info` looks up the line that calls it, which tells nothing.
    record = logging.LogRecord(ACCESS, logging.INFO, "", 0, "%s %s %d", arguments, None)
    there = record.__dict__
    for key, value in fields.items():
        if value is not None and value != "":
            there[key] = value
    logger.handle(record)


def _text(value: bytes) -> str:
    return value.decode("ascii", "backslashreplace")
