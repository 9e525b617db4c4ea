"""An execution environment of Managed Instances: one copy of the app, several events at once.

It is never frozen. A time-out is the invocation's alone: its caller is told, and the code goes on.
Nor is the environment reset after an error; one whose process ends is replaced.

Source: lambda/latest/dg/lambda-managed-instances-execution-environment.html
"""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

from ambidex.local import (
    environment_process,
    extensions_api,
    managed_runtime_api,
    platform_events,
    posted_result,
    report,
    runtime_api,
    runtime_api_server,
)
from ambidex.local.attempt import new_attempt
from ambidex.local.extensions_api import Extensions
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.http1.messages import PeerError
from ambidex.local.init_phase import InitPhase
from ambidex.local.invocation import Invocation, failure
from ambidex.local.managed_runtime_api import AttemptState, State, TimedOut
from ambidex.local.posted_result import StreamLimits
from ambidex.local.process import Process
from ambidex.local.reaper import Reaper
from ambidex.local.runtime_api import Answer, Attempt, Call
from ambidex.local.runtime_api_server import (
    error_message,
    header_text,
    reported_error,
    respond,
)
from ambidex.local.variables import Function

if TYPE_CHECKING:
    from ambidex.local.http1.server import Server

# From a result that breaks off to the exit of the process, which is the better reason if it comes:
# a worker may have died alone.
_EXIT_S = 0.5


class _Running:
    """An attempt that is at work."""

    __slots__ = ("attempt", "invocation", "state", "timer")

    def __init__(self, invocation: Invocation, attempt: Attempt) -> None:
        self.invocation = invocation
        self.attempt = attempt
        self.state = AttemptState.RUNNING
        self.timer: asyncio.TimerHandle | None = None


