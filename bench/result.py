"""What a benchmark finds: rows of values, one value a round, and the bars they are held against."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from json import dumps, loads
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from bench.machine import Machine


class Relation(Enum):
    """On which side of its bar a figure has to be."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


class Spread(NamedTuple):
    """A series of rounds in three numbers."""

    low: float  # the first quartile
    median: float
    high: float  # the third quartile


class Bar(NamedTuple):
    """What a figure has to reach."""

    relation: Relation
    limit: float
    is_with_spread: bool = False  # whether it is enough that one of the quartiles reaches it

    def __str__(self) -> str:
        spread = " within the spread" if self.is_with_spread else ""
        return f"{self.relation.value} {self.limit:g}{spread}"

    def holds(self, values: Spread) -> bool:
        """Whether a figure reaches it."""
        if self.relation is Relation.AT_LEAST:
            return (values.high if self.is_with_spread else values.median) >= self.limit
        return (values.low if self.is_with_spread else values.median) <= self.limit


def at_least(limit: float) -> Bar:
    """A bar from below."""
    return Bar(Relation.AT_LEAST, limit)


def at_most(limit: float) -> Bar:
    """A bar from above."""
    return Bar(Relation.AT_MOST, limit)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A row beside its rival, round by round, so that what slows both slows neither."""

    how: str
    unit: str
    values: tuple[float, ...]  # empty if one of the two is missing
    bar: Bar | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one contestant."""

    name: str
    unit: str
    values: tuple[float, ...]
    answer: str = ""  # as it was checked, before its time counted
    failed: int = 0  # requests
    comparisons: tuple[Comparison, ...] = ()
    missing: str = ""  # why there are no values


@dataclass(frozen=True, slots=True)
class Contestant:
    """What was run."""

    name: str
    versions: str
    command: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """A question's answer."""

    question: str
    contestants: tuple[Contestant, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the benchmarks."""

    date: str  # UTC
    seconds: float  # the length of a round of requests
    machine: Machine
    results: dict[str, Result]  # by the name of the question's module


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles; of a single value all three are that."""
    if len(values) < 2:
        return Spread(values[0], values[0], values[0])
    low, _, high = quantiles(values, n=4, method="inclusive")
    return Spread(low, median(values), high)


def misses(result: Result) -> list[str]:
    """The bars that a result does not reach, a sentence each."""
    sentences = []
    for row in result.rows:
        if row.failed:
            sentences.append(f"{row.name}: {row.failed} requests failed")
        if row.missing:
            sentences.append(f"{row.name}: missing: {row.missing}")
        sentences += [
            f"{row.name}, {missed}" for each in row.comparisons if (missed := _missed(each))
        ]
    return sentences


def _missed(comparison: Comparison) -> str:
    if comparison.bar is None:
        return ""
    if not comparison.values:
        return f"{comparison.how}: nothing to compare with"
    values = spread(comparison.values)
    if comparison.bar.holds(values):
        return ""
    return f"{comparison.how}: {values.median:.3g} {comparison.unit}, the bar is {comparison.bar}"


def write(run: Run, folder: Path) -> Path:
    """Write a run as JSON, in a file named by its date."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{run.date.replace(':', '-')}.json"
    document = dumps(asdict(run), default=_plain, ensure_ascii=False, indent=1)
    path.write_text(f"{document}\n", encoding="utf-8")
    return path


def read(path: Path) -> Run:
    """A run from its JSON."""
    document = loads(path.read_text("utf-8"))
    return Run(
        document["date"],
        document["seconds"],
        Machine(**document["machine"]),
        {name: _result(item) for name, item in document["results"].items()},
    )


def _plain(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    raise TypeError(f"{value!r} has no place in JSON")


def _result(document: dict[str, Any]) -> Result:
    contestants = tuple(Contestant(**item) for item in document["contestants"])
    return Result(document["question"], contestants, tuple(map(_row, document["rows"])))


def _row(document: dict[str, Any]) -> Row:
    return Row(
        document["name"],
        document["unit"],
        tuple(document["values"]),
        document["answer"],
        document["failed"],
        tuple(map(_comparison, document["comparisons"])),
        document["missing"],
    )


def _comparison(document: dict[str, Any]) -> Comparison:
    bar = document["bar"]
    if bar is not None:
        bar = Bar(Relation(bar[0]), *bar[1:])
    return Comparison(document["how"], document["unit"], tuple(document["values"]), bar)
