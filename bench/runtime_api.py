"""The Runtime API's other end, for measuring: what it costs is small, and the same for all.

One thread, epoll, and as much of HTTP/1.1 as Runtime API clients speak. An answer is one write,
with TCP_NODELAY: in two segments it would cost 40 ms (Nagle, delayed ACK). The clock is read around
the system calls, before anything is parsed.

Source: lambda/latest/dg/runtimes-api.html, lambda/latest/dg/runtimes-extensions-api.html
"""

import select
import socket
from collections import deque
from collections.abc import Callable
from time import monotonic, perf_counter, perf_counter_ns, time
from typing import NamedTuple
from uuid import uuid4

from bench.program import HOST, BenchError

_TURN_S = 0.5
_PATIENCE_S = 60.0
_READ = 1 << 20

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:bench"

_ACCEPTED = (
    b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n"
    b'{"status":"OK"}\n'
)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_REGISTERED = (
    b'{"functionName":"bench","functionVersion":"$LATEST","handler":"main.handler",'
    b'"accountId":"123456789012"}'
)
# Between a streamed result's prelude of JSON and its body.
DELIMITER = b"\0" * 8


class Outcome(NamedTuple):
    """What came of one event; the times by `perf_counter_ns`."""

    first_sent_ns: int  # before the write of the event's first byte
    sent_ns: int  # before the write that had its last
    first_byte_ns: int  # after the read that had the first byte of a streamed result's body
    done_ns: int  # after the read that had the result's last byte
    size: int  # of the result, in bytes
    result: bytes  # empty if it was not kept

    @property
    def turnaround_us(self) -> float:
        """From the event's last byte to the result's last."""
        return (self.done_ns - self.sent_ns) / 1e3


class _Sent(NamedTuple):
    first_ns: int
    last_ns: int


class RuntimeApi:
    """The Runtime API of one environment.

    Args:
        check: called while nothing comes; raises if the environment is gone.

    Attributes:
        address: the value of AWS_LAMBDA_RUNTIME_API.
        first_next: when the first call for an event came, by `perf_counter`; 0 before.
        extensions: how many have registered.
    """

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._listener = socket.create_server((HOST, 0), backlog=128)
        self._listener.setblocking(False)
        self.address = f"{HOST}:{self._listener.getsockname()[1]}"
        self._epoll = select.epoll()
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        self._peers: dict[int, _Peer] = {}
        self._waiting: deque[_Peer] = deque()
        self._sent: dict[bytes, _Sent] = {}
        self._outcomes: list[Outcome] = []
        self._number = 0
        self._run = uuid4().hex[:24]
        self.keeps = True
        self.first_next = 0.0
        self.extensions = 0

    @property
    def waiting(self) -> int:
        """How many calls for an event wait for one."""
        return len(self._waiting)

    def wait(self, is_there: Callable[[], bool], what: str) -> None:
        """Answer what comes until something is there.

        Raises:
            BenchError: it is not there in time, or the environment is gone.
        """
        until = monotonic() + _PATIENCE_S
        while not is_there():
            if not self._turn() and monotonic() > until:
                raise BenchError(f"{what} did not come in {_PATIENCE_S:g} s")

    def invoke(
        self, event: bytes, count: int, in_flight: int = 1, *, keeps: bool = True
    ) -> list[Outcome]:
        """Send the same event again and again; what came of each.

        Args:
            event: JSON.
            count: how many times.
            in_flight: how many at most at a time.
            keeps: whether to keep the results, or no more than their size.

        Raises:
            BenchError: an invocation failed, or nothing came in time.
        """
        self.keeps = keeps
        outcomes: list[Outcome] = []
        self._outcomes = outcomes
        tail = (
            f"Lambda-Runtime-Deadline-Ms: {int((time() + 300) * 1000)}\r\n"
            f"Lambda-Runtime-Invoked-Function-Arn: {ARN}\r\n"
            "Lambda-Runtime-Trace-Id: "
            "Root=1-6563c1a0-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=0\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(event)}\r\n\r\n"
        ).encode() + event
        left = count
        quiet_since = monotonic()
        while len(outcomes) < count:
            while left and self._waiting and len(self._sent) < in_flight:
                left -= 1
                self._send(self._waiting.popleft(), tail)
            if self._turn():
                quiet_since = monotonic()
            elif monotonic() - quiet_since > _PATIENCE_S:
                raise BenchError(f"no result came in {_PATIENCE_S:g} s")
        # What the environment still has to do does not fall into another's round.
        self.wait(lambda: len(self._waiting) >= 1, "a call for the next event")
        return outcomes

    def _send(self, peer: "_Peer", tail: bytes) -> None:
        self._number += 1
        request_id = f"{self._run[:8]}-{self._run[8:12]}-{self._run[12:16]}-{self._run[16:20]}-"
        request_id = f"{request_id}{self._number:012d}"
        answer = f"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: {request_id}\r\n".encode()
        answer += tail
        first_ns, last_ns = peer.write(answer)
        self._sent[request_id.encode()] = _Sent(first_ns, last_ns)

    def _turn(self) -> bool:
        """Take what has come; whether something had."""
        ready = self._epoll.poll(_TURN_S)
        for number, _ in ready:
            peer = self._peers.get(number)
            if peer is None:
                self._accept()
                continue
            try:
                data = peer.connection.recv(_READ)
            except BlockingIOError:
                continue
            except ConnectionError:
                data = b""
            now_ns = perf_counter_ns()
            if data:
                peer.feed(data, now_ns)
            else:
                self._drop(peer)
        if not ready:
            self._check()
        return bool(ready)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peers[connection.fileno()] = _Peer(connection, self)
        self._epoll.register(connection.fileno(), select.EPOLLIN)

    def _drop(self, peer: "_Peer") -> None:
        number = peer.connection.fileno()
        self._epoll.unregister(number)
        del self._peers[number]
        if peer in self._waiting:
            self._waiting.remove(peer)
        peer.connection.close()

    def close(self) -> None:
        """Close all connections."""
        for peer in list(self._peers.values()):
            self._drop(peer)
        self._epoll.close()
        self._listener.close()

    def answer(self, peer: "_Peer", line: bytes, body: "_Body", now_ns: int) -> None:
        """Take a whole request."""
        method, target, _ = line.split(b" ")
        if target.endswith(b"/runtime/invocation/next"):
            self.first_next = self.first_next or perf_counter()
            self._waiting.append(peer)
        elif target.endswith(b"/response"):
            sent = self._sent.pop(target.split(b"/")[-2])
            peer.write(_ACCEPTED)
            self._outcomes.append(
                Outcome(
                    sent.first_ns,
                    sent.last_ns,
                    body.first_byte_ns,
                    now_ns,
                    body.size,
                    bytes(body.kept),
                )
            )
        elif target.endswith(b"/extension/event/next"):
            pass  # there is none but the end
        elif target.endswith(b"/extension/register"):
            if b"INVOKE" in body.kept:
                raise BenchError("an extension registers for INVOKE, of which nothing comes here")
            self.extensions += 1
            peer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                b"Lambda-Extension-Identifier: %s\r\nContent-Length: %d\r\n\r\n%s"
                % (str(uuid4()).encode(), len(_REGISTERED), _REGISTERED)
            )
        else:
            text = bytes(body.kept[:2000]).decode("latin-1")
            raise BenchError(f"the environment says {method.decode()} {target.decode()}: {text}")


