"""The pages of docs/reference are those that the tables in the code make."""

import re
import subprocess
import sys

import pytest
from docs.generate import REFERENCE, ROOT, pages

from ambidex.asgi.exchange import State
from ambidex.settings import TABLE
from tests.events import cases
from tests.events.foreign.compare import DISAGREEMENTS


@pytest.mark.parametrize("name", sorted(pages()))
def test_a_page_is_the_one_that_the_script_makes(name: str) -> None:
    committed = (REFERENCE / name).read_text("utf-8")

    assert committed == pages()[name], "run .venv/bin/python docs/generate.py"


def test_nothing_else_is_among_them() -> None:
    assert {path.name for path in REFERENCE.iterdir()} == set(pages())


def test_the_script_makes_the_same_pages_every_time() -> None:
    # In another process, with another seed for the order of sets.
    code = "from docs.generate import pages; print(pages())"
    other = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert other.stdout == f"{pages()}\n"


def test_every_setting_is_on_its_page() -> None:
    page = pages()["settings.md"]

    for setting in TABLE:
        assert re.search(rf"^\| `{setting.key}` \| .*{re.escape(setting.doc)} \|$", page, re.M)
        assert (f"`{setting.variable}`" in page) == setting.is_in_image


def test_every_case_is_on_its_page() -> None:
    page = pages()["event-sources.md"]

    for case in (*cases.REQUESTS, *cases.RESPONSES):
        assert f"| {case.id} | " in page
        for differs in case.differs.values():
            assert differs.reason[1:] in page
    for source in cases.SOURCES:
        assert f"| {source.id} | [{source.page}]" in page


def test_every_disagreement_with_an_emulator_is_on_its_page() -> None:
    page = pages()["foreign-events.md"]

    for entries in DISAGREEMENTS.values():
        for entry in entries:
            assert f"| {entry.theirs}" in page
            assert f"| {entry.ours}" in page
            assert f"| {entry.who.value} | [{entry.why}]({entry.page}) |" in page


def test_every_state_is_on_its_page() -> None:
    for state in State:
        assert f"| **{state.name}**: {state.value} |" in pages()["exchange.md"]
