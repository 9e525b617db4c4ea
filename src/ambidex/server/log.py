"""The log of the process: ambidex's and uvicorn's on stderr, the access log on stdout.

No time is added: the log drivers of ECS add one. The app's own log stays as the app sets it.
"""

import importlib
import logging
import sys
from pathlib import Path
from types import TracebackType

import ambidex

_OURS = str(Path(ambidex.__file__).parent)
_IMPORTLIB = str(Path(importlib.__file__).parent)


class _Formatter(logging.Formatter):
    """Tracebacks begin at the first frame that is the app's."""

    def formatException(  # type: ignore[override]  # the base's also takes (None, None, None)
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None]
    ) -> str:
        kind, error, trace = ei
        while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
            trace = trace.tb_next
        return super().formatException((kind, error, trace))


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


def _is_ours(file_name: str) -> bool:
    return file_name.startswith((_OURS, _IMPORTLIB, "<frozen importlib"))
