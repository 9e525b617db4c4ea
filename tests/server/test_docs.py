import re
from pathlib import Path

from tests.server.serving import HERE

PAGE = Path(__file__).parents[2] / "docs" / "ecs.md"


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text("utf-8")))
    sources = "".join(path.read_text("utf-8") for path in HERE.glob("test_*.py"))
    assert named
    assert named - set(re.findall(r"^def (test_\w+)", sources, re.MULTILINE)) == set()
