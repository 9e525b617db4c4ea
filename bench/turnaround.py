"""How long does an invocation take, and how much CPU, beside what people have today?

Turnaround is from writing the last byte of the event to reading the last byte of the result, at our
own end of the Runtime API. The floor is the smallest runtime there can be in Python; the app alone
is the app called in a process of its own, with a scope that is ready.
"""

import gc
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles

from bench.contestants import ADAPTER, AMBIDEX, FLOOR, MANGUM, MATH_SERVICE, described, program
from bench.environments import Environment, started
from bench.math_service import ANSWER, CANNED, EVENT, RIGHT
from bench.program import ROOT, BenchError, running, shown, versions
from bench.race import Figure, Figures, Race
from bench.result import Comparison, Contestant, Result, Row, at_most

QUESTION = "How long does an invocation take, and how much CPU, beside what people have today?"
ROUNDS = 40
COUNT = 200
_WARM = 10
_AIM = "less the floor and the app alone; the aim is ≤ 20"

_ALONE = "the app alone"
_ALONE_COMMAND = (sys.executable, str(ROOT / "bench" / "programs" / "app_alone.py"))

_P50 = "turnaround, p50"
_P99 = "turnaround, p99"
_CPU = "CPU of an invocation"


_FIGURES = (
    Figure(_P50, "µs", {MANGUM: at_most(0.45), ADAPTER: at_most(0.35), FLOOR: None}),
    Figure(_P99, "µs", {MANGUM: at_most(0.6), ADAPTER: None, FLOOR: None}),
    Figure(_CPU, "µs", {MANGUM: at_most(0.45), ADAPTER: None, FLOOR: None}),
)


def measure(_seconds: float) -> Result:
    """Measure; a round is a number of invocations.

    Raises:
        BenchError: a version is not the one that is pinned.
    """
    names = (AMBIDEX, MANGUM, ADAPTER, FLOOR)
    race = Race((*names, _ALONE), ANSWER)
    with ExitStack() as stack:
        turns = race.enter(stack, _turn)
        race.run(ROUNDS, lambda name: turns[name]())
    rows = [_beyond(race, row) for row in race.rows(_FIGURES, AMBIDEX)]
    alone = Contestant(_ALONE, versions("fastapi", "uvloop"), shown(_ALONE_COMMAND))
    return Result(QUESTION, (*described(names), alone), tuple(rows))


@contextmanager
def _turn(name: str) -> Iterator[Callable[[], Figures]]:
    if name == _ALONE:
        with program(AMBIDEX, MATH_SERVICE) as place, _alone(place.folder) as turn:
            yield turn
        return
    with program(name, MATH_SERVICE, result=CANNED) as place, started(place) as environment:
        environment.freeze()
        yield lambda: _round(environment)


def _round(environment: Environment) -> Figures:
    environment.thaw()
    environment.invoke(EVENT, _WARM, check=RIGHT)
    gc.collect()
    gc.disable()
    before_ns = environment.cpu_ns()
    try:
        outcomes = environment.invoke(EVENT, COUNT, check=RIGHT)
        cpu_ns = environment.cpu_ns() - before_ns
    finally:
        gc.enable()
        environment.freeze()
    times = [outcome.turnaround_us for outcome in outcomes]
    p99 = quantiles(times, n=100, method="inclusive")[98]
    return {_P50: median(times), _P99: p99, _CPU: cpu_ns / COUNT / 1e3}


@contextmanager
def _alone(folder: Path) -> Iterator[Callable[[], Figures]]:
    pipe = subprocess.PIPE
    variables = {"PYTHONPATH": str(folder)}
    with running(_ALONE_COMMAND, folder, pipe, stdin=pipe, variables=variables) as program:
        stdin, stdout = program.process.stdin, program.process.stdout
        assert stdin is not None
        assert stdout is not None

        def turn() -> Figures:
            stdin.write(b"%d\n" % COUNT)
            stdin.flush()
            line = stdout.readline()
            if not line:
                raise BenchError(f"`{shown(_ALONE_COMMAND)}` ended")
            return {_P50: float(line) / 1e3}

        yield turn


def _beyond(race: Race, row: Row) -> Row:
    """The row of our turnaround, with what is left of it beside the floor and the app."""
    if row.name != f"{_P50}: {AMBIDEX}":
        return row
    rounds = zip(*(race.of(name, _P50) for name in (AMBIDEX, FLOOR, _ALONE)), strict=False)
    beyond = tuple(ours - floor - app for ours, floor, app in rounds)
    return replace(row, comparisons=(*row.comparisons, Comparison(_AIM, "µs", beyond)))
