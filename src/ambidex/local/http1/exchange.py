"""One request and its response, as the handler of a local HTTP/1.1 server sees them.

The response goes through these states, and through no others:

| state | `respond` | `start` | `write` | `end` | `tunnel` |
|---|---|---|---|---|---|
| waiting | ended | streaming | – | – | tunnel |
| streaming | – | – | streaming | ended | – |
| gone (client left, or aborted) | gone | gone | `Disconnected` | gone | `Disconnected` |

What the table does not name raises `ProtocolError`: a handler that answers twice has a bug.
"""

import asyncio
from enum import Enum
from typing import TYPE_CHECKING

from ambidex.http import Headers
from ambidex.local.http1.messages import (
    BodyTooLarge,
    Disconnected,
    ProtocolError,
    chunk,
    header_block,
    is_bodiless,
    last_chunk,
    status_line,
)
from ambidex.local.http1.requests import Received
from ambidex.local.http1.streams import Incoming, Tunnel

if TYPE_CHECKING:
    from ambidex.local.http1.connection import Connection


class Phase(Enum):
    """How far the response is."""

    WAITING = "waiting"
    STREAMING = "streaming"
    ENDED = "ended"
    TUNNEL = "tunnel"
    GONE = "gone"


_MOVES: dict[Phase, dict[str, Phase]] = {
    Phase.WAITING: {
        "respond": Phase.ENDED,
        "start": Phase.STREAMING,
        "tunnel": Phase.TUNNEL,
        "lose": Phase.GONE,
    },
    Phase.STREAMING: {"write": Phase.STREAMING, "end": Phase.ENDED, "lose": Phase.GONE},
    Phase.ENDED: {"lose": Phase.ENDED},
    Phase.TUNNEL: {"lose": Phase.GONE},
    Phase.GONE: {"respond": Phase.GONE, "start": Phase.GONE, "end": Phase.GONE, "lose": Phase.GONE},
}

# The connection's own business, never the handler's: what it says of them is read, not sent.
_CONNECTION_HEADERS = frozenset({b"connection", b"keep-alive", b"transfer-encoding"})
# A request body that nobody read is thrown away up to here, so that the connection can be kept;
# nginx and Go's net/http (256 KiB) do the same.
DRAIN_BYTES = 256 * 1024


class Framing(Enum):
    """How the end of a streamed body is told."""

    NONE = "none"  # the response has no body
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


