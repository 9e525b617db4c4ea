"""The ECS service: keeps a number of tasks running, and the load balancer's target group told.

A task that ends is replaced, with growing pauses while new ones end at once; a task that fails its
health checks is stopped, SIGTERM first and SIGKILL after the stop time-out, and replaced.

Source: AmazonECS/latest/developerguide/service-concepts.html,
AmazonECS/latest/developerguide/service-throttle-logic.html
"""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ambidex.errors import AmbidexError
from ambidex.local import process
from ambidex.local.free_port import HOST, free_port
from ambidex.local.process import CommandError, Process
from ambidex.local.reaper import Reaper
from ambidex.local.target_group import NOT_LISTENING, State, Target, TargetGroup

_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 15.0
# A task that does not listen by then may just be slow; who waits is told all the same.
_PATIENCE_S = 10.0
# At the end of `up` nobody is served any more: what is not gone by then is killed.
_END_S = 3.0


class TaskDefinition(NamedTuple):
    """What a task runs."""

    command: tuple[str, ...]  # {host} and {port} are filled in
    folder: Path
    environ: Callable[[str, int], dict[str, str]]
    stop_timeout_s: float
    has_timeouts: bool = True  # False while somebody debugs


class TaskError(AmbidexError):
    """The first task did not come up; the app's fault."""


class _Task:
    def __init__(self, running: Process, target: Target) -> None:
        self.process = running
        self.target = target


