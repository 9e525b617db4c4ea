"""The calls of Lambda's API that are offered here, and whom they are for.

Source: lambda/latest/api/API_Invoke.html, API_InvokeWithResponseStream.html, API_GetFunction.html,
API_GetFunctionConfiguration.html, API_ListFunctions.html
"""

import re
from enum import Enum
from typing import NamedTuple
from urllib.parse import parse_qs, unquote

from ambidex.errors import AmbidexError
from ambidex.local.variables import ACCOUNT_ID, Function

_FUNCTIONS = "/2015-03-31/functions"
_STREAMING_FUNCTIONS = "/2021-11-15/functions"


class Operation(Enum):
    """What a caller may ask for, by AWS's names."""

    INVOKE = "Invoke"
    INVOKE_STREAM = "InvokeWithResponseStream"
    GET = "GetFunction"
    GET_CONFIGURATION = "GetFunctionConfiguration"
    LIST = "ListFunctions"


_OPERATIONS = {
    ("POST", _FUNCTIONS, "/invocations"): Operation.INVOKE,
    ("POST", _STREAMING_FUNCTIONS, "/response-streaming-invocations"): Operation.INVOKE_STREAM,
    ("GET", _FUNCTIONS, ""): Operation.GET,
    ("GET", _FUNCTIONS, "/configuration"): Operation.GET_CONFIGURATION,
}
"""By method and by what is in front of the function's name and behind it."""


class Call(NamedTuple):
    """A call, as its request line has it."""

    operation: Operation
    function: str  # a name or an ARN, with a qualifier or without; empty for ListFunctions
    parameters: dict[str, str]


class CallError(AmbidexError):
    """A call that is refused; the caller's fault, and answered as AWS answers it.

    Args:
        status: HTTP's.
        kind: AWS's name for the error.
        message: the sentence.
    """

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


def parse(method: str, target: bytes) -> Call:
    """The call that a request is.

    Raises:
        CallError: it is none of those that are offered.
    """
    path, _, query = target.decode("latin-1").partition("?")
    parameters = {name: values[-1] for name, values in parse_qs(query).items()}
    if method == "GET" and path.rstrip("/") == _FUNCTIONS:
        return Call(Operation.LIST, "", parameters)
    _, version, functions, *rest = [*path.split("/", 3), "", "", ""]
    name, slash, last = rest[0].partition("/")
    operation = _OPERATIONS.get((method, f"/{version}/{functions}", slash + last))
    if operation is None or not name:
        offered = ", ".join(each.value for each in Operation)
        message = f"{method} {unquote(path)} is not offered here; offered are {offered}"
        raise CallError(404, "UnknownOperationException", message)
    return Call(operation, unquote(name), parameters)


# Source: API_Invoke.html, FunctionName, "Pattern".
_NAME = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:)?(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d):)?"
    r"(?:(?P<account>\d{12}):)?(?:function:)?"
    r"(?P<name>[a-zA-Z0-9_.-]+)(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9_-]+))?"
)


def qualifier(call: Call, function: Function) -> str:
    """The qualifier by which a call names the function; empty without one.

    Args:
        call: any but ListFunctions.
        function: the one that there is.

    Raises:
        CallError: the call is for another function, or for a version or an alias that is not there.
    """
    parts = _NAME.fullmatch(call.function)
    if parts is None:
        raise invalid("functionName", call.function, f"regular expression pattern: {_NAME.pattern}")
    named, given = parts["qualifier"] or "", call.parameters.get("Qualifier", "")
    if named and given and named != given:
        raise CallError(
            400,
            "InvalidParameterValueException",
            "The derived qualifier from the function name does not match the specified qualifier.",
        )
    if parts["region"] not in (None, function.region):
        raise not_found(
            f"Functions from '{parts['region']}' are not reachable in this region "
            f"('{function.region}')"
        )
    found, account = named or given, parts["account"] or ACCOUNT_ID
    is_there = (parts["name"], account) == (function.name, ACCOUNT_ID)
    if not is_there or found not in ("", function.version):
        arn = f"arn:aws:lambda:{function.region}:{account}:function:{parts['name']}"
        asked = f"{arn}:{found}" if found else arn
        there = f"{function.arn}:{function.version}"
        raise not_found(f"Function not found: {asked}; there is {there} only")
    return found


def not_found(message: str) -> CallError:
    """The error of what is not there."""
    return CallError(404, "ResourceNotFoundException", message)


def invalid(parameter: str, value: str, rule: str) -> CallError:
    """The error of a parameter that AWS does not take.

    The form is that of AWS's services; no page documents it.
    """
    return CallError(
        400,
        "ValidationException",
        f"1 validation error detected: Value '{value[:200]}' at '{parameter}' failed to satisfy "
        f"constraint: Member must satisfy {rule}",
    )
