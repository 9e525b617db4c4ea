"""When a worker that has ended is started again; what workers do is in test_managed_instances."""

import pytest

from ambidex.runtime.workers import failures_in_a_row, restart_delay_s


@pytest.mark.parametrize(
    ("before", "lived_s", "failures"),
    [
        pytest.param(0, 0.0, 1, id="the first"),
        pytest.param(1, 59.9, 2, id="one more"),
        pytest.param(4, 60.0, 1, id="a minute makes it the first again"),
    ],
)
def test_failures_are_in_a_row_if_a_worker_has_not_lived_for_a_minute(
    before: int, lived_s: float, failures: int
) -> None:
    assert failures_in_a_row(before, lived_s) == failures


def test_the_time_until_a_worker_is_started_again_doubles_and_ends_with_the_fifth() -> None:
    delays = [restart_delay_s(failures) for failures in range(1, 7)]
    assert delays == [0.1, 0.2, 0.4, 0.8, None, None]
