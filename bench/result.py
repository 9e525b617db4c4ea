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


class Bar(NamedTuple):
    """What a figure has to reach."""

    relation: Relation
    limit: float

    def holds(self, value: float) -> bool:
        """Whether a figure reaches it."""
        if self.relation is Relation.AT_LEAST:
            return value >= self.limit
        return value <= self.limit


class Spread(NamedTuple):
    """A series of rounds in three numbers."""

    low: float  # the first quartile
    median: float
    high: float  # the third quartile


@dataclass(frozen=True, slots=True)
class Comparison:
    """A row beside its rival, round by round, so that what slows both slows neither."""

    how: str
    unit: str
    values: tuple[float, ...]
    bar: Bar | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one contestant."""

    name: str
    unit: str
    values: tuple[float, ...]
    answer: str = ""  # as it was checked, before its time counted
    failed: int = 0  # requests
    comparison: Comparison | None = None


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
        comparison = row.comparison
        if comparison is None or comparison.bar is None:
            continue
        value = spread(comparison.values).median
        if not comparison.bar.holds(value):
            bar = f"{comparison.bar.relation.value} {comparison.bar.limit:g}"
            sentences.append(f"{row.name}: {value:.3g} {comparison.unit}, the bar is {bar}")
    return sentences


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
    comparison = document["comparison"]
    if comparison is not None:
        bar = comparison["bar"]
        if bar is not None:
            bar = Bar(Relation(bar[0]), bar[1])
        values = tuple(comparison["values"])
        comparison = Comparison(comparison["how"], comparison["unit"], values, bar)
    return Row(
        document["name"],
        document["unit"],
        tuple(document["values"]),
        document["answer"],
        document["failed"],
        comparison,
    )
