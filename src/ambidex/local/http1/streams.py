"""Bodies on their way through a connection, with back-pressure: the same for server and client.

Nobody buffers without bound: a reader that is slow stops the peer (`ReadGate` pauses the
transport), a peer that is slow stops the writer (`Outgoing.ready` waits).
"""

import asyncio
from collections.abc import Callable

from ambidex.http import Headers
from ambidex.local.http1.messages import BodyTooLarge, Disconnected, PeerError

# Read-ahead of one body: asyncio's own default for streams and for write buffers.
READ_AHEAD_BYTES = 64 * 1024
# Streamed pieces of one loop iteration are joined up to here: about one large TCP segment's worth.
_JOINED_BYTES = 16 * 1024


class ReadGate:
    """Whether the transport reads: not while anyone holds it."""

    __slots__ = ("_holds", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._holds = 0

    def hold(self) -> None:
        """Stop reading until as many `release` have come as `hold`."""
        self._holds += 1
        if self._holds == 1 and not self._transport.is_closing():
            self._transport.pause_reading()

    def release(self) -> None:
        """Take back one `hold`."""
        self._holds -= 1
        if self._holds == 0 and not self._transport.is_closing():
            self._transport.resume_reading()


class Incoming:
    """What has arrived of a body, or of a tunnel, and nobody has read yet."""

    __slots__ = ("_chunks", "_error", "_gate", "_is_held", "_size", "_waiter", "ended", "trailers")

    def __init__(self, gate: ReadGate) -> None:
        self.trailers: Headers = ()
        self.ended = False  # all has arrived, read or not
        self._gate = gate
        self._chunks: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._error: PeerError | None = None
        self._is_held = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be read."""
        return not self._chunks

    def feed(self, data: bytes) -> None:
        """Take the next bytes from the wire."""
        self._chunks.append(data)
        self._size += len(data)
        if self._size > READ_AHEAD_BYTES and not self._is_held:
            self._is_held = True
            self._gate.hold()
        self._wake()

    def end(self, trailers: Headers = ()) -> None:
        """Note that the body is complete."""
        self.ended = True
        self.trailers = trailers
        self._wake()

    def fail(self, error: PeerError) -> None:
        """Note that the rest will not come; a reader still gets what has arrived before."""
        if not self.ended:
            self._error = error
            self._wake()

    def take(self) -> bytes:
        """What has arrived so far, without waiting."""
        if len(self._chunks) == 1:
            data = self._chunks.pop()
        else:
            data = b"".join(self._chunks)
            self._chunks.clear()
        self._size = 0
        if self._is_held:
            self._is_held = False
            self._gate.release()
        return data

    async def read(self) -> bytes:
        """The next bytes, `b""` at the end.

        Raises:
            PeerError: the peer broke off, theirs.
        """
        while not self._chunks:
            if self.ended:
                return b""
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self.take()

    async def read_all(self, limit_bytes: int | None) -> bytes:
        """All that is still to come.

        Raises:
            BodyTooLarge: more than `limit_bytes` came, theirs.
            PeerError: the peer broke off, theirs.
        """
        parts: list[bytes] = []
        size = 0
        while data := await self.read():
            size += len(data)
            if limit_bytes is not None and size > limit_bytes:
                raise BodyTooLarge(limit_bytes)
            parts.append(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Outgoing:
    """Bytes to the transport: one write per loop iteration, and no more than the peer reads.

    A head and a body in two segments would cost 40 ms (Nagle and delayed ACK) on a peer without
    TCP_NODELAY; ours has it from asyncio and uvloop, which set it on every TCP transport.
    """

    __slots__ = ("_is_lost", "_is_paused", "_loop", "_pending", "_size", "_transport", "_waiter")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pending: list[bytes] = []
        self._size = 0
        self._is_paused = False
        self._is_lost = False
        self._waiter: asyncio.Future[None] | None = None

    def now(self, data: bytes) -> None:
        """Write, together with all that waits."""
        if self._pending:
            self._pending.append(data)
            data = b"".join(self._pending)
            self._pending.clear()
            self._size = 0
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def soon(self, data: bytes) -> None:
        """Write at the end of this loop iteration, in one piece with what else comes until then."""
        if not self._pending:
            self._loop.call_soon(self.flush)
        self._pending.append(data)
        self._size += len(data)
        if self._size > _JOINED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._pending:
            self.now(b"")

    async def ready(self) -> None:
        """Wait until the peer has read enough.

        Raises:
            Disconnected: the connection is gone, theirs.
        """
        while self._is_paused and not self._is_lost:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._transport.is_closing():
            raise Disconnected("while it was being sent a body")

    def pause(self) -> None:
        """The transport's buffer is full."""
        self._is_paused = True

    def resume(self) -> None:
        """The transport's buffer has room again."""
        self._is_paused = False
        self._wake()

    def lose(self) -> None:
        """The connection is gone: drop everything."""
        self._is_lost = True
        self._pending.clear()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Tunnel:
    """The raw bytes of a connection after an upgrade, both ways."""

    __slots__ = ("_incoming", "_outgoing", "_touch", "_transport")

    def __init__(
        self,
        transport: asyncio.Transport,
        incoming: Incoming,
        outgoing: Outgoing,
        touch: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._incoming = incoming
        self._outgoing = outgoing
        self._touch = touch

    async def read(self) -> bytes:
        """The next bytes, `b""` when the peer has closed.

        Raises:
            Disconnected: the connection was reset, theirs.
        """
        return await self._incoming.read()

    async def write(self, data: bytes) -> None:
        """Send, and wait while the peer does not read.

        Raises:
            Disconnected: the connection is gone, theirs.
        """
        self._outgoing.now(data)
        await self._outgoing.ready()
        self._touch()

    def close(self) -> None:
        """Send what is written, then close."""
        self._outgoing.flush()
        self._transport.close()

    def abort(self) -> None:
        """Drop the connection at once."""
        self._transport.abort()
