"""The watchdog: a thread that answers, and ends the process, where the event loop cannot.

It has its own connection, for the loop's may be half-way in a request. What the loop has begun to
post, and the kernel has not taken whole, it posts in the loop's place.

With Managed Instances other events are at work in the process: there it posts the answer and lets
the process be, unless the loop stands still and all its events are late.
"""

import _thread
import logging
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from math import inf
from time import time

from ambidex.log import context
from ambidex.runtime.deadline import Deadlines, Running
from ambidex.runtime.invocation import Function
from ambidex.runtime.messages import PeerError, Reply

logger = logging.getLogger("ambidex")

# Less than the shortest time-out of a function: no event is late before the first look. One that
# came in the middle of an init's second try wakes the watchdog.
_FIRST_LOOK_S = 0.5
# Where Lambda's deadline is so near, a post gets at least this long.
_POST_S = 0.1
_READ_BYTES = 64 * 1024


def leave(status: int) -> None:
    """End the process at once, whatever its threads do; what the app has printed is written."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(status)


class Watchdog:
    """The thread, and what it does about late events.

    Args:
        deadlines: the events at work.
        function: the app and its settings.
        leave: ends the process with a status.
        clock: tells the Unix time in seconds.
    """

    def __init__(
        self,
        deadlines: Deadlines,
        function: Function,
        leave: Callable[[int], None] = leave,
        clock: Callable[[], float] = time,
    ) -> None:
        self._deadlines = deadlines
        self._function = function
        self._leave = leave
        self._clock = clock
        self._sleep = _thread.allocate_lock()
        self._sleep.acquire()

    def start(self) -> None:
        """Start the thread, without waiting until it runs."""
        self._deadlines.wake = self._wake
        self._deadlines.looks_s = self._clock() + _FIRST_LOOK_S
        # Not threading.Thread, which waits for it, and so for a turn of the interpreter.
        _thread.start_new_thread(self._run, ())

    def look(self) -> float:
        """Deal with late events.

        Returns:
            When to look again, as Unix time in seconds.
        """
        now = self._clock()
        running = list(self._deadlines.running)  # in one step, for the loop changes it
        if not running:
            self._note_own_threads()
        next_s = now + min(self._deadlines.span_s, 60)
        for each in running:
            if each.is_late:
                continue
            if each.late_s <= now:
                self._late(each)
            else:
                next_s = min(next_s, each.late_s)
        return next_s

    def _run(self) -> None:
        self._sleep.acquire(timeout=_FIRST_LOOK_S)
        while True:
            self._deadlines.looks_s = inf  # an event that comes now may have been overlooked
            looks_s = self.look()
            self._deadlines.looks_s = looks_s
            self._sleep.acquire(timeout=max(looks_s - self._clock(), 0))

    def _wake(self) -> None:
        if self._sleep.locked():
            self._sleep.release()

    def _note_own_threads(self) -> None:
        from ambidex.asgi.stacks import at_work_in_pools

        self._deadlines.own_threads = at_work_in_pools()

    def _late(self, running: Running) -> None:
        is_stuck = not running.is_expired  # the loop's own turn was long ago
        if self._deadlines.is_alone and self._deadlines.running.pop(running, running) is not None:
            return  # it has ended in this moment
        running.is_late = True
        is_over = self._deadlines.is_alone
        try:
            outcome = self._post(running)
            is_over = is_over or self._is_nobody_left()
            self._log(running, is_stuck, f"{outcome}{', and the process ends' * is_over}")
        finally:
            if is_over:
                self._leave(1)

    def _log(self, running: Running, is_stuck: bool, outcome: str) -> None:
        from ambidex.asgi import stacks

        where = stacks.of_threads()
        if not is_stuck and running.task is not None:
            where = [*stacks.of_task(running.task), *where]
        invocation = running.invocation
        assert invocation is not None
        context.enter(invocation.request_id, invocation.trace_id, invocation.tenant_id)
        logger.error(
            "the app %s, and did not end in time: %s. It was here:\n%s",
            "blocks the event loop" if is_stuck else "could not be cancelled",
            outcome,
            stacks.rendered(where),
        )

    def _is_nobody_left(self) -> bool:
        """Whether the loop stands still, and what could be done for its events has been done."""
        running = list(self._deadlines.running)
        if not all(each.is_late for each in running) or all(each.is_expired for each in running):
            return False
        for each in running:  # so that the loop, should it go on now, asks for no other event
            self._deadlines.running.pop(each, None)
        return True

    def _post(self, running: Running) -> str:
        """Post what there is to post; what has become of it."""
        assert running.invocation is not None
        assert running.connection is not None
        host = running.connection.host
        if running.claim():
            from ambidex.runtime.too_late import post_request

            request, outcome = post_request(host, self._function, running.invocation), "a 504"
        else:
            request, outcome = running.connection.unsent, "its response"
            if not running.is_answered:
                return "its response is cut off"
            if not request:
                return "its response is sent"
        try:
            reply = post(host, request, max(running.ends_s - self._clock(), _POST_S))
        except (OSError, PeerError) as error:
            return f"{outcome} could not be posted ({error})"
        if reply.status != 202:
            return f"{outcome} was refused ({reply.status})"
        return f"{outcome} is the answer" if outcome == "a 504" else f"{outcome} is sent"


def post(host: str, request: bytes, timeout_s: float) -> Reply:
    """Send a request to the Runtime API on a connection of its own, and wait for its answer.

    Raises:
        OSError: nobody answers, or not in time.
        PeerError: what answers is not the Runtime API.
    """
    name, _, port = host.rpartition(":")
    from ambidex.runtime.reply_parser import ReplyParser

    parser = ReplyParser()
    with socket.create_connection((name.strip("[]"), int(port)), timeout_s) as connection:
        connection.sendall(request)
        while True:
            data = connection.recv(_READ_BYTES)
            reply = parser.feed(data) if data else parser.end()
            if reply is not None:
                return reply
            if not data:
                raise PeerError("the Runtime API closed the connection unanswered")
