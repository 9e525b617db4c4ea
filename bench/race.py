"""Contestants that take turns, round by round; who cannot take part is named, and why."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import NamedTuple, TypeVar

from bench.program import BenchError
from bench.result import Bar, Comparison, Row

Entrant = TypeVar("Entrant")
Figures = Mapping[str, float]
"""What a round gives, by the figures' names."""


_SENTENCE = 300


class Figure(NamedTuple):
    """One thing that is measured of all, and how ours is compared with theirs."""

    name: str
    unit: str
    bars: Mapping[str, Bar | None]  # by rival
    own: Bar | None = None  # for the figure as it is


def _cut(error: BenchError) -> str:
    """A sentence for a cell of the table."""
    text = " ".join(str(error).split())
    return text if len(text) <= _SENTENCE else f"{text[:_SENTENCE]}…"


class Race:
    """A race.

    Args:
        names: of all who should take part, in the table's order.
        answer: the right one, as the table has it; a turn raises for any other.

    Attributes:
        missing: who cannot, and why.
        values: by contestant and figure, one a round.
    """

    def __init__(self, names: Iterable[str], answer: str) -> None:
        self.names = tuple(names)
        self.answer = answer
        self.missing: dict[str, str] = {}
        self.values: dict[str, dict[str, list[float]]] = {name: {} for name in self.names}

    def enter(
        self, stack: ExitStack, make: Callable[[str], AbstractContextManager[Entrant]]
    ) -> dict[str, Entrant]:
        """Bring all to the start who can come.

        Args:
            stack: ends them.
            make: a contestant, by its name; raises BenchError.
        """
        entrants = {}
        for name in self.names:
            try:
                entrants[name] = stack.enter_context(make(name))
            except BenchError as error:
                self.missing[name] = _cut(error)
        return entrants

    def run(self, rounds: int, turn: Callable[[str], Figures]) -> None:
        """Run all rounds, there and back again, and one more before, which does not count.

        Args:
            rounds: how many count.
            turn: one contestant's round, by its name; raises BenchError.
        """
        for number in range(rounds + 1):
            # So that nobody always comes after the same other.
            for name in self.names if number % 2 == 0 else reversed(self.names):
                if name in self.missing:
                    continue
                try:
                    figures = turn(name)
                except BenchError as error:
                    self.missing[name] = _cut(error)
                    continue
                if number:
                    for figure, value in figures.items():
                        self.values[name].setdefault(figure, []).append(value)

    def rows(self, figures: Iterable[Figure], ours: str) -> Iterator[Row]:
        """The table's rows, figure by figure.

        Args:
            figures: in the table's order.
            ours: who is compared with the others.
        """
        for figure in figures:
            for name in self.names:
                label = f"{figure.name}: {name}"
                comparisons = tuple(self._comparisons(figure, ours)) if name == ours else ()
                if name in self.missing:
                    missing = self.missing[name]
                    yield Row(label, figure.unit, (), comparisons=comparisons, missing=missing)
                    continue
                values = tuple(self.values[name].get(figure.name, ()))
                if values:
                    yield Row(label, figure.unit, values, self.answer, comparisons=comparisons)

    def of(self, name: str, figure: str) -> tuple[float, ...]:
        """A contestant's figure, one a round; empty if it is missing."""
        return () if name in self.missing else tuple(self.values[name].get(figure, ()))

    def _comparisons(self, figure: Figure, ours: str) -> Iterator[Comparison]:
        if figure.own is not None:
            yield Comparison("as it is", figure.unit, self.of(ours, figure.name), figure.own)
        for rival, bar in figure.bars.items():
            pairs = zip(self.of(ours, figure.name), self.of(rival, figure.name), strict=False)
            ratios = tuple(mine / theirs for mine, theirs in pairs)
            yield Comparison(f"÷ {rival}", "×", ratios, bar)
