"""ambidex's own log lines on Lambda: one event each, a traceback included.

Lambda makes an event of each line, so line ends within one are carriage returns, as AWS's own
Python runtime has them.
"""

import logging
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("ambidex_request_id", default="-")


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info and record.exc_info[1]:
            from ambidex.runtime.errors import without_our_frames

            without_our_frames(record.exc_info[1])
            record.exc_info = (*record.exc_info[:2], record.exc_info[1].__traceback__)
        text = f"[{record.levelname}]\t{request_id.get()}\t{super().format(record)}"
        return text.replace("\n", "\r")


def configure() -> None:
    """Send ambidex's own log to stderr, where Lambda reads it; the app's stays as it sets it."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter())
    logger = logging.getLogger("ambidex")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
