"""The environments of Managed Instances: each takes several invocations at once.

An invocation goes to the environment that has the fewest at work. It never starts one, but another
one is started by the side when the last place is taken, and an invocation that finds no place until
then is throttled. What differs from AWS, where there are three environments at least and none of
them on the machine of the client:

- One is enough here.
- A place is free when its invocation is answered, and its worker has yet to ask for the next event:
  an invocation waits a moment for that.
- Where no environment is up, after a crash or a change of the code, it waits for one.

Source: lambda/latest/dg/lambda-managed-instances-scaling.html
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from ambidex.local.free_port import free_port
from ambidex.local.init_phase import InitFailure
from ambidex.local.invocation import Invocation, ThrottledError, failure
from ambidex.local.managed_environment import ManagedEnvironment
from ambidex.local.posted_result import StreamLimits
from ambidex.local.process import CommandError
from ambidex.local.reaper import Reaper
from ambidex.local.variables import Function

# AWS keeps three, one in each of three availability zones; unless the user asks for another number.
_FEWEST = 1


class Times(NamedTuple):
    """How long things may take, in seconds."""

    init_s: float | None
    idle_s: float
    grace_s: float
    has_timeouts: bool


class ManagedInstances:
    """One function's environments.

    Args:
        function: what they run.
        reaper: ends processes should this one die.
        on_log: takes each line of the function's log.
        times: how long things may take.
        limits: for streamed results.
    """

    def __init__(
        self,
        function: Function,
        reaper: Reaper,
        on_log: Callable[[str], None],
        times: Times,
        limits: StreamLimits,
    ) -> None:
        self.environments: set[ManagedEnvironment] = set()
        self._function = function
        self._reaper = reaper
        self._on_log = on_log
        self._times = times
        self._limits = limits
        self._outdated: set[ManagedEnvironment] = set()
        self._queue: deque[Invocation] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._spawn(self._scale_in())

    async def warm_up(self) -> InitFailure | None:
        """Start a first environment.

        Returns:
            Why it did not come up; None if it did.

        Raises:
            CommandError: the command cannot be started.
        """
        environment = self._new_environment()
        await environment.start()
        return await self._initialised(environment)

    def invoke(self, invocation: Invocation) -> None:
        """Give an invocation to an environment, or throttle it."""
        serving = self._serving()
        ready = [each for each in serving if each.can_take]
        if ready:
            min(ready, key=lambda each: each.in_flight).deliver(invocation)
            self._scale_out()
        elif not serving:
            self._queue.append(invocation)
            if not self._is_starting():
                self._launch()
        elif self._has_place():
            self._queue.append(invocation)
            self._loop.call_later(self._times.grace_s, self._waited_long_enough, invocation)
            self._scale_out()
        else:
            self._throttle(invocation)
            self._scale_out()

    def replace(self) -> None:
        """End the environments, those at work when they are done: the code is new."""
        self._outdated |= self.environments
        for environment in self.environments:
            if environment.init.is_over and not environment.in_flight:
                environment.stop()
        self._launch()

    async def close(self) -> None:
        """End everything; what is at work has the time that Lambda gives it."""
        for invocation in self._queue:
            invocation.abandon()
        self._queue.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        ending = [environment.ended for environment in self.environments if environment.is_running]
        for environment in self.environments:
            environment.stop()
        await asyncio.gather(*ending)

    def _serving(self) -> list[ManagedEnvironment]:
        return [each for each in self.environments - self._outdated if each.is_serving]

    def _has_place(self) -> bool:
        """Whether there is one that is neither taken nor waited for."""
        return sum(each.places for each in self._serving()) > len(self._queue)

    def _is_starting(self) -> bool:
        return any(not each.init.is_over for each in self.environments - self._outdated)

    def _waited_long_enough(self, invocation: Invocation) -> None:
        # Where none is serving any more it waits for the one that is being started.
        if invocation in self._queue and self._serving():
            self._queue.remove(invocation)
            self._throttle(invocation)

    def _throttle(self, invocation: Invocation) -> None:
        serving, most = self._serving(), self._function.concurrency
        at_work = sum(each.in_flight for each in serving)
        hint = "raise `concurrency` in [tool.ambidex.lambda]"
        if len(serving) < most:
            hint = "another one is started when all places are taken"
        count = f"{len(serving)} of at most {most}"
        message = f"all environments are full, {count}, with {at_work} invocations"
        invocation.throttle(ThrottledError(message, hint))

    def _scale_out(self) -> None:
        count = sum(not each.is_dying for each in self.environments)
        is_enough = self._has_place() or count >= self._function.concurrency
        if not is_enough and not self._is_starting():
            self._launch()

    def _launch(self) -> None:
        environment = self._new_environment()
        self._spawn(self._start(environment))

    async def _start(self, environment: ManagedEnvironment) -> None:
        try:
            await environment.start()
        except CommandError as error:
            self.environments.discard(environment)
            failed: InitFailure | None = InitFailure("Runtime.InvalidEntrypoint", error.message)
        else:
            failed = await self._initialised(environment)
        if failed is not None and not self._serving() and not self._is_starting():
            for invocation in self._queue:
                invocation.settle(failure(failed.error_type, failed.message))
                invocation.finish()
            self._queue.clear()

    async def _initialised(self, environment: ManagedEnvironment) -> InitFailure | None:
        limit_s = self._times.init_s if self._times.has_timeouts else None
        failed = await environment.init.wait(limit_s)
        if failed is not None:
            environment.stop()
        return failed

    def _new_environment(self) -> ManagedEnvironment:
        ports = {each.port for each in self.environments}
        environment = ManagedEnvironment(
            self._function,
            free_port(ports) if self._function.has_port else 0,
            self._reaper,
            self._on_log,
            self._on_change,
            self._on_end,
            self._times.has_timeouts,
            self._limits,
        )
        self.environments.add(environment)
        return environment

    def _on_change(self, environment: ManagedEnvironment) -> None:
        if environment in self._outdated:
            if environment.init.is_over and not environment.in_flight:
                environment.stop()
            return
        while self._queue and environment.can_take:
            environment.deliver(self._queue.popleft())
            self._scale_out()

    def _on_end(self, environment: ManagedEnvironment) -> None:
        self.environments.discard(environment)
        self._outdated.discard(environment)
        # One that does not even come up is started again when somebody asks for it.
        has_served = environment.init.has_succeeded
        is_missed = len(self._serving()) < _FEWEST and not self._is_starting()
        if environment.has_crashed and has_served and is_missed:
            self._launch()

    async def _scale_in(self) -> None:
        while True:
            await asyncio.sleep(self._times.idle_s / 4)
            latest = self._loop.time() - self._times.idle_s
            idle = [
                each for each in self._serving() if not each.in_flight and each.idle_since < latest
            ]
            for environment in idle[: max(0, len(self._serving()) - _FEWEST)]:
                environment.stop()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
