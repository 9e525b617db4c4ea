"""One HTTP/1.1 client connection on raw bytes: one request at a time. `pool` opens them.

A connection goes through these states, whatever its user or its peer does:

| state | `send` | request sent | head came | response ended | lost |
|---|---|---|---|---|---|
| idle | sending | – | – | – | lost |
| sending (the request) | – | sent | early | – | lost |
| early (a response to half a request) | – | body | – | lost | lost |
| sent | – | – | body | – | lost |
| body (of the response) | – | – | – | idle | lost |

A response that is complete before the request is (a 413, say) makes the connection unusable. What
comes without a request is nobody's, and ends it too.
"""

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import cast

import httptools

from ambidex.http import Headers
from ambidex.local.http1.messages import (
    Disconnected,
    Malformed,
    PeerError,
    ProtocolError,
    ResponseHead,
    chunk,
    has_token,
    header_block,
    is_bodiless,
    last_chunk,
)
from ambidex.local.http1.streams import Incoming, Outgoing, ReadGate, Tunnel

# What an ALB takes of a target's response: "exceeded 32 K for the entire response header" is a 502
# on elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
RESPONSE_HEAD_BYTES = 32 * 1024


class Phase(Enum):
    """What a connection is doing."""

    IDLE = "idle"
    SENDING = "sending"
    EARLY = "early"
    SENT = "sent"
    BODY = "body"
    LOST = "lost"


class Step(Enum):
    """What happens to a connection."""

    SEND = "send"
    REQUEST_SENT = "request sent"
    HEAD_CAME = "head came"
    RESPONSE_ENDED = "response ended"
    LOST = "lost"


MOVES: dict[tuple[Phase, Step], Phase] = {
    (Phase.IDLE, Step.SEND): Phase.SENDING,
    (Phase.SENDING, Step.REQUEST_SENT): Phase.SENT,
    (Phase.SENDING, Step.HEAD_CAME): Phase.EARLY,
    (Phase.EARLY, Step.REQUEST_SENT): Phase.BODY,
    (Phase.EARLY, Step.RESPONSE_ENDED): Phase.LOST,
    (Phase.SENT, Step.HEAD_CAME): Phase.BODY,
    (Phase.BODY, Step.RESPONSE_ENDED): Phase.IDLE,
    # Whoever sends into a connection that broke learns of it when it waits.
    (Phase.LOST, Step.SEND): Phase.LOST,
    (Phase.LOST, Step.REQUEST_SENT): Phase.LOST,
    **{(phase, Step.LOST): Phase.LOST for phase in Phase},
}


