"""A peer for the Runtime API's place that does what a script says, byte for byte.

It is blocking sockets in a thread: the pieces, the pauses and the resets are then its own, and no
server's idea of HTTP is between the script and the wire.
"""

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

HOST = "127.0.0.1"

# A hang of either side ends as an error; nothing here takes as long otherwise.
_TIMEOUT_S = 60


class Wire:
    """One connection that the runtime has opened."""

    def __init__(self, peer: "Peer", connection: socket.socket) -> None:
        self.peer = peer
        self.socket = connection
        self.socket.settimeout(_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = bytearray()

    def more(self, length: int = 65536) -> None:
        """Read on."""
        piece = self.socket.recv(length)
        if not piece:
            raise EOFError("the runtime has closed the connection")
        self.data += piece

    def read_head(self) -> bytes:
        """Read a request's head, and maybe more that then waits in `data`."""
        while b"\r\n\r\n" not in self.data:
            self.more()
        head, _, rest = bytes(self.data).partition(b"\r\n\r\n")
        self.data[:] = rest
        return head

    def reset(self) -> None:
        """End the connection as a process does that is killed: what is under way is lost."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


Step = Callable[[Wire], None]
"""What the peer does next on a connection."""


class Peer:
    """Takes one connection after the other, and does the steps that the script has for it.

    A connection is closed after its last step. When the script is at its end nobody listens.
    """

    def __init__(self, script: Sequence[Sequence[Step]]) -> None:
        self.calls: list[tuple[str, bytes]] = []  # paths and bodies of whole requests
        self.failures: list[BaseException] = []
        self._script = script
        self._kept: list[socket.socket] = []
        self._listener = socket.create_server((HOST, 0))
        # Of a large result most is still to be sent while the peer does not read.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        self._listener.settimeout(_TIMEOUT_S)
        self.address = f"{HOST}:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run)

    @property
    def paths(self) -> list[str]:
        """The last two parts of the paths of the requests, as they came."""
        return ["/".join(path.rsplit("/", 2)[-2:]) for path, _ in self.calls]

    @contextmanager
    def running(self) -> Iterator["Peer"]:
        """Run the script beside a test; what fails there fails the test."""
        self._thread.start()
        try:
            yield self
        finally:
            self._listener.close()
            self._thread.join(_TIMEOUT_S)
            for connection in self._kept:
                connection.close()
        if self.failures:
            raise self.failures[0]

    def keep(self, connection: socket.socket) -> None:
        """Leave a connection as it is after its last step, until the end of the test."""
        self._kept.append(connection.dup())

    def _run(self) -> None:
        try:
            for steps in self._script[:-1]:
                self._serve(self._listener.accept()[0], steps)
            last, _ = self._listener.accept()
            self._listener.close()
            self._serve(last, self._script[-1])
        except OSError as error:
            self.failures.append(error)

    def _serve(self, connection: socket.socket, steps: Sequence[Step]) -> None:
        with connection:
            wire = Wire(self, connection)
            try:
                for step in steps:
                    step(wire)
            except (EOFError, OSError) as error:
                self.failures.append(error)


def request(wire: Wire) -> None:
    """Read a whole request."""
    head = wire.read_head()
    headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    length = int(headers.get(b"content-length", b"0"))
    while len(wire.data) < length:
        wire.more()
    wire.peer.calls.append((head.split(b" ")[1].decode(), bytes(wire.data[:length])))
    del wire.data[:length]


def slow_request(wire: Wire) -> None:
    """Read a whole request, its first 100,000 bytes one by one."""
    for _ in range(100_000):
        wire.more(1)
    request(wire)


def half_request(wire: Wire) -> None:
    """Read the head of a request and the start of its body, and leave the rest."""
    wire.read_head()


def send(*pieces: bytes) -> Step:
    """Send bytes, each piece in a segment of its own."""

    def step(wire: Wire) -> None:
        for piece in pieces:
            wire.socket.sendall(piece)

    return step


def send_bytewise(data: bytes) -> Step:
    """Send bytes one by one."""
    return send(*(data[index : index + 1] for index in range(len(data))))


def flood(data: bytes) -> Step:
    """Send bytes until the runtime closes the connection."""

    def step(wire: Wire) -> None:
        with suppress(ConnectionError):
            while True:
                wire.socket.sendall(data)

    return step


def end_of_sending(wire: Wire) -> None:
    """Send no more and read no more, and leave the connection open."""
    wire.socket.shutdown(socket.SHUT_WR)
    wire.peer.keep(wire.socket)


def read_to_the_end(wire: Wire) -> None:
    """Read until the runtime closes the connection."""
    with suppress(EOFError, ConnectionResetError):
        while True:
            wire.more()


def reset(wire: Wire) -> None:
    """End the connection as a process does that is killed."""
    wire.reset()
