"""The keep-alive connection to the Runtime API: one request at a time, without a time-out.

There is no time-out because the environment may be frozen for hours between a request and its
answer. Source: lambda/latest/dg/runtimes-api.html
"""

import asyncio
from typing import cast

from ambidex.runtime.messages import PeerError, Reply, ReplyParser


class Connection:
    """One connection at a time, opened when it is needed and again when the peer has closed it.

    Args:
        address: `host:port`, the value of AWS_LAMBDA_RUNTIME_API.
    """

    def __init__(self, address: str) -> None:
        self.host = address
        self._wire: _Wire | None = None
        self._request = b""

    def start(self, request: bytes) -> None:
        """Send a request, at once if the connection is open; `reply` has its answer."""
        self._request = request
        if self._wire is not None and self._wire.is_open:
            self._wire.send(request)

    async def reply(self) -> Reply:
        """The answer to what was started.

        A connection that the peer closed before the first byte of an answer had been closed while
        it was idle: the request is then sent once more, on a new one.

        Raises:
            PeerError: nobody answers, or what answers is not the Runtime API.
        """
        if self._wire is not None and self._wire.is_sent:
            reply = await self._wire.reply()
            if reply is not None:
                return reply
        self._wire = await self._open()
        self._wire.send(self._request)
        reply = await self._wire.reply()
        if reply is None:
            raise PeerError(f"the Runtime API at {self.host} closed the connection unanswered")
        return reply

    async def call(self, request: bytes) -> Reply:
        """Send a request and wait for its answer.

        Raises:
            PeerError: nobody answers, or what answers is not the Runtime API.
        """
        self.start(request)
        return await self.reply()

    def close(self) -> None:
        """Close the connection."""
        if self._wire is not None:
            self._wire.close()

    async def _open(self) -> "_Wire":
        name, _, port = self.host.rpartition(":")
        try:
            _, wire = await asyncio.get_running_loop().create_connection(
                _Wire, name.strip("[]"), int(port)
            )
        except (OSError, ValueError) as error:
            raise PeerError(f"no Runtime API answers at {self.host!r}: {error}") from error
        return wire


class _Wire(asyncio.Protocol):
    def __init__(self) -> None:
        self.is_open = False
        self.is_sent = False
        self._transport: asyncio.Transport
        self._parser = ReplyParser()
        self._has_data = False
        self._waiter: asyncio.Future[Reply | None]

    def send(self, request: bytes) -> None:
        self.is_sent = True
        self._has_data = False
        self._parser = ReplyParser()
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)

    async def reply(self) -> Reply | None:
        reply = await self._waiter
        self.is_sent = False
        if reply is not None and not reply.is_reusable:
            self.close()
        return reply

    def close(self) -> None:
        self.is_open = False
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        self._has_data = True
        try:
            reply = self._parser.feed(data)
        except PeerError as error:
            self._settle(error)
            self.close()
        else:
            if reply is not None:
                self._settle(reply)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        if not self.is_sent:
            return
        reply = self._parser.end()
        if reply is None and self._has_data:
            self._settle(PeerError("the Runtime API closed the connection in its answer"))
        else:
            self._settle(reply)

    def _settle(self, outcome: Reply | PeerError | None) -> None:
        if not self.is_sent or self._waiter.done():
            return
        if isinstance(outcome, PeerError):
            self._waiter.set_exception(outcome)
        else:
            self._waiter.set_result(outcome)
