"""An emulator's event of a case beside ours, and beside the request that the case expects.

Both are compared field by field: an event's by their paths (`requestContext.http.path`), a
request's by their names. The order of keys in an object of JSON is nobody's promise, so headers
are compared by name, and so are the pairs of a query.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ambidex.http import Request
from tests.events.cases import ALB, REQUESTS, SOURCES, RequestCase, Source, expected_request
from tests.events.foreign import (
    EMULATIONS,
    SAM_CLI,
    SERVERLESS_OFFLINE,
    Emulation,
    events,
    table_sam_cli,
    table_serverless_offline,
)
from tests.events.foreign.disagreement import ABSENT, Disagreement, Seen
from tests.events.foreign.wire import NOT_SENT, PEER, sent

Fields = dict[str, Any]

DISAGREEMENTS = {
    SAM_CLI: table_sam_cli.DISAGREEMENTS,
    SERVERLESS_OFFLINE: table_serverless_offline.DISAGREEMENTS,
}

CASES = tuple(case for case in REQUESTS if case.id not in NOT_SENT)

# Objects whose fields are compared one by one; all others, such as headers, are one value.
_OBJECTS = (
    "requestContext",
    "requestContext.elb",
    "requestContext.http",
    "requestContext.identity",
)
# Names that are anybody's; only that they are there, and are strings, is compared.
_NAMES = tuple(
    f"requestContext.{name}"
    for name in (
        *("accountId", "apiId", "domainName", "domainPrefix", "elb.targetGroupArn"),
        *("extendedRequestId", "requestId", "resourceId"),
    )
)


def source_of(emulation: Emulation) -> Source:
    """The source in the table of cases that an emulation is compared with."""
    (source,) = (source for source in SOURCES if source.id == emulation.source)
    return source


def their_event(emulation: Emulation, case: RequestCase) -> Fields | None:
    """The fields of the emulator's event; None where it refused the request."""
    event = events(emulation).cases[case.id]
    return None if isinstance(event, int) else dict(_fields(event))


def our_event(emulation: Emulation, case: RequestCase) -> Fields:
    """The fields of our event of the same request, under the emulator's names."""
    source = source_of(emulation)
    request = source.sent(sent(case)._replace(client=PEER), case.base_path)
    ours = dict(_fields(json.loads(json.dumps(source.to_event(request)))))
    theirs = their_event(emulation, case) or {}
    named = {
        name: theirs[name]
        for name in _NAMES
        if isinstance(theirs.get(name), str) and isinstance(ours.get(name), str)
    }
    return ours | named


def their_request(emulation: Emulation, case: RequestCase) -> Fields:
    """The request that our `to_request` makes of the emulator's event."""
    event = events(emulation).cases[case.id]
    assert not isinstance(event, int)
    source = source_of(emulation)
    return _comparable(source.to_request(event, source.base_path(case.base_path)))


def our_request(emulation: Emulation, case: RequestCase) -> Fields:
    """The request that the case expects; the client is whom the emulator sees."""
    source = source_of(emulation)
    request = expected_request(source, case._replace(request=sent(case)))
    # A load balancer's event tells the client in a header, which is the case's own.
    return _comparable(request if source.module == ALB else request._replace(client=PEER))


def disagreements(emulation: Emulation, case: RequestCase) -> Iterator[Disagreement]:
    """Those of the table that concern a case of an emulation."""
    is_refused = their_event(emulation, case) is None
    for entry in DISAGREEMENTS[emulation.emulator]:
        is_of_case = not entry.cases or case.id in entry.cases
        if emulation.source in entry.sources and is_of_case and bool(entry.status) == is_refused:
            yield entry


def as_theirs(ours: Fields, part: str, emulation: Emulation, case: RequestCase) -> Fields:
    """Our fields after every disagreement in turn.

    Args:
        ours: of the event or the request.
        part: which of them, "event" or "request".
        emulation: whose disagreements.
        case: the case that the fields are of.
    """
    steps = [ours, *(after for _, _, after in _steps(ours, part, emulation, case))]
    return steps[-1]


def changes(
    entry: Disagreement, emulation: Emulation, case: RequestCase
) -> dict[str, tuple[Any, Any]]:
    """What an entry changes, after those before it in the table: their value and ours, by field."""
    found = {}
    parts = {"event": our_event(emulation, case), "request": our_request(emulation, case)}
    for part, ours in parts.items():
        for step, before, after in _steps(ours, part, emulation, case):
            if step is entry:
                for name in sorted({*before, *after}):
                    pair = (after.get(name, ABSENT), before.get(name, ABSENT))
                    if pair[0] != pair[1]:
                        found[f"{part}.{name}"] = pair
    return found


def where(entry: Disagreement, emulator: str) -> Iterator[tuple[Emulation, RequestCase]]:
    """The emulations and cases that an entry concerns."""
    for emulation in EMULATIONS:
        if emulation.emulator == emulator and emulation.source in entry.sources:
            for case in CASES:
                if entry in disagreements(emulation, case):
                    yield emulation, case


def _steps(
    ours: Fields, part: str, emulation: Emulation, case: RequestCase
) -> Iterator[tuple[Disagreement, Fields, Fields]]:
    """Each disagreement of a case, with the fields before and after it."""
    seen = Seen(sent(case), our_event(emulation, case))
    theirs = their_event(emulation, case) or {}
    before = ours
    for entry in disagreements(emulation, case):
        rules = entry.event if part == "event" else entry.request
        changed = {
            name: rule(before.get(name, ABSENT), seen)
            for name, rule in rules.items()
            if name in before or name in theirs
        }
        fields = {**before, **changed}
        after = {name: value for name, value in fields.items() if value is not ABSENT}
        yield entry, before, after
        before = after


def _fields(event: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in event.items():
        path = prefix + key
        if path in _OBJECTS:
            yield from _fields(value, f"{path}.")
        else:
            yield path, value


def _comparable(request: Request) -> Fields:
    pairs = sorted(request.query.split(b"&"), key=lambda pair: pair.partition(b"=")[0])
    headers = sorted(request.headers, key=lambda header: header[0])
    return request._replace(headers=tuple(headers), query=b"&".join(pairs))._asdict()
