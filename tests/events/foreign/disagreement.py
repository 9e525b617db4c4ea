"""What a disagreement between an emulator and us is: an entry of the tables beside this module.

Its rules make the emulator's fields of ours, so whatever no entry explains is a new disagreement,
and an entry that changes nothing is one no more.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple

from ambidex.http import Request


class Absent(Enum):
    """In the place of a field that is not there."""

    ABSENT = "–"


ABSENT = Absent.ABSENT


class Seen(NamedTuple):
    """What a rule may look at beside the field itself."""

    request: Request  # as it was sent
    event: Mapping[str, Any]  # ours, its fields by their paths


Rule = Callable[[Any, Seen], Any]
"""The emulator's value of a field, from ours."""


class Who(Enum):
    """Who has what AWS has."""

    WE = "ambidex"
    THEY = "the emulator"
    BOTH = "both"
    NOBODY_SAYS = "not documented by AWS"


class Disagreement(NamedTuple):
    """One thing about which an emulator and we disagree."""

    sources: tuple[str, ...]
    theirs: str
    ours: str
    who: Who
    why: str
    page: str  # what decides, or what comes nearest
    event: Mapping[str, Rule] = {}  # by the field's path
    request: Mapping[str, Rule] = {}  # by the field's name
    cases: tuple[str, ...] = ()  # none: wherever a rule changes something
    status: int = 0  # of the refusal, where there is no event at all
