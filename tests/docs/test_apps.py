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


def test_every_test_of_an_app_is_in_its_section_and_no_other() -> None:
    sections = re.split(r"^## (\w+)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    for app, section in zip(sections[1::2], sections[2::2], strict=True):
        source = (ROOT / "tests" / "apps" / f"test_{app.lower()}.py").read_text("utf-8")
        named = set(re.findall(r"`(test_\w+)`", section.partition("\n## ")[0]))
        assert named == set(re.findall(r"^def (test_\w+)", source, re.MULTILINE)), app
    assert len(sections[1::2]) == len(list(ROOT.glob("tests/apps/test_*.py")))
