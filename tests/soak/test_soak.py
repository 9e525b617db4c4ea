"""A short soak; `make soak` is the long one."""

from tests.soak.kinds import kinds
from tests.soak.soak import soak


def test_thousands_of_invocations_are_each_answered_once_and_nothing_leaks() -> None:
    report = soak(5000, lambda _: None)
    assert report.problems == []
    assert set(report.by_kind) == {kind.name for kind in kinds()}
