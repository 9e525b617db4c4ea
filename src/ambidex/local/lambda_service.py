"""The Lambda service: starts environments as invocations need them, up to a limit, and ends them.

An invocation goes to an environment that is ready, else to a new one, else it is throttled: only
asynchronous invocations have a queue, as on AWS. But where an environment has
answered and not yet asked for the next event, the invocation waits a moment for it: on AWS that
moment is shorter than a client's way, here it is longer.

Source: lambda/latest/dg/lambda-concurrency.html, lambda/latest/dg/lambda-runtime-environment.html
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from ambidex.errors import AmbidexError
from ambidex.local.environment import Environment
from ambidex.local.event_queue import EventQueue, Retries
from ambidex.local.free_port import free_port
from ambidex.local.ids import request_id as new_request_id
from ambidex.local.init_phase import OVERRAN, InitFailure
from ambidex.local.invocation import Invocation, ThrottledError, failure
from ambidex.local.managed_instances import ManagedInstances, Times
from ambidex.local.posted_result import StreamLimits
from ambidex.local.process import CommandError
from ambidex.local.reaper import Reaper
from ambidex.local.variables import Function


class Limits(NamedTuple):
    """The service's times, in seconds, and what it takes of streamed results."""

    # Source: lambda/latest/dg/lambda-runtime-environment.html, "Init phase"
    init_s: float = 10
    # Of Managed Instances, or the time-out if that is longer.
    # Source: lambda/latest/dg/lambda-managed-instances-execution-environment.html, "Init phase"
    managed_init_s: float = 130
    # At least, with SnapStart; the function's time-out if that is more.
    snapshot_init_s: float = 130
    # The same page, "Restore phase"
    restore_s: float = 10
    # AWS does not say; environments have been seen to stay for some minutes.
    idle_s: float = 300
    # From a runtime's answer to its asking for the next event; background work takes longer.
    grace_s: float = 0.2  # on a busy machine a process may wait 50 ms for its turn
    retries: Retries = Retries()
    streams: StreamLimits = StreamLimits()
    has_timeouts: bool = True  # False while somebody debugs


class InitError(AmbidexError):
    """The first environment did not come up; the app's fault."""


