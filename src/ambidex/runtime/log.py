"""The log on Lambda: one event for each record, a traceback included, as text or JSON.

Lambda makes an event of each line, so line ends within one are carriage returns in text, as AWS's
own Python runtime has them. What that runtime writes to where Lambda has a channel for whole
events, the file descriptor in _LAMBDA_TELEMETRY_LOG_FD, is not used: no page documents it, and
lines do as well. The level of a JSON line is in it, where Lambda looks for it.

That runtime has a handler on the root logger, so `setLevel` is all that an app has to do. Here it
is Python's handler of last resort, which stands back for whatever the app sets up itself: one on
the root logger would make `basicConfig` do nothing, and double the lines of loggers that have
handlers of their own.

Requests have a record of their own in JSON; in text Lambda's START, END and REPORT say it.

Source: lambda/latest/dg/python-logging.html, monitoring-cloudwatchlogs-log-level.html;
docs.python.org/3/library/logging.html (lastResort)
"""

import logging
from collections.abc import Mapping

from ambidex.asgi.trace import AppTraceFormatter
from ambidex.log.context import request_id
from ambidex.log.controls import ACCESS, controls, set_levels


class _Formatter(AppTraceFormatter):
    def format(self, record: logging.LogRecord) -> str:
        text = f"[{record.levelname}]\t{request_id() or '-'}\t{super().format(record)}"
        return text.replace("\n", "\r")


def configure(environ: Mapping[str, str]) -> None:
    """Send ambidex's log to stderr, where Lambda reads it, and the app's if it has no handler.

    Args:
        environ: the process's environment.
    """
    is_json, level = controls(environ, is_json=False)
    handler = logging.StreamHandler()
    if is_json:
        from ambidex.log.record import JsonFormatter

        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(_Formatter())
    logger = logging.getLogger("ambidex")
    logger.addHandler(handler)
    logger.propagate = False
    set_levels(level, ("ambidex", ACCESS) if is_json else ("ambidex",))
    logging.lastResort = handler
