"""Errors in the form in which Lambda takes them, with stack traces that end where ours begins.

Source: lambda/latest/dg/runtimes-api.html, "Initialization error" and "Invocation error"
"""

from ambidex.asgi.trace import of_the_app
from ambidex.errors import AmbidexError
from ambidex.events.event_json import dumps


class InvocationError(AmbidexError):
    """An invocation that fails, so that its caller knows and may try again; the app's fault.

    Args:
        kind: `Category.Reason`, as `error_document` has it.
        message: the sentence.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def error_document(kind: str, message: str, error: BaseException | None = None) -> bytes:
    """The JSON body of an error call.

    Args:
        kind: `Category.Reason`, as the header Lambda-Runtime-Function-Error-Type has it.
        message: what is wrong.
        error: the exception whose stack is shown; none for errors that have no frame of the app's.
    """
    # Names of files and others' errors may hold lone surrogates, which no JSON of bytes can.
    message = message.encode("utf-8", "backslashreplace").decode()
    return dumps({"errorMessage": message, "errorType": kind, "stackTrace": stack_trace(error)})


def stack_trace(error: BaseException | None) -> list[str]:
    """The frames of an exception, from the first that is the app's."""
    if error is None:
        return []
    from traceback import extract_tb, format_list

    return format_list(extract_tb(of_the_app(error.__traceback__)))
