"""The Application Load Balancer in front of ECS tasks: requests to targets, answers back.

Nothing is buffered, nothing is retried. What an ALB answers itself:

| what happens | status |
|---|---|
| the request is malformed, or its head beyond 16 K a line, 64 K in all | 400 |
| TRACE | 405 |
| the client sends no byte of its body for the idle time-out | 408 |
| the client leaves before the response | 460, in the log only |
| more than 30 addresses in `X-Forwarded-For` | 463 |
| the target refuses the connection, breaks it, answers malformed or over 32 K of headers | 502 |
| no target to send to | 503 |
| the target does not accept within 10 s, or sends no byte for the idle time-out (60 s) | 504 |

Once the response has begun, a target that breaks off breaks the client's connection too.
Source: elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from ambidex.http import Headers
from ambidex.local.forwarded import Hop, end_to_end, to_target
from ambidex.local.http1.client import ClientConnection
from ambidex.local.http1.exchange import Phase, ServerExchange
from ambidex.local.http1.messages import (
    ConnectTimedOut,
    Limits,
    Malformed,
    PeerError,
    ResponseHead,
    is_bodiless,
    reason_of,
)
from ambidex.local.http1.server import Server
from ambidex.local.http1.server import listen as listen_http1
from ambidex.local.http1.streams import Tunnel
from ambidex.local.ids import hex_id
from ambidex.local.target_group import Target, TargetGroup

logger = logging.getLogger("ambidex.local")

# "The request header exceeded 16 K per request line, 16 K per single header, or 64 K for the entire
# request header": HTTP 400 on load-balancer-troubleshooting.html
LIMITS = Limits(16 * 1024, 16 * 1024, 64 * 1024, line_status=400, head_status=400)

# "an X-Forwarded-For request header with too many IP addresses. The upper limit … is 30": HTTP 463,
# same page.
FORWARDED_FOR_ADDRESSES = 30

# Why such a request is answered here, for the log.
OBJECTION = "the load balancer takes no such request"


@dataclass(frozen=True, slots=True)
class Forwarding:
    """How a load balancer sends requests on.

    Args:
        scheme: what clients speak to it, for `X-Forwarded-Proto`.
        idle_timeout_s: how long neither side may be silent in the middle of a request, and how long
            an idle client connection is kept; ALB's default is 60. None waits for ever, as one
            wants it with a debugger.
        now_s: the clock, seconds since the epoch.
        new_id: makes the 24 hexadecimal digits of a trace id.
    """

    scheme: str = "http"
    idle_timeout_s: float | None = 60.0
    now_s: Callable[[], float] = time.time
    new_id: Callable[[], str] = lambda: hex_id(24)


def refuse(status: int) -> tuple[Headers, bytes]:
    """An ALB's own page for a status."""
    title = b"%d %b" % (status, reason_of(status))
    body = (
        b"<html>\r\n<head><title>%b</title></head>\r\n"
        b"<body>\r\n<center><h1>%b</h1></center>\r\n</body>\r\n</html>\r\n" % (title, title)
    )
    return ((b"Server", b"awselb/2.0"), (b"Content-Type", b"text/html")), body


async def listen(
    group: TargetGroup, host: str, port: int, forwarding: Forwarding | None = None
) -> Server:
    """Serve as the load balancer of one target group.

    Args:
        group: where requests go; its owner registers targets and closes it.
        host: the address to listen on.
        port: the port; 0 takes a free one.
        forwarding: how; None takes ALB's defaults.

    Raises:
        OSError: the address cannot be had.
    """
    settings = forwarding or Forwarding()

    async def handler(exchange: ServerExchange) -> None:
        await forward(exchange, group, settings)

    return await listen_http1(
        handler,
        host,
        port,
        limits=LIMITS,
        refuse=refuse,
        keep_alive_s=settings.idle_timeout_s,
        now_s=settings.now_s,
    )


async def forward(exchange: ServerExchange, group: TargetGroup, forwarding: Forwarding) -> None:
    """Send one request to a target whose turn it is, and its response back."""
    status = objection(exchange)
    target = None if status else group.next()
    if target is None:
        target_name = exchange.head.target.decode("latin-1")
        reason = OBJECTION if status else "no task is healthy"
        logger.info("%d %s %s: %s", status or 503, exchange.head.method, target_name, reason)
        _answer(exchange, status or 503)
        return
    target.begin()
    try:
        connection = await target.pool.take()
    except PeerError as error:
        logger.info("%s", error)
        _answer(exchange, 504 if isinstance(error, ConnectTimedOut) else 502)
    else:
        await _forward_over(connection, exchange, target, forwarding)
    finally:
        target.finish()


def objection(exchange: ServerExchange) -> int:
    """The status of a request that an ALB takes for no target, 0 for the others."""
    if exchange.head.method == "TRACE":
        return 405
    addresses = sum(
        value.count(b",") + 1
        for name, value in exchange.head.headers
        if name.lower() == b"x-forwarded-for"
    )
    return 463 if addresses > FORWARDED_FOR_ADDRESSES else 0


def _answer(exchange: ServerExchange, status: int) -> None:
    headers, body = refuse(status)
    exchange.respond(status, headers, body)