class ClientConnection(asyncio.Protocol):
    """A connection to a server; `connect` makes it.

    Attributes:
        phase: what it is doing.
        last_activity_s: when bytes last moved, by the loop's clock.
    """

    _transport: asyncio.Transport
    _gate: ReadGate
    _outgoing: Outgoing

    def __init__(self, on_lost: Callable[["ClientConnection"], None] | None = None) -> None:
        self.phase = Phase.IDLE
        self.last_activity_s = 0.0
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._method = ""
        self._is_chunked = False
        self._reason = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._unfinished_bytes = 0
        self._is_interim = False
        self._is_bodiless = False
        self._ends_with_connection = False
        self._keep_alive = True
        self._incoming: Incoming | None = None
        self._response: ResponseHead | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._error: PeerError | None = None
        self._is_tunnel = False

    # The request

    def send(self, method: str, target: bytes, headers: Headers, body: bytes | None = None) -> None:
        """Send a request's head, and its body if it is there already, in one write.

        Args:
            method: the request method.
            target: the raw request target.
            headers: in wire order, sent as they are.
            body: the whole body; `Content-Length` is added where it is missing and the body is not
                empty. None: the body follows by `write` and `end`, chunked unless `Content-Length`
                is among the headers.

        Raises:
            ProtocolError: a request is under way, or a header cannot be sent, ours.
        """
        lines = [b"%b %b HTTP/1.1" % (method.encode("ascii"), target)]
        has_length = any(name.lower() == b"content-length" for name, _ in headers)
        self._is_chunked = body is None and not has_length
        block = header_block(lines, headers + self._framing(body, has_length))
        self._move(Step.SEND)
        self._method = method
        self._response = self._incoming = None
        if body is None:
            self._outgoing.soon(block)
        else:
            self._outgoing.now(block + body)
            self._move(Step.REQUEST_SENT)
        self.last_activity_s = self._loop.time()

    def _framing(self, body: bytes | None, has_length: bool) -> Headers:
        if self._is_chunked:
            return ((b"Transfer-Encoding", b"chunked"),)
        if body and not has_length:
            return ((b"Content-Length", b"%d" % len(body)),)
        return ()

    async def write(self, data: bytes) -> None:
        """Send a piece of the request's body, and wait while the server does not read.

        Raises:
            Disconnected: the connection is gone, theirs.
        """
        if data:
            self._outgoing.soon(chunk(data) if self._is_chunked else data)
        await self._outgoing.ready()
        self.last_activity_s = self._loop.time()

    def end(self, trailers: Headers = ()) -> None:
        """Complete a request that was sent without a body; `trailers` only where it is chunked."""
        self._outgoing.now(last_chunk(trailers) if self._is_chunked else b"")
        self._move(Step.REQUEST_SENT)

    # The response

    async def response(self) -> ResponseHead:
        """The response's head; interim responses (1xx) but 101 are passed over.

        Raises:
            Disconnected: the server closed before it, theirs.
            Malformed: what came is no HTTP response, or its head is too large, theirs.
        """
        while self._response is None:
            if self._error is not None:
                raise self._error
            if self.phase is Phase.IDLE:
                raise ProtocolError("There is no response: no request was sent")
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._response

    async def read_chunk(self) -> bytes:
        """The next bytes of the response's body, `b""` at its end.

        Raises:
            PeerError: the server broke off, theirs.
        """
        return await self._body().read()

    async def read_body(self, limit_bytes: int | None = None) -> bytes:
        """The whole body of the response.

        Raises:
            BodyTooLarge: it is longer than `limit_bytes`, theirs.
            PeerError: the server broke off, theirs.
        """
        return await self._body().read_all(limit_bytes)

    def received_body(self) -> bytes | None:
        """The response's body if all of it has arrived already, else None; never waits."""
        body = self._body()
        return body.take() if body.ended else None

    @property
    def trailers(self) -> Headers:
        """The response's trailers, once its body has ended."""
        return self._body().trailers

    @property
    def is_reusable(self) -> bool:
        """Whether another request may be sent."""
        return self.phase is Phase.IDLE and self._keep_alive and not self._transport.is_closing()

    def tunnel(self) -> Tunnel:
        """After a 101: hand over the raw connection.

        Raises:
            ProtocolError: the server did not change protocols, ours.
        """
        if not self._is_tunnel:
            raise ProtocolError("The server did not change protocols")
        return Tunnel(self._transport, self._body(), self._outgoing, self._touch)

    def close(self) -> None:
        """Close the connection, after what is written."""
        self._transport.close()

    def abort(self) -> None:
        """Drop the connection at once; who waits for the response gets `Disconnected`."""
        self._lose(Disconnected("because we dropped it"))
        self._transport.abort()

    def _body(self) -> Incoming:
        if self._incoming is None:
            raise ProtocolError("There is no response yet")
        return self._incoming

    def _touch(self) -> None:
        self.last_activity_s = self._loop.time()

    # Called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._gate = ReadGate(self._transport)
        self._outgoing = Outgoing(self._transport, self._loop)

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        self._touch()
        if self._is_tunnel:
            self._body().feed(data)
        elif self.phase is Phase.IDLE:
            self._transport.abort()
        elif self._parser is not None:
            self._parse(self._parser, data)

    def eof_received(self) -> None:
        """The server has closed: the end of a body that nothing else ends."""
        if self._is_tunnel:
            self._body().end()
        elif self._ends_with_connection and self._incoming is not None:
            self.on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits for this server."""
        self._lose(Disconnected("before its response was complete"))
        if self._on_lost is not None:
            self._on_lost(self)

    def pause_writing(self) -> None:
        """The server does not read."""
        self._outgoing.pause()

    def resume_writing(self) -> None:
        """The server reads again."""
        self._outgoing.resume()

    # Called by httptools

    def on_message_begin(self) -> None:
        """A status line begins."""
        self._reason = b""
        self._headers = []
        self._head_bytes = 0
        self._is_interim = False
        if self.phase is Phase.IDLE:
            self._keep_alive = False  # a second response to one request

    def on_status(self, reason: bytes) -> None:
        """A piece of the reason phrase."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header or a trailer; llhttp leaves the white space behind the value."""
        value = value.rstrip(b" \t")
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > RESPONSE_HEAD_BYTES:
            raise _too_large()
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """A head is complete."""
        parser = self._parser
        if parser is None or self.phase not in {Phase.SENT, Phase.SENDING}:
            return
        status = parser.get_status_code()
        if not 100 <= status <= 599:
            raise Malformed(f"{status} is no status (RFC 9110 15)")
        if status < 200 and status != 101:
            self._is_interim = True
            return
        if status == 101 and not parser.should_upgrade():
            raise Malformed("its 101 does not say to which protocol it changes")
        self._move(Step.HEAD_CAME)
        headers = tuple(self._headers)
        self._headers = []
        self._head_bytes = self._unfinished_bytes = 0
        self._incoming = Incoming(self._gate)
        self._response = ResponseHead(status, self._reason, headers, parser.get_http_version())
        self._keep_alive = _keeps_alive(self._response)
        self._is_tunnel = status == 101
        self._is_bodiless = is_bodiless(self._method, status)
        if not self._is_bodiless and not _has_framing(headers):
            self._ends_with_connection = True
            self._keep_alive = False
        self._wake()

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        if self._incoming is None or self._incoming.ended or self._is_bodiless:
            self._keep_alive = False  # a body where HTTP has none
        else:
            self._incoming.feed(data)

    def on_message_complete(self) -> None:
        """A response is complete."""
        incoming = self._incoming
        if self._is_interim or self._is_tunnel or incoming is None or incoming.ended:
            return
        incoming.end(tuple(self._headers))
        self._move(Step.RESPONSE_ENDED)

    def _parse(self, parser: httptools.HttpResponseParser, data: bytes) -> None:
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if behind := data[upgrade.args[0] :]:
                self._body().feed(behind)
        except httptools.HttpParserError as error:
            self._break(error)
        else:
            self._after_parse(data)

    def _after_parse(self, data: bytes) -> None:
        if self._response is None:
            self._unfinished_bytes += len(data)
            if self._unfinished_bytes > RESPONSE_HEAD_BYTES:
                self._break(_too_large())
        elif self._method == "HEAD" and not self._body().ended:
            # llhttp cannot be told that there is no body: the next response gets a new parser.
            self._parser = httptools.HttpResponseParser(self)
            self.on_message_complete()

    def _break(self, error: Exception) -> None:
        cause = error.__context__
        if isinstance(error, httptools.HttpParserCallbackError) and cause is not None:
            if not isinstance(cause, PeerError):
                raise cause  # a bug of ours
            error = cause
        self._lose(error if isinstance(error, PeerError) else Malformed(str(error)))
        self._transport.abort()

    # Inside

    def _move(self, step: Step) -> None:
        phase = MOVES.get((self.phase, step))
        if phase is None:
            raise ProtocolError(f"{step.value} is not possible: the connection is {self.phase}")
        self.phase = phase

    def _lose(self, error: PeerError) -> None:
        self._move(Step.LOST)
        self._parser = None  # and with it the cycle between it and us
        self._error = self._error or error
        self._outgoing.lose()
        if self._incoming is not None:
            self._incoming.fail(self._error)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _too_large() -> Malformed:
    return Malformed(f"its head exceeds {RESPONSE_HEAD_BYTES} bytes")


def _has_framing(headers: Headers) -> bool:
    names = {name.lower(): value for name, value in headers}
    if b"transfer-encoding" in names:
        return names[b"transfer-encoding"].lower().endswith(b"chunked")
    return b"content-length" in names


def _keeps_alive(response: ResponseHead) -> bool:
    """What llhttp says of this is of no use for HEAD, where it waits for a body."""
    for name, value in response.headers:
        if name.lower() == b"connection":
            if has_token(value, b"close"):
                return False
            if has_token(value, b"keep-alive"):
                return True
    return response.http_version == "1.1"
