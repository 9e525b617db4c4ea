"""The log of the process: ambidex's and uvicorn's on stderr, the access log on stdout.

It is JSON, in the schema of Lambda, unless a terminal reads it or AWS_LAMBDA_LOG_FORMAT says
otherwise. No time is added to text: the log drivers of ECS add one. They make an event of each
line, so line ends within a record are carriage returns, except at a terminal. What the app logs is
on stderr, too, unless it has a handler of its own: the levels that it sets say what is written, as
on Lambda.
"""

import logging
import sys
from collections.abc import Mapping
from typing import TextIO

from ambidex.asgi.trace import AppTraceFormatter
from ambidex.errors import AmbidexError
from ambidex.log.controls import ACCESS, controls, set_levels
from ambidex.log.record import JsonFormatter

_PLAIN = "%(levelname)s: %(message)s"
_ACCESS = "%(levelname)s: %(client)s %(message)s %(durationMs).1f ms %(traceId)s"
_ABSENT = {"client": "-", "traceId": "-"}


class _OneEvent(AppTraceFormatter):
    """Text without line ends."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).replace("\n", "\r")


def configure(environ: Mapping[str, str]) -> bool:
    """Set up the handlers; uvicorn is told to leave them.

    Args:
        environ: the process's environment.

    Returns:
        Whether the log is JSON.
    """
    is_terminal = sys.stderr.isatty()
    is_json, level = controls(environ, is_json=not is_terminal)
    text = AppTraceFormatter if is_terminal else _OneEvent
    formatter = JsonFormatter() if is_json else text(_PLAIN)
    access = formatter if is_json else text(_ACCESS, defaults=_ABSENT)
    handlers = {
        "ambidex": _handler(sys.stderr, formatter),
        "uvicorn": _handler(sys.stderr, formatter),
        ACCESS: _handler(sys.stdout, access),
    }
    for name, handler in handlers.items():
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.propagate = False
    set_levels(level, handlers)
    logging.lastResort = _handler(sys.stderr, formatter)
    return is_json


def _handler(stream: TextIO, formatter: logging.Formatter) -> "logging.StreamHandler[TextIO]":
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    return handler


def could_not_start(error: AmbidexError, *, is_json: bool) -> None:
    """Log what keeps the server from starting.

    Args:
        error: what it is; its cause is what the app has raised.
        is_json: whether the sentence is a record, too; in text whoever catches the error shows it.
    """
    logger, cause = logging.getLogger("ambidex"), error.__cause__
    if is_json:
        message = f"{error.message} ({error.hint})" if error.hint else error.message
        logger.error("%s", message, exc_info=cause)
    elif cause is not None:
        logger.error("the app raised", exc_info=cause)
