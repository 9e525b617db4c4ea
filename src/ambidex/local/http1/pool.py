"""Opening client connections, and keeping them alive between requests."""

import asyncio
import os
from collections.abc import Callable

from ambidex.local.http1.client import ClientConnection
from ambidex.local.http1.messages import ConnectFailed, ConnectTimedOut


async def connect(
    host: str,
    port: int,
    *,
    timeout_s: float | None,
    on_lost: Callable[[ClientConnection], None] | None = None,
) -> ClientConnection:
    """Open a connection.

    Args:
        host: an address or a name.
        port: the port.
        timeout_s: how long to try; None tries as long as the system does.
        on_lost: is called once the connection is gone, whoever closed it.

    Raises:
        ConnectTimedOut: nobody answered in time, theirs.
        ConnectFailed: the connection was refused, theirs.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            _, connection = await loop.create_connection(
                lambda: ClientConnection(on_lost), host, port
            )
    except TimeoutError as error:
        raise ConnectTimedOut(host, port, f"no answer within {timeout_s} s") from error
    except OSError as error:
        # asyncio's own words are "Connect call failed"; a failed look-up has a negative number.
        is_known = error.errno is not None and error.errno > 0
        reason = os.strerror(error.errno or 0) if is_known else str(error)
        raise ConnectFailed(host, port, reason) from error
    return connection


class Pool:
    """Connections to one address, kept alive between requests.

    Args:
        host: the address.
        port: the port.
        connect_timeout_s: how long to try for a new connection; None for ever.
    """

    def __init__(self, host: str, port: int, *, connect_timeout_s: float | None) -> None:
        self._host = host
        self._port = port
        self._connect_timeout_s = connect_timeout_s
        self._idle: list[ClientConnection] = []
        self._open: set[ClientConnection] = set()
        self._is_closed = False

    async def take(self) -> ClientConnection:
        """A connection that is ready for a request: the one used last, else a new one.

        Raises:
            ConnectFailed: there is none to be had, theirs.
        """
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable:
                return connection
        connection = await connect(
            self._host, self._port, timeout_s=self._connect_timeout_s, on_lost=self._forget
        )
        self._open.add(connection)
        return connection

    def put_back(self, connection: ClientConnection) -> None:
        """Keep a connection for the next request, or close it if it cannot serve one."""
        if connection.is_reusable and not self._is_closed:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close idle connections now, the others when they are put back."""
        self._is_closed = True
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def abort(self) -> None:
        """Drop all connections at once, those in use too."""
        self.close()
        for connection in list(self._open):
            connection.abort()

    def _forget(self, connection: ClientConnection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
