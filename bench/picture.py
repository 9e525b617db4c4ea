"""The picture of a run, an SVG for docs/performance.md: bars of medians, whiskers of quartiles."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from bench.contestants import ADAPTER, AMBIDEX, FLOOR, MANGUM
from bench.result import Result, Row, Run, spread

_WIDTH, _LEFT, _BAR = 880, 250, 400
_LINE, _HEAD, _GAP = 24, 34, 18

# On a ground of its own, as the other pictures: readable on light pages and on dark ones.
_GROUND, _INK, _FAINT, _OURS, _THEIRS, _LEAST = (
    *("#f6f8fa", "#1f2328", "#57606a", "#54aeff", "#d4a72c", "#afb8c1"),
)
_COLOURS = {AMBIDEX: _OURS, FLOOR: _LEAST}


class Panel(NamedTuple):
    """One figure of one question."""

    question: str
    figure: str  # as the rows' names have it
    title: str


PANELS = (
    Panel("turnaround", "turnaround, p50", "Turnaround of an invocation, median"),
    Panel("turnaround", "turnaround, p99", "Turnaround, the slowest hundredth"),
    Panel("turnaround", "CPU of an invocation", "CPU time of an invocation, all processes"),
    Panel("cold", "init, to the first call for an event", "Start of an environment"),
    Panel("cold", "memory after 100 invocations", "Memory of an environment"),
    Panel("in_flight", "memory", "Memory with 16 requests in flight"),
    Panel("streaming", "first byte of 262 kB", "First byte of a streamed response"),
)


def svg(run: Run) -> str:
    """The picture of a run that has answered the questions of the panels."""
    parts = [_text(_WIDTH - 24, 32, "ambidex serve ÷ it", _FAINT, 12, ' text-anchor="end"')]
    y = 16
    for panel in PANELS:
        rows = list(_rows(run.results[panel.question], panel.figure))
        parts.append(_panel(panel.title, rows, y))
        y += _HEAD + _LINE * len(rows) + _GAP
    foot = "Shorter is better. Bars are medians of rounds, and lines their quartiles."
    parts.append(_text(24, y + 8, f"{foot} {run.date[:10]}, {run.machine.python}.", _FAINT, 12))
    height = y + 26
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
            'aria-labelledby="title desc" font-family="-apple-system, \'Segoe UI\', Helvetica, '
            'Arial, sans-serif" font-size="14">',
            '  <title id="title">ambidex serve beside other ways to run an app on Lambda</title>',
            f'  <desc id="desc">{escape(_described(run))}</desc>',
            f'  <rect width="{_WIDTH}" height="{height}" rx="10" fill="{_GROUND}"/>',
            *parts,
            "</svg>\n",
        )
    )


def _rows(result: Result, figure: str) -> Iterator[tuple[str, Row]]:
    by_name = {row.name: row for row in result.rows}
    for name in (AMBIDEX, MANGUM, ADAPTER, FLOOR):
        row = by_name.get(f"{figure}: {name}")
        if row is not None:
            yield name, row


def _panel(title: str, rows: Sequence[tuple[str, Row]], y: int) -> str:
    most = max((spread(row.values).high for _, row in rows if row.values), default=1)
    ours = next(row for name, row in rows if name == AMBIDEX)
    ratios = {
        each.how.removeprefix("÷ "): spread(each.values).median
        for each in ours.comparisons
        if each.values and each.how.startswith("÷ ")
    }
    lines = [_text(24, y + 16, title, _INK, 15, ' font-weight="600"')]
    for number, (name, row) in enumerate(rows):
        middle = y + _HEAD + _LINE * number
        lines.append(_text(_LEFT - 10, middle + 5, name, _INK, 14, ' text-anchor="end"'))
        if not row.values:
            lines.append(_text(_LEFT, middle + 5, "missing", _FAINT))
            continue
        low, median, high = (value / most * _BAR for value in spread(row.values))
        colour = _COLOURS.get(name, _THEIRS)
        lines.append(
            f'  <rect x="{_LEFT}" y="{middle - 7}" width="{max(median, 1):.1f}" height="14" rx="2" '
            f'fill="{colour}"/>'
            f'<path d="M{_LEFT + low:.1f} {middle}H{_LEFT + high:.1f}" stroke="{_INK}" '
            'stroke-width="1.5"/>'
        )
        label = f"{_number(spread(row.values).median)} {row.unit}"
        x = _LEFT + max(median, high) + 10
        lines.append(_text(x, middle + 5, label, _INK))
        if name in ratios:
            lines.append(_text(_WIDTH - 24, middle + 5, f"{ratios[name]:.2f} ×", _FAINT, 14,
                               ' text-anchor="end"'))  # fmt: skip
    return "\n".join(lines)


def _described(run: Run) -> str:
    sentences = []
    for panel in PANELS:
        values = [
            f"{name} {_number(spread(row.values).median)} {row.unit}"
            for name, row in _rows(run.results[panel.question], panel.figure)
            if row.values
        ]
        sentences.append(f"{panel.title}: {', '.join(values)}.")
    return " ".join(sentences)


def _text(x: float, y: float, text: str, colour: str, size: int = 14, more: str = "") -> str:
    return (
        f'  <text x="{x:.1f}" y="{y}" fill="{colour}" font-size="{size}"{more}>'
        f"{escape(text)}</text>"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
