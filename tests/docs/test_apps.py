"""The page on apps has each difference that their tests assert, and no other."""

import re
from importlib import import_module

from tests.project import ROOT

PAGE = ROOT / "docs" / "apps.md"
HEADER = "| App | Target | Of what | under `ambidex serve` | there |\n"
ROW = re.compile(r"^\| (\w+) \| ([\w ]+) \| ([^|]+) \| [^|]+ \| [^|]+ \|$", re.MULTILINE)


def test_what_others_do_instead_is_on_the_page() -> None:
    _, header, table = PAGE.read_text("utf-8").partition(HEADER)
    assert header
    on_the_page = [(app.lower(), target, what) for app, target, what in ROW.findall(table)]
    apps = sorted(path.stem.removeprefix("test_") for path in ROOT.glob("tests/apps/test_*.py"))
    asserted = [
        (app, target, what)
        for app in apps
        for target, what in import_module(f"tests.apps.test_{app}").INSTEAD
    ]
    assert sorted(on_the_page) == sorted(asserted)


def test_every_test_that_the_page_names_is_there() -> None:
    sources = "".join(path.read_text() for path in ROOT.glob("tests/apps/test_*.py"))
    for name in re.findall(r"`(test_\w+)`", PAGE.read_text("utf-8")):
        assert f"def {name}(" in sources, name


def test_every_app_has_a_row() -> None:
    page = PAGE.read_text("utf-8")
    for path in ROOT.glob("tests/apps/test_*.py"):
        assert f"| `tests/apps/{path.name}` |" in page
