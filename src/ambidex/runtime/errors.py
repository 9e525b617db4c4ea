"""Errors in the form in which Lambda takes them, with stack traces that end where ours begins.

Source: lambda/latest/dg/runtimes-api.html, "Initialization error" and "Invocation error"
"""

from pathlib import Path
from types import TracebackType

import ambidex
from ambidex.runtime.event_json import dumps

_OURS = str(Path(ambidex.__file__).parent)


def error_document(kind: str, message: str, error: BaseException | None = None) -> bytes:
    """The JSON body of an error call.

    Args:
        kind: `Category.Reason`, as the header Lambda-Runtime-Function-Error-Type has it.
        message: what is wrong.
        error: the exception whose stack is shown; none for errors that have no frame of the app's.
    """
    return dumps({"errorMessage": message, "errorType": kind, "stackTrace": stack_trace(error)})


def stack_trace(error: BaseException | None) -> list[str]:
    """The frames of an exception, from the first that is the app's."""
    if error is None:
        return []
    from traceback import extract_tb, format_list

    return format_list(extract_tb(_without_ours(error.__traceback__)))


def without_our_frames(error: BaseException) -> BaseException:
    """The exception, its traceback cut at the first frame that is the app's."""
    return error.with_traceback(_without_ours(error.__traceback__))


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def _is_ours(file_name: str) -> bool:
    return file_name.startswith((_OURS, "<frozen importlib")) or "/importlib/" in file_name
