"""One invocation of the local Lambda service, from its event to the end of its invoke phase."""

import asyncio
from collections import deque
from json import dumps
from typing import TYPE_CHECKING, NamedTuple

from ambidex.errors import AmbidexError

if TYPE_CHECKING:
    from ambidex.local.result_stream import ResultStream

# What the Invoke API hands out of a log, and so all that is kept of it.
# Source: lambda/latest/api/API_Invoke.html, LogResult
LOG_TAIL_BYTES = 4096


class ThrottledError(AmbidexError):
    """All environments that may be are at work."""


class Outcome(NamedTuple):
    """What the caller gets."""

    payload: bytes
    error_type: str = ""  # empty for a success
    content_type: str = ""  # of the payload, as the runtime says it
    stream: "ResultStream | None" = None  # in the payload's place, for a caller that takes streams

    @property
    def final(self) -> "Outcome":
        """How it has ended: of a stream that broke off, its error."""
        error = self.stream.error if self.stream is not None else None
        return self if error is None else error

    @property
    def is_error(self) -> bool:
        """Whether the function failed; the payload then is the error's JSON."""
        return bool(self.error_type)


def failure(error_type: str, message: str) -> Outcome:
    """The outcome of an invocation that Lambda itself reports as failed."""
    document = dumps({"errorType": error_type, "errorMessage": message})
    return Outcome(document.encode(), error_type)


class Invocation:
    """An event on its way.

    `outcome` is there as soon as the result is posted, or begins to be streamed to a caller that
    takes streams, or raises ThrottledError; `finished` when the environment has asked for the next
    event, or has ended.
    """

    __slots__ = ("_log", "_log_bytes", "client_context", "event", "finished", "outcome",
                 "request_id", "started", "takes_stream", "trace_id")  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        request_id: str,
        event: bytes,
        trace_id: str = "",
        client_context: str = "",
        takes_stream: bool = False,
    ) -> None:
        self.request_id = request_id
        self.event = event
        self.trace_id = trace_id
        self.client_context = client_context
        self.takes_stream = takes_stream
        self.outcome: asyncio.Future[Outcome] = loop.create_future()
        self.finished: asyncio.Future[None] = loop.create_future()
        self.started = 0.0  # when its event was delivered, by time.perf_counter
        self._log: deque[bytes] = deque()
        self._log_bytes = 0

    def settle(self, outcome: Outcome) -> None:
        """Give the caller its outcome; the first one counts, but a stream may still break off."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)
            return
        under_way = self.outcome.result().stream
        if under_way is not None and outcome.is_error:
            under_way.end(outcome)

    def throttle(self, error: ThrottledError) -> None:
        """Nobody takes the event."""
        self.outcome.set_exception(error)
        self.outcome.exception()  # a caller that has left does not ask, and that is no error
        self.finish()

    def abandon(self) -> None:
        """The service has ended, and no environment has taken the event."""
        message = f"RequestId: {self.request_id} Error: the Lambda service has ended"
        self.settle(failure("Runtime.ExitError", message))
        self.finish()

    async def is_settled(self, timeout_s: float | None) -> bool:
        """Wait for the outcome, in a third of the time that `asyncio.wait` takes.

        Args:
            timeout_s: how long at most; None for as long as it takes.

        Returns:
            Whether it is there.
        """
        if self.outcome.done():
            return True
        loop = self.outcome.get_loop()
        waiter = loop.create_future()
        timer = loop.call_later(timeout_s, _wake, waiter) if timeout_s is not None else None

        def settled(_: "asyncio.Future[Outcome]") -> None:
            _wake(waiter)

        self.outcome.add_done_callback(settled)
        try:
            await waiter
        finally:
            self.outcome.remove_done_callback(settled)
            if timer is not None:
                timer.cancel()
        return self.outcome.done()

    def leave(self) -> None:
        """The caller has given up: a stream that begins from now on is read by nobody."""
        self.outcome.add_done_callback(_leave_stream)

    def finish(self) -> None:
        """The invoke phase is over."""
        if not self.finished.done():
            self.finished.set_result(None)

    def log(self, line: str) -> None:
        """Keep a log line, and forget what is more than the tail."""
        data = line.encode() + b"\n"
        self._log.append(data)
        self._log_bytes += len(data)
        while self._log and self._log_bytes - len(self._log[0]) >= LOG_TAIL_BYTES:
            self._log_bytes -= len(self._log.popleft())

    def log_tail(self) -> bytes:
        """The last 4 KB of the invocation's log."""
        return b"".join(self._log)[-LOG_TAIL_BYTES:]


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _leave_stream(outcome: asyncio.Future[Outcome]) -> None:
    if outcome.exception() is None and (stream := outcome.result().stream) is not None:
        stream.leave()
