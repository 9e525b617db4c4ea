"""The Runtime API's messages, bytes to values and back, without a socket.

Every header of an invocation but the request id is optional, and an empty one is an absent one:
Lambda and its emulators differ in what they send.

Source: lambda/latest/dg/runtimes-api.html
"""

from functools import lru_cache
from typing import NamedTuple

from ambidex.errors import AmbidexError, shown

_BASE = "/2018-06-01/runtime"


class PeerError(AmbidexError):
    """The Runtime API sent what is no answer of it; Lambda's fault, or the network's."""


class Invocation(NamedTuple):
    """One event to answer."""

    request_id: str
    event: bytes
    invocation_id: str = ""  # of this attempt; echoed with the result
    deadline_ms: int = 0  # Unix time in milliseconds
    function_arn: str = ""
    trace_id: str = ""
    client_context: str = ""  # JSON
    cognito_identity: str = ""  # JSON
    tenant_id: str = ""


class Reply(NamedTuple):
    """An HTTP answer of the Runtime API."""

    status: int
    headers: dict[bytes, bytes]  # names in lower case
    body: bytes
    is_reusable: bool  # whether the connection may carry another request


def next_request(host: str) -> bytes:
    """GET invocation/next."""
    return f"GET {_BASE}/invocation/next HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def result_request(host: str, invocation: Invocation, result: bytes) -> bytes:
    """POST invocation/{id}/response."""
    path = f"/invocation/{invocation.request_id}/response"
    return _post(host, path, _attempt(invocation), result)


def streamed_result_head(
    host: str, invocation: Invocation, content_type: str, trailer: str
) -> bytes:
    """The head of POST invocation/{id}/response in streaming mode; a chunked body follows.

    Args:
        host: the Runtime API's.
        invocation: what is answered.
        content_type: of the body.
        trailer: the names of the trailers that may follow it.
    """
    head = (
        f"POST {_BASE}/invocation/{invocation.request_id}/response HTTP/1.1\r\nHost: {host}\r\n"
        f"{_attempt(invocation)}Lambda-Runtime-Function-Response-Mode: streaming\r\n"
        f"Content-Type: {content_type}\r\nTransfer-Encoding: chunked\r\nTrailer: {trailer}\r\n\r\n"
    )
    return head.encode("latin-1")


def error_request(host: str, invocation: Invocation, kind: str, document: bytes) -> bytes:
    """POST invocation/{id}/error."""
    path = f"/invocation/{invocation.request_id}/error"
    return _post(host, path, _error_type(kind) + _attempt(invocation), document)


def init_error_request(host: str, kind: str, document: bytes) -> bytes:
    """POST init/error, after which the process must exit."""
    return _post(host, "/init/error", _error_type(kind), document)


def restore_next_request(host: str) -> bytes:
    """GET restore/next, which is answered when the environment has been restored."""
    return f"GET {_BASE}/restore/next HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def restore_error_request(host: str, kind: str, document: bytes) -> bytes:
    """POST restore/error, after which the process must exit."""
    return _post(host, "/restore/error", _error_type(kind), document)


def parse_restored(reply: Reply) -> bool:
    """Whether there was a snapshot, by the answer of GET restore/next; 404 says that there is none.

    Raises:
        PeerError: the call came at the wrong time (403), or the Runtime API is in a bad state.
    """
    if reply.status not in (200, 404):
        raise PeerError(
            f"the Runtime API answered restore/next with status {reply.status}: {shown(reply.body)}"
        )
    return reply.status == 200


def parse_invocation(reply: Reply) -> Invocation:
    """The invocation that GET invocation/next answered with.

    Raises:
        PeerError: the answer is none.
    """
    header = reply.headers.get
    request_id = header(b"lambda-runtime-aws-request-id", b"").decode("latin-1")
    if reply.status != 200 or not request_id:
        raise PeerError(
            f"the Runtime API answered invocation/next with status {reply.status} and request id "
            f"{request_id!r}: {shown(reply.body)}"
        )
    deadline = header(b"lambda-runtime-deadline-ms", b"")
    return Invocation(
        request_id,
        reply.body,
        header(b"lambda-runtime-invocation-id", b"").decode("latin-1"),
        int(deadline) if deadline.isdigit() else 0,
        header(b"lambda-runtime-invoked-function-arn", b"").decode("latin-1"),
        header(b"lambda-runtime-trace-id", b"").decode("latin-1"),
        header(b"lambda-runtime-client-context", b"").decode("latin-1"),
        header(b"lambda-runtime-cognito-identity", b"").decode("latin-1"),
        header(b"lambda-runtime-aws-tenant-id", b"").decode("latin-1"),
    )


def whole_reply(data: bytes) -> Reply | None:
    """The answer that these bytes are, if they are the whole of one of the plain kind.

    Nearly all answers come in one piece and with their length; `ReplyParser` takes the others.
    """
    return _same_reply(data) if len(data) <= _SHORT_BYTES else _whole_reply(data)


# What says that a result has been taken is the same each time.
_SHORT_BYTES = 256


def _whole_reply(data: bytes) -> Reply | None:
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator or not head.startswith(b"HTTP/1.1 "):
        return None
    lines = head.split(b"\r\n")
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon:
            return None
        headers[name.lower()] = value.strip()
    status = lines[0][9:12]
    is_sized = (
        headers.get(b"content-length") == b"%d" % len(body) and len(headers) == len(lines) - 1
    )
    if not is_sized or status not in _PLAIN_STATUSES or not _CONNECTION.isdisjoint(headers):
        return None
    return Reply(int(status), headers, body, True)


_same_reply = lru_cache(maxsize=2)(_whole_reply)

_PLAIN_STATUSES = frozenset({b"200", b"202", b"400", b"403", b"410", b"413", b"500"})
_CONNECTION = frozenset({b"connection", b"transfer-encoding"})


def _post(host: str, path: str, headers: str, body: bytes) -> bytes:
    # One buffer, one write: a head and a body in two segments cost 40 ms (Nagle, delayed ACK).
    head = (
        f"POST {_BASE}{path} HTTP/1.1\r\nHost: {host}\r\n{headers}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("latin-1") + body


def _attempt(invocation: Invocation) -> str:
    if not invocation.invocation_id:
        return ""
    return f"Lambda-Runtime-Invocation-Id: {invocation.invocation_id}\r\n"


def _error_type(kind: str) -> str:
    return f"Lambda-Runtime-Function-Error-Type: {kind}\r\n"
