"""The connection to the Runtime API of a function that gets one event at a time.

It blocks, and the event loop with it: from asking for the next event to its coming Lambda freezes
the process anyway, so nothing can run then that would lose by it. What an event takes is less by
the turns of the loop that would wait for the socket.

What is sent again and what is not is as in `ambidex.runtime.connection`.
"""

import asyncio
import select
import socket
from typing import TYPE_CHECKING

from ambidex.runtime.connection import BrokenAnswerError, new_parser
from ambidex.runtime.messages import PeerError, Reply, whole_reply

if TYPE_CHECKING:
    from ambidex.runtime.reply_parser import ReplyParser

# Nearly all events are smaller; of those that are not, more is read at once from here on.
_READ_BYTES = 16 * 1024
_MORE_BYTES = 256 * 1024


class BlockingConnection:
    """One connection at a time, opened when it is needed and again when the peer has closed it.

    Args:
        address: `host:port`, the value of AWS_LAMBDA_RUNTIME_API.

    Attributes:
        is_repeat: whether the last answer is to a request that was sent twice.
        unsent: what was started, if any of it is in this process still.
    """

    def __init__(self, address: str) -> None:
        self.host = address
        self.is_repeat = False
        self.unsent = b""
        self._request = b""
        self._socket: socket.socket | None = None
        self._poll: select.poll
        self._is_sent = False
        self._is_waiting = False
        self._is_interrupted = False

    def start(self, request: bytes) -> None:
        """Send a request if the connection is open; `reply` has its answer."""
        # If it can be read, it is closed, or says what nobody has asked for.
        if self._socket is not None and self._poll.poll(0):
            self.close()
        self._start(request)

    def _start(self, request: bytes) -> None:
        self.unsent = self._request = request
        if self._socket is not None:
            self._send(self._socket, request)

    async def reply(self) -> Reply:
        """The answer to what was started.

        Raises:
            PeerError: nobody answers, or what answers is not the Runtime API.
            asyncio.CancelledError: `interrupt` was called.
        """
        connection = self._socket
        if connection is None or not self._is_sent:
            connection = self._sent()
        try:
            reply = self._answer(connection)
        except BrokenAnswerError:
            if not self._request.startswith(b"POST"):
                raise
            reply = None
        self.is_repeat = reply is None
        if reply is None:
            reply = self._answer(self._sent())
        if reply is None:
            raise PeerError(f"the Runtime API at {self.host} closed the connection unanswered")
        return reply

    async def call(self, request: bytes) -> Reply:
        """Send a request and wait for its answer; see `reply`."""
        self._start(request)
        return await self.reply()

    def interrupt(self) -> None:
        """End the wait for an answer, or the next one there is; for a handler of signals."""
        self._is_interrupted = True
        if self._is_waiting:
            raise asyncio.CancelledError

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._is_sent = False

    def _sent(self) -> socket.socket:
        """A new connection, on which the request has been sent."""
        self.close()
        self._socket = connection = self._connected()
        self._send(connection, self._request)
        return connection

    def _connected(self) -> socket.socket:
        name, _, port = self.host.rpartition(":")
        try:
            # As bytes, for a str has Python import what international names need.
            host = name.strip("[]").encode()
            connection = socket.create_connection((host, int(port)))  # type: ignore[arg-type]  # bytes work
        except (OSError, ValueError) as error:
            raise PeerError(f"no Runtime API answers at {self.host!r}: {error}") from error
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        return connection

    def _send(self, connection: socket.socket, request: bytes) -> None:
        """Send it, or what of it the peer takes: that shows when its answer is read."""
        self._is_sent = True
        try:
            sent_bytes = connection.send(request, socket.MSG_DONTWAIT)
            if sent_bytes < len(request):
                self._send_rest(connection, memoryview(request)[sent_bytes:])
                return
        except BlockingIOError:
            self._send_rest(connection, memoryview(request))
            return
        except OSError:
            pass
        self.unsent = b""

    def _send_rest(self, connection: socket.socket, rest: memoryview) -> None:
        poll = select.poll()
        poll.register(connection, select.POLLIN | select.POLLOUT)
        while rest:
            ((_, events),) = poll.poll()
            if events & ~select.POLLOUT:
                return  # an answer before its time, or the end: the rest may never be taken
            try:
                rest = rest[connection.send(rest, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                continue
            except OSError:
                return
        self.unsent = b""

    def _answer(self, connection: socket.socket) -> Reply | None:
        """The answer; None if there is nothing of it.

        Raises:
            BrokenAnswerError: there is a part of it.
            PeerError: what answers is not the Runtime API.
        """
        self._is_sent = False
        parser: ReplyParser | None = None
        reply: Reply | None = None
        read_bytes = _READ_BYTES
        try:
            while reply is None and (data := self._received(connection, read_bytes)):
                reply = whole_reply(data) if parser is None else None
                if reply is None:
                    parser = parser or new_parser()
                    reply = parser.feed(data)
                    read_bytes = _MORE_BYTES
            if reply is None and parser is not None:
                reply = parser.end()
        except OSError:
            pass
        except PeerError:
            self.close()
            raise
        # What answers before it has the whole of a request may never take the rest.
        if reply is None or not reply.is_reusable or self.unsent:
            self.close()
        if reply is None and parser is not None:
            raise BrokenAnswerError("the Runtime API closed the connection in its answer")
        return reply

    def _received(self, connection: socket.socket, most_bytes: int) -> bytes:
        """Bytes; none at the end."""
        self._is_waiting = True
        try:
            if self._is_interrupted:  # looked at last, for a signal may come at any moment
                raise asyncio.CancelledError
            return connection.recv(most_bytes)
        finally:
            self._is_waiting = False
