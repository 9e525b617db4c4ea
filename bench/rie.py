"""Do the ratios hold on a host that is not ours, aws-lambda-rie, end to end?

From a client's request to the emulator to its answer, so that the emulator's own time is in all
figures and draws the ratios towards 1: the floor tells how much that is.
"""

import os
import platform
import shlex
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from statistics import median
from time import monotonic, perf_counter, sleep

from bench import processes
from bench.contestants import ADAPTER, AMBIDEX, FLOOR, MANGUM, MATH_SERVICE, described, program
from bench.math_service import ANSWER, CANNED, EVENT, RIGHT
from bench.program import HOST, ROOT, BenchError, Running, free_port, running, shown
from bench.race import Figure, Figures, Race
from bench.result import Contestant, Result

QUESTION = "Do the ratios hold on a host that is not ours, aws-lambda-rie, end to end?"
ROUNDS = 15
_COUNT = 60
_PATIENCE_S = 30.0
_WARM = 5

_NAME = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "")
_RIE = ROOT / "build" / "aws-lambda-rie" / f"aws-lambda-rie-{_NAME}"
RIE_VERSION = "of aws-sam-cli 1.170.0"  # which `make bench` fetches
_PATH = "/2015-03-31/functions/function/invocations"

_P50 = "request to answer, p50"
_CPU = "CPU of an invocation, without the emulator's"

_FIGURES = (
    Figure(_P50, "µs", {MANGUM: None, ADAPTER: None, FLOOR: None}),
    Figure(_CPU, "µs", {MANGUM: None, ADAPTER: None, FLOOR: None}),
)


def measure(_seconds: float) -> Result:
    """Measure; a round is a number of invocations.

    Raises:
        BenchError: a version is not the one that is pinned.
    """
    names = (AMBIDEX, MANGUM, ADAPTER, FLOOR)
    race = Race(names, ANSWER)
    with ExitStack() as stack:
        turns = race.enter(stack, _turn)
        race.run(ROUNDS, lambda name: turns[name]())
    host = Contestant("the host", f"aws-lambda-rie {RIE_VERSION}", f"{shown([str(_RIE)])} COMMAND")
    return Result(QUESTION, (*described(names), host), tuple(race.rows(_FIGURES, AMBIDEX)))


@contextmanager
def _turn(name: str) -> Iterator[Callable[[], Figures]]:
    if not _RIE.exists():
        raise BenchError(f"there is no {_RIE.relative_to(ROOT)}: make bench fetches it")
    with program(name, MATH_SERVICE, result=CANNED) as place:
        port = free_port()
        emulator = (
            *(str(_RIE), "--runtime-interface-emulator-address", f"{HOST}:{port}"),
            *("--runtime-api-address", f"{HOST}:{free_port()}", "--log-level", "error"),
            *("/bin/sh", "-c", _line(place.commands)),
        )
        with running(emulator, place.folder, variables=place.variables) as host:
            try:
                _await(port, host)
                connection = HTTPConnection(HOST, port, timeout=_PATIENCE_S)
                yield lambda: _round(connection, host.process.pid)
            finally:
                for process in processes.of_sessions([host.process.pid]):
                    os.kill(process, signal.SIGKILL)


def _line(commands: tuple[tuple[str, ...], ...]) -> str:
    """All programs in a line of shell: the emulator starts extensions from /opt/extensions only."""
    *extensions, runtime = map(shlex.join, commands)
    return "".join(f"{each} & " for each in extensions) + f"exec {runtime}"


def _await(port: int, host: Running) -> None:
    until = monotonic() + _PATIENCE_S
    while monotonic() < until and host.process.poll() is None:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        sleep(0.02)
    raise BenchError(f"`{shown([str(_RIE)])}` did not listen")


def _round(connection: HTTPConnection, session: int) -> Figures:
    environment = processes.of_sessions([session])
    processes.thaw(environment)
    try:
        for _ in range(_WARM):
            _invoke(connection)
        environment = processes.of_sessions([session])
        counted = [each for each in environment if each != session]
        before_ns = processes.cpu_ns(counted)
        times = [_invoke(connection) for _ in range(_COUNT)]
        cpu_ns = processes.cpu_ns(counted) - before_ns
    except (OSError, HTTPException) as error:
        raise BenchError(f"the emulator does not answer: {error}") from error
    finally:
        processes.freeze(environment)
    return {_P50: median(times), _CPU: cpu_ns / _COUNT / 1e3}


def _invoke(connection: HTTPConnection) -> float:
    """Invoke once; microseconds."""
    began = perf_counter()
    connection.request("POST", _PATH, EVENT)
    result = connection.getresponse().read()
    took = perf_counter() - began
    RIGHT(result)
    return took * 1e6
