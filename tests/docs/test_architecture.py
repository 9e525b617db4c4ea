"""The rooms on docs/architecture.md are those that tests/test_rooms.py holds the code to."""

import re

from tests.project import ROOT
from tests.test_rooms import MAY_IMPORT

ROW = re.compile(r"^\| `(\w+)` \| .+ \| (.+) \|$", re.MULTILINE)


def test_the_rooms_and_what_each_may_import_are_on_the_page() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rooms = {name: set(re.findall(r"`(\w+)`", others)) for name, others in ROW.findall(page)}
    assert rooms == MAY_IMPORT
