"""Deadlines: an event that is not done in time is cancelled before Lambda ends the environment.

At the margin before Lambda's own deadline the task in which the app runs is cancelled, and the
client gets a 504. An app that goes on nevertheless, or a loop that stands still, is the watchdog's:
half of the margin later it posts the 504 itself, and the process ends.

Nothing here is done for each event but noting when it is due. There is one timer, which is set
anew when it has come, not with each event: it comes at the earliest when an event is due, for
events that come later are due later. The watchdog's thread sleeps in the same way.

All times are of the wall clock, which Lambda's deadline is in. The process is frozen between
events, and its other clock may stand still meanwhile; so whoever has slept looks at the wall clock.

Source: lambda/latest/dg/runtimes-api.html, "Next invocation": Lambda-Runtime-Deadline-Ms
"""

import asyncio
from collections.abc import Callable, Sequence
from math import inf
from time import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ambidex.asgi.stacks import Stack
    from ambidex.runtime.blocking_connection import BlockingConnection
    from ambidex.runtime.connection import Connection
    from ambidex.runtime.messages import Invocation
    from ambidex.runtime.response_stream import ResponseStream

# Of the time that an event has, so much may be the margin, whatever the settings say.
_MOST_OF_THE_TIME = 0.5
# Of the margin, so much passes before it is the watchdog's turn.
_FOR_THE_APP = 0.5


class Running:
    """An event at work.

    Attributes:
        task: the one that is cancelled; nobody can while it is in its first step.
        ends_s: when Lambda gives up.
        due_s: when the task is cancelled.
        late_s: when it is the watchdog's turn.
        is_expired: whether the task has been cancelled because it was due.
        is_posted: whether the loop has posted a result, or has begun to.
        stream: the response under way, if it is posted piece by piece.
        was_answered: whether the response was complete when the event was due.
        is_late: whether the watchdog has dealt with it.
        own_threads: see Deadlines; as they were when the event was due.
        stacks: where the app was when it was due.
    """

    # Here, not in __init__, for each event has one of these, and few need more than the defaults.
    task: "asyncio.Task[Any] | None" = None
    ends_s = due_s = late_s = inf
    is_expired = is_posted = was_answered = is_late = False
    stream: "ResponseStream | None" = None
    own_threads: frozenset[str] = frozenset()
    stacks: "Sequence[Stack]" = ()

    def __init__(
        self,
        invocation: "Invocation | None",
        connection: "Connection | BlockingConnection | None",
    ) -> None:
        self.invocation = invocation
        self.connection = connection
        self._unclaimed = [None]

    @property
    def is_answered(self) -> bool:
        """Whether the response is complete."""
        return self.is_posted and (self.stream is None or self.stream.is_closed)

    def claim(self) -> bool:
        """Whether the caller may post: True once, for the loop or for the watchdog."""
        try:
            self._unclaimed.pop()  # in one step, whichever thread comes first
        except IndexError:
            return False
        return True


class Deadlines:
    """The events at work in this process.

    Args:
        margin_s: seconds before Lambda's deadline; 0 for none.
        is_alone: whether the process has one event at a time, and may end with it.
        clock: tells the Unix time in seconds.

    Attributes:
        running: those that are not over.
        looks_s: when the watchdog looks again by itself.
        wake: has it look at once.
        span_s: from an event to when it is due, of one of the last.
        own_threads: names of threads that were at work while no event was.
    """

    def __init__(
        self, margin_s: float, clock: Callable[[], float] = time, *, is_alone: bool = True
    ) -> None:
        self.is_alone = is_alone
        self.running: dict[Running, None] = {}
        self.looks_s = -inf
        self.wake: Callable[[], None] = _nobody
        self.span_s = inf
        self.own_threads: frozenset[str] = frozenset()
        self._margin_s = margin_s
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = inf

    def begin(
        self,
        deadline_ms: int,
        invocation: "Invocation | None" = None,
        connection: "Connection | BlockingConnection | None" = None,
    ) -> Running:
        """Take note of an event; the task in which it is at work is for the caller to say.

        Args:
            deadline_ms: Lambda's, as Unix time in milliseconds; 0 if it has told none.
            invocation: the event; none under AWS's own runtime.
            connection: where its result is posted.
        """
        running = Running(invocation, connection)
        self.running[running] = None
        if deadline_ms and self._margin_s:
            now = self._clock()
            ends_s = deadline_ms / 1000
            left_s = ends_s - now
            # A deadline that is past says that a clock is wrong, for Lambda would have given up.
            if left_s > 0:
                margin_s, most_s = self._margin_s, left_s * _MOST_OF_THE_TIME
                if margin_s > most_s:
                    margin_s = most_s
                running.ends_s = ends_s
                running.due_s = due_s = ends_s - margin_s
                running.late_s = ends_s - margin_s * _FOR_THE_APP
                if due_s < self._timer_s:
                    self.span_s = due_s - now
                    self._set_timer(due_s, now)
                if running.late_s < self.looks_s:
                    self.wake()
        return running

    def end(self, running: Running) -> bool:
        """Take note that an event's task is over.

        Returns:
            Whether the loop may go on; else the watchdog is about to end the process.
        """
        # In one step, for the watchdog may come at the same moment.
        return self.running.pop(running, running) is None

    def _set_timer(self, due_s: float, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_s = due_s
        self._timer = asyncio.get_running_loop().call_later(due_s - now, self._look)

    def _look(self) -> None:
        self._timer, self._timer_s = None, inf
        now = self._clock()
        for running in list(self.running):
            if running.due_s <= now and not running.is_expired:
                running.own_threads = self.own_threads
                _expire(running)
        due_s = min((each.due_s for each in self.running if not each.is_expired), default=inf)
        if due_s < inf:
            self._set_timer(due_s, now)


def _expire(running: Running) -> None:
    from ambidex.asgi import stacks

    task = running.task
    if task is None or task.done():
        return
    running.is_expired = True
    running.was_answered = running.is_answered
    try:
        in_pools = [each for each in stacks.of_threads() if each.is_of_pool]
        running.stacks = [*stacks.of_task(task), *in_pools]
    finally:
        task.cancel()


def _nobody() -> None:
    pass