class EcsService:
    """One service and its tasks.

    Args:
        definition: what a task runs.
        count: how many tasks there shall be.
        group: where they are registered.
        reaper: ends processes should this one die.
        on_log: takes each line of the tasks' logs.
        on_event: takes what the service itself has to say.
        patience_s: how long the first tasks may take to listen before that is said.
    """

    def __init__(
        self,
        definition: TaskDefinition,
        count: int,
        group: TargetGroup,
        reaper: Reaper,
        on_log: Callable[[str], None],
        on_event: Callable[[str], None],
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._definition = definition
        self._count = count
        self._group = group
        self._reaper = reaper
        self._on_log = on_log
        self._on_event = on_event
        self._patience_s = patience_s
        self._tasks: set[_Task] = set()
        self._starting: set[int] = set()  # ports of tasks that are not there yet
        self._keepers: set[asyncio.Task[None]] = set()
        self._stopping: set[asyncio.Task[None]] = set()

    @property
    def pids(self) -> list[int]:
        """The process ids of the tasks there are."""
        return [task.process.pid for task in self._tasks]

    async def start(self) -> None:
        """Start the tasks, and wait until all are healthy.

        Raises:
            TaskError: a task ended before it was healthy, or fails its health checks.
            CommandError: the command cannot be started.
        """
        first = [await self._run() for _ in range(self._count)]
        healthy = asyncio.create_task(self._group.healthy(self._count))
        ends = [asyncio.create_task(task.process.ended()) for task in first]
        sick = [
            asyncio.create_task(self._group.reached(task.target, State.UNHEALTHY)) for task in first
        ]
        waiters = {healthy, *ends, *sick}
        try:
            done, _ = await asyncio.wait(
                waiters, timeout=self._patience_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                self._say_who_does_not_listen(first)
                done, _ = await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()
        for end in ends:
            if end in done:
                raise TaskError(
                    f"the app does not start on ECS: a task {_how(end.result())} before it was "
                    "healthy",
                    "its own lines above say why",
                )
        for task, watch in zip(first, sick, strict=True):
            if watch in done:
                raise TaskError(
                    f"the app does not become healthy on ECS: GET {self._group.check.path}: "
                    f"{task.target.reason}",
                    "name a path that answers 200 as `health-path` in [tool.ambidex.ecs]",
                )
        for task in first:
            self._keep(task)

    def _say_who_does_not_listen(self, tasks: list[_Task]) -> None:
        names_port = any("{port}" in part for part in self._definition.command)
        hint = (
            "" if names_port else ": if `command` in [tool.ambidex.ecs] takes a port, name {port}"
        )
        for task in tasks:
            if task.target.reason == NOT_LISTENING:
                where = f"{task.target.host}:{task.target.port}"
                self._on_event(
                    f"nothing listens on {where} after {self._patience_s:g} s, where a task "
                    f"should{hint}"
                )

    async def replace(self) -> None:
        """Put new tasks in the place of all there are, for the code is new.

        The old ones serve until the new ones are healthy, or have shown that they will not be.
        """
        outdated = list(self._tasks)
        keepers = list(self._keepers)
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        fresh = []
        for _ in range(self._count):
            task = await self._started()
            self._keep(task)
            fresh += [task] if task else []
        for task in fresh:
            await self._group.settled(task.target)
        for task in outdated:
            self._deregister(task)
            self._spawn(self._stopping, self._retire(task))

    async def close(self) -> None:
        """End all tasks; nothing is drained, for the load balancer is gone."""
        for worker in (*self._keepers, *self._stopping):
            worker.cancel()
        await asyncio.gather(*self._keepers, *self._stopping, return_exceptions=True)
        # SIGINT is "stop now" to uvicorn and its kin, where SIGTERM may mean to drain first. A task
        # that still starts has nothing to shut down.
        ends = [
            self._end(task, signal.SIGINT if task.target.was_healthy else signal.SIGKILL, _END_S)
            for task in self._tasks
        ]
        await asyncio.gather(*ends)

    async def _run(self) -> _Task:
        port = free_port({task.target.port for task in self._tasks} | self._starting)
        self._starting.add(port)
        command = [
            part.replace("{host}", HOST).replace("{port}", str(port))
            for part in self._definition.command
        ]
        starting = asyncio.create_task(
            process.start(
                command,
                self._definition.folder,
                self._definition.environ(HOST, port),
                self._on_log,
                self._reaper,
            )
        )
        try:
            running = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # A process that has been started has to be ended, whoever waits for it no longer.
            running = await starting
            running.signal(signal.SIGKILL)
            await running.ended()
            raise
        finally:
            self._starting.discard(port)
        task = _Task(running, self._group.register(HOST, port))
        self._tasks.add(task)
        return task

    async def _started(self) -> _Task | None:
        try:
            return await self._run()
        except CommandError as error:
            self._on_event(f"no task can be started: {error.message}")
            return None

    def _keep(self, task: _Task | None) -> None:
        self._spawn(self._keepers, self._keep_one(task))

    async def _keep_one(self, task: _Task | None) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            if task is not None:
                how = await self._over(task)
                self._on_event(f"a task {how}, another one takes its place")
            if task is not None and task.target.was_healthy:
                pause_s = _FIRST_PAUSE_S
            else:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            task = await self._started()

    async def _over(self, task: _Task) -> str:
        """Wait until a task has ended, or has to be replaced; how it went."""
        ended = asyncio.create_task(task.process.ended())
        watch = asyncio.create_task(self._unhealthy(task))
        try:
            await asyncio.wait({ended, watch}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            watch.cancel()
            if not ended.done():
                ended.cancel()
        self._deregister(task)
        if ended.done() and not ended.cancelled():
            self._tasks.discard(task)
            return _how(ended.result())
        stop = self._end(task, signal.SIGTERM, self._definition.stop_timeout_s)
        self._spawn(self._stopping, stop)
        return f"failed its health checks ({task.target.reason})"

    async def _unhealthy(self, task: _Task) -> None:
        await self._group.reached(task.target, State.UNHEALTHY)
        if not self._definition.has_timeouts:
            await asyncio.get_running_loop().create_future()

    def _deregister(self, task: _Task) -> None:
        if task.target in self._group.targets:
            self._group.deregister(task.target)

    async def _retire(self, task: _Task) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._definition.stop_timeout_s):
                await task.target.drained()
        await self._end(task, signal.SIGINT, _END_S)

    async def _end(self, task: _Task, number: signal.Signals, limit_s: float) -> None:
        task.process.signal(number)
        try:
            async with asyncio.timeout(limit_s):
                await task.process.ended()
        except TimeoutError:
            task.process.signal(signal.SIGKILL)
            await task.process.ended()
        self._tasks.discard(task)

    def _spawn(self, owner: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        running = asyncio.create_task(work)
        owner.add(running)
        running.add_done_callback(owner.discard)


def _how(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    return f"ended by {signal.Signals(-status).name}"
