"""HTTP/1.1 on the wire, as values: heads, limits, errors, and how they are written.

Source: RFC 9110 (semantics), RFC 9112 (HTTP/1.1).
"""

from http import HTTPStatus
from string import ascii_letters
from typing import NamedTuple

from ambidex.errors import AmbidexError, shown
from ambidex.http import Headers


class PeerError(AmbidexError):
    """What the other end of the connection did wrong."""


class Disconnected(PeerError):
    """The peer closed or reset the connection before the message was complete."""

    def __init__(self, during: str) -> None:
        super().__init__(f"The connection was closed by the peer {during}")


class Malformed(PeerError):
    """The peer sent bytes that are no HTTP/1.1 message."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The peer sent a malformed HTTP message: {reason}")


class BodyTooLarge(PeerError):
    """The body is longer than the reader takes."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The body is larger than {limit_bytes} bytes")
        self.limit_bytes = limit_bytes


class ConnectFailed(PeerError):
    """Nobody answers at the address."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"No connection to {host}:{port}: {reason}")


class ConnectTimedOut(ConnectFailed):
    """The connection was not there in time."""


class ProtocolError(AmbidexError):
    """Our own side used an exchange against its rules."""


class Head(NamedTuple):
    """A request's line and headers as they came."""

    method: str
    target: bytes  # the raw request target
    headers: Headers  # wire order, original case, latin-1 bytes
    http_version: str  # "1.0" or "1.1"


class ResponseHead(NamedTuple):
    """A response's status line and headers as they came."""

    status: int
    reason: bytes
    headers: Headers
    http_version: str


class Limits(NamedTuple):
    """What a front door takes of a request's head, and the status it answers beyond that.

    A line's bytes are counted without its line end, the head's with all of them.
    """

    request_line_bytes: int
    header_line_bytes: int
    head_bytes: int  # request line and all headers in total
    line_status: int = 414  # for a request line that is too long
    head_status: int = 431  # for a header line or a head that is too long
    headers_bytes: int | None = None  # all headers in total, where these have a limit of their own


def reason_of(status: int) -> bytes:
    """The standard reason phrase, empty for a status that has none."""
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""


_STATUS_LINES = {
    int(status): b"HTTP/1.1 %d %b" % (status, status.phrase.encode()) for status in HTTPStatus
}


def status_line(status: int, reason: bytes | None) -> bytes:
    """A response's first line without its line end; `reason` None takes the standard phrase."""
    if reason is None:
        return _STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status
    return b"HTTP/1.1 %d %b" % (status, reason)


# RFC 9110 5.6.2
_TOKEN = b"!#$%&'*+-.^_`|~0123456789" + ascii_letters.encode()


def header_block(lines: list[bytes], headers: Headers) -> bytes:
    """First lines, headers and the empty line.

    Args:
        lines: lines without line ends: the start line, then any that are written already.
        headers: what follows them.

    Raises:
        ProtocolError: a header holds a line break or a NUL, or its name is no token, ours: it would
            split the message or be another header.
    """
    lines += [name + b": " + value for name, value in headers]
    count = len(lines) + 1
    block = b"\r\n".join(lines) + b"\r\n\r\n"
    if block.count(b"\n") != count or block.count(b"\r") != count or b"\0" in block:
        raise ProtocolError(f"A header holds a line break or a NUL: {shown(_broken(lines))}")
    names = [name for name, _ in headers]
    if b"" in names or b"".join(names).translate(None, _TOKEN):
        name = next(name for name in names if not name or name.translate(None, _TOKEN))
        raise ProtocolError(f"A header's name is no token (RFC 9110 5.6.2): {shown(name)}")
    return block


def _broken(lines: list[bytes]) -> bytes:
    return next(line for line in lines if any(byte in line for byte in b"\r\n\0"))


def chunk(data: bytes) -> bytes:
    """`data`, not empty, as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: Headers = ()) -> bytes:
    """What ends a chunked body."""
    return header_block([b"0"], trailers)


def is_bodiless(method: str, status: int) -> bool:
    """Whether this response has no body whatever its headers say (RFC 9112 6.3)."""
    return method == "HEAD" or status < 200 or status in {204, 304}


def has_token(value: bytes, token: bytes) -> bool:
    """Whether a comma-separated header value names `token`, which is in lower case."""
    return any(part.strip(b" \t") == token for part in value.lower().split(b","))
