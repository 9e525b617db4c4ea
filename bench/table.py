"""A run as Markdown: on the screen and in docs/performance.md alike."""

from collections.abc import Iterable, Iterator, Sequence

from bench.machine import Machine
from bench.result import Comparison, Result, Row, Run, spread

_HEAD = ("Measured", "Median", "Quartiles", "Answer", "Failed",
         "Compared", "Median", "Quartiles", "Bar")  # fmt: skip


def page(run: Run) -> str:
    """All of a run."""
    lines = [f"{_machine(run.machine)}; {run.date}, rounds of requests of {run.seconds:g} s."]
    for result in run.results.values():
        lines += ["", section(result)]
    return "\n".join(lines)


def section(result: Result) -> str:
    """A question with its contestants and its table."""
    return "\n".join((f"### {result.question}", "", *_contestants(result), "", *_table(result)))


def _machine(machine: Machine) -> str:
    return (
        f"{machine.cpu}, {machine.cores} cores, {machine.kernel}, {machine.python}; "
        f"load before the run {machine.load:g}"
    )


def _contestants(result: Result) -> Iterator[str]:
    for contestant in result.contestants:
        remark = f"; {contestant.remark}" if contestant.remark else ""
        yield f"- **{contestant.name}** ({contestant.versions}): `{contestant.command}`{remark}"


def _table(result: Result) -> Iterator[str]:
    yield _line(_HEAD)
    yield _line(["---"] * len(_HEAD))
    for row in result.rows:
        first, *others = map(_compared, row.comparisons or (None,))
        yield _line([*_measured(row), *first])
        for other in others:
            yield _line([""] * 5 + [*other])


def _measured(row: Row) -> Sequence[str]:
    if row.missing:
        return (row.name, "missing", "–", row.missing.replace("|", "/"), "–")
    low, middle, high = spread(row.values)
    return (
        row.name,
        f"{_number(middle)} {row.unit}",
        f"{_number(low)} – {_number(high)}",
        row.answer or "–",
        f"{row.failed}" if row.answer else "–",
    )


def _compared(comparison: Comparison | None) -> Sequence[str]:
    if comparison is None:
        return ["–"] * 4
    bar = comparison.bar
    if not comparison.values:
        return (comparison.how, "–", "–", f"{bar}: **missed**" if bar else "–")
    values = spread(comparison.values)
    return (
        comparison.how,
        f"{_number(values.median)} {comparison.unit}",
        f"{_number(values.low)} – {_number(values.high)}",
        f"{bar}: {'reached' if bar.holds(values) else '**missed**'}" if bar else "–",
    )


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
