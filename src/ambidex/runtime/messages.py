"""The Runtime API's messages, bytes to values and back, without a socket.

Every header of an invocation but the request id is optional, and an empty one is an absent one:
Lambda and its emulators differ in what they send.

Source: lambda/latest/dg/runtimes-api.html
"""

from enum import Enum, auto
from functools import lru_cache
from typing import ClassVar, NamedTuple

from ambidex.errors import AmbidexError, shown

_BASE = "/2018-06-01/runtime"

# What Lambda takes for the head of a request to a function; nothing in an answer's comes near.
# Source: lambda/latest/dg/gettingstarted-limits.html
_HEAD_BYTES = 1024 * 1024
_HEX_DIGITS = b"0123456789abcdefABCDEF"


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

    Nearly all answers come in one piece and with their length; `ReplyParser` takes all others.
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


class _Part(Enum):
    HEAD = auto()
    SIZED_BODY = auto()
    CHUNK_SIZE = auto()
    CHUNK = auto()
    TRAILERS = auto()
    BODY_TO_THE_END = auto()


class ReplyParser:
    """Takes the bytes of one answer as they come.

    Answers come one at a time, for requests are sent one at a time: with bytes after an answer the
    connection is out of step, and may carry no other request.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._searched = 0  # bytes in which the end of the head is not
        self._part = _Part.HEAD
        self._status = 0
        self._headers: dict[bytes, bytes] = {}
        self._length = 0
        self._body = bytearray()
        self._is_reusable = True

    def feed(self, data: bytes) -> Reply | None:
        """Take bytes; the answer, once it is whole.

        Raises:
            PeerError: this is no HTTP/1.1 answer.
        """
        self._data += data
        while True:
            before = self._part, len(self._data)
            reply = self._STEPS[self._part](self)
            if reply is not None or (self._part, len(self._data)) == before:
                return reply

    def end(self) -> Reply | None:
        """The peer has closed the connection; the answer, if that was its end."""
        if self._part is not _Part.BODY_TO_THE_END:
            return None
        return self._reply(bytes(self._data), 0)

    def _head(self) -> Reply | None:
        end = self._data.find(b"\r\n\r\n", self._searched)
        if end < 0:
            self._searched = max(0, len(self._data) - 3)
            _check_length(self._data)
            return None
        self._searched = 0
        lines = bytes(self._data[:end]).split(b"\r\n")
        del self._data[: end + 4]
        self._status = _status(lines[0])
        self._headers = dict(map(_header, lines[1:]))
        if self._status < 200:
            return None
        if len(self._headers) < len(lines) - 1:
            _check_lengths(lines)
        self._is_reusable = (
            lines[0].startswith(b"HTTP/1.1")
            and b"close" not in self._headers.get(b"connection", b"").lower()
        )
        if self._status in (204, 304):
            return self._reply(b"", len(self._data))
        coding = self._headers.get(b"transfer-encoding")
        if coding is not None:
            if coding.lower() != b"chunked":
                raise PeerError(f"the Runtime API sent the transfer coding {shown(coding)}")
            self._part = _Part.CHUNK_SIZE
        elif b"content-length" in self._headers:
            self._length = _decimal(self._headers[b"content-length"])
            self._part = _Part.SIZED_BODY
            return self._sized_body()
        else:
            self._is_reusable = False
            self._part = _Part.BODY_TO_THE_END
        return None

    def _sized_body(self) -> Reply | None:
        excess = len(self._data) - self._length
        if excess < 0:
            return None
        return self._reply(bytes(self._data[: self._length]), excess)

    def _chunk_size(self) -> Reply | None:
        line = self._line()
        if line is not None:
            self._length = _hexadecimal(line.partition(b";")[0].strip())
            self._part = _Part.CHUNK if self._length else _Part.TRAILERS
        return None

    def _chunk(self) -> Reply | None:
        if len(self._data) >= self._length + 2:
            self._body += self._data[: self._length]
            if self._data[self._length : self._length + 2] != b"\r\n":
                raise PeerError("the Runtime API sent a chunk longer than it says")
            del self._data[: self._length + 2]
            self._part = _Part.CHUNK_SIZE
        return None

    def _trailers(self) -> Reply | None:
        line = self._line()
        return self._reply(bytes(self._body), len(self._data)) if line == b"" else None

    def _nothing(self) -> Reply | None:
        return None

    def _line(self) -> bytes | None:
        end = self._data.find(b"\r\n")
        if end < 0:
            _check_length(self._data)
            return None
        line = bytes(self._data[:end])
        del self._data[: end + 2]
        return line

    def _reply(self, body: bytes, excess: int) -> Reply:
        return Reply(self._status, self._headers, body, self._is_reusable and not excess)

    _STEPS: ClassVar = {
        _Part.HEAD: _head,
        _Part.SIZED_BODY: _sized_body,
        _Part.CHUNK_SIZE: _chunk_size,
        _Part.CHUNK: _chunk,
        _Part.TRAILERS: _trailers,
        _Part.BODY_TO_THE_END: _nothing,
    }


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


def _status(line: bytes) -> int:
    version, _, rest = line.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise PeerError(f"the Runtime API did not answer in HTTP/1.1: {shown(line)}")
    return int(rest[:3])


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon:
        raise PeerError(f"the Runtime API sent a header without a colon: {shown(line)}")
    return name.lower(), value.strip()


def _check_length(data: bytearray) -> None:
    if len(data) > _HEAD_BYTES:
        raise PeerError(f"the Runtime API sent {len(data)} bytes of headers, and no end of them")


def _check_lengths(lines: list[bytes]) -> None:
    headers = map(_header, lines[1:])
    lengths = {value for name, value in headers if name == b"content-length"}
    if len(lengths) > 1:
        raise PeerError(f"the Runtime API sent several lengths: {shown(sorted(lengths))}")


def _decimal(digits: bytes) -> int:
    # What int() takes besides: signs, spaces, underscores.
    if not digits.isdigit() or len(digits) > 18:
        raise PeerError(f"the Runtime API sent {shown(digits)} for a length")
    return int(digits)


def _hexadecimal(digits: bytes) -> int:
    if not digits or digits.strip(_HEX_DIGITS) or len(digits) > 16:
        raise PeerError(f"the Runtime API sent {shown(digits)} for a length")
    return int(digits, 16)