class LambdaService:
    """One function and its environments.

    Args:
        function: what the environments run.
        reaper: ends processes should this one die.
        on_log: takes each line of the function's log.
        limits: the service's.

    Attributes:
        environments: those of an ordinary function.
        managed: those of Managed Instances; None of an ordinary function.
    """

    def __init__(
        self,
        function: Function,
        reaper: Reaper,
        on_log: Callable[[str], None],
        limits: Limits = Limits(),  # noqa: B008 – a frozen value
    ) -> None:
        self.function = function
        self.environments: set[Environment] = set()
        self._reaper = reaper
        self._on_log = on_log
        self._limits = limits
        self._owes_init = False  # of the next environment's init the first half is done
        self._ready: list[Environment] = []  # the one used last is at the end
        self._waiting: dict[Environment, Invocation] = {}
        self._outdated: set[Environment] = set()
        self._queue: deque[Invocation] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._events = EventQueue(
            self.invoke, function.arn, function.version, function.folder, limits.retries
        )
        self.managed = self._managed_instances() if function.max_concurrency else None
        self._spawn(self._scale_in())

    async def warm_up(self) -> None:
        """Start a first environment, so that what is wrong with the app shows at once.

        Raises:
            InitError: the app does not come up.
            CommandError: the command cannot be started.
        """
        if self.managed is not None:
            failed = await self.managed.warm_up()
        else:
            environment = self._new_environment()
            await environment.start()
            failed = await self._initialised(environment, self._init_s)
        if failed is None:
            return
        is_published = self.managed is not None or self.function.has_snapshots
        if failed.error_type == OVERRAN and not is_published:
            self._on_log(f"{failed.message}: it is done again within the first invocation")
            self._owes_init = True
            return
        raise InitError(
            f"the app does not start on Lambda: {failed.message}", "its own lines above say why"
        )

    def invoke(
        self,
        event: bytes,
        request_id: str = "",
        trace_id: str = "",
        client_context: str = "",
        takes_stream: bool = False,
    ) -> Invocation:
        """Start an invocation; it goes on by itself whether anybody waits for it or not.

        Args:
            event: JSON.
            request_id: one of AWS's, made here if it is empty.
            trace_id: the X-Ray header.
            client_context: JSON.
            takes_stream: whether the caller reads a result that is streamed, or leaves it.

        Returns:
            The invocation, whose `outcome` raises ThrottledError if there is nobody to take it.
        """
        invocation = Invocation(
            self._loop,
            request_id or new_request_id(),
            event,
            trace_id,
            client_context,
            takes_stream,
        )
        if self.managed is not None:
            self.managed.invoke(invocation)
            return invocation
        while self._ready:
            environment = self._ready.pop()
            if environment.is_ready:
                environment.deliver(invocation)
                return invocation
        latest_s = self._loop.time() - self._limits.grace_s
        if any(each.has_answered and each.answered_s > latest_s for each in self.environments):
            self._queue.append(invocation)
            self._loop.call_later(self._limits.grace_s, self._waited_long_enough, invocation)
        else:
            self._start(invocation)
        return invocation

    def enqueue(self, event: bytes, trace_id: str = "") -> str:
        """Queue an event for an asynchronous invocation, which is tried again if it fails.

        Args:
            event: JSON.
            trace_id: the X-Ray header.

        Returns:
            The request id.
        """
        return self._events.put(event, trace_id)

    def _waited_long_enough(self, invocation: Invocation) -> None:
        if invocation in self._queue:
            self._queue.remove(invocation)
            self._start(invocation)

    def _start(self, invocation: Invocation) -> None:
        starting = self._starting()
        if starting is not None:
            self._waiting[starting] = invocation
            self._spawn(self._await_init(starting, invocation))
        elif sum(not each.is_dying for each in self.environments) < self.function.concurrency:
            environment = self._new_environment()
            self._waiting[environment] = invocation
            self._spawn(self._cold_start(environment, invocation))
        else:
            invocation.throttle(
                ThrottledError(
                    f"all {self.function.concurrency} environments are at work",
                    "raise `concurrency` in [tool.ambidex.lambda]",
                )
            )

    def replace(self) -> None:
        """End the environments that wait, and those at work when they are done: the code is new."""
        if self.managed is not None:
            self.managed.replace()
        self._ready.clear()
        for environment in self.environments:
            if environment.is_ready:
                environment.stop()
            else:
                self._outdated.add(environment)

    async def close(self) -> None:
        """End everything; whoever waits for an environment is told."""
        queued = list(self._queue)
        self._queue.clear()  # else they would start environments while the others end
        await self._events.close()
        if self.managed is not None:
            await self.managed.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        ending = [environment.ended for environment in self.environments if environment.is_running]
        for environment in self.environments:
            environment.stop()
        await asyncio.gather(*ending)
        for invocation in (*queued, *self._waiting.values()):
            invocation.abandon()

    def _managed_instances(self) -> ManagedInstances:
        limits = self._limits
        init_s = max(limits.managed_init_s, self.function.timeout_s)
        times = Times(init_s, limits.idle_s, limits.grace_s, limits.has_timeouts)
        return ManagedInstances(self.function, self._reaper, self._on_log, times, limits.streams)

    def _new_environment(self) -> Environment:
        environment = Environment(
            self.function,
            free_port({each.port for each in self.environments}) if self.function.has_port else 0,
            self._reaper,
            self._on_log,
            self._on_ready,
            self._on_end,
            self._limits.has_timeouts,
            self._limits.restore_s,
            self._limits.streams,
        )
        self.environments.add(environment)
        return environment

    @property
    def _init_s(self) -> float:
        if self.function.has_snapshots:
            return max(self._limits.snapshot_init_s, self.function.timeout_s)
        return self._limits.init_s

    def _starting(self) -> Environment | None:
        for environment in self.environments - self._waiting.keys() - self._outdated:
            if not environment.init.is_over:
                return environment
        return None

    async def _cold_start(self, environment: Environment, invocation: Invocation) -> None:
        try:
            await environment.start()
        except CommandError as error:
            self._gave_up(
                environment, invocation, InitFailure("Runtime.InvalidEntrypoint", error.message)
            )
        else:
            if self._owes_init:
                self._owes_init = False
                await self._await_last_init(environment, invocation)
            else:
                await self._await_init(environment, invocation)

    async def _await_init(self, environment: Environment, invocation: Invocation) -> None:
        failed = await self._initialised(environment, self._init_s)
        if failed is None:
            return
        if self.function.has_snapshots:  # on AWS it would not have been published
            self._gave_up(environment, invocation, failed)
            return
        # Lambda inits once more, now as a part of the invocation and within its time-out.
        self._waiting.pop(environment, None)
        environment = self._new_environment()
        self._waiting[environment] = invocation
        try:
            await environment.start()
        except CommandError as error:
            failed = InitFailure("Runtime.InvalidEntrypoint", error.message)
            self._gave_up(environment, invocation, failed)
        else:
            await self._await_last_init(environment, invocation)

    async def _await_last_init(self, environment: Environment, invocation: Invocation) -> None:
        failed = await self._initialised(environment, self.function.timeout_s)
        if failed is not None:
            self._gave_up(environment, invocation, failed)

    def _gave_up(
        self, environment: Environment, invocation: Invocation, failed: InitFailure
    ) -> None:
        self._waiting.pop(environment, None)
        if not environment.is_running:  # else it goes when its process has ended
            self.environments.discard(environment)
        invocation.settle(failure(failed.error_type, failed.message))
        invocation.finish()

    async def _initialised(self, environment: Environment, limit_s: float) -> InitFailure | None:
        failed = await environment.init.wait(limit_s if self._limits.has_timeouts else None)
        if failed is not None:
            environment.stop()
        return failed

    def _on_ready(self, environment: Environment) -> None:
        invocation = self._waiting.pop(environment, None)
        if invocation is not None:
            environment.deliver(invocation)
        elif environment in self._outdated:
            environment.stop()
        elif self._queue:
            environment.deliver(self._queue.popleft())
        else:
            environment.ready_since = self._loop.time()
            self._ready.append(environment)

    def _on_end(self, environment: Environment) -> None:
        self.environments.discard(environment)
        self._outdated.discard(environment)
        if environment in self._ready:
            self._ready.remove(environment)

    async def _scale_in(self) -> None:
        while True:
            await asyncio.sleep(self._limits.idle_s / 4)
            latest = self._loop.time() - self._limits.idle_s
            for environment in list(self._ready):
                # A snapshot is kept; only what has been restored from it goes.
                if environment.ready_since < latest and not environment.is_snapshot:
                    self._ready.remove(environment)
                    environment.stop()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