class _Peer:
    """A connection of the environment's: requests in, answers out."""

    def __init__(self, connection: socket.socket, runtime_api: RuntimeApi) -> None:
        self.connection = connection
        self._runtime_api = runtime_api
        self._head = b""
        self._line = b""
        self._body: _Body | None = None

    def write(self, data: bytes) -> _Sent:
        """Write all; when the first and the last bytes went."""
        first_ns = last_ns = perf_counter_ns()
        sent = self.connection.send(data)
        if sent < len(data):
            rest = memoryview(data)[sent:]
            while rest:
                try:
                    last_ns = perf_counter_ns()
                    rest = rest[self.connection.send(rest) :]
                except BlockingIOError:
                    select.select([], [self.connection], [], _PATIENCE_S)
        return _Sent(first_ns, last_ns)

    def feed(self, data: bytes, now_ns: int) -> None:
        """Take bytes as they come."""
        if self._body is None:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._head = b""
            self._line, _, fields = head.partition(b"\r\n")
            fields = fields.lower()
            is_chunked = b"transfer-encoding: chunked" in fields
            length = 0
            if not is_chunked and b"content-length:" in fields:
                length = int(fields.partition(b"content-length:")[2].partition(b"\r\n")[0])
            is_streamed = b"lambda-runtime-function-response-mode: streaming" in fields
            keeps = self._runtime_api.keeps or b"/response " not in self._line
            self._body = _Body(length, is_chunked, is_streamed, keeps)
            if b"expect: 100-continue" in fields:
                self.write(_CONTINUE)
        if self._body.feed(data, now_ns):
            body, self._body = self._body, None
            self._runtime_api.answer(self, self._line, body, now_ns)


class _Body:
    """A request's body, of a known length or in chunks."""

    def __init__(self, length: int, is_chunked: bool, is_streamed: bool, keeps: bool) -> None:
        self.size = 0
        self.kept = bytearray()
        self.first_byte_ns = 0
        self._left = length  # of the body, or of the chunk with its line end
        self._is_chunked = is_chunked
        self._is_last = False
        self._line = b""
        self._awaits_delimiter = is_streamed
        self._keeps = keeps

    def feed(self, data: bytes, now_ns: int) -> bool:
        """Take bytes; whether the body is whole."""
        if self._is_chunked:
            return self._chunks(data, now_ns)
        self._take(data, now_ns)
        self._left -= len(data)
        return self._left == 0

    def _chunks(self, data: bytes, now_ns: int) -> bool:
        at = 0
        while at < len(data):
            if self._left:
                part = min(self._left, len(data) - at)
                # The last two bytes of what is left are the chunk's line end.
                payload = min(part, max(self._left - 2, 0))
                if payload:
                    self._take(memoryview(data)[at : at + payload], now_ns)
                self._left -= part
                at += part
                continue
            end = data.find(b"\n", at)
            if end < 0:
                self._line += data[at:]
                return False
            line = (self._line + data[at:end]).rstrip(b"\r")
            self._line = b""
            at = end + 1
            if self._is_last:  # a trailer, or the end
                if not line:
                    return True
                continue
            size = int(line.partition(b";")[0], 16)
            self._is_last = size == 0
            self._left = size + 2 if size else 0
        return False

    def _take(self, payload: bytes | memoryview, now_ns: int) -> None:
        self.size += len(payload)
        if self._keeps or self._awaits_delimiter:
            self.kept += payload
        elif not self.first_byte_ns:
            self.first_byte_ns = now_ns
        if self._awaits_delimiter and not self.first_byte_ns:
            at = self.kept.find(DELIMITER)
            if 0 <= at < len(self.kept) - len(DELIMITER):
                self.first_byte_ns = now_ns
                self._awaits_delimiter = False
