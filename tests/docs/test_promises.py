"""Each promise of docs/behaviour.md names tests that are there."""

import ast
import re
from functools import cache

from tests.docs.pages import PAGES
from tests.project import ROOT

PAGE = ROOT / "docs" / "behaviour.md"
ROW = re.compile(r"^\| (?!Promise|---)(.+?) \| (.+) \|$", re.MULTILINE)
NAME = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, kinds))


def test_every_promise_names_its_test() -> None:
    rows = ROW.findall(PAGE.read_text("utf-8"))
    assert rows
    for promise, shown_by in rows:
        assert NAME.search(shown_by), promise
        assert promise.endswith("."), promise


def test_every_test_that_a_page_names_is_there() -> None:
    for page in PAGES:
        for path, name in NAME.findall(page.read_text("utf-8")):
            assert (ROOT / path).is_file(), f"{page.name}: {path}"
            assert name.startswith("test_"), f"{page.name}: {path}::{name}"
            assert name in functions_of(path), f"{page.name}: {path}::{name}"


def test_no_promise_is_made_twice() -> None:
    promises = [promise for promise, _ in ROW.findall(PAGE.read_text("utf-8"))]
    assert len(promises) == len(set(promises))
