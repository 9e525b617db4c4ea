"""`ambidex invoke`: sends an event to the function of a running `ambidex up`, by its Invoke API.

It is the standard library's HTTP client and nothing else, so that it works where `up` runs as a
service and boto3 is not installed.

Source: lambda/latest/api/API_Invoke.html
"""

import errno
import sys
from base64 import b64decode, b64encode
from difflib import get_close_matches
from http.client import HTTPConnection, HTTPException, HTTPResponse
from json import dumps, loads
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from ambidex.errors import AmbidexError, shown
from ambidex.local.log import printer
from ambidex.local.samples import SAMPLES
from ambidex.local.samples import event as sample

_FUNCTIONS = "/2015-03-31/functions/"


class UsageError(AmbidexError):
    """The command line, or an event, cannot be used; the user's fault."""


class InvocationFailed(AmbidexError):
    """The function failed, or was too busy to be invoked."""


class UnreachableError(AmbidexError):
    """There is no Invoke API at the URL."""


class Options(NamedTuple):
    """What the command line says."""

    event: str
    url: str
    type: str
    client_context: str
    as_json: bool


class Answer(NamedTuple):
    """What the Invoke API answered."""

    status: int
    request_id: str
    function_error: str  # empty if the function has succeeded
    log: str  # the last 4 KB of it
    payload: bytes


def run(options: Options) -> int:
    """Invoke the function and show what it did.

    Raises:
        UsageError: the event, the client context, the URL or the call is not in order.
        InvocationFailed: the function failed, or was too busy.
        UnreachableError: there is no Invoke API at the URL.
    """
    event = read_event(options.event)
    headers = {"X-Amz-Invocation-Type": options.type, "X-Amz-Log-Type": "Tail"}
    if options.client_context:
        context = read_client_context(options.client_context)
        headers["X-Amz-Client-Context"] = b64encode(context).decode()
    answer = _invoke(_connection(options.url), options.url, event, headers)
    if options.as_json:
        sys.stdout.write(f"{dumps(_document(answer))}\n")
    else:
        _show(answer, options.type)
    sys.stdout.flush()
    if answer.function_error:
        raise InvocationFailed(f"the function failed: {_error(answer.payload)}")
    return 0


def list_kinds() -> str:
    """The kinds of sample events, a line each."""
    width = max(map(len, SAMPLES))
    return "".join(f"{kind:<{width}}  {each.sentence}\n" for kind, each in SAMPLES.items())


def read_event(name: str) -> bytes:
    """An event, as JSON.

    Args:
        name: a kind of sample events, a file, or `-` for standard input.

    Raises:
        UsageError: there is no such kind or file, or it is no JSON.
    """
    if name in SAMPLES:
        return sample(name)
    if name == "-":
        document, source = sys.stdin.buffer.read(), "standard input"
    else:
        document, source = _event_file(name), name
    _value(document, source)
    return document


def read_sample(kind: str) -> bytes:
    """The sample event of a kind, as JSON.

    Raises:
        UsageError: there is no such kind.
    """
    if kind not in SAMPLES:
        raise UsageError(f"there is no kind of event {shown(kind)}", _kinds(kind))
    return sample(kind)


def read_client_context(name: str) -> bytes:
    """A client context, as JSON.

    Args:
        name: a file, or the JSON itself.

    Raises:
        UsageError: there is no such file, or it is no JSON object.
    """
    is_json = name.lstrip().startswith("{")
    document = name.encode() if is_json else _file(name)
    if not isinstance(_value(document, "the client context"), dict):
        raise UsageError("the client context is no JSON object")
    return document


def _kinds(name: str) -> str:
    near = get_close_matches(name, SAMPLES, 1)
    question = f"did you mean {near[0]}? " if near else ""
    return f"{question}the kinds are {', '.join(SAMPLES)}"


def _event_file(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        # Too long for a file's name is what is meant to be JSON.
        if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}:
            raise _unreadable(name, error) from None
        raise UsageError(
            f"there is neither a file nor a kind of event {shown(name)}", _kinds(name)
        ) from None


