"""The log of the process: ambidex's and uvicorn's on stderr, the access log on stdout.

No time is added: the log drivers of ECS add one. What the app logs is on stderr, too, unless it
has a handler of its own: the levels that it sets say what is written, as on Lambda.
"""

import logging
import sys
from types import TracebackType

from ambidex.asgi.trace import of_the_app


class _Formatter(logging.Formatter):
    """Tracebacks begin at the first frame that is the app's."""

    def formatException(  # type: ignore[override]  # the base's also takes (None, None, None)
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None]
    ) -> str:
        return super().formatException((*ei[:2], of_the_app(ei[2])))


def configure() -> None:
    """Set up the handlers; uvicorn is told to leave them."""
    formatter = _Formatter("%(levelname)s: %(message)s")
    for name, stream in (
        ("ambidex", sys.stderr),
        ("uvicorn", sys.stderr),
        ("ambidex.access", sys.stdout),
    ):
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter)
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    last_resort = logging.StreamHandler()
    last_resort.setFormatter(formatter)
    logging.lastResort = last_resort


def raised_by_the_app(error: BaseException) -> None:
    """Log what an app raised before it served anything."""
    logging.getLogger("ambidex").error("the app raised", exc_info=error)
