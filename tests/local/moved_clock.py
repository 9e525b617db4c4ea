"""An event loop whose clock the test moves, and which tells what is planned."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVarTuple

Args = TypeVarTuple("Args")


class MovedClock(asyncio.SelectorEventLoop):
    """Its time is the real one and what the test adds to it."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_s = 0.0
        self._timers: list[tuple[tuple[Any, ...], asyncio.TimerHandle]] = []

    def time(self) -> float:
        """The loop's clock."""
        return super().time() + self.ahead_s

    def call_at(
        self,
        when: float,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Every timer is made here."""
        timer = super().call_at(when, callback, *args, context=context)
        self._timers.append((args, timer))
        return timer

    def planned(self, *args: Any) -> list[asyncio.TimerHandle]:
        """The timers that are to come and call something with these arguments."""
        now_s = self.time()
        return [
            timer
            for given, timer in self._timers
            if given == args and not timer.cancelled() and timer.when() > now_s
        ]


async def turns() -> None:
    """Let what is due happen."""
    for _ in range(10):
        await asyncio.sleep(0)


def run(main: Callable[[MovedClock], Coroutine[Any, Any, None]]) -> None:
    """Run a test on such a loop."""
    clock = MovedClock()
    with asyncio.Runner(loop_factory=lambda: clock) as runner:
        runner.run(main(clock))
