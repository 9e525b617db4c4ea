"""How soon does the first byte of a streamed response come, and how fast the rest?

The host takes what comes as fast as it can; Lambda itself lets 2 MB/s through after the first 6 MB.
The first byte is the body's, behind the prelude; the app then sends on without a pause.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import median

from bench.contestants import ADAPTER, AMBIDEX, APPS, FLOOR, described, program
from bench.environments import Environment, started
from bench.events import event
from bench.program import BenchError
from bench.race import Figure, Figures, Race
from bench.result import Result, at_least, at_most
from bench.runtime_api import DELIMITER

QUESTION = "How soon does the first byte of a streamed response come, and how fast the rest?"
ROUNDS = 12

_PIECE = 64 * 1024
_SMALL = 4 * _PIECE
_LARGE = 1600 * _PIECE  # 105 MB
_SMALL_COUNT = 30
_LARGE_COUNT = 3

_FIRST = "first byte of 262 kB"
_LAST = "last byte of 262 kB"
_RATE = "105 MB"
_CPU = "CPU of 105 MB"

_FIGURES = (
    Figure(_FIRST, "µs", {ADAPTER: at_most(0.5), FLOOR: None}),
    Figure(_LAST, "µs", {ADAPTER: None, FLOOR: None}),
    Figure(_RATE, "MB/s", {ADAPTER: at_least(1), FLOOR: None}),
    Figure(_CPU, "ms", {ADAPTER: None, FLOOR: None}),
)
_VARIABLES = {
    AMBIDEX: {"AMBIDEX_LAMBDA_RESPONSE": "stream"},
    ADAPTER: {"AWS_LWA_INVOKE_MODE": "response_stream"},
    FLOOR: {},
}


def measure(_seconds: float) -> Result:
    """Measure; it takes the seconds that it takes.

    Raises:
        BenchError: a version is not the one that is pinned.
    """
    race = Race(_VARIABLES, "200, all bytes")
    with ExitStack() as stack:
        turns = race.enter(stack, _turn)
        race.run(ROUNDS, lambda name: turns[name]())
    remarks = {
        name: " ".join(f"`{key}={value}`" for key, value in variables.items())
        for name, variables in _VARIABLES.items()
    }
    return Result(
        QUESTION, described(tuple(_VARIABLES), remarks), tuple(race.rows(_FIGURES, AMBIDEX))
    )


@contextmanager
def _turn(name: str) -> Iterator[Callable[[], Figures]]:
    source = APPS / "bytes.py"
    # The floor streams what it was started for, whatever it is asked.
    with ExitStack() as stack:
        environments = {}
        for size in (_SMALL, _LARGE):
            place = stack.enter_context(
                program(name, source, _VARIABLES[name], result=f"stream:{size}")
            )
            environments[size] = stack.enter_context(started(place))
            environments[size].invoke(_event(size), 1, check=_check(size))
            environments[size].freeze()
        yield lambda: _round(environments[_SMALL], environments[_LARGE])


def _round(small: Environment, large: Environment) -> Figures:
    small.thaw()
    small.invoke(_event(_SMALL), 3)
    soon = small.invoke(_event(_SMALL), _SMALL_COUNT)
    small.freeze()
    large.thaw()
    before_ns = large.cpu_ns()
    whole = large.invoke(_event(_LARGE), _LARGE_COUNT)
    cpu_ns = (large.cpu_ns() - before_ns) / _LARGE_COUNT
    large.freeze()
    if min(each.size for each in whole) < _LARGE or min(each.size for each in soon) < _SMALL:
        raise BenchError("it streams less than the app sends")
    return {
        _FIRST: median((each.first_byte_ns - each.sent_ns) / 1e3 for each in soon),
        _LAST: median(each.turnaround_us for each in soon),
        _RATE: _LARGE / median(each.turnaround_us for each in whole),
        _CPU: cpu_ns / 1e6,
    }


def _event(size: int) -> bytes:
    return event(f"/stream/{size}", is_function_url=True)


def _check(size: int) -> Callable[[bytes], None]:
    def check(result: bytes) -> None:
        prelude, delimiter, body = result.partition(DELIMITER)
        if not delimiter or b'"statusCode":200' not in prelude.replace(b" ", b""):
            raise BenchError(f"it streams no prelude: {result[:80]!r}")
        if len(body) != size or body.strip(b"\0"):
            raise BenchError(f"it streams {len(body)} bytes, not the {size} that the app sends")

    return check