class _Watch:
    """Drops the target's connection when the client has left or the idle time-out is over."""

    __slots__ = (
        "_connection",
        "_exchange",
        "_is_over",
        "_loop",
        "_timeout_s",
        "_timer",
        "is_expired",
    )

    def __init__(
        self, connection: ClientConnection, exchange: ServerExchange, timeout_s: float | None
    ) -> None:
        self.is_expired = False
        self._is_over = False
        self._connection = connection
        self._exchange = exchange
        self._loop = asyncio.get_running_loop()
        self._timeout_s = timeout_s or 0.0
        self._timer: asyncio.TimerHandle | None = None
        if timeout_s is not None:
            self._timer = self._loop.call_later(timeout_s, self._look)
        exchange.disconnected.add_done_callback(self._leave)

    def _leave(self, _: "asyncio.Future[None]") -> None:
        if not self._is_over:  # else the connection may be another request's by now
            self._connection.abort()

    def _look(self) -> None:
        moved_s = max(self._connection.last_activity_s, self._exchange.last_activity_s)
        left_s = moved_s + self._timeout_s - self._loop.time()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look)
        else:
            self.is_expired = True
            self._connection.abort()

    def stop(self) -> None:
        """End it."""
        self._is_over = True
        self._exchange.disconnected.remove_done_callback(self._leave)
        if self._timer is not None:
            self._timer.cancel()


async def _forward_over(
    connection: ClientConnection, exchange: ServerExchange, target: Target, forwarding: Forwarding
) -> None:
    watch = _Watch(connection, exchange, forwarding.idle_timeout_s)
    upload: asyncio.Task[int] | None = None
    try:
        upload = _send(connection, exchange, forwarding)
        await _pass_back(connection, exchange)
    except PeerError as error:
        _break_off(exchange, target, watch, upload, error)
    finally:
        watch.stop()
        if upload is not None:
            upload.cancel()  # nobody wants the rest of a request that is answered
            await asyncio.wait([upload])  # not `await upload`: that would raise its cancellation
        target.pool.put_back(connection)


def _send(
    connection: ClientConnection, exchange: ServerExchange, forwarding: Forwarding
) -> asyncio.Task[int] | None:
    """Send the request; the task that sends the rest of its body, where it has not come yet."""
    head = exchange.head
    now_s, unique = forwarding.now_s(), forwarding.new_id()
    hop = Hop(exchange.peer[0], forwarding.scheme, exchange.local[1], now_s, unique)
    headers = to_target(head.headers, hop)
    if exchange.upgrade is not None:
        headers += ((b"Connection", b"Upgrade"), (b"Upgrade", exchange.upgrade))
    body = None if exchange.is_chunked else exchange.received_body()
    connection.send(head.method, head.target, headers, body)
    if body is not None:
        return None
    return asyncio.get_running_loop().create_task(_upload(connection, exchange))


async def _upload(connection: ClientConnection, exchange: ServerExchange) -> int:
    """Send the request's body as it comes; the status for the client if that is its fault, or 0."""
    try:
        while data := await exchange.read_chunk():
            await connection.write(data)
        connection.end(exchange.trailers)
    except PeerError as error:
        connection.abort()  # whoever waits for the response learns of it
        return 400 if isinstance(error, Malformed) else 0
    return 0


async def _pass_back(connection: ClientConnection, exchange: ServerExchange) -> None:
    response = await connection.response()
    if response.status == 101:
        await _pass_through(connection, exchange, response)
        return
    headers = end_to_end(response.headers)
    body = connection.received_body()
    if body is not None and _is_measured(response, exchange.head.method):
        exchange.respond(response.status, headers, body, reason=response.reason)
        return
    exchange.start(response.status, headers, reason=response.reason)
    if body is not None:
        await exchange.write(body)
    else:
        while data := await connection.read_chunk():
            await exchange.write(data)
    await exchange.end(connection.trailers)


def _is_measured(response: ResponseHead, method: str) -> bool:
    """Whether the response's length is told by a header, or by there being no body."""
    return is_bodiless(method, response.status) or any(
        name.lower() == b"content-length" for name, _ in response.headers
    )


async def _pass_through(
    connection: ClientConnection, exchange: ServerExchange, response: ResponseHead
) -> None:
    """Bytes both ways until either side closes."""
    if exchange.upgrade is None:
        raise Malformed("it changes protocols without having been asked to")
    client = exchange.tunnel(101, response.headers, reason=response.reason)
    target = connection.tunnel()
    loop = asyncio.get_running_loop()
    ways = [loop.create_task(_copy(client, target)), loop.create_task(_copy(target, client))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        client.close()
        target.close()


async def _copy(source: Tunnel, sink: Tunnel) -> None:
    while data := await source.read():
        await sink.write(data)


def _break_off(
    exchange: ServerExchange,
    target: Target,
    watch: _Watch,
    upload: asyncio.Task[int] | None,
    error: PeerError,
) -> None:
    """Tell the client that there will be no response, in the one way that is still open."""
    name = f"{exchange.head.method} to {target.host}:{target.port}"
    if exchange.is_disconnected:
        logger.info("460 %s: the client left before the response was complete", name)
        return
    if exchange.phase is not Phase.WAITING:
        logger.warning("%s broke in the middle of the response: %s", name, error)
        exchange.abort()
        return
    status = 502
    if watch.is_expired:
        status = 504 if exchange.is_body_complete() else 408
    elif upload is not None and upload.done():
        status = upload.result() or 502
    logger.info("%d %s: %s", status, name, error)
    _answer(exchange, status)
