"""How many requests a second get through the front doors, beside uvicorn alone?

Held to a bar at ECS is the load balancer: its task and its rival are the same uvicorn, without an
access log. The default task, `ambidex serve`, writes one, which `up` then shows: there the rival
writes one, too, and since the front door is no longer all that differs, there is no bar.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

from bench import wrk
from bench.answer import PATH, checked
from bench.program import BIN, HOST, BenchError, free_port, running, shown, versions
from bench.project import project
from bench.result import Bar, Comparison, Contestant, Relation, Result, Row
from bench.up import COMMAND, up

QUESTION = "How many requests a second get through the front doors, beside uvicorn alone?"
ROUNDS = 7
_READY_S = 30.0

# One worker, and the loop and the parser that uvicorn[standard] brings.
_LOGGED = (
    *(str(BIN / "uvicorn"), "main:app", "--host", "{host}", "--port", "{port}"),
    *("--workers", "1", "--loop", "uvloop", "--http", "httptools"),
)
_SILENT = (*_LOGGED, "--no-access-log")

_ALONE = "uvicorn alone"
_ALONE_LOGGED = "uvicorn alone, access log"

_ONE_ENVIRONMENT = f"""\
[tool.ambidex]
app = "main:app"
lambda.concurrency = 1
ecs.command = {list(_SILENT)}
"""
_MANY_ENVIRONMENTS = """\
[tool.ambidex]
app = "main:app"
lambda.concurrency = 16
"""
_REMARK_ONE = "`lambda.concurrency = 1`, `ecs.command` is that of uvicorn alone; logs to /dev/null"
_REMARK_MANY = "`lambda.concurrency = 16`, the default task; logs to /dev/null"


class _Door(NamedTuple):
    """A way to the app."""

    url: str
    bars: Mapping[int, float | None]  # by connections: the share of its rival's requests
    rival: str = ""  # its name; empty: it is one itself


class _Lane(NamedTuple):
    """What a round measures."""

    door: str  # its name
    connections: int


def measure(seconds: float) -> Result:
    """Measure.

    Args:
        seconds: the length of a round.

    Raises:
        BenchError: something is missing, does not start, or answers wrongly.
    """
    client = wrk.version()
    uvicorn = versions("uvicorn", "uvloop", "httptools", "fastapi")
    ambidex = versions("uvloop", "orjson", "fastapi")
    with ExitStack() as stack:
        doors = _doors(stack)
        answers = {name: checked(name, door.url) for name, door in doors.items()}
        rounds = _rounds(doors, seconds)
    silent, logged = (shown(_filled(command, "PORT")) for command in (_SILENT, _LOGGED))
    contestants = (
        Contestant(_ALONE, uvicorn, silent),
        Contestant(_ALONE_LOGGED, uvicorn, logged, "stdout is /dev/null"),
        Contestant("Lambda, 1 environment; ECS, uvicorn", ambidex, shown(COMMAND), _REMARK_ONE),
        Contestant(
            "Lambda, 16 environments; ECS, ambidex serve", ambidex, shown(COMMAND), _REMARK_MANY
        ),
        Contestant("the client", client, shown(wrk.command("URL", 1, seconds))),
    )
    return Result(QUESTION, contestants, tuple(_rows(doors, rounds, answers)))


def _doors(stack: ExitStack) -> Mapping[str, _Door]:
    one = stack.enter_context(project(_ONE_ENVIRONMENT))
    many = stack.enter_context(project(_MANY_ENVIRONMENTS))
    alone = stack.enter_context(_uvicorn(_ALONE, _SILENT, one))
    logged = stack.enter_context(_uvicorn(_ALONE_LOGGED, _LOGGED, one))
    up_one = stack.enter_context(up(one))
    up_many = stack.enter_context(up(many))
    return {
        _ALONE: _Door(alone, {1: None, 16: None}),
        "Lambda, 1 environment": _Door(up_one.lambda_url, {1: 0.25}, _ALONE),
        "Lambda, 16 environments": _Door(up_many.lambda_url, {16: None}, _ALONE),
        "ECS, uvicorn": _Door(up_one.ecs_url, {1: 0.35, 16: 0.8}, _ALONE),
        _ALONE_LOGGED: _Door(logged, {1: None, 16: None}),
        "ECS, ambidex serve": _Door(up_many.ecs_url, {1: None, 16: None}, _ALONE_LOGGED),
    }


@contextmanager
def _uvicorn(name: str, command: Sequence[str], folder: Path) -> Iterator[str]:
    port = free_port()
    url = f"http://{HOST}:{port}"
    until = monotonic() + _READY_S
    with running(_filled(command, str(port)), folder) as program:
        while True:
            try:
                checked(name, url)
            except BenchError:
                if program.process.poll() is not None or monotonic() > until:
                    raise
                sleep(0.05)
            else:
                break
        yield url


def _filled(command: Sequence[str], port: str) -> Sequence[str]:
    return [part.format(host=HOST, port=port) for part in command]


def _rounds(doors: Mapping[str, _Door], seconds: float) -> dict[_Lane, list[wrk.Round]]:
    lanes = [
        _Lane(name, connections)
        for connections in sorted({each for door in doors.values() for each in door.bars})
        for name, door in doors.items()
        if connections in door.bars
    ]
    rounds: dict[_Lane, list[wrk.Round]] = {lane: [] for lane in lanes}
    for number in range(ROUNDS + 1):
        # There and back again, so that nobody always comes after the same other.
        for lane in lanes if number % 2 == 0 else reversed(lanes):
            url = doors[lane.door].url + PATH
            rounds[lane].append(wrk.run(url, lane.connections, seconds))
    return rounds


def _rows(
    doors: Mapping[str, _Door],
    rounds: Mapping[_Lane, Sequence[wrk.Round]],
    answers: Mapping[str, str],
) -> Iterator[Row]:
    # The first round is dropped, but for what failed: a request waits while environments start.
    values = {
        lane: tuple(each.requests_per_s for each in of_lane[1:]) for lane, of_lane in rounds.items()
    }
    for lane, of_lane in rounds.items():
        door = doors[lane.door]
        comparisons: tuple[Comparison, ...] = ()
        if door.rival:
            pairs = zip(values[lane], values[_Lane(door.rival, lane.connections)], strict=True)
            ratios = tuple(ours / theirs for ours, theirs in pairs)
            share = door.bars[lane.connections]
            bar = None if share is None else Bar(Relation.AT_LEAST, share)
            comparisons = (Comparison(f"÷ {door.rival}", "×", ratios, bar),)
        yield Row(
            f"{lane.door}, {lane.connections} connection{'s' if lane.connections > 1 else ''}",
            "requests/s",
            values[lane],
            answers[lane.door],
            sum(each.failed for each in of_lane),
            comparisons,
        )