def _file(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise _unreadable(name, error) from None


def _unreadable(name: str, error: OSError) -> UsageError:
    return UsageError(f"{name} cannot be read: {error.strerror}")


def _value(document: bytes, source: str) -> Any:  # noqa: ANN401 – any JSON
    try:
        return loads(document)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{source} is no JSON: {error}") from None


def _connection(url: str) -> HTTPConnection:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        host.encode("idna")  # as the look-up will, whose error is no OSError
        if parts.scheme == "http" and host and not parts.path.strip("/"):
            return HTTPConnection(host, parts.port)
    except (ValueError, HTTPException):
        pass
    raise UsageError(
        f"--url {shown(url)} is no address of an Invoke API", "it is like http://127.0.0.1:8003"
    )


def _invoke(connection: HTTPConnection, url: str, event: bytes, headers: dict[str, str]) -> Answer:
    try:
        name = _function_name(connection, url)
        path = f"{_FUNCTIONS}{quote(name, safe='')}/invocations"
        connection.request("POST", path, event, headers)
        response = connection.getresponse()
        payload = response.read()
    except (ConnectionResetError, HTTPException):
        raise UnreachableError(
            f"the connection to {url} broke before the answer", "has `ambidex up` ended?"
        ) from None
    except OSError as error:
        raise UnreachableError(
            f"nothing answers at {url}: {error.strerror or error}", "is `ambidex up` running?"
        ) from None
    finally:
        connection.close()
    if response.status >= 300:
        raise _refused(response, payload)
    return Answer(
        response.status,
        response.getheader("x-amzn-RequestId", ""),
        response.getheader("X-Amz-Function-Error", ""),
        b64decode(response.getheader("X-Amz-Log-Result", "")).decode(errors="replace"),
        payload,
    )


def _function_name(connection: HTTPConnection, url: str) -> str:
    connection.request("GET", _FUNCTIONS)
    response = connection.getresponse()
    document = response.read()
    if response.getheader("x-amzn-ErrorType") == "AccessDeniedException":
        raise _refused(response, document)
    try:
        return str(loads(document)["Functions"][0]["FunctionName"])
    except (ValueError, LookupError, TypeError):
        raise UnreachableError(
            f"what answers at {url} is no Invoke API",
            "`ambidex up` prints its address when it starts",
        ) from None


def _refused(response: HTTPResponse, payload: bytes) -> AmbidexError:
    kind = response.getheader("x-amzn-ErrorType", "") or f"HTTP status {response.status}"
    try:
        message = f"{kind}: {loads(payload)['Message']}"
    except (ValueError, LookupError, TypeError):
        message = kind
    if response.status == 429:
        return InvocationFailed(
            "the function is throttled: all of its environments are at work",
            "`concurrency` in [tool.ambidex.lambda] is how many there may be",
        )
    if response.status < 500:
        return UsageError(f"the Invoke API refused the call: {message}")
    return UnreachableError(f"the Invoke API failed: {message}")


def _show(answer: Answer, kind: str) -> None:
    show = printer("lambda")
    for line in answer.log.split("\n")[:-1]:
        show(line)
    if kind == "Event":
        sys.stderr.write(
            f"queued as {answer.request_id}; the log of `ambidex up` tells what becomes of it\n"
        )
    elif kind == "DryRun":
        sys.stderr.write("the call is in order; nothing was invoked\n")
    else:
        sys.stdout.buffer.write(_pretty(answer.payload) if sys.stdout.isatty() else answer.payload)
        sys.stdout.buffer.write(b"\n")


def _pretty(payload: bytes) -> bytes:
    try:
        text = dumps(loads(payload), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):  # a runtime may post anything
        return payload
    return text.encode(errors="backslashreplace")  # a lone surrogate is an escape in JSON, too


def _document(answer: Answer) -> dict[str, Any]:
    try:
        payload = loads(answer.payload) if answer.payload else None
    except (ValueError, RecursionError):
        payload = answer.payload.decode(errors="replace")
    return {
        "statusCode": answer.status,
        "requestId": answer.request_id,
        "functionError": answer.function_error or None,
        "payload": payload,
        "log": answer.log,
    }


def _error(payload: bytes) -> str:
    try:
        error = loads(payload)
        text = f"{error['errorType']}: {error['errorMessage']}"
    except (ValueError, LookupError, TypeError, RecursionError):
        text = payload.decode(errors="replace")
    text = " ".join(text.split())
    return text if len(text) <= 300 else f"{text[:297]}..."
