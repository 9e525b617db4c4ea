"""An answer of the Runtime API, from its bytes as they come.

Imported when there is one that `whole_reply` does not take: in several pieces, in chunks, or with
something that no other answer has.
"""

from enum import Enum, auto
from typing import ClassVar

from ambidex.errors import shown
from ambidex.runtime.messages import PeerError, Reply

# What Lambda takes for the head of a request to a function; nothing in an answer's comes near.
# Source: lambda/latest/dg/gettingstarted-limits.html
_HEAD_BYTES = 1024 * 1024
_HEX_DIGITS = b"0123456789abcdefABCDEF"


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
