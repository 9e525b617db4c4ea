"""One client's connection to a local HTTP/1.1 server: requests answered in their order.

One task for each request runs its handler; the connection owns it and `Server.closed` awaits it.
What is pipelined waits for those before it, and so does its sender. After each response:

| request body | response says | then |
|---|---|---|
| complete | keep-alive | the next request, or idle until the keep-alive time is over |
| not complete | keep-alive | thrown away up to `DRAIN_BYTES`, then the next request |
| complete | close | closed |
| not complete | close | half closed, read on for a while, closed |

A client that closes its own side after its requests is still answered, then the connection closes;
a handler that watches for `disconnected` takes that for leaving.
"""

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, cast

from ambidex.http import Headers
from ambidex.local.http1.exchange import DRAIN_BYTES, Phase, ServerExchange
from ambidex.local.http1.messages import (
    BodyTooLarge,
    Disconnected,
    Malformed,
    PeerError,
    header_block,
    status_line,
)
from ambidex.local.http1.requests import Received, Refused, RequestParser
from ambidex.local.http1.streams import Incoming, Outgoing, ReadGate, Tunnel

if TYPE_CHECKING:
    from ambidex.local.http1.server import Server

logger = logging.getLogger("ambidex.local")

# How long a connection that we close still reads what the client is sending: a reset would take our
# response from it. nginx's lingering_timeout.
LINGER_S = 5.0


