"""The queue of asynchronous invocations: their callers are gone, so the service tries them again.

An event whose invocation fails is tried twice more, with the same request id; a throttled one until
it is too old. What then still fails is a dead letter.

Source: lambda/latest/dg/invocation-async-error-handling.html
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ambidex.local import dead_letters
from ambidex.local.dead_letters import DeadLetter
from ambidex.local.ids import request_id as new_request_id
from ambidex.local.invocation import Invocation, Outcome, ThrottledError

logger = logging.getLogger("ambidex.local")


class Retries(NamedTuple):
    """When an event is tried again, in seconds; who waits here is a person."""

    # Before the second and the third attempt, where AWS waits 1 and 2 minutes.
    after_error_s: tuple[float, ...] = (1, 2)
    # While it is throttled, doubled each time, where AWS waits 1 second at first and 5 minutes at
    # most.
    throttled_first_s: float = 0.1
    throttled_longest_s: float = 5
    event_age_s: float = 6 * 60 * 60


class Attempts(NamedTuple):
    """How far an event is."""

    invoked: int = 0  # how often the function was invoked with it
    throttled: int = 0  # how often in a row it was not


class Retry(NamedTuple):
    """The event is tried again."""

    delay_s: float


class Discard(NamedTuple):
    """The event is a dead letter."""

    condition: str


def decide(
    attempts: Attempts, outcome: Outcome | None, age_s: float, retries: Retries
) -> Retry | Discard | None:
    """What becomes of an event after an attempt; None if it is done.

    Args:
        attempts: this one included.
        outcome: of this one; None if it was throttled.
        age_s: for how long the event has been in the queue.
        retries: when events are tried again.
    """
    if outcome is None:
        doublings = min(attempts.throttled - 1, 32)
        delay_s = min(retries.throttled_first_s * 2**doublings, retries.throttled_longest_s)
    elif not outcome.is_error:
        return None
    elif attempts.invoked > len(retries.after_error_s):
        return Discard("RetriesExhausted")
    else:
        delay_s = retries.after_error_s[attempts.invoked - 1]
    return Retry(delay_s) if age_s + delay_s <= retries.event_age_s else Discard("EventAgeExceeded")


class EventQueue:
    """The events of one function that wait, or are at work.

    Args:
        invoke: invokes the function with an event, a request id and a trace id.
        function_arn: the function's ARN.
        version: the function's.
        folder: the project's, for dead letters.
        retries: when events are tried again.
    """

    def __init__(
        self,
        invoke: Callable[[bytes, str, str], Invocation],
        function_arn: str,
        version: str,
        folder: Path,
        retries: Retries,
    ) -> None:
        self._invoke = invoke
        self._function_arn = function_arn
        self._version = version
        self._folder = folder
        self._retries = retries
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._throttled: deque[asyncio.Future[None]] = deque()  # in the order in which they wait

    def put(self, event: bytes, trace_id: str) -> str:
        """Queue an event.

        Returns:
            The request id of all of its invocations.
        """
        request_id = new_request_id()
        task = asyncio.create_task(self._deliver(event, request_id, trace_id))
        self._tasks[request_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(request_id))
        return request_id

    async def close(self) -> None:
        """Give up what is not done, and say so."""
        lost = dict(self._tasks)
        if lost:
            what = "1 event is" if len(lost) == 1 else f"{len(lost)} events are"
            logger.info("%s queued or at work still, and lost: %s", what, ", ".join(lost))
        for task in lost.values():
            task.cancel()
        await asyncio.gather(*lost.values(), return_exceptions=True)

    async def _deliver(self, event: bytes, request_id: str, trace_id: str) -> None:
        queued_s = self._loop.time()
        attempts, last = Attempts(), None
        while True:
            outcome = await self._attempt(event, request_id, trace_id)
            if outcome is None:
                attempts = attempts._replace(throttled=attempts.throttled + 1)
            else:
                attempts, last = Attempts(attempts.invoked + 1), outcome
                self._let_next_try()
            age_s = self._loop.time() - queued_s
            decision = decide(attempts, outcome, age_s, self._retries)
            if isinstance(decision, Retry):
                if attempts.throttled <= 1:  # once is enough for a long wait
                    reason = f"failed ({outcome.error_type})" if outcome else "is throttled"
                    logger.info(
                        "event %s %s: it is tried again in %g s",
                        request_id, reason, decision.delay_s,
                    )  # fmt: skip
                if outcome is None:
                    await self._wait_for_turn(decision.delay_s)
                else:
                    await asyncio.sleep(decision.delay_s)
                continue
            if isinstance(decision, Discard):
                self._discard(
                    DeadLetter(
                        request_id, self._function_arn, self._version, decision.condition,
                        attempts.invoked, event, last,
                    )
                )  # fmt: skip
            return

    async def _attempt(self, event: bytes, request_id: str, trace_id: str) -> Outcome | None:
        invocation = self._invoke(event, request_id, trace_id)
        # Not awaited itself, for at the end of the queue that would cancel the service's future.
        await asyncio.wait({invocation.finished})
        try:
            return invocation.outcome.result()
        except ThrottledError:
            return None

    async def _wait_for_turn(self, longest_s: float) -> None:
        """Wait until another event leaves an environment, or for a time."""
        turn = self._loop.create_future()
        self._throttled.append(turn)
        try:
            await asyncio.wait({turn}, timeout=longest_s)
        finally:
            if not turn.done():
                self._throttled.remove(turn)

    def _let_next_try(self) -> None:
        # All of them at once would find one environment, and wait the longer for the next.
        if self._throttled:
            self._throttled.popleft().set_result(None)

    def _discard(self, letter: DeadLetter) -> None:
        if letter.condition == "EventAgeExceeded":
            reason = f"is not done after {self._retries.event_age_s:g} s"
        else:
            reason = f"failed {letter.invoke_count} times"
        try:
            dead_letters.append(self._folder, letter, datetime.now(UTC))
        except OSError as error:
            path = self._folder / dead_letters.FILE
            logger.error(  # noqa: TRY400 – the user's disk, no fault that a traceback would explain
                "event %s %s and is lost: %s cannot be written: %s",
                letter.request_id, reason, path, error.strerror,
            )  # fmt: skip
        else:
            logger.info(
                "event %s %s and is a dead letter: %s says more",
                letter.request_id, reason, dead_letters.FILE,
            )  # fmt: skip
