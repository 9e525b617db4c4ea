"""An execution environment: one copy of the app, its Runtime API, and one event at a time.

It is frozen from the moment when its runtime and its extensions have asked for the next event
until one comes. Where no extension is registered it is killed without a signal it could catch.

With SnapStart its first freeze is its snapshot: where its runtime has asked to be restored, or else
where it has asked for its first event.

Source: lambda/latest/dg/lambda-runtime-environment.html
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

from ambidex.local import (
    credentials,
    environment_process,
    extensions_api,
    posted_result,
    report,
    runtime_api,
    runtime_api_server,
)
from ambidex.local.attempt import new_attempt
from ambidex.local.environment_process import SHUTDOWN_S
from ambidex.local.extensions_api import Extensions
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.http1.messages import PeerError
from ambidex.local.ids import hex_id
from ambidex.local.init_phase import InitPhase
from ambidex.local.invocation import Invocation, Outcome, failure
from ambidex.local.posted_result import StreamLimits
from ambidex.local.process import Process
from ambidex.local.reaper import Reaper
from ambidex.local.restore import Restore
from ambidex.local.runtime_api import Answer, Attempt, Call, State
from ambidex.local.runtime_api_server import header_text, reported_error, respond
from ambidex.local.variables import Function

if TYPE_CHECKING:
    from ambidex.local.http1.server import Server

# From a post that broke off to the exit of its runtime, if that is why; and from the exit to the
# end of what it had posted.
_EXIT_S = 0.5
# Of the event loop, from bytes in a socket to the handler that reads them.
_LAST_TURNS = 10


class Environment:
    """One environment; `start` it, `deliver` events to it, `stop` it.

    Args:
        function: what it runs.
        port: what `{port}` in the function's command is.
        reaper: ends its process should this one die.
        on_log: takes each line of its log.
        on_ready: called when it waits for an event.
        on_end: called when its process has ended.
        has_timeouts: False while somebody debugs.
        restore_s: how long it may take from its snapshot to its first event.
        limits: for streamed results.
    """

    def __init__(
        self,
        function: Function,
        port: int,
        reaper: Reaper,
        on_log: Callable[[str], None],
        on_ready: Callable[["Environment"], None],
        on_end: Callable[["Environment"], None],
        has_timeouts: bool,
        restore_s: float = 10,
        limits: StreamLimits = StreamLimits(),  # noqa: B008 – a frozen value
    ) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self.state = State.INIT
        self.init = InitPhase(self._init_failed)
        self.ended: asyncio.Future[None] = loop.create_future()
        self.ready_since = 0.0
        self.calls: deque[str] = deque(maxlen=100)
        self.answered_s = -math.inf  # by the loop's clock
        self.is_dying = False
        self.port = port
        self._function = function
        self._extensions = Extensions(function.metadata)
        self._reaper = reaper
        self._on_log = on_log
        self._on_ready = on_ready
        self._on_end = on_end
        self._has_timeouts = has_timeouts
        self._restore_s = restore_s
        self.is_snapshot = function.has_snapshots  # nothing has been restored from it
        self._restore: Restore | None = None
        self._unbilled_restore_ms = 0.0
        self._token = hex_id(32)
        self._limits = limits
        self._invocation: Invocation | None = None
        self._attempt: Attempt | None = None
        self._posting: asyncio.Future[None] | None = None  # done when all of a post is read
        self._broken: Outcome | None = None  # of a result that broke off, until it is told
        self._teller: asyncio.TimerHandle | None = None
        self._next: asyncio.Future[Answer] = loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._unbilled_init_ms = 0.0
        self._watcher: asyncio.Task[None] | None = None
        self._process: Process | None = None
        self._server: Server | None = None

    async def start(self) -> None:
        """Start the process and its Runtime API.

        Raises:
            CommandError: the command cannot be started.
        """
        self._process, self._server = await environment_process.start(
            self._function, self.port, self._answer, self._line, self._reaper, self._token
        )
        self._watcher = asyncio.create_task(self._watch(self._process))

    @property
    def pid(self) -> int:
        """The id of its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has a process that has not ended."""
        return self._process is not None and not self.ended.done()

    @property
    def is_ready(self) -> bool:
        """Whether it waits for an event."""
        has_asked = self.state in (State.READY, State.SNAPSHOT)
        return has_asked and self._extensions.are_ready and not self.is_dying

    @property
    def has_answered(self) -> bool:
        """Whether it has posted its result, and its invoke phase goes on."""
        is_over = self._invocation is None or self.ended.done()
        return self.state not in {State.RUNNING, State.ANSWERING} and not is_over

    def deliver(self, invocation: Invocation) -> None:
        """Give a ready environment an event; its invocation is settled and finished in any case."""
        assert self._process is not None
        if self.is_snapshot:
            self.is_snapshot = False
            self._restore = Restore(invocation, self._line)
            if self.state is State.SNAPSHOT:
                self._resume()
                return
            self._restored()  # its runtime takes no part in it
        self._invocation = invocation
        self._attempt = new_attempt(invocation, self._function, has_timeouts=self._has_timeouts)
        self.state = State.RUNNING
        invocation.started = perf_counter()
        self._line(report.start(invocation.request_id, self._function.version))
        if self._has_timeouts:
            self._timer = self._loop.call_later(self._function.timeout_s, self._time_out)
        self._process.thaw()
        self._extensions.deliver(self._attempt)
        self._next.set_result(runtime_api.event_answer(self._attempt))

    def _resume(self) -> None:
        assert self._process is not None
        assert self._restore is not None
        self.state = State.RESTORING
        if self._has_timeouts:
            self._restore.limit(self._restore_s, self._restore_overran)
        self._process.thaw()
        self._next.set_result(runtime_api.RESTORED)

    def _restored(self) -> Invocation:
        assert self._restore is not None
        self._unbilled_restore_ms = self._restore.end()
        invocation, self._restore = self._restore.invocation, None
        return invocation

    def _restore_overran(self) -> None:
        assert self._process is not None
        assert self._restore is not None
        self._process.take_output()
        self._restore.overran()
        self._restore = None
        self.stop()

    def stop(self) -> None:
        """End it: at once, or where an extension is registered by SIGTERM and, later, SIGKILL."""
        self.is_dying = True
        if self._process is not None:
            environment_process.stop(self._process, self._extensions)

    async def _watch(self, running: Process) -> None:
        status = await running.ended()
        if self.is_dying:
            self._on_log = _unheard  # it was told to end: that it has is no news
        self.is_dying = True
        if self._timer is not None:
            self._timer.cancel()
        await self._read_last()
        assert self._server is not None
        self._server.abort()
        await self._server.closed()
        kind = self._extensions.error_type or "Runtime.ExitError"
        message = f"Runtime exited {report.exit_reason(status)}"
        if not self.init.is_over:
            self.init.fail(kind, message)
        if self._restore is not None:
            self._restore.fail(kind, message)
        if self._invocation is not None:
            self._fail(self._invocation, kind, message, f"Status: error\tError Type: {kind}")
        self.ended.set_result(None)
        self._on_end(self)

    async def _read_last(self) -> None:
        """Read what the runtime had posted when it died."""
        await _catch_up()
        if self._posting is not None:
            await asyncio.wait({self._posting}, timeout=_EXIT_S)

    def _fail(self, invocation: Invocation, kind: str, message: str, status: str) -> None:
        invocation.settle(failure(kind, f"RequestId: {invocation.request_id} Error: {message}"))
        self._finish(invocation, status)

    def _init_failed(self, milliseconds: float, status: str, kind: str) -> None:
        self._on_log(report.init_report(milliseconds, status, kind))

    def _time_out(self) -> None:
        assert self._process is not None
        assert self._invocation is not None
        self._process.take_output()
        message = f"Task timed out after {self._function.timeout_s:.2f} seconds"
        self._line(report.timed_out(self._invocation.request_id, message))
        self._fail(self._invocation, "Sandbox.Timedout", message, "Status: timeout")
        self.stop()

    def _line(self, text: str) -> None:
        if self._invocation is not None:
            self._invocation.log(text)
        self._on_log(text)

    async def _answer(self, exchange: ServerExchange) -> None:
        extension_call = extensions_api.parse_call(exchange.head.method, exchange.head.target)
        if extension_call is not None:
            await runtime_api_server.answer_extension(
                exchange, extension_call, self._extensions, self._rest
            )
            return
        secret = self._function.credentials
        if secret is not None and exchange.head.target == credentials.PATH:
            shown = header_text(exchange, b"authorization")
            respond(exchange, credentials.answer(secret, self._token, shown))
            return
        parsed = runtime_api.parse_call(exchange.head.method, exchange.head.target)
        is_of_snapshots = parsed is not None and parsed[0] in runtime_api.OF_SNAPSHOTS
        if parsed is None or (is_of_snapshots and not self._function.has_snapshots):
            respond(exchange, runtime_api.refused(404, "NotFound", "there is no such call"))
            return
        await self._take(exchange, *parsed)

    async def _take(self, exchange: ServerExchange, call: Call, request_id: str) -> None:
        self.calls.append(call.name)
        if call is Call.PING:
            respond(exchange, runtime_api.PONG)
            return
        if self.state is State.ANSWERING:
            await _catch_up()  # the post may have broken off, on another connection
        if (self.state, call) not in runtime_api.TRANSITIONS:
            respond(exchange, runtime_api.wrong_state(call, self.state.value))
        elif call is Call.NEXT:
            await self._next_event(exchange)
        elif call is Call.RESTORE_NEXT:
            await self._restore_next(exchange)
        elif self.state is State.RESTORING:
            await self._restore_error(exchange)
        elif call is Call.INIT_ERROR:
            await self._init_error(exchange)
        else:
            await self._result(exchange, call, request_id)

    async def _next_event(self, exchange: ServerExchange) -> None:
        if self.state is State.RUNNING and self._attempt is not None:
            respond(exchange, runtime_api.event_answer(self._attempt))
            return
        if self.state is not State.READY:
            self._tell_of_broken_result()
            self._extensions.is_open = False
            self.state = State.READY
            self._next = self._loop.create_future()
            self._rest()
        respond(exchange, await asyncio.shield(self._next))

    def _rest(self) -> None:
        """Freeze it, once runtime and extensions have asked for the next event."""
        if not self.is_ready:
            return
        assert self._process is not None
        self._process.take_output()
        if self._invocation is not None:
            self._finish(self._invocation)
        elif not self.init.is_over:
            self._initialised()
        if self._restore is not None:
            self.deliver(self._restored())
            return
        # An invocation that has waited for the init is delivered before anything is frozen.
        self._on_ready(self)
        if not (self._next.done() or self.is_dying):  # what is to end must run to its end
            self._process.freeze()

    def _initialised(self) -> None:
        assert self._process is not None
        self._process.max_memory_mib()  # so that there is one if it does not live to a report
        milliseconds = self.init.milliseconds()
        if self.is_snapshot:  # billed when the version is published
            self._on_log(report.snapshot_report(milliseconds))
        else:
            self._unbilled_init_ms = milliseconds
        for registered in self._extensions.registered:
            self._line(report.extension(registered))
        self.init.succeed()

    async def _init_error(self, exchange: ServerExchange) -> None:
        kind, message = await reported_error(exchange)
        self.state = State.FAILED
        self.init.fail(kind, message)

    async def _restore_next(self, exchange: ServerExchange) -> None:
        self._extensions.is_open = False
        self.state = State.SNAPSHOT
        self._next = waiting = self._loop.create_future()
        self._rest()
        respond(exchange, await asyncio.shield(waiting))

    async def _restore_error(self, exchange: ServerExchange) -> None:
        kind, message = await reported_error(exchange)
        if self._restore is None or self._process is None:  # it has taken too long meanwhile
            return
        self.state = State.RESTORE_FAILED
        self._process.take_output()
        self._restore.fail(kind, message)
        self._restore = None
        self.is_dying = True
        self._process.kill_later(SHUTDOWN_S)  # it ends by itself; if not, it is ended

    async def _result(self, exchange: ServerExchange, call: Call, request_id: str) -> None:
        invocation_id = header_text(exchange, b"lambda-runtime-invocation-id")
        refusal = runtime_api.wrong_attempt(self._attempt, request_id, invocation_id)
        if refusal is not None:
            respond(exchange, refusal)
            return
        assert self._invocation is not None
        self.state = State.ANSWERING
        self._posting = self._loop.create_future()
        try:
            received = await posted_result.receive(exchange, call, self._invocation, self._limits)
        except PeerError:
            self.state = State.RUNNING
            raise
        finally:
            self._posting.set_result(None)
        self.state = State.ANSWERED
        self.answered_s = self._loop.time()
        self._broken = received.broken
        if self._broken is not None:
            self._teller = self._loop.call_later(_EXIT_S, self._tell_of_broken_result)
        respond(exchange, received.answer)

    def _tell_of_broken_result(self) -> None:
        """The runtime lives, so that its result broke off for no better reason."""
        if self._broken is not None and self._invocation is not None:
            self._invocation.settle(self._broken)
        self._broken = None

    def _finish(self, invocation: Invocation, status: str = "") -> None:
        for timer in (self._timer, self._teller):
            if timer is not None:
                timer.cancel()
        self._timer = self._teller = self._broken = None
        assert self._process is not None
        closing = report.report(
            invocation.request_id,
            (perf_counter() - invocation.started) * 1000,
            self._unbilled_init_ms,
            self._function.memory_mib,
            self._process.max_memory_mib(),
            status,
            self._unbilled_restore_ms,
        )
        self._unbilled_init_ms = self._unbilled_restore_ms = 0.0
        self._line(report.end(invocation.request_id))
        self._line(closing)
        self._invocation = self._attempt = None
        invocation.finish()


async def _catch_up() -> None:
    """Let handlers see what has come in the sockets before."""
    for _ in range(_LAST_TURNS):
        await asyncio.sleep(0)


def _unheard(_: str) -> None:
    pass