class Connection(asyncio.Protocol):
    """One client's connection; `Server` makes them, exchanges use them.

    Attributes:
        peer: the client's address and port.
        local: our own address and port.
        is_closing: no further request is taken.
        last_activity_s: when bytes last moved, by the loop's clock.
        outgoing: what goes to the client.
    """

    outgoing: Outgoing
    _transport: asyncio.Transport
    _gate: ReadGate

    def __init__(self, server: "Server") -> None:
        self.peer = ("", 0)
        self.local = ("", 0)
        self.is_closing = False
        self.last_activity_s = 0.0
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._is_lost = False
        self._is_half_closed = False  # the client sends no more, but may read
        # What is being received
        self._parser: RequestParser | None = RequestParser(server.limits, self)
        self._receiving: Incoming | None = None
        self._held: Incoming | None = None  # what came behind a request to upgrade
        self._tunnel: Incoming | None = None
        # What is being answered
        self._current: ServerExchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting: deque[ServerExchange] = deque()
        self._refusal = 0  # the status for what came behind them
        self._drain: Incoming | None = None
        self._drained_bytes = 0

    # Called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self.peer = transport.get_extra_info("peername")[:2]
        self.local = transport.get_extra_info("sockname")[:2]
        self.outgoing = Outgoing(self._transport, self._loop)
        self._gate = ReadGate(self._transport)
        self._server.connections.add(self)
        self.touch()
        self._watch_idle()

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        self.touch()
        if self._tunnel is not None:
            self._tunnel.feed(data)
        elif self._held is not None:
            self._held.feed(data)
        else:
            self._parse(data)

    def eof_received(self) -> bool:
        """The client has closed; False lets asyncio close our side when all is written."""
        if self._tunnel is not None:
            self._tunnel.end()
            return False
        exchange = self._current
        self._is_half_closed = (
            exchange is not None and not exchange.is_watched and exchange.is_body_complete()
        )
        return self._is_half_closed

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everyone who still waits for this client."""
        self._is_lost = self.is_closing = True
        self._stop_parsing()
        self.outgoing.lose()
        if self._timer is not None:
            self._timer.cancel()
        if self._tunnel is not None:
            self._tunnel.fail(Disconnected("in the middle of a tunnel"))
        if self._current is not None:
            self._current.lose()
        self._waiting.clear()
        if self._task is None or self._task.done():
            self._server.forget(self)

    def pause_writing(self) -> None:
        """The client does not read."""
        self.outgoing.pause()

    def resume_writing(self) -> None:
        """The client reads again."""
        self.outgoing.resume()

    # Called by the parser

    def request_began(self, received: Received) -> None:
        """A head has come: its handler starts, or waits for those before it."""
        self._receiving = incoming = Incoming(self._gate)
        exchange = ServerExchange(self, received, incoming)
        if self._current is None and self._drain is None:
            self._begin(exchange)
        else:
            self._waiting.append(exchange)
            self._gate.hold()

    def body_came(self, data: bytes) -> None:
        """A piece of the body of the request that began last."""
        incoming = self._receiving
        if incoming is None:
            return
        if incoming is not self._drain:
            incoming.feed(data)
            return
        self._drained_bytes += len(data)
        if self._drained_bytes > DRAIN_BYTES:
            self._drain = None
            self._loop.call_soon(self._linger)  # not while the parser runs

    def request_ended(self, trailers: Headers) -> None:
        """The request that began last is complete."""
        incoming, self._receiving = self._receiving, None
        if incoming is None:
            return
        incoming.end(trailers)
        if incoming is self._drain:
            self._drain = None
            self._loop.call_soon(self._next)  # not while the parser runs

    def _parse(self, data: bytes) -> None:
        if self._parser is None:
            return
        try:
            behind = self._parser.feed(data)
        except Refused as refused:
            self._refuse(refused.status)
            return
        if behind is not None:
            # Whether this is another request or another protocol is the handler's choice.
            self._held = Incoming(self._gate)
            if behind:
                self._held.feed(behind)

    def _refuse(self, status: int) -> None:
        """Answer what no handler will see, after the requests before it."""
        self._stop_parsing()
        if self._receiving is not None:
            # In the middle of a body: its handler learns of it when it reads.
            self._receiving.fail(Malformed("its body breaks the framing that its head announced"))
            if self._receiving is self._drain:
                self._linger()
        elif self._current is None:
            self._send_refusal(status)
        else:
            self._refusal = status

    def _send_refusal(self, status: int) -> None:
        logger.info("%d: what a client sent is no request that is taken here", status)
        headers, body = self._server.refuse(status)
        lines = [status_line(status, None), self.date_line(), b"Connection: close"]
        lines.append(b"Content-Length: %d" % len(body))
        self.outgoing.now(header_block(lines, headers) + body)
        self._linger()

    def _stop_parsing(self) -> None:
        self._parser = None  # what still comes is dropped

    # Answering

    def _begin(self, exchange: ServerExchange) -> None:
        self._current = exchange
        self._task = self._loop.create_task(self._serve(exchange))

    async def _serve(self, exchange: ServerExchange) -> None:
        try:
            await self._server.handler(exchange)
            if exchange.phase is Phase.WAITING:
                logger.error("%s %s got no response from its handler", *_named(exchange))
                self._respond(exchange, 500)
        except PeerError as error:
            self._respond(exchange, 413 if isinstance(error, BodyTooLarge) else 400)
            logger.info("%s %s broke off: %s", *_named(exchange), error)
        except Exception:
            logger.exception("%s %s failed in its handler", *_named(exchange))
            self._respond(exchange, 500)
        finally:
            self._current = self._task = None
            if self._is_lost:
                self._server.forget(self)
            else:
                self._after(exchange)

    def _respond(self, exchange: ServerExchange, status: int) -> None:
        if exchange.phase is Phase.WAITING:
            headers, body = self._server.refuse(status)
            exchange.respond(status, headers, body)

    def _after(self, exchange: ServerExchange) -> None:
        if self._transport.is_closing():
            return
        if exchange.phase is not Phase.ENDED:
            self._transport.abort()  # broken in the middle, or a tunnel that nobody closed
        elif exchange.is_body_complete():
            exchange.discard()
            if exchange.keep_alive:
                self._next()
            else:
                self.close()
        elif self._parser is None or not exchange.keep_alive:
            exchange.discard()
            self._linger()
        else:
            self._drain, self._drained_bytes = self._receiving, 0
            exchange.discard()

    def _next(self) -> None:
        """Go on to what has come in the meantime."""
        if self._held is not None:
            held, self._held = self._held, None
            if not held.is_empty:
                self._parse(held.take())
            if self._receiving is not None:
                self.leave_if_half_closed()  # the rest of its body will not come
        if self._current is not None or self._transport.is_closing():
            return
        if self._waiting:
            self._gate.release()
            self._begin(self._waiting.popleft())
        elif self._refusal:
            self._send_refusal(self._refusal)
        elif self.is_closing or self._is_half_closed:
            self.close()

    def tunnel(self, head: bytes) -> Tunnel:
        """Send `head`, then hand the raw connection over; an exchange calls it."""
        self._tunnel = self._held or Incoming(self._gate)
        if self._is_half_closed:
            self._tunnel.end()
        self._stop_parsing()
        self.outgoing.now(head)
        return Tunnel(self._transport, self._tunnel, self.outgoing, self.touch)

    def date_line(self) -> bytes:
        """The `Date` header's line."""
        return self._server.date_line()

    # Ending

    def leave_if_half_closed(self) -> None:
        """Take a client that has closed its side for one that has left; an exchange calls it."""
        if self._is_half_closed:
            self._transport.close()

    def touch(self) -> None:
        """Note that bytes have moved."""
        self.last_activity_s = self._loop.time()

    def shut(self) -> None:
        """Take no further request, and close when the present ones are answered."""
        self.is_closing = True
        if self._current is None and not self._transport.is_closing():
            self.close()

    def abort(self) -> None:
        """Drop the connection at once."""
        self._transport.abort()

    def cancel(self) -> None:
        """Drop the connection and its handler at once."""
        self._transport.abort()
        if self._task is not None:
            self._task.cancel()
            # One that has not begun does not come to its `finally`.
            self._task.add_done_callback(self._cancelled)

    def _cancelled(self, _: "asyncio.Task[None]") -> None:
        if self._is_lost:
            self._server.forget(self)

    def close(self) -> None:
        """Send what is written, then close."""
        self.is_closing = True
        self._stop_parsing()
        self.outgoing.flush()
        self._transport.close()

    def _linger(self) -> None:
        """Close our side, and read on for a while."""
        if self._transport.is_closing():
            return
        if self._is_half_closed:
            self.close()
            return
        self.is_closing = True
        self._stop_parsing()
        self.outgoing.flush()
        self._transport.write_eof()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(LINGER_S, self._transport.abort)

    def _watch_idle(self) -> None:
        """One timer for a connection, not one for each request: it looks when bytes last moved."""
        keep_alive_s = self._server.keep_alive_s
        if keep_alive_s is None or self.is_closing:
            return
        left_s = keep_alive_s
        if self._current is None:
            left_s = self.last_activity_s + keep_alive_s - self._loop.time()
        if left_s <= 0:
            self.close()
        else:
            self._timer = self._loop.call_later(left_s, self._watch_idle)


def _named(exchange: ServerExchange) -> tuple[str, str]:
    return exchange.head.method, exchange.head.target[:200].decode("latin-1")