class ManagedEnvironment:
    """One environment; `start` it, `deliver` events to it, `stop` it.

    Args:
        function: what it runs.
        port: what `{port}` in the function's command is.
        reaper: ends its process should this one die.
        on_log: takes each line of its log.
        on_change: called when it waits for one more event, or has one less at work.
        on_end: called when its process has ended.
        has_timeouts: False while somebody debugs.
        limits: for streamed results.
    """

    def __init__(
        self,
        function: Function,
        port: int,
        reaper: Reaper,
        on_log: Callable[[str], None],
        on_change: Callable[["ManagedEnvironment"], None],
        on_end: Callable[["ManagedEnvironment"], None],
        has_timeouts: bool,
        limits: StreamLimits,
    ) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self.state = State.INIT
        self.init = InitPhase(self._init_failed)
        self.ended: asyncio.Future[None] = loop.create_future()
        self.idle_since = 0.0  # by the loop's clock
        self.has_crashed = False
        self.is_dying = False
        self.port = port
        self._function = function
        self._extensions = Extensions(function.metadata, offered=())
        self._reaper = reaper
        self._on_log = on_log
        self._on_change = on_change
        self._on_end = on_end
        self._has_timeouts = has_timeouts
        self._limits = limits
        # Calls for the next event that are held, in their order; done when one is answered.
        self._waiting: dict[ServerExchange, asyncio.Future[None]] = {}
        self._running: dict[str, _Running] = {}
        self._timed_out = TimedOut()
        self._watcher: asyncio.Task[None] | None = None
        self._process: Process | None = None
        self._server: Server | None = None

    async def start(self) -> None:
        """Start the process and its Runtime API.

        Raises:
            CommandError: the command cannot be started.
        """
        self._process, self._server = await environment_process.start(
            self._function, self.port, self._answer, self._line, self._reaper
        )
        self._watcher = asyncio.create_task(self._watch(self._process))

    @property
    def pid(self) -> int:
        """The id of its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def runtime_api_port(self) -> int:
        """Where its Runtime API is."""
        assert self._server is not None
        return self._server.port

    @property
    def is_running(self) -> bool:
        """Whether it has a process that has not ended."""
        return self._process is not None and not self.ended.done()

    @property
    def is_serving(self) -> bool:
        """Whether its init is over and its end has not begun."""
        return self.init.has_succeeded and not self.is_dying

    @property
    def in_flight(self) -> int:
        """How many invocations it has at work."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many calls for the next event it holds."""
        return sum(not each.is_disconnected for each in self._waiting)

    @property
    def places(self) -> int:
        """How many more it may have, whether its runtime waits for them or not."""
        return self._function.max_concurrency - len(self._running)

    @property
    def can_take(self) -> bool:
        """Whether it may have another one, and its runtime waits for it."""
        return self.is_serving and self.places > 0 and self.waiting > 0

    def deliver(self, invocation: Invocation) -> None:
        """Give it an event that it can take; its invocation is settled and finished in any case."""
        # A worker that has died asks for nothing.
        exchange = next(each for each in self._waiting if not each.is_disconnected)
        running = _Running(
            invocation, new_attempt(invocation, self._function, has_timeouts=self._has_timeouts)
        )
        self._running[invocation.request_id] = running
        invocation.started = perf_counter()
        self._line(platform_events.start(invocation.request_id, self._function.version))
        if self._has_timeouts:
            timeout_s = self._function.timeout_s
            running.timer = self._loop.call_later(timeout_s, self._time_out, running)
        respond(exchange, runtime_api.event_answer(running.attempt))
        self._waiting.pop(exchange).set_result(None)

    def stop(self) -> None:
        """End it: at once, or where an extension is registered by SIGTERM and, later, SIGKILL.

        What is at work has the time between the two, and results are taken to the end.
        """
        self.is_dying = True
        if self._process is not None:
            environment_process.stop(self._process, self._extensions)

    async def _watch(self, process: Process) -> None:
        status = await process.ended()
        self.has_crashed = not self.is_dying
        if self.is_dying:
            self._on_log = _unheard  # it was told to end: that it has is no news
        self.is_dying = True
        assert self._server is not None
        self._server.abort()
        await self._server.closed()
        kind = self._extensions.error_type or "Runtime.ExitError"
        message = f"Runtime exited {report.exit_reason(status)}"
        if not self.init.is_over:
            self.init.fail(kind, message)
        for running in list(self._running.values()):
            self._fail(running, kind, message, "error")
        self.ended.set_result(None)
        self._on_end(self)

    def _init_failed(self, milliseconds: float, status: str, kind: str) -> None:
        self._line(platform_events.init_report(milliseconds, status, kind))

    def _time_out(self, running: _Running) -> None:
        self._timed_out.add(running.invocation.request_id)
        message = f"Task timed out after {self._function.timeout_s:.2f} seconds"
        self._fail(running, "Sandbox.Timedout", message, "timeout")
        self._changed()

    def _fail(self, running: _Running, kind: str, message: str, status: str) -> None:
        request_id = running.invocation.request_id
        running.invocation.settle(failure(kind, f"RequestId: {request_id} Error: {message}"))
        self._finish(running, status, kind)

    def _finish(self, running: _Running, status: str, error_type: str) -> None:
        """An invocation is over: its place is free."""
        if running.timer is not None:
            running.timer.cancel()
        assert self._process is not None
        self._process.take_lines()
        invocation = running.invocation
        duration_ms = (perf_counter() - invocation.started) * 1000
        line = platform_events.report(invocation.request_id, duration_ms, status, error_type)
        self._line(line)
        del self._running[invocation.request_id]
        invocation.finish()

    def _changed(self) -> None:
        if not self._running:
            self.idle_since = self._loop.time()
        self._on_change(self)

    def _line(self, text: str) -> None:
        for request_id, running in self._running.items():
            # One that names no request can only be told to be somebody's where there is one.
            if request_id in text or (len(self._running) == 1 and "requestId" not in text):
                running.invocation.log(text)
        self._on_log(text)

    async def _answer(self, exchange: ServerExchange) -> None:
        extension_call = extensions_api.parse_call(exchange.head.method, exchange.head.target)
        if extension_call is not None:
            await runtime_api_server.answer_extension(
                exchange, extension_call, self._extensions, self._asked
            )
            return
        parsed = runtime_api.parse_call(exchange.head.method, exchange.head.target)
        # None of them starts from a snapshot.
        if parsed is None or parsed[0] in runtime_api.OF_SNAPSHOTS:
            respond(exchange, runtime_api.refused(404, "NotFound", "there is no such call"))
            return
        call, request_id = parsed
        if call is Call.PING:
            respond(exchange, runtime_api.PONG)
        elif call in {Call.RESULT, Call.ERROR}:
            await self._result(exchange, call, request_id)
        elif (self.state, call) not in managed_runtime_api.TRANSITIONS:
            respond(exchange, runtime_api.wrong_state(call, self.state.value))
        elif call is Call.NEXT:
            await self._next_event(exchange)
        else:
            await self._init_error(exchange)

    async def _next_event(self, exchange: ServerExchange) -> None:
        if self.waiting >= self._function.max_concurrency:
            respond(exchange, managed_runtime_api.TOO_MANY_NEXT)
            return
        self.state = managed_runtime_api.TRANSITIONS[self.state, Call.NEXT]
        self._extensions.is_open = False
        self._waiting[exchange] = is_answered = self._loop.create_future()
        self._asked()
        await asyncio.wait(
            {is_answered, exchange.disconnected}, return_when=asyncio.FIRST_COMPLETED
        )
        self._waiting.pop(exchange, None)

    def _asked(self) -> None:
        """A worker or an extension asks for an event; the init is over when each kind has."""
        is_ready = self.state is State.READY and self._extensions.are_ready
        if is_ready and not self.init.is_over:
            self._line(platform_events.init_report(self.init.milliseconds()))
            for registered in self._extensions.registered:
                self._line(platform_events.extension(registered))
            self.init.succeed()
        self._changed()

    async def _init_error(self, exchange: ServerExchange) -> None:
        self.state = managed_runtime_api.TRANSITIONS[self.state, Call.INIT_ERROR]
        self.init.fail(*await reported_error(exchange))

    async def _result(self, exchange: ServerExchange, call: Call, request_id: str) -> None:
        running = self._running.get(request_id)
        refusal = self._refusal(running, call, request_id, exchange)
        if running is None or refusal is not None:
            respond(exchange, refusal or managed_runtime_api.INVALID_REQUEST_ID)
            return
        running.state = managed_runtime_api.ATTEMPT_TRANSITIONS[running.state, call]
        try:
            received = await posted_result.receive(exchange, call, running.invocation, self._limits)
        except PeerError as error:
            await self._broke_off(running, request_id, error.message)
            raise
        if received.broken is not None:
            await self._broke_off(running, request_id, error_message(received.broken.payload))
            respond(exchange, received.answer)
            return
        if self._running.get(request_id) is not running:  # it has ended while it was being posted
            refusal = self._refusal(None, call, request_id, exchange)
            respond(exchange, refusal or managed_runtime_api.INVALID_REQUEST_ID)
            return
        respond(exchange, received.answer)
        error_type = running.invocation.outcome.result().final.error_type
        self._finish(running, "error" if error_type else "success", error_type)
        self._changed()

    async def _broke_off(self, running: _Running, request_id: str, message: str) -> None:
        await asyncio.wait({self.ended}, timeout=_EXIT_S)
        if self._running.get(request_id) is running:
            self._fail(running, "Runtime.TruncatedResponse", message, "error")
            self._changed()

    def _refusal(
        self, running: _Running | None, call: Call, request_id: str, exchange: ServerExchange
    ) -> Answer | None:
        if running is None:
            is_late = self._timed_out.take(request_id)
            state = AttemptState.TIMED_OUT if is_late else AttemptState.UNKNOWN
            return managed_runtime_api.refusal(state, call)
        # The same request may be tried again while an attempt that took too long is still at work.
        given = header_text(exchange, b"lambda-runtime-invocation-id")
        if given and given != running.attempt.invocation_id:
            return managed_runtime_api.INVOKE_TIMEOUT
        return managed_runtime_api.refusal(running.state, call)


def _unheard(_: str) -> None:
    pass
