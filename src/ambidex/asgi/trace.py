"""Tracebacks that begin where the app's own code does."""

import importlib
import logging
from pathlib import Path
from types import TracebackType
from typing import Any

import ambidex

_OURS = (
    str(Path(ambidex.__file__).parent),
    str(Path(importlib.__file__).parent),
    "<frozen importlib",
)


def of_the_app(trace: TracebackType | None) -> TracebackType | None:
    """A traceback from the first frame that is neither ours nor the import system's."""
    while trace is not None and is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def is_ours(filename: str) -> bool:
    """Whether a file is ours or the import system's."""
    return filename.startswith(_OURS)


class AppTraceFormatter(logging.Formatter):
    """A formatter of log records whose tracebacks begin there."""

    def formatException(self, ei: Any) -> str:  # noqa: ANN401 – as in the base
        """The traceback, as text."""
        return super().formatException((*ei[:2], of_the_app(ei[2])))
