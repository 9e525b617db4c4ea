"""The Runtime API's end of the soak: blocking sockets, and one connection at a time.

It is by hand, for the soak has to be faster than what it measures, and to see every byte. An
internal extension may register first, on a connection of its own, where its question for an event
then stays open.
"""

import socket
from typing import NamedTuple

HOST = "127.0.0.1"
_ACCEPTED = b'HTTP/1.1 202 Accepted\r\nContent-Length: 15\r\n\r\n{"status":"OK"}'
_REGISTERED = b"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: soak\r\nContent-Length: 2\r\n\r\n{}"
_EXTENSION = "/2020-01-01/extension/"
_HANGS_S = 60  # no answer takes as long
_PREFIX = "/2018-06-01/runtime/"


class ConversationError(Exception):
    """The runtime does not keep to the Runtime API; the message says how."""


class Call(NamedTuple):
    """One request of the runtime."""

    path: str  # below /2018-06-01/runtime/
    headers: dict[str, str]  # names in lower case; trailers, too
    body: bytes


class RuntimeApi:
    """Gives events, and takes their results."""

    def __init__(self) -> None:
        self.connections = 0
        self._listener = socket.create_server((HOST, 0))
        self._listener.settimeout(_HANGS_S)
        self._socket: socket.socket | None = None
        self._extension: socket.socket | None = None
        self._data = bytearray()
        self.address = f"{HOST}:{self._listener.getsockname()[1]}"

    def wait(self) -> None:
        """Wait until the runtime asks for an event.

        Raises:
            ConversationError: it sends something else.
        """
        call = self._call()
        if call.path == f"{_EXTENSION}register":
            self._register()
            call = self._call()
        if call.path != "invocation/next":
            raise ConversationError(f"asked for an event, it sent {call.path}")

    def give(self, event: bytes, headers: bytes) -> Call:
        """Answer with an event, and take its result or its error.

        Args:
            event: the event's JSON, or what is none.
            headers: each ended by CR LF.

        Raises:
            ConversationError: it asks for the next event without an answer.
        """
        assert self._socket is not None
        head = b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n" % (headers, len(event))
        self._socket.sendall(head + event)
        call = self._call()
        if call.path == "invocation/next":
            raise ConversationError("an event was not answered")
        self._socket.sendall(_ACCEPTED)
        return call

    def drop(self) -> None:
        """Close the connection, as one that is idle."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._data.clear()

    def close(self) -> None:
        """Listen no more."""
        self.drop()
        if self._extension is not None:
            self._extension.close()
        self._listener.close()

    def _register(self) -> None:
        assert self._socket is not None
        self._socket.sendall(_REGISTERED)
        call = self._call()
        if call.path != f"{_EXTENSION}event/next":
            raise ConversationError(f"an extension that had registered sent {call.path}")
        self._extension, self._socket = self._socket, None

    def _call(self) -> Call:
        while self._socket is None or not self._read():
            self.drop()
            self._socket, _ = self._listener.accept()
            self._socket.settimeout(_HANGS_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
        while (end := self._data.find(b"\r\n\r\n")) < 0:
            self._more()
        lines = self._data[:end].decode("latin-1").split("\r\n")
        del self._data[: end + 4]
        headers = _headers(lines[1:])
        if headers.get("transfer-encoding") == "chunked":
            body = self._chunks(headers)
        else:
            body = self._take(int(headers.get("content-length", "0")))
        return Call(lines[0].split(" ")[1].removeprefix(_PREFIX), headers, body)

    def _read(self) -> bool:
        assert self._socket is not None
        try:
            piece = self._socket.recv(1024 * 1024)
        except ConnectionResetError:
            return False
        self._data += piece
        return bool(piece)

    def _more(self) -> None:
        if not self._read():
            raise ConversationError("the runtime closed the connection in a request")

    def _take(self, length: int) -> bytes:
        while len(self._data) < length:
            self._more()
        taken = bytes(self._data[:length])
        del self._data[:length]
        return taken

    def _line(self) -> bytes:
        while (end := self._data.find(b"\r\n")) < 0:
            self._more()
        return self._take(end + 2)[:-2]

    def _chunks(self, headers: dict[str, str]) -> bytes:
        chunks = []
        while length := int(self._line(), 16):
            chunks.append(self._take(length + 2)[:-2])
        while line := self._line():
            headers |= _headers([line.decode("latin-1")])
        return b"".join(chunks)


def _headers(lines: list[str]) -> dict[str, str]:
    pairs = (line.partition(":") for line in lines)
    return {name.lower(): value.strip() for name, _, value in pairs}
