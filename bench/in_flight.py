"""How many requests does one environment answer, 16 in flight, and in how much memory?

As on Managed Instances, where AWS_LAMBDA_MAX_CONCURRENCY says how many events an environment may
have at a time. One route waits 50 ms, so that 16 in flight are 320 a second at most; the other
computes for some milliseconds, and there ambidex serve has a process for each core.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from bench.contestants import ADAPTER, AMBIDEX, APPS, MANGUM, described, program
from bench.environments import Environment, started
from bench.events import event
from bench.invocation_answer import Check, expect
from bench.processes import memory_bytes
from bench.race import Figure, Figures, Race
from bench.result import Result, at_least, at_most

QUESTION = "How many requests does one environment answer, 16 in flight, and in how much memory?"
ROUNDS = 6
IN_FLIGHT = 16
_CORES = os.cpu_count() or 1

_WORKERS = f"{AMBIDEX}, {_CORES} workers"

_WAITING = "waiting 50 ms"
_COMPUTING = "computing"
_MEMORY = "memory"
_PROCESSES = "at work"

_RIGHT = "text/plain; charset=utf-8"
_WAIT = (event("/wait"), expect(200, _RIGHT, b"waited"))
_COMPUTE = (event("/compute"), expect(200, _RIGHT, b"150000"))

_OF_ONE = (
    Figure(_WAITING, "requests/s", {MANGUM: None, ADAPTER: None}, own=at_least(200)),
    Figure(_MEMORY, "MB", {MANGUM: at_most(0.2), ADAPTER: None}),
    Figure(_PROCESSES, "processes", {}),
)
_OF_WORKERS = (
    Figure(_COMPUTING, "requests/s", {MANGUM: at_least(1), ADAPTER: None, AMBIDEX: None}),
)


def measure(_seconds: float) -> Result:
    """Measure; a round is a number of invocations.

    Raises:
        BenchError: a version is not the one that is pinned.
    """
    names = (AMBIDEX, _WORKERS, MANGUM, ADAPTER)
    race = Race(names, "200, `waited` or the sum")
    with ExitStack() as stack:
        turns = race.enter(stack, _turn)
        race.run(ROUNDS, lambda name: turns[name]())
    rows = (*race.rows(_OF_ONE, AMBIDEX), *race.rows(_OF_WORKERS, _WORKERS))
    setting = f"AWS_LAMBDA_MAX_CONCURRENCY={IN_FLIGHT}"
    remarks = dict.fromkeys((AMBIDEX, MANGUM, ADAPTER), f"`{setting}`")
    remarks[AMBIDEX] += f"; with workers `AMBIDEX_LAMBDA_WORKERS={_CORES}`"
    return Result(QUESTION, described((AMBIDEX, MANGUM, ADAPTER), remarks), rows)


@contextmanager
def _turn(name: str) -> Iterator[Callable[[], Figures]]:
    variables = {
        "AWS_LAMBDA_MAX_CONCURRENCY": str(IN_FLIGHT),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances",
    }
    if name == _WORKERS:
        variables["AMBIDEX_LAMBDA_WORKERS"] = str(_CORES)
    contestant = AMBIDEX if name == _WORKERS else name
    source = APPS / "in_flight.py"
    with program(contestant, source, variables) as place, started(place) as environment:
        environment.freeze()
        yield lambda: _round(environment)


def _round(environment: Environment) -> Figures:
    environment.thaw()
    try:
        figures = {
            _WAITING: _per_second(environment, *_WAIT, 8 * IN_FLIGHT),
            _COMPUTING: _per_second(environment, *_COMPUTE, 4 * IN_FLIGHT),
        }
        processes = environment.processes()
        return {
            **figures,
            _MEMORY: memory_bytes(processes) / 1e6,
            _PROCESSES: len(processes),
        }
    finally:
        environment.freeze()


def _per_second(environment: Environment, event: bytes, check: Check, count: int) -> float:
    outcomes = environment.invoke(event, count, IN_FLIGHT, check)
    began_ns = min(outcome.first_sent_ns for outcome in outcomes)
    return count * 1e9 / (max(outcome.done_ns for outcome in outcomes) - began_ns)
