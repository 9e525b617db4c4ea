"""Log lines on Lambda: one event each, a traceback included.

Lambda makes an event of each line, so line ends within one are carriage returns, as AWS's own
Python runtime has them.

That runtime has a handler on the root logger, so `setLevel` is all that an app has to do. Here it
is Python's handler of last resort, which stands back for whatever the app sets up itself: one on
the root logger would make `basicConfig` do nothing, and double the lines of loggers that have
handlers of their own.

Source: lambda/latest/dg/python-logging.html, docs.python.org/3/library/logging.html (lastResort)
"""

import logging
from contextvars import ContextVar
from types import TracebackType

from ambidex.asgi.trace import of_the_app

request_id: ContextVar[str] = ContextVar("ambidex_request_id", default="-")


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = f"[{record.levelname}]\t{request_id.get()}\t{super().format(record)}"
        return text.replace("\n", "\r")

    def formatException(  # type: ignore[override]  # the base's also takes (None, None, None)
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None]
    ) -> str:
        return super().formatException((*ei[:2], of_the_app(ei[2])))


def configure() -> None:
    """Send ambidex's log to stderr, where Lambda reads it, and the app's if it has no handler."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter())
    logger = logging.getLogger("ambidex")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logging.lastResort = handler