class ServerExchange:
    """A request that has come, and the response to it.

    Attributes:
        head: the request's line and headers as they came.
        peer: the client's address and port.
        local: our own address and port as the client reached them.
        content_length: the request body's announced length in bytes, 0 without one.
        upgrade: the protocol that the client asks to change to, None if it does not.
        is_chunked: whether the request body came chunked (and may have trailers).
        keep_alive: whether the connection is kept after the response.
        phase: how far the response is.
    """

    __slots__ = (
        "_connection",
        "_disconnected",
        "_expects_continue",
        "_framing",
        "_incoming",
        "_left_bytes",
        "content_length",
        "head",
        "is_chunked",
        "keep_alive",
        "local",
        "peer",
        "phase",
        "upgrade",
    )

    def __init__(self, connection: "Connection", received: Received, incoming: Incoming) -> None:
        self.head = received.head
        self.peer = connection.peer
        self.local = connection.local
        self.content_length = received.content_length
        self.is_chunked = received.is_chunked
        self.upgrade = received.upgrade
        self.keep_alive = received.keep_alive
        self.phase = Phase.WAITING
        self._connection = connection
        self._incoming = incoming
        self._expects_continue = received.expects_continue and received.has_body
        self._framing = Framing.NONE
        self._left_bytes = 0
        self._disconnected: asyncio.Future[None] | None = None

    # The request's body

    @property
    def trailers(self) -> Headers:
        """The request's trailers, once its body has ended."""
        return self._incoming.trailers

    @property
    def last_activity_s(self) -> float:
        """When bytes last moved on the client's connection, by the loop's clock."""
        return self._connection.last_activity_s

    def is_body_complete(self) -> bool:
        """Whether the whole body has arrived, read or not."""
        return self._incoming.ended

    def received_body(self) -> bytes | None:
        """The body if all of it has arrived and nothing was read yet, else None; never waits."""
        return self._incoming.take() if self._incoming.ended else None

    async def read_chunk(self) -> bytes:
        """The next bytes of the body, `b""` at its end.

        Raises:
            PeerError: the client left or sent a malformed body, theirs.
        """
        self._continue()
        return await self._incoming.read()

    async def read_body(self, limit_bytes: int | None = None) -> bytes:
        """The whole body.

        Args:
            limit_bytes: the most to take; None takes any size.

        Raises:
            BodyTooLarge: more came, or is announced, theirs.
            PeerError: the client left or sent a malformed body, theirs.
        """
        if limit_bytes is not None and self.content_length > limit_bytes:
            raise BodyTooLarge(limit_bytes)
        self._continue()
        return await self._incoming.read_all(limit_bytes)

    def discard(self) -> None:
        """Throw away what has arrived of the body."""
        self._incoming.take()

    def _continue(self) -> None:
        if self._expects_continue and self.phase is Phase.WAITING and self._incoming.is_empty:
            self._connection.outgoing.now(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._expects_continue = False

    # The response

    def respond(
        self,
        status: int,
        headers: Headers = (),
        body: bytes = b"",
        *,
        reason: bytes | None = None,
    ) -> None:
        """Send a whole response in one write; nothing happens if the client has left.

        Args:
            status: 200 to 599.
            headers: in wire order. `Content-Length`, `Date` and `Connection` are added; to HEAD,
                204 and 304 only what is given says how long a body would be.
            body: not sent where HTTP has none.
            reason: the reason phrase; None takes the standard one.

        Raises:
            ProtocolError: the exchange is answered already, or the status or a header cannot be
                sent, ours.
        """
        bodiless = is_bodiless(self.head.method, status)
        lines = [_final_status_line(status, reason)]
        sent, names = self._sendable(headers, lines)
        if b"content-length" not in names and (not bodiless or (body and status != 204)):
            lines.append(b"Content-Length: %d" % len(body))
        block = header_block(self._closing_lines(lines, names), sent)
        if self._move("respond") is Phase.ENDED:
            self._connection.outgoing.now(block if bodiless else block + body)

    def start(self, status: int, headers: Headers = (), *, reason: bytes | None = None) -> None:
        """Begin a streamed response; nothing happens if the client has left.

        The body ends after the `Content-Length` given, else it is chunked; to an HTTP/1.0 client it
        ends with the connection.

        Raises:
            ProtocolError: the exchange is answered already, or the status or a header cannot be
                sent, ours.
        """
        lines = [_final_status_line(status, reason)]
        sent, names = self._sendable(headers, lines)
        self._framing = self._framing_of(status, sent, names)
        if self._framing is Framing.CHUNKED:
            lines.append(b"Transfer-Encoding: chunked")
        elif self._framing is Framing.CLOSE:
            self.keep_alive = False
        block = header_block(self._closing_lines(lines, names), sent)
        if self._move("start") is Phase.STREAMING:
            self._connection.outgoing.soon(block)

    async def write(self, data: bytes) -> None:
        """Send a piece of a streamed body, and wait while the client does not read.

        Raises:
            Disconnected: the client has left, theirs.
            ProtocolError: not started, or more than the `Content-Length` given, ours.
        """
        if self.phase is Phase.GONE:
            raise Disconnected("while it was being sent a response")
        self._move("write")
        if not data or self._framing is Framing.NONE:
            return
        if self._framing is Framing.CHUNKED:
            data = chunk(data)
        elif self._framing is Framing.LENGTH:
            self._left_bytes -= len(data)
            if self._left_bytes < 0:
                self.abort()
                raise ProtocolError("The response's body is longer than its Content-Length")
        self._connection.outgoing.soon(data)
        await self._connection.outgoing.ready()
        self._connection.touch()

    async def end(self, trailers: Headers = ()) -> None:
        """Complete a streamed response; nothing happens if the client has left.

        Args:
            trailers: sent where the body is chunked, else dropped.

        Raises:
            ProtocolError: not started, or less than the `Content-Length` given, ours; the
                connection is dropped, so that the client does not take it for complete.
        """
        if self._framing is Framing.LENGTH and self._left_bytes and self.phase is not Phase.GONE:
            self.abort()
            raise ProtocolError("The response's body is shorter than its Content-Length")
        if self._move("end") is Phase.ENDED:
            is_chunked = self._framing is Framing.CHUNKED
            self._connection.outgoing.now(last_chunk(trailers) if is_chunked else b"")

    def tunnel(
        self, status: int = 101, headers: Headers = (), *, reason: bytes | None = None
    ) -> Tunnel:
        """Switch protocols: send this head as it is, then hand over the raw connection.

        What the client sent after its head is the first that the tunnel reads.

        Raises:
            Disconnected: the client has left, theirs.
            ProtocolError: the client did not ask for it, or the exchange is answered, ours.
        """
        if self.phase is Phase.GONE:
            raise Disconnected("before it could be upgraded")
        if self.upgrade is None:
            raise ProtocolError("The request does not ask for an upgrade")
        block = header_block([status_line(status, reason)], headers)
        self._move("tunnel")
        self.keep_alive = False
        return self._connection.tunnel(block)

    def abort(self) -> None:
        """Drop the connection at once: the response broke in the middle."""
        self.lose()
        self._connection.abort()

    def break_off(self) -> None:
        """Send what is written and close, without the end of a streamed response.

        The client sees by the framing that the response is not complete. Where only the end of the
        connection would tell the end of the response, what is not sent yet is dropped.
        """
        is_told = self._framing in {Framing.CHUNKED, Framing.LENGTH}
        self.lose()
        if is_told:
            self._connection.close()
        else:
            self._connection.abort()

    # The connection's end

    @property
    def is_disconnected(self) -> bool:
        """Whether the client has left before the response was complete."""
        return self.phase is Phase.GONE

    @property
    def is_watched(self) -> bool:
        """Whether anyone has asked for `disconnected`."""
        return self._disconnected is not None

    @property
    def disconnected(self) -> "asyncio.Future[None]":
        """Done as soon as the client leaves before the response is complete; else it never is.

        Where anyone asks for it, a client that closes its side has left: TCP does not tell whether
        it still reads. Where nobody asks, such a client gets its response.
        """
        if self._disconnected is None:
            self._disconnected = asyncio.get_running_loop().create_future()
            if self.phase is Phase.GONE:
                self._disconnected.set_result(None)
            elif self.phase is not Phase.ENDED:
                self._connection.leave_if_half_closed()
        return self._disconnected

    def lose(self) -> None:
        """The client has left; the connection calls it."""
        self._move("lose")
        self._incoming.fail(Disconnected("in the middle of a request"))
        is_gone = self.phase is Phase.GONE
        if is_gone and self._disconnected is not None and not self._disconnected.done():
            self._disconnected.set_result(None)

    def _move(self, action: str) -> Phase:
        phase = _MOVES[self.phase].get(action)
        if phase is None:
            raise ProtocolError(f"{action} is not possible: the response is {self.phase.value}")
        self.phase = phase
        return phase

    def _sendable(self, headers: Headers, lines: list[bytes]) -> tuple[Headers, set[bytes]]:
        """The headers without those of the connection, and the names among them."""
        names = {name.lower() for name, _ in headers}
        if names & _CONNECTION_HEADERS:
            for name, value in headers:
                if name.lower() == b"connection" and b"close" in value.lower():
                    self.keep_alive = False
            headers = tuple(pair for pair in headers if pair[0].lower() not in _CONNECTION_HEADERS)
        if b"date" not in names:
            lines.append(self._connection.date_line())
        return headers, names

    def _closing_lines(self, lines: list[bytes], names: set[bytes]) -> list[bytes]:
        if self._connection.is_closing:
            self.keep_alive = False
        elif not self._incoming.ended:
            # Nobody can tell whether a client that was not told to continue will send its body.
            is_too_large = self.content_length > DRAIN_BYTES
            self.keep_alive = self.keep_alive and not (self._expects_continue or is_too_large)
        self._expects_continue = False
        lines.append(b"Connection: keep-alive" if self.keep_alive else b"Connection: close")
        return lines

    def _framing_of(self, status: int, headers: Headers, names: set[bytes]) -> Framing:
        if is_bodiless(self.head.method, status):
            return Framing.NONE
        if b"content-length" in names:
            values = [value for name, value in headers if name.lower() == b"content-length"]
            if len(values) > 1 or not values[0].isdigit():
                raise ProtocolError(f"The response's Content-Length is not one number: {values!r}")
            self._left_bytes = int(values[0])
            return Framing.LENGTH
        return Framing.CLOSE if self.head.http_version == "1.0" else Framing.CHUNKED


def _final_status_line(status: int, reason: bytes | None) -> bytes:
    if not 200 <= status <= 599:  # after a 1xx the client waits for another response
        raise ProtocolError(f"{status} is no status of a response: it must be 200 to 599")
    return status_line(status, reason)
