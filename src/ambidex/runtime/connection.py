"""The keep-alive connection to the Runtime API: one request at a time, without a time-out.

There is no time-out because the environment may be frozen for hours between a request and its
answer. Source: lambda/latest/dg/runtimes-api.html
"""

import asyncio
from typing import TYPE_CHECKING, cast

from ambidex.runtime.messages import PeerError, Reply, whole_reply

if TYPE_CHECKING:
    from ambidex.runtime.reply_parser import ReplyParser


class BrokenAnswerError(PeerError):
    """The connection ended within an answer."""


class Connection:
    """One connection at a time, opened when it is needed and again when the peer has closed it.

    Args:
        address: `host:port`, the value of AWS_LAMBDA_RUNTIME_API.

    Attributes:
        is_repeat: whether the last answer is to a request that was sent twice.
    """

    def __init__(self, address: str) -> None:
        self.host = address
        self.is_repeat = False
        self._wire: _Wire | None = None
        self._request = b""

    def start(self, request: bytes) -> None:
        """Send a request, at once if the connection is open; `reply` has its answer."""
        self._request = request
        if self._wire is not None and self._wire.is_open:
            self._wire.send(request)

    @property
    def is_answered(self) -> bool:
        """Whether the answer to what was sent has come, or the connection is gone."""
        return self._wire is None or self._wire.is_answered

    @property
    def is_receiving(self) -> bool:
        """Whether an answer to what was sent has come, or a part of it, and nobody has it yet."""
        return self._wire is not None and self._wire.is_receiving

    async def open(self) -> None:
        """Be connected, for a request that `begin` sends.

        Raises:
            PeerError: nobody answers.
        """
        if self._wire is None or not self._wire.is_open:
            self._wire = await self._connected()

    def begin(self, data: bytes) -> None:
        """Send the start of a request whose body comes in pieces; `open` comes before."""
        assert self._wire is not None
        self._request = b""  # it cannot be sent once more
        self._wire.send(data, is_whole=False)

    def write(self, data: bytes) -> None:
        """Send more of the body of a request that was begun."""
        assert self._wire is not None
        self._wire.write(data)

    async def room(self) -> None:
        """Wait until the peer has taken most of what was written."""
        if self._wire is not None and self._wire.room is not None:
            # Shielded, for others may wait for the same, and who gives up may wait again.
            await asyncio.shield(self._wire.room)

    def end(self, data: bytes) -> None:
        """Send the last of a request that was begun; `reply` has its answer."""
        assert self._wire is not None
        self._wire.end(data)

    async def reply(self) -> Reply:
        """The answer to what was started or begun.

        If the connection ends before the first byte of an answer, the request is sent once more, on
        a new one: it had been closed while it was idle, or the request got lost. A result is sent
        once more after a part of an answer, too: whoever has it refuses to take it again. An event
        of which a part has come is not asked for again, for nobody says that it is the same then.
        A body that came in pieces is not there to be sent again.

        Raises:
            PeerError: nobody answers, or what answers is not the Runtime API.
        """
        if self._wire is None or not self._wire.is_sent:
            self._wire = await self._sent()
        try:
            reply = await self._wire.reply()
        except BrokenAnswerError:
            if not self._request.startswith(b"POST"):
                raise
            reply = None
        self.is_repeat = reply is None
        if reply is None:
            if not self._request:
                raise PeerError(
                    f"the Runtime API at {self.host} closed the connection in a response"
                )
            self._wire = await self._sent()
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

    @property
    def unsent(self) -> bytes:
        """What was started, if any of it is in this process still; empty if the kernel has it."""
        wire = self._wire
        is_sent = wire is not None and wire.is_open and not wire.buffered_bytes
        return b"" if is_sent else self._request

    def close(self) -> None:
        """Close the connection."""
        if self._wire is not None:
            self._wire.close()

    async def _sent(self) -> "_Wire":
        wire = await self._connected()
        wire.send(self._request)
        return wire

    async def _connected(self) -> "_Wire":
        name, _, port = self.host.rpartition(":")
        try:
            _, wire = await asyncio.get_running_loop().create_connection(
                _Wire, name.strip("[]"), int(port)
            )
        except (OSError, ValueError) as error:
            raise PeerError(f"no Runtime API answers at {self.host!r}: {error}") from error
        return wire


def new_parser() -> "ReplyParser":
    """A parser for what is no plain answer."""
    from ambidex.runtime.reply_parser import ReplyParser

    return ReplyParser()


class _Wire(asyncio.Protocol):
    def __init__(self) -> None:
        self.is_open = False
        self.is_sent = False
        self.room: asyncio.Future[None] | None = None  # there while there is none
        self._is_whole = True
        self._transport: asyncio.Transport
        self._parser: ReplyParser | None = None  # once there is a part of an answer
        self._waiter: asyncio.Future[Reply | None]

    @property
    def is_answered(self) -> bool:
        return not self.is_sent or self._waiter.done()

    @property
    def buffered_bytes(self) -> int:
        return self._transport.get_write_buffer_size()

    @property
    def is_receiving(self) -> bool:
        return self.is_sent and (self._parser is not None or self._waiter.done())

    def send(self, request: bytes, *, is_whole: bool = True) -> None:
        self.is_sent = True
        self._is_whole = is_whole
        self._parser = None
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)

    def write(self, data: bytes) -> None:
        # `writelines` would copy less, but asyncio's tells nobody to wait in Python 3.12.0 to
        # 3.12.8, 3.13.0 and 3.13.1 (CVE-2024-12254): a whole response would be in memory.
        self._transport.write(data)

    def end(self, data: bytes) -> None:
        self._is_whole = True
        self._transport.write(data)

    async def reply(self) -> Reply | None:
        try:
            reply = await self._waiter
        finally:
            self.is_sent = False
        if reply is not None and not (reply.is_reusable and self._is_taken()):
            self.close()
        return reply

    def _is_taken(self) -> bool:
        # What answers before it has the whole of a request may never take the rest.
        return self._is_whole and not self._transport.get_write_buffer_size()

    def close(self) -> None:
        self.is_open = False
        self._transport.abort()  # close() would wait until what is not sent yet is

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def pause_writing(self) -> None:
        self.room = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self.room is not None and not self.room.done():
            self.room.set_result(None)
        self.room = None

    def eof_received(self) -> None:
        self._transport.abort()  # see close()

    def data_received(self, data: bytes) -> None:
        if self.is_answered:  # nobody has asked for it
            self.close()
            return
        try:
            reply = whole_reply(data) if self._parser is None else None
            if reply is None:
                self._parser = self._parser or new_parser()
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
        reply = self._parser.end() if self._parser and error is None else None
        if reply is None and self._parser:
            self._settle(BrokenAnswerError("the Runtime API closed the connection in its answer"))
        else:
            self._settle(reply)

    def _settle(self, outcome: Reply | PeerError | None) -> None:
        if not self.is_sent or self._waiter.done():
            return
        self.resume_writing()  # who waits for room finds out that nobody takes more
        if isinstance(outcome, PeerError):
            self._waiter.set_exception(outcome)
        else:
            self._waiter.set_result(outcome)
