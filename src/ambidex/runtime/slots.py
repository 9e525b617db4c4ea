"""Many events at a time, on the one event loop of a process.

A slot is a connection to the Runtime API and a task that asks on it for an event, answers it and
asks for the next. There are as many slots as Lambda sends events at a time, so nothing waits in the
process.

A time-out ends an event for its caller only: the app goes on, and its answer, which comes too late,
is refused with a 410.

Source: lambda/latest/dg/lambda-managed-instances-execution-environment.html
"""

import asyncio
import logging
from collections.abc import MutableMapping, Sequence

from ambidex.log.context import enter
from ambidex.runtime import loop, messages
from ambidex.runtime.connection import Connection
from ambidex.runtime.context import variables
from ambidex.runtime.deadline import Deadlines
from ambidex.runtime.invocation import Function
from ambidex.runtime.messages import Invocation, PeerError

logger = logging.getLogger("ambidex")

# An event that cannot be had is asked for again after these: five attempts, as awslambdaric has it.
RETRY_DELAYS_S = (0.1, 0.2, 0.4, 0.8)


class Slots:
    """The slots of a process.

    Args:
        address: `host:port` of the Runtime API.
        count: how many slots.
        function: the app, started, and its settings.
        environ: the process's environment.
        deadlines: where each event is noted while it is at work.
        retry_delays_s: the seconds before each further attempt to get an event.
    """

    def __init__(
        self,
        address: str,
        count: int,
        function: Function,
        environ: MutableMapping[str, str],
        deadlines: Deadlines,
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
    ) -> None:
        self._address = address
        self._count = count
        self._function = function
        self._environ = environ
        self._variables = variables(environ)
        self._deadlines = deadlines
        self._retry_delays_s = retry_delays_s
        self._tasks: list[asyncio.Task[None]] = []
        self._asking: dict[asyncio.Task[None], Connection] = {}
        self._is_stopping = False
        self._error: PeerError | None = None

    async def run(self) -> None:
        """Answer events until `stop` is called and those under way are answered.

        Raises:
            PeerError: a slot could not get its next event; the others have answered theirs.
        """
        names = [f"slot {n}" for n in range(self._count)]
        self._tasks = [asyncio.create_task(self._slot(), name=name) for name in names]
        await asyncio.gather(*self._tasks)
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Ask for no more events; may be called again."""
        self._is_stopping = True
        for task, connection in self._asking.items():
            # Whatever has been handed over, be it in part, is answered.
            if not connection.is_receiving:
                task.cancel()

    async def finish(self) -> None:
        """Ask for no more events, and wait until those under way are answered."""
        self.stop()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _slot(self) -> None:
        connection = Connection(self._address)
        try:
            while not self._is_stopping:
                invocation = await self._next(connection)
                if invocation is not None:
                    await self._answer(connection, invocation)
        except PeerError as error:
            if not self._is_stopping:
                self._error = error
                self.stop()
        finally:
            connection.close()

    async def _next(self, connection: Connection) -> Invocation | None:
        task = asyncio.current_task()
        assert task is not None
        self._asking[task] = connection
        try:
            return await self._asked(connection)
        except asyncio.CancelledError:
            if self._is_stopping:
                return None
            raise
        finally:
            del self._asking[task]

    async def _asked(self, connection: Connection) -> Invocation | None:
        request = messages.next_request(connection.host)
        for delay_s in self._retry_delays_s:
            try:
                return messages.parse_invocation(await connection.call(request))
            except PeerError as error:
                if self._is_stopping:
                    return None
                enter("")
                logger.warning("%s: asking again in %g s", error.message, delay_s)
            await asyncio.sleep(delay_s)
        return messages.parse_invocation(await connection.call(request))

    async def _answer(self, connection: Connection, invocation: Invocation) -> None:
        try:
            await loop.turn(
                connection,
                self._function,
                invocation,
                self._environ,
                self._variables,
                self._deadlines,
            )
        except PeerError as error:
            # Others are under way; if the Runtime API is gone, asking it shows that.
            logger.error("the result of %s is lost: %s", invocation.request_id, error.message)  # noqa: TRY400 – nothing in our frames explains it
