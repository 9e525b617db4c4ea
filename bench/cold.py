"""How long does an environment take to start, and how much memory does it hold?

Each round starts an environment anew, alone on the machine: from the start of its first process to
its first call for an event; then some invocations, and the memory of all its processes.
"""

from contextlib import ExitStack

from bench.contestants import (
    ADAPTER,
    AMBIDEX,
    FLOOR,
    MANGUM,
    MATH_SERVICE,
    Program,
    described,
    program,
)
from bench.environments import started
from bench.math_service import ANSWER, CANNED, EVENT, RIGHT
from bench.processes import memory_bytes
from bench.race import Figure, Figures, Race
from bench.result import Result, at_most

QUESTION = "How long does an environment take to start, and how much memory does it hold?"
ROUNDS = 15
_INVOCATIONS = 100

_INIT = "init, to the first call for an event"
_FIRST = "init and first invocation"
_CPU = "CPU of init and first invocation"
_MEMORY = f"memory after {_INVOCATIONS} invocations"

_FIGURES = (
    Figure(_INIT, "ms", {MANGUM: at_most(1.05), ADAPTER: at_most(0.7), FLOOR: None}),
    Figure(_FIRST, "ms", {MANGUM: None, ADAPTER: None, FLOOR: None}),
    Figure(_CPU, "ms", {MANGUM: None, ADAPTER: None, FLOOR: None}),
    Figure(_MEMORY, "MB", {MANGUM: at_most(1), ADAPTER: None, FLOOR: None}),
)


def measure(_seconds: float) -> Result:
    """Measure; it takes the seconds that it takes.

    Raises:
        BenchError: a version is not the one that is pinned.
    """
    names = (AMBIDEX, MANGUM, ADAPTER, FLOOR)
    race = Race(names, ANSWER)
    with ExitStack() as stack:
        places = race.enter(stack, lambda name: program(name, MATH_SERVICE, result=CANNED))
        race.run(ROUNDS, lambda name: _round(places[name]))
    return Result(QUESTION, described(names), tuple(race.rows(_FIGURES, AMBIDEX)))


def _round(place: Program) -> Figures:
    with started(place) as environment:
        first = environment.invoke(EVENT, 1, check=RIGHT)[0]
        cpu_ns = environment.cpu_ns()
        environment.invoke(EVENT, _INVOCATIONS - 1, check=RIGHT)
        return {
            _INIT: environment.init_s * 1e3,
            _FIRST: environment.init_s * 1e3 + first.turnaround_us / 1e3,
            _CPU: cpu_ns / 1e6,
            _MEMORY: memory_bytes(environment.processes()) / 1e6,
        }
