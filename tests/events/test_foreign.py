"""The events that SAM CLI and serverless-offline make of the same requests, beside ours.

Codecs that are wrong in the same way round-trip perfectly, and samples are few: here somebody
else's own code has made an event of every request in the table of cases. Where it disagrees with
us, an entry of the table of disagreements says who decides.
"""

import pytest

from ambidex.events.detect import detect
from tests.events.cases import HTTP_API_V1, REST_API, SOURCES, RequestCase
from tests.events.foreign import EMULATIONS, FOLDER, SERVERLESS_OFFLINE, Emulation, events
from tests.events.foreign.compare import (
    CASES,
    DISAGREEMENTS,
    as_theirs,
    changes,
    disagreements,
    our_event,
    our_request,
    source_of,
    their_event,
    their_request,
    where,
)
from tests.events.foreign.disagreement import Disagreement

every_emulation = pytest.mark.parametrize(
    "emulation", EMULATIONS, ids=lambda emulation: f"{emulation.emulator}, {emulation.source}"
)
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
every_disagreement = pytest.mark.parametrize(
    ("emulator", "entry"),
    [
        pytest.param(emulator, entry, id=f"{emulator}: {entry.theirs}, {entry.sources[0]}")
        for emulator, entries in DISAGREEMENTS.items()
        for entry in entries
    ],
)


@every_emulation
def test_every_case_was_sent_to_the_emulator(emulation: Emulation) -> None:
    assert list(events(emulation).cases) == [case.id for case in CASES], "run make foreign"


@every_emulation
@every_case
def test_our_event_is_the_emulators_but_for_the_disagreements(
    emulation: Emulation, case: RequestCase
) -> None:
    theirs = their_event(emulation, case)
    if theirs is None:
        refusals = [entry.status for entry in disagreements(emulation, case)]
        assert refusals == [events(emulation).cases[case.id]]
    else:
        assert as_theirs(our_event(emulation, case), "event", emulation, case) == theirs


@every_emulation
@every_case
def test_the_emulators_event_is_the_request_of_the_case_but_for_the_disagreements(
    emulation: Emulation, case: RequestCase
) -> None:
    if their_event(emulation, case) is None:
        return
    expected = as_theirs(our_request(emulation, case), "request", emulation, case)

    assert their_request(emulation, case) == expected


@every_emulation
def test_the_source_of_the_emulators_events_is_found(emulation: Emulation) -> None:
    module = source_of(emulation).module
    if (emulation.emulator, module) == (SERVERLESS_OFFLINE, HTTP_API_V1):
        module = REST_API  # its events of payload 1.0 have no version
    made = [event for event in events(emulation).cases.values() if isinstance(event, dict)]
    names = {detect(event).name for event in made}

    assert names == {module}


@every_disagreement
def test_a_disagreement_is_still_one(emulator: str, entry: Disagreement) -> None:
    """Each of its rules changes something somewhere, and something in each case that it names."""
    found: set[str] = set()
    for emulation, case in where(entry, emulator):
        changed = changes(entry, emulation, case)
        assert changed or not entry.cases or entry.status, (emulation, case.id)
        found |= set(changed)

    assert found == {
        *(f"event.{name}" for name in entry.event),
        *(f"request.{name}" for name in entry.request),
    }


@every_disagreement
def test_a_disagreement_names_what_is_there(emulator: str, entry: Disagreement) -> None:
    emulations = [e for e in EMULATIONS if e.emulator == emulator and e.source in entry.sources]

    assert len(emulations) == len(entry.sources)
    assert set(entry.cases) <= {case.id for case in CASES}
    assert bool(entry.status) != bool(entry.event or entry.request)
    if entry.status:
        for emulation in emulations:
            for case_id in entry.cases:
                assert events(emulation).cases[case_id] == entry.status


def test_nothing_else_is_committed() -> None:
    assert {path.name for path in FOLDER.glob("*.json")} == {e.path.name for e in EMULATIONS}
    assert {emulation.source for emulation in EMULATIONS} <= {source.id for source in SOURCES}
