"""All four functions of every event source, in a row, with JSON between them."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ambidex.http import Request, Response
from tests.events.cases import (
    REQUESTS,
    RESPONSES,
    SOURCES,
    RequestCase,
    ResponseCase,
    Source,
    difference,
    expected_request,
    expected_response,
    lower,
)
from tests.events.strategies import ANY_REQUESTS

every_source = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.id)
every_request = pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.id)
every_response = pytest.mark.parametrize("case", RESPONSES, ids=lambda case: case.id)


def through_json(value: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(value))


def request_through(source: Source, request: Request, base_path: str = "") -> Request:
    event = through_json(source.to_event(source.sent(request, base_path)))
    return source.to_request(event, source.base_path(base_path))


def response_through(source: Source, response: Response) -> Response:
    arrived = source.to_response(through_json(source.to_result(response)))
    return arrived._replace(headers=lower(arrived.headers))


@every_source
@every_request
def test_a_request_arrives_as_the_table_says(source: Source, case: RequestCase) -> None:
    assert request_through(source, case.request, case.base_path) == expected_request(source, case)


@every_source
@every_response
def test_a_response_arrives_as_the_table_says(source: Source, case: ResponseCase) -> None:
    assert response_through(source, case.response) == expected_response(source, case)


@every_source
def test_every_status_arrives(source: Source) -> None:
    for status in range(100, 600):
        response = Response(status, ((b"content-type", b"text/plain"),))
        assert response_through(source, response) == response


@every_source
@given(data=st.data())
def test_any_request_that_the_source_carries_arrives_as_it_was(
    source: Source, data: st.DataObject
) -> None:
    request = data.draw(source.requests)

    assert request_through(source, request) == source.arrived(request)


@every_source
@given(data=st.data())
def test_any_response_that_the_source_carries_arrives_as_it_was(
    source: Source, data: st.DataObject
) -> None:
    response = data.draw(source.responses)

    assert response_through(source, response) == response


@every_source
@given(request=ANY_REQUESTS)
def test_any_request_at_all_becomes_an_event_that_is_a_request(
    source: Source, request: Request
) -> None:
    arrived = request_through(source, request)

    assert arrived.method == request.method
    if not source.is_text_only:
        assert arrived.body == request.body


def test_every_name_in_the_table_is_a_source_or_its_module() -> None:
    names = {source.id for source in SOURCES} | {source.module for source in SOURCES}

    for case in (*REQUESTS, *RESPONSES):
        assert set(case.differs) <= names, case.id


def test_what_the_table_says_is_not_carried_really_differs() -> None:
    for source in SOURCES:
        for case in REQUESTS:
            if difference(source, case):
                as_sent = source.arrived(case.request, case.base_path)
                assert expected_request(source, case) != as_sent, (source.id, case.id)
        for answer in RESPONSES:
            if difference(source, answer):
                assert expected_response(source, answer) != answer.response, (source.id, answer.id)


def test_every_case_has_a_name_of_its_own() -> None:
    for names in ([case.id for case in REQUESTS], [case.id for case in RESPONSES]):
        assert len(set(names)) == len(names)
