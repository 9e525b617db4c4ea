"""How long does an invocation with a large body take, text and binary, there and back?

From the event's first byte to the result's last. What comes in is answered by its length; what goes
out is asked for by a short request.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from json import dumps
from statistics import median
from typing import NamedTuple

from bench.apps.bytes import BINARY, LINE
from bench.contestants import ADAPTER, AMBIDEX, APPS, FLOOR, MANGUM, described, program
from bench.environments import started
from bench.events import event
from bench.invocation_answer import Check, expect
from bench.race import Figure, Figures, Race
from bench.result import Result, at_most

QUESTION = "How long does an invocation with a large body take, text and binary, there and back?"
ROUNDS = 10
_COUNT = 3

_MIB = 1 << 20
_TEXT = "text/plain; charset=utf-8"
_BINARY = "application/octet-stream"


class _Lane(NamedTuple):
    """One kind of body, one way."""

    name: str
    event: bytes
    canned: str  # the right result, for the floor
    check: Check


def _lanes() -> Iterator[_Lane]:
    for mib in (1, 4):
        size = mib * _MIB
        for kind, content_type, part in (("text", _TEXT, LINE), ("binary", _BINARY, BINARY)):
            body = part * (size // len(part))
            is_text = kind == "text"
            carried = body.decode() if is_text else b64encode(body).decode()
            yield _Lane(
                f"{mib} MiB of {kind} in",
                event("/take", "", carried, content_type, is_base64=not is_text, size=size),
                _result(f"{size}", _TEXT),
                expect(200, _TEXT, b"%d" % size),
            )
            yield _Lane(
                f"{mib} MiB of {kind} out",
                event(f"/{kind}/{size}"),
                _result(carried, content_type, is_base64=not is_text),
                expect(200, content_type, body),
            )


def measure(_seconds: float) -> Result:
    """Measure; it takes the seconds that it takes.

    Raises:
        BenchError: a version is not the one that is pinned.
    """
    names = (AMBIDEX, MANGUM, ADAPTER, FLOOR)
    lanes = tuple(_lanes())
    race = Race(names, "200, the whole body, or its length")
    with ExitStack() as stack:
        turns = race.enter(stack, lambda name: _turn(name, lanes))
        race.run(ROUNDS, lambda name: turns[name]())
    figures = [
        Figure(lane.name, "ms", {MANGUM: at_most(0.6), ADAPTER: None, FLOOR: None})
        for lane in lanes
    ]
    return Result(QUESTION, described(names), tuple(race.rows(figures, AMBIDEX)))


@contextmanager
def _turn(name: str, lanes: tuple[_Lane, ...]) -> Iterator[Callable[[], Figures]]:
    source = APPS / "bytes.py"
    with ExitStack() as stack:
        # The floor answers what it was started for, whatever it is asked.
        results = [lane.canned for lane in lanes] if name == FLOOR else [""]
        environments = [
            stack.enter_context(started(stack.enter_context(program(name, source, None, result))))
            for result in results
        ]
        for environment in environments:
            environment.freeze()

        def turn() -> Figures:
            figures = {}
            for number, lane in enumerate(lanes):
                environment = environments[number % len(environments)]
                environment.thaw()
                outcomes = environment.invoke(lane.event, _COUNT, check=lane.check)
                environment.freeze()
                times = [(each.done_ns - each.first_sent_ns) / 1e6 for each in outcomes]
                figures[lane.name] = median(times)
            return figures

        yield turn


def _result(body: str, content_type: str, *, is_base64: bool = False) -> str:
    return dumps(
        {
            "statusCode": 200,
            "headers": {"content-type": content_type},
            "body": body,
            "isBase64Encoded": is_base64,
        }
    )
