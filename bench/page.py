"""Pastes the newest whole run into docs/performance.md, and draws its picture."""

from collections.abc import Container, Iterable
from pathlib import Path

from bench import picture, table
from bench.program import ROOT, BenchError
from bench.result import Run, read

PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "pictures" / "performance.svg"
RESULTS = ROOT / "bench" / "results"
BEGIN = "<!-- Pasted by `python -m bench --paste`: run that, change nothing by hand. -->"
END = "<!-- The end of what is pasted. -->"


def paste(questions: Iterable[str], seconds: float) -> Path:
    """Put the newest run's tables between the markers of the page; the run's file.

    Args:
        questions: those that the run must have answered, all of them.
        seconds: the rounds' length that it must have had.

    Raises:
        BenchError: there is no such run, or the page has no markers.
    """
    path, run = _newest(set(questions), seconds)
    before, begin, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchError(f"{PAGE} has lost its markers, {BEGIN} and {END}")
    PAGE.write_text(f"{before}{begin}\n\n{table.page(run)}\n\n{end}{after}", encoding="utf-8")
    PICTURE.write_text(picture.svg(run), encoding="utf-8")
    return path


def _newest(questions: set[str], seconds: float) -> tuple[Path, Run]:
    for path in sorted(RESULTS.glob("*.json"), reverse=True):
        run = read(path)
        if _has_all(run.results, questions) and run.seconds == seconds:
            return path, run
    raise BenchError(f"{RESULTS} has no run of all questions at full length: make bench")


def _has_all(results: Container[str], questions: set[str]) -> bool:
    return all(name in results for name in questions)
