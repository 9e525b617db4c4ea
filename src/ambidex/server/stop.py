"""From the signal to the end, in the time that ECS gives.

ECS sends SIGTERM, and SIGKILL once the stop time-out is over, whether or not the load balancer has
noticed. uvicorn alone stops listening at the signal, and what the balancer still sends is lost.
Here the signal moves the server through these stages:

| stage | what happens | SIGTERM | SIGINT | drain is over |
|---|---|---|---|---|
| serving | | draining | stopping | – |
| draining | all is served on, the health check fails | stopping | stopping | stopping |
| stopping | requests under way finish, in the time there is | – | forced | – |
| forced | requests under way are dropped | – | – | – |

Source: AmazonECS/latest/developerguide/task-lifecycle-explanation.html
"""

import asyncio
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from enum import Enum
from threading import Timer
from types import FrameType

import uvicorn

from ambidex.server.drain import Drain

logger = logging.getLogger("ambidex")

# What is kept back of the time that is left when the requests are given theirs: for uvicorn, which
# looks every 0.1 s, and for the lifespan's shutdown.
_RESERVE_S = 5.0
# So long before SIGKILL the process leaves by itself.
_EXIT_S = 0.25


class Stage(Enum):
    """How far the stop is."""

    SERVING = "serving"
    DRAINING = "draining"
    STOPPING = "stopping"
    FORCED = "forced"


NEXT: dict[tuple[Stage, int], Stage] = {
    (Stage.SERVING, signal.SIGTERM): Stage.DRAINING,
    (Stage.SERVING, signal.SIGINT): Stage.STOPPING,
    (Stage.DRAINING, signal.SIGTERM): Stage.STOPPING,
    (Stage.DRAINING, signal.SIGINT): Stage.STOPPING,
    (Stage.STOPPING, signal.SIGINT): Stage.FORCED,
}


def for_requests_s(left_s: float) -> float:
    """Seconds that requests under way get of those that are left."""
    return max(left_s - min(_RESERVE_S, left_s / 2), 0.0)


class DrainingServer(uvicorn.Server):
    """uvicorn, but for what a signal means.

    Args:
        config: its configuration.
        drain: the app that drains.
        drain_s: seconds it serves on after SIGTERM.
        stop_timeout_s: seconds from the first signal to SIGKILL.
    """

    def __init__(
        self, config: uvicorn.Config, drain: Drain, drain_s: float, stop_timeout_s: float
    ) -> None:
        super().__init__(config)
        self._drain = drain
        self._drain_s = drain_s
        self._stop_timeout_s = stop_timeout_s
        self._stage = Stage.SERVING
        self._end_s = 0.0  # when it has to be gone, from the first signal on

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal; not as uvicorn, which raises it again at its end, for a status of 143."""
        stage = NEXT.get((self._stage, sig))
        if stage is Stage.FORCED:
            self._enter(stage)
        elif stage is not None:
            # Logging and threads are for the loop: a signal may come in the middle of either.
            loop = asyncio.get_running_loop()
            if self._stage is Stage.SERVING:
                self._end_s = time.monotonic() + self._stop_timeout_s - _EXIT_S
                loop.call_soon_threadsafe(_leave_at, self._end_s)
            loop.call_soon_threadsafe(self._signalled, signal.Signals(sig).name, stage)
            self._enter(stage)

    def _enter(self, stage: Stage) -> None:
        self._stage = stage
        if stage is Stage.DRAINING:
            self._drain.is_on = True
        elif stage is Stage.STOPPING:
            left_s = for_requests_s(self._end_s - time.monotonic())
            self.config.timeout_graceful_shutdown = left_s  # type: ignore[assignment]  # asyncio.wait_for takes floats
            self.should_exit = True
        else:
            self.force_exit = True

    def _signalled(self, name: str, stage: Stage) -> None:
        if stage is Stage.DRAINING:
            logger.info("%s: draining for %g s", name, self._drain_s)
            asyncio.get_running_loop().call_later(self._drain_s, self._drained)
        else:
            logger.info("%s: stopping", name)

    def _drained(self) -> None:
        if self._stage is Stage.DRAINING:
            self._enter(Stage.STOPPING)


def _leave_at(end_s: float) -> None:
    """End the process at a time, whatever the app still does.

    A thread cannot be cancelled, and Python waits for it at its end; SIGKILL would come first.
    """
    timer = Timer(end_s - time.monotonic(), _leave)
    timer.daemon = True
    timer.start()


def _leave() -> None:
    logger.warning("leaving before SIGKILL, though the app's shutdown, a task or a thread goes on")
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(0)
