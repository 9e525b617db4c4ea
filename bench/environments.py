"""Execution environments to measure: contestants at work on our own Runtime API."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from tempfile import TemporaryFile
from time import perf_counter
from typing import IO

from bench import processes
from bench.contestants import Program
from bench.program import BenchError, Running, running
from bench.runtime_api import Outcome, RuntimeApi

_TAIL_BYTES = 600


class Environment:
    """One at work; it has asked for its first event."""

    def __init__(self, program: Program, log: IO[bytes], stack: ExitStack) -> None:
        self.name = program.name
        self._log = log
        self._programs: list[Running] = []
        self.runtime_api = RuntimeApi(self._check)
        stack.callback(self.runtime_api.close)
        self._is_frozen = False
        self.started = perf_counter()
        try:
            self._start(program, stack)
        except BenchError as error:
            raise BenchError(f"{error}{self._tail()}") from error

    def _start(self, program: Program, stack: ExitStack) -> None:
        variables = {**program.variables, "AWS_LAMBDA_RUNTIME_API": self.runtime_api.address}
        for number, command in enumerate(program.commands):
            # As Lambda does: the runtime starts when the extensions have registered.
            self.runtime_api.wait(
                lambda number=number: self.runtime_api.extensions >= number,  # type: ignore[misc]
                "an extension",
            )
            log = self._log.fileno()
            self._programs.append(
                stack.enter_context(running(command, program.folder, log, log, variables=variables))
            )
            stack.callback(self._kill, self._programs[-1])
        self.runtime_api.wait(lambda: self.runtime_api.waiting > 0, "the first call for an event")

    @property
    def init_s(self) -> float:
        """From the start of the first process to the first call for an event."""
        return self.runtime_api.first_next - self.started

    def processes(self) -> list[int]:
        """The ids of its processes."""
        return processes.of_sessions(each.process.pid for each in self._programs)

    def invoke(
        self,
        event: bytes,
        count: int,
        in_flight: int = 1,
        check: Callable[[bytes], object] | None = None,
    ) -> list[Outcome]:
        """Invoke it while it is thawed; see `RuntimeApi.invoke`.

        Args:
            event: JSON.
            count: how many times.
            in_flight: how many at most at a time.
            check: raises for a wrong result; without it only the results' sizes are kept.

        Raises:
            BenchError: it failed.
        """
        try:
            outcomes = self.runtime_api.invoke(event, count, in_flight, keeps=check is not None)
        except BenchError as error:
            raise BenchError(f"{error}{self._tail()}") from error
        if check is not None:
            for outcome in outcomes:
                check(outcome.result)
        return outcomes

    def cpu_ns(self) -> int:
        """What its processes have taken so far, user and system."""
        return processes.cpu_ns(self.processes())

    def freeze(self) -> None:
        """Stop it, so that it takes nothing from another's round."""
        processes.freeze(self.processes())

    def thaw(self) -> None:
        """Let it go on."""
        processes.thaw(self.processes())

    def _check(self) -> None:
        for program in self._programs:
            status = program.process.poll()
            if status is not None:
                raise BenchError(f"it ended with status {status}")

    def _tail(self) -> str:
        self._log.seek(0)
        text = self._log.read()[-_TAIL_BYTES:].decode(errors="replace")
        return f"; it wrote: {' / '.join(text.split(chr(10)))}" if text else ""

    def _kill(self, program: Running) -> None:
        # As Lambda ends environments without extensions; it need not be thawed for it.
        with suppress(ProcessLookupError):
            os.killpg(program.process.pid, signal.SIGKILL)


@contextmanager
def started(program: Program) -> Iterator[Environment]:
    """Start a contestant.

    Raises:
        BenchError: it did not ask for an event.
    """
    with TemporaryFile() as log, ExitStack() as stack:
        yield Environment(program, log, stack)
