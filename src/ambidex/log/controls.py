"""Lambda's advanced logging controls, which hold on ECS as well: format and level.

Source: lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html,
lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
"""

import logging
from collections.abc import Iterable, Mapping

ACCESS = "ambidex.access"
"""The logger of requests."""


# Lambda's names, and Python's. As in AWS's Python runtime TRACE is DEBUG.
_LEVELS = {
    "TRACE": logging.DEBUG,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
    "CRITICAL": logging.CRITICAL,
}


def controls(environ: Mapping[str, str], *, is_json: bool) -> tuple[bool, int]:
    """What the environment says; the settings refuse values that are none, later.

    Args:
        environ: the process's environment.
        is_json: the format where it says nothing.

    Returns:
        Whether to write JSON, and logging's level, 0 where none is named.
    """
    # Here, for a handler under AWS's own runtime has its log from there, and no use for settings.
    from ambidex.settings import LOG_FORMAT, LOG_LEVEL

    text = environ.get(LOG_FORMAT, "").upper()
    is_json = text == "JSON" if text else is_json
    # Lambda has levels with JSON only: what else it would filter by is in no line of text.
    return is_json, _LEVELS.get(environ.get(LOG_LEVEL, "").upper(), 0) if is_json else 0


def logs_requests() -> bool:
    """Whether the logger of requests itself has been told to, by the runtime or by the app."""
    logger = logging.getLogger(ACCESS)
    return logger.level != logging.NOTSET and logger.isEnabledFor(logging.INFO)


def set_levels(level: int, names: Iterable[str]) -> None:
    """Set the level of what logs: the app's where one is named, ours in any case.

    Args:
        level: logging's; 0 leaves the app's at what Python or the app have, and ours at INFO.
        names: our loggers.
    """
    if level:
        logging.getLogger().setLevel(level)
    for name in names:
        logging.getLogger(name).setLevel(level or logging.INFO)
