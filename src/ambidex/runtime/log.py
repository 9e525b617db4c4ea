"""ambidex's own log lines on Lambda: one event each, a traceback included.

Lambda makes an event of each line, so line ends within one are carriage returns, as AWS's own
Python runtime has them.
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
    """Send ambidex's own log to stderr, where Lambda reads it; the app's stays as it sets it."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter())
    logger = logging.getLogger("ambidex")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
