"""An HTTP/1.1 server for the local front doors."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate

from ambidex.http import Headers
from ambidex.local.http1.connection import Connection
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.http1.messages import Limits

Handler = Callable[[ServerExchange], Awaitable[None]]
Refuse = Callable[[int], tuple[Headers, bytes]]


class Server:
    """A listening server; `listen` makes it.

    Attributes:
        host: the address it listens on.
        port: the port, the real one where 0 was asked for.
    """

    def __init__(
        self,
        handler: Handler,
        limits: Limits,
        refuse: Refuse,
        keep_alive_s: float | None,
        now_s: Callable[[], float],
    ) -> None:
        self.handler = handler
        self.limits = limits
        self.refuse = refuse
        self.keep_alive_s = keep_alive_s
        self.connections: set[Connection] = set()
        self.host = ""
        self.port = 0
        self._now_s = now_s
        self._date_s = -1  # none yet
        self._date_line = b""
        self._listener: asyncio.Server | None = None
        self._is_closing = False
        self._empty = asyncio.Event()

    async def bind(self, host: str, port: int) -> None:
        """Start to accept; `listen` calls it.

        Raises:
            OSError: the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        # It listens in a step of its own, for asyncio forgets it where that step is cancelled.
        self._listener = await loop.create_server(
            lambda: Connection(self), host, port, start_serving=False
        )
        self.host, self.port = self._listener.sockets[0].getsockname()[:2]
        try:
            await self._listener.start_serving()
        except BaseException:
            self._listener.close()
            raise

    def close(self) -> None:
        """Stop accepting, close idle connections; the others close after their present request."""
        self._is_closing = True
        if self._listener is not None:
            self._listener.close()
        for connection in list(self.connections):
            connection.shut()
        if not self.connections:
            self._empty.set()

    def abort(self) -> None:
        """Drop all connections and cancel their handlers; `closed` still awaits them."""
        self.close()
        for connection in list(self.connections):
            connection.cancel()

    async def closed(self) -> None:
        """Wait until the last connection and its handler are gone, after `close`."""
        await self._empty.wait()

    def forget(self, connection: Connection) -> None:
        """A connection and its handler are gone; the connection calls it."""
        self.connections.discard(connection)
        if self._is_closing and not self.connections:
            self._empty.set()

    def date_line(self) -> bytes:
        """The `Date` header's line, made once a second."""
        now_s = int(self._now_s())
        if now_s != self._date_s:
            self._date_s = now_s
            self._date_line = b"Date: " + formatdate(now_s, usegmt=True).encode()
        return self._date_line


async def listen(
    handler: Handler,
    host: str,
    port: int,
    *,
    limits: Limits,
    refuse: Refuse,
    keep_alive_s: float | None,
    now_s: Callable[[], float] = time.time,
) -> Server:
    """Serve HTTP/1.1.

    Args:
        handler: answers one exchange, in a task of its own.
        host: the address to listen on.
        port: the port; 0 takes a free one, see `Server.port`.
        limits: what a request's head may hold.
        refuse: the front door's own error page for a status: headers and body.
        keep_alive_s: how long an idle connection is kept; None keeps it for ever.
        now_s: the clock of the `Date` header, seconds since the epoch.

    Raises:
        OSError: the address cannot be had, for one because the port is taken.
    """
    server = Server(handler, limits, refuse, keep_alive_s, now_s)
    await server.bind(host, port)
    return server
