"""Log records as JSON, a line each, with the keys that AWS's own Python runtime has.

Source: lambda/latest/dg/python-logging.html, "Using structured JSON logs with Python"; the keys of
an exception are those of awslambdaric 4.2.
"""

import logging
import traceback
from itertools import islice
from time import gmtime, strftime
from types import TracebackType
from typing import Any

from ambidex.asgi.trace import of_the_app
from ambidex.log import context
from ambidex.log.record_json import dumps

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

# What a record has by itself; all else is the app's. The last three are formatters' and uvicorn's.
_OWN_COUNT = len(vars(logging.makeLogRecord({})))
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {
    "asctime",
    "color_message",
    "message",
    "taskName",
}

# Names that Lambda's filter knows; levels of an app's own count as the next one below, as in AWS's
# runtime, but for those below DEBUG.
_NAMES = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class JsonFormatter(logging.Formatter):
    """Makes a line of JSON of a record."""

    _last_second = (0, "1970-01-01T00:00:00")  # as text, for the next record is often of it, too

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        second, text = self._last_second
        if second != int(record.created):
            second = int(record.created)
            text = strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))
            self._last_second = second, text
        is_object = isinstance(record.msg, dict) and not record.args
        document: dict[str, Any] = {
            "timestamp": f"{text}.{int(record.msecs):03}Z",
            "level": _NAMES[min(max(record.levelno, 0) // 10, 5)],
            "message": record.msg if is_object else record.getMessage(),
            "logger": record.name,
        }
        if request_id := context.request_id():
            document["requestId"] = request_id
        if trace_id := context.trace_id():
            document["traceId"] = trace_id
        if tenant_id := context.tenant_id():
            document["tenantId"] = tenant_id
        if record.stack_info:
            document["stackInfo"] = record.stack_info
        if record.exc_info and record.exc_info[1] is not None:
            document |= _error(record, record.exc_info)
        # Its own come first, unless it is of another class.
        first = _OWN_COUNT if type(record) is logging.LogRecord else 0
        for key, value in islice(vars(record).items(), first, None):
            if key not in _OWN:
                document.setdefault(key, value)
        return dumps(document)


def _error(record: logging.LogRecord, exc_info: ExcInfo) -> dict[str, Any]:
    kind, error, trace = exc_info
    trace = of_the_app(trace)
    return {
        "errorType": kind.__name__,
        "errorMessage": _text(error),
        "stackTrace": _stack(error, trace),
        "location": f"{record.pathname}:{record.funcName}:{record.lineno}",
    }


def _stack(error: BaseException, trace: TracebackType | None) -> list[str]:
    """The frames; of an exception that has others behind or in it the whole traceback."""
    is_alone = error.__cause__ is None and (error.__suppress_context__ or not error.__context__)
    if is_alone and not isinstance(error, BaseExceptionGroup):
        return traceback.format_tb(trace)
    return traceback.format_exception(type(error), error, trace)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 – the app's, and what it has raised matters more
        return "<no message: its __str__ raised>"
