"""Which source an event is from, and what is said of one that is from none."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ambidex.events.detect import NotHttpError, detect
from ambidex.events.fields import EventError
from ambidex.http import Request, Response
from tests.events import cases
from tests.events.foreign import EMULATIONS, events
from tests.events.samples import sample
from tests.fuzz.target import is_request_or_refused, is_response_or_refused

NO_SOURCE = (
    "the event is no HTTP request of an HTTP API, a REST API, a Function URL, an Application Load "
    "Balancer or VPC Lattice: "
)


@pytest.mark.parametrize("source", cases.SOURCES, ids=lambda source: source.id)
def test_the_source_of_an_event_of_ours_is_found(source: cases.Source) -> None:
    event = source.to_event(Request("GET", "/"))

    assert detect(event).name == source.module


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("aws-apigw-v2-request-no-authorizer", "http_api"),
        ("aws-apigw-v2-request-iam", "http_api"),
        ("aws-apigw-request", "rest_api"),
        ("aws-lambda-urls-request", "function_url"),
        ("aws-alb-lambda-target-request-headers-only", "alb"),
        ("aws-alb-lambda-target-request-multivalue-headers", "alb"),
    ],
)
def test_the_source_of_an_event_that_others_made_is_found(name: str, source: str) -> None:
    assert detect(sample(name)).name == source


@pytest.mark.parametrize("source", cases.SOURCES, ids=lambda source: source.id)
def test_function_urls_and_rest_apis_take_streams_and_no_others(source: cases.Source) -> None:
    has_prelude = detect(source.to_event(Request("GET", "/"))).to_prelude is not None

    assert has_prelude == (source.module in ("function_url", "rest_api"))


def test_a_custom_domain_may_be_called_after_function_urls() -> None:
    event = sample("aws-apigw-v2-request-iam")
    event["requestContext"]["domainName"] = "my-lambda-url.example.com"

    assert detect(event).name == "http_api"


@pytest.mark.parametrize(
    ("name", "has", "has_not"),
    [
        ("aws-alb-lambda-target-request-headers-only", "headers", "multiValueHeaders"),
        ("aws-alb-lambda-target-request-multivalue-headers", "multiValueHeaders", "headers"),
    ],
)
def test_the_result_for_a_load_balancer_is_of_the_mode_of_its_event(
    name: str, has: str, has_not: str
) -> None:
    result = detect(sample(name)).to_result(Response(200, ((b"x-tag", b"a"),)))

    assert has in result
    assert has_not not in result


def test_the_source_found_makes_the_request_with_the_base_path() -> None:
    event = sample("aws-apigw-v2-request-iam")
    request = detect(event).to_request(event, "/my")

    assert (request.path, request.root_path) == ("/my/path", "/my")


def test_a_malformed_event_of_a_source_is_no_event_of_another_kind() -> None:
    event = sample("aws-lambda-urls-request") | {"rawPath": 1}

    with pytest.raises(EventError) as error:
        detect(event).to_request(event, "")

    assert not isinstance(error.value, NotHttpError)


def test_a_load_balancer_takes_a_megabyte_and_lambda_six() -> None:
    alb = detect(sample("aws-alb-lambda-target-request-headers-only"))
    http_api = detect(sample("aws-apigw-v2-request-no-authorizer"))

    assert (alb.result_bytes, http_api.result_bytes) == (1_048_576, 6_291_556)


@pytest.mark.parametrize(
    ("event", "looks_like"),
    [
        pytest.param(
            {"Records": [{"eventSource": "aws:s3", "s3": {}}]},
            "it holds records of 'aws:s3'",
            id="S3",
        ),
        pytest.param(
            {"Records": [{"eventSource": "aws:sqs", "body": "x"}]},
            "it holds records of 'aws:sqs'",
            id="SQS",
        ),
        pytest.param(
            {"Records": [{"EventSource": "aws:sns", "Sns": {}}]},
            "it holds records of 'aws:sns'",
            id="SNS, with its capital letter",
        ),
        pytest.param(
            {"Records": [{}]}, "it holds records of an unnamed source", id="records of nobody"
        ),
        pytest.param({"Records": []}, "its keys are ['Records']", id="no records"),
        pytest.param({"Records": ["x"]}, "its keys are ['Records']", id="records that are none"),
        pytest.param(
            {"version": "0", "detail-type": "Scheduled Event", "detail": {}},
            "it is of EventBridge",
            id="EventBridge",
        ),
        pytest.param(
            sample("aws-apigw-request")
            | {
                "type": "REQUEST",
                "methodArn": "arn:aws:execute-api:eu-west-1:123456789012:a/b/GET/x",
            },
            "it is a question to a Lambda authorizer",
            id="authorizer of a REST API",
        ),
        pytest.param(
            sample("aws-apigw-v2-request-iam")
            | {
                "type": "REQUEST",
                "routeArn": "arn:aws:execute-api:eu-west-1:123456789012:a/b/GET/x",
            },
            "it is a question to a Lambda authorizer",
            id="authorizer of an HTTP API",
        ),
        pytest.param(
            {
                "type": "TOKEN",
                "authorizationToken": "allow",
                "methodArn": "arn:aws:execute-api:eu-west-1:123456789012:a/b/GET/x",
            },
            "it is a question to a Lambda authorizer",
            id="authorizer of a REST API that gets a token only",
        ),
        pytest.param(
            {
                "requestContext": {
                    "connectionId": "a=",
                    "eventType": "CONNECT",
                    "routeKey": "$connect",
                }
            },
            "it is of a WebSocket API",
            id="WebSocket API",
        ),
        pytest.param(
            {"version": "2.0", "requestContext": {}, "rawPath": "/"},
            "its keys are ['rawPath', 'requestContext', 'version']",
            id="payload 2.0 without http",
        ),
        pytest.param(
            {"version": "3.0", "httpMethod": "GET", "resource": "/x"},
            "its keys are ['httpMethod', 'resource', 'version']",
            id="a version that is none yet",
        ),
        pytest.param({"b": 1, "a": 2}, "its keys are ['a', 'b']", id="something else"),
        pytest.param({}, "it is empty", id="empty"),
        pytest.param(
            {"requestContext": None}, "its keys are ['requestContext']", id="context is null"
        ),
    ],
)
def test_an_event_of_no_source_is_refused_in_a_sentence_that_says_what_it_looks_like(
    event: object, looks_like: str
) -> None:
    with pytest.raises(NotHttpError) as error:
        detect(event)

    assert str(error.value) == NO_SOURCE + looks_like


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        pytest.param(None, "null", id="null"),
        pytest.param([], "a list", id="list"),
        pytest.param("warm up", "a string", id="string"),
        pytest.param(True, "a boolean", id="boolean"),
        pytest.param(4711, "a number", id="number"),
        pytest.param(0.5, "a number", id="fraction"),
    ],
)
def test_what_is_no_object_is_refused(event: object, kind: str) -> None:
    with pytest.raises(EventError) as error:
        detect(event)

    assert str(error.value) == f"an event must be a JSON object to be a request, not {kind}"


def test_a_sentence_shows_at_most_200_characters_of_an_event() -> None:
    for event in ({"k" * 1000: 1}, {"Records": [{"eventSource": {"secret": "s" * 1000}}]}):
        with pytest.raises(EventError) as error:
            detect(event)

        assert len(str(error.value)) < len(NO_SOURCE) + 230


def test_the_name_of_a_field_is_cut_too() -> None:
    event = sample("aws-alb-lambda-target-request-multivalue-headers")
    event["multiValueHeaders"] = {"k" * 1000: 1}

    with pytest.raises(EventError) as error:
        detect(event).to_request(event, "")

    assert len(str(error.value)) < 260


NAMES = (
    "version",
    "resource",
    "identity",
    "stage",
    "raw_path",
    "is_base64_encoded",
    "query_string_parameters",
    "queryStringParameters",
    "method",
    "serviceArn",
    "requestContext",
    "http",
    "elb",
    "httpMethod",
    "path",
    "rawPath",
    "rawQueryString",
    "headers",
    "multiValueHeaders",
    "multiValueQueryStringParameters",
    "cookies",
    "body",
    "isBase64Encoded",
    "Records",
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(("1.0", "2.0", "GET", "/", "/%", "é", "\ud800", "[::1]:80", "9" * 5000))
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
VALID = (
    *map(
        sample,
        (
            "aws-apigw-v2-request-no-authorizer",
            "aws-apigw-v2-request-iam",
            "aws-alb-lambda-target-request-headers-only",
            "aws-alb-lambda-target-request-multivalue-headers",
            "aws-apigw-request",
            "aws-lambda-urls-request",
        ),
    ),
    *(
        source.to_event(source.sent(case.request))
        for source in cases.SOURCES
        for case in cases.REQUESTS
    ),
    *(
        event
        for emulation in EMULATIONS
        for event in events(emulation).cases.values()
        if isinstance(event, dict)
    ),
)


@given(event=JSON)
def test_any_json_is_a_request_or_refused(event: object) -> None:
    is_request_or_refused(event)


@pytest.mark.parametrize("source", cases.SOURCES, ids=lambda source: source.id)
@given(result=JSON)
def test_any_json_is_a_response_or_refused(source: cases.Source, result: object) -> None:
    is_response_or_refused(source.to_response, result)


@pytest.mark.parametrize("source", cases.SOURCES, ids=lambda source: source.id)
@given(data=st.data())
def test_a_valid_result_with_something_wrong_in_it_is_a_response_or_refused(
    source: cases.Source, data: st.DataObject
) -> None:
    case = data.draw(st.sampled_from(cases.RESPONSES))
    result = source.to_result(case.response)
    for _ in range(data.draw(st.integers(1, 3))):
        _break_something(data, result)
    is_response_or_refused(source.to_response, result)


@given(data=st.data(), base_path=st.sampled_from(("", "/api", "/my")))
def test_a_valid_event_with_something_wrong_in_it_is_a_request_or_refused(
    data: st.DataObject, base_path: str
) -> None:
    event = copy.deepcopy(data.draw(st.sampled_from(VALID)))
    for _ in range(data.draw(st.integers(1, 3))):
        _break_something(data, event)
    is_request_or_refused(event, base_path)


def _break_something(data: st.DataObject, event: Any) -> None:
    places = _places(event)
    if not places:
        return
    container, key = data.draw(st.sampled_from(places))
    if isinstance(container, dict) and data.draw(st.booleans()):
        del container[key]
    else:
        container[key] = data.draw(JSON)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a value, with every key or index that it has."""
    if not isinstance(value, dict | list):
        return []
    items = list(value.items() if isinstance(value, dict) else enumerate(value))
    return [
        *((value, key) for key, _ in items),
        *(place for _, item in items for place in _places(item)),
    ]


@pytest.mark.parametrize("source", cases.SOURCES, ids=lambda source: source.id)
@pytest.mark.parametrize(
    "huge",
    [
        pytest.param("9" * 100_000, id="digits"),
        pytest.param("%" * 100_000, id="percent signs"),
        pytest.param("a," * 50_000, id="commas"),
        pytest.param("/" * 100_000, id="slashes"),
        pytest.param(":" * 100_000, id="colons"),
        pytest.param(["x"] * 10_000, id="list"),
        pytest.param({str(n): "x" for n in range(10_000)}, id="object"),
    ],
)
def test_a_huge_value_in_any_place_is_a_request_or_refused(
    source: cases.Source, huge: object
) -> None:
    event = source.to_event(cases.REQUESTS[0].request)

    for index in range(len(_places(event))):
        broken = copy.deepcopy(event)
        container, key = _places(broken)[index]
        container[key] = huge
        is_request_or_refused(broken)
