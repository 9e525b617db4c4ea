"""VPC Lattice: each of the four functions alone, in both event structures."""

from typing import Any

import pytest

from ambidex.events import vpc_lattice
from ambidex.events.fields import EventError
from ambidex.http import Request, Response
from tests.events.samples import sample

GROUP = vpc_lattice.TargetGroup(
    version=2,
    service_network_arn="arn:aws:vpc-lattice:eu-west-1:123456789012:servicenetwork/sn-1",
    service_arn="arn:aws:vpc-lattice:eu-west-1:123456789012:service/svc-1",
    arn="arn:aws:vpc-lattice:eu-west-1:123456789012:targetgroup/tg-1",
    region="eu-west-1",
    source_vpc_arn="arn:aws:ec2:eu-west-1:123456789012:vpc/vpc-1",
    time_epoch_us=1690497599177430,
)


def v2(**changes: Any) -> dict[str, Any]:
    """An event with the keys that AWS's page shows for V2."""
    return {
        "version": "2.0",
        "path": "/items?order-id=1&tag=a%20b&tag=c",
        "method": "POST",
        "headers": {
            "host": ["svc.vpc-lattice-svcs.eu-west-1.on.aws"],
            "x-forwarded-for": ["10.0.3.7"],
            "x-tag": ["a", "b"],
        },
        "queryStringParameters": {"order-id": ["1"], "tag": ["a b", "c"]},
        "body": "hello",
        "requestContext": {"serviceArn": GROUP.service_arn, "region": "eu-west-1"},
        **changes,
    }


def v1(**changes: Any) -> dict[str, Any]:
    """An event with the keys that AWS's page shows for V1."""
    return {
        "raw_path": "/items",
        "method": "GET",
        "headers": {"Host": "svc.example", "x-forwarded-for": "6.6.6.6, 10.0.3.7"},
        "query_string_parameters": {"order-id": "1", "q": "a b"},
        "body": "aGVsbG8=",
        "is_base64_encoded": True,
        **changes,
    }


def test_an_event_of_v2_is_this_request() -> None:
    assert vpc_lattice.to_request(v2()) == Request(
        method="POST",
        path="/items",
        query=b"order-id=1&tag=a%20b&tag=c",
        headers=(
            (b"host", b"svc.vpc-lattice-svcs.eu-west-1.on.aws"),
            (b"x-forwarded-for", b"10.0.3.7"),
            (b"x-tag", b"a"),
            (b"x-tag", b"b"),
        ),
        body=b"hello",
        client=("10.0.3.7", 0),
    )


def test_an_event_of_v1_is_this_request() -> None:
    assert vpc_lattice.to_request(v1()) == Request(
        method="GET",
        path="/items",
        query=b"order-id=1&q=a%20b",
        headers=((b"host", b"svc.example"), (b"x-forwarded-for", b"6.6.6.6, 10.0.3.7")),
        body=b"hello",
        client=("10.0.3.7", 0),
    )


def test_powertools_event_of_v1_is_this_request() -> None:
    assert vpc_lattice.to_request(sample("powertools-vpc-lattice-v1")) == Request(
        method="GET",
        path="/testpath",
        query=b"order-id=1",
        headers=(
            (b"user_agent", b"curl/7.64.1"),
            (b"x-forwarded-for", b"10.213.229.10"),
            (b"host", b"test-lambda-service-3908sdf9u3u.dkfjd93.vpc-lattice-svcs.us-east-2.on.aws"),
            (b"accept", b"*/*"),
            (b"header1", b"value1"),
            (b"header2", b"value1,value2"),
        ),
        body=b'{"test": "event"}',
        client=("10.213.229.10", 0),
    )


@pytest.mark.parametrize(
    ("changes", "query"),
    [
        pytest.param({"path": "/x?a=%2F"}, b"a=%2F", id="behind the path"),
        pytest.param({"path": "/x?"}, b"", id="empty behind the path"),
        pytest.param({"path": "/x"}, b"order-id=1&tag=a%20b&tag=c", id="in the map only"),
        pytest.param(
            {"path": "/x", "queryStringParameters": {"a": "1&2"}}, b"a=1%262", id="map of strings"
        ),
        pytest.param(
            {"path": "/x", "queryStringParameters": {"a": ["%26"]}}, b"a=%26", id="percent signs"
        ),
        pytest.param({"path": "/x", "queryStringParameters": None}, b"", id="nowhere"),
    ],
)
def test_the_query_is_behind_the_path_else_in_the_map(
    changes: dict[str, Any], query: bytes
) -> None:
    assert vpc_lattice.to_request(v2(**changes)).query == query


def test_headers_of_v2_may_be_strings_as_well() -> None:
    assert vpc_lattice.to_request(v2(headers={"X-A": "1"})).headers == ((b"x-a", b"1"),)


@pytest.mark.parametrize(
    ("base_path", "root_path"), [("", ""), ("/items", "/items"), ("/it", ""), ("/x", "")]
)
def test_the_base_path_is_cut_at_segments_and_becomes_the_root_path(
    base_path: str, root_path: str
) -> None:
    for event in (v1(), v2()):
        request = vpc_lattice.to_request(event, base_path)

        assert (request.path, request.root_path) == ("/items", root_path)


def test_the_result_is_a_map_of_strings_in_which_cookies_differ_in_case() -> None:
    response = Response(
        200,
        ((b"vary", b"a"), (b"vary", b"b"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")),
        b"\xff",
    )

    assert vpc_lattice.to_result(response) == {
        "isBase64Encoded": True,
        "statusCode": 200,
        "headers": {"vary": "a,b", "set-cookie": "a=1", "Set-cookie": "b=2"},
        "body": "/w==",
    }


REQUEST = Request(
    method="PUT",
    path="/a%2Fb",
    query=b"tag=a&tag=%20",
    headers=(
        (b"Host", b"svc"),
        (b"X-Tag", b"a"),
        (b"x-tag", b"b"),
        (b"Content-Type", b"text/plain"),
    ),
    body=b"text",
)


def test_the_event_of_a_request_field_by_field_in_v2() -> None:
    assert vpc_lattice.to_event(REQUEST, GROUP) == {
        "version": "2.0",
        "path": "/a%2Fb?tag=a&tag=%20",
        "method": "PUT",
        "headers": {"host": ["svc"], "x-tag": ["a", "b"], "content-type": ["text/plain"]},
        "queryStringParameters": {"tag": ["a", " "]},
        "body": "text",
        "isBase64Encoded": False,
        "requestContext": {
            "serviceNetworkArn": GROUP.service_network_arn,
            "serviceArn": GROUP.service_arn,
            "targetGroupArn": GROUP.arn,
            "identity": {"sourceVpcArn": GROUP.source_vpc_arn},
            "region": "eu-west-1",
            "timeEpoch": "1690497599177430",
        },
    }


def test_the_event_of_a_request_field_by_field_in_v1() -> None:
    assert vpc_lattice.to_event(REQUEST, GROUP._replace(version=1)) == {
        "raw_path": "/a%2Fb?tag=a&tag=%20",
        "method": "PUT",
        "headers": {"host": "svc", "x-tag": "a, b", "content-type": "text/plain"},
        "query_string_parameters": {"tag": " "},
        "body": "text",
        "is_base64_encoded": False,
    }


def test_a_result_is_the_response() -> None:
    result = {"statusCode": 201, "headers": {"x-a": "1"}, "body": "eA==", "isBase64Encoded": True}

    assert vpc_lattice.to_response(result) == Response(201, ((b"x-a", b"1"),), b"x")


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        pytest.param(v2(path=None), "path must be a string in the JSON, not None", id="path"),
        pytest.param(v1(raw_path=1), "raw_path must be a string in the JSON, not 1", id="raw path"),
        pytest.param(v2(method=None), "method must be a string in the JSON, not None", id="method"),
        pytest.param(
            v2(headers={"a": 1}),
            "'a' must be a list of strings in the JSON, not 1",
            id="header a number",
        ),
        pytest.param(
            v1(body="x"),
            "body says is_base64_encoded and is not base64: Invalid base64-encoded string: number "
            "of data characters (1) cannot be 1 more than a multiple of 4",
            id="base64",
        ),
    ],
)
def test_an_event_of_another_form_is_an_error_that_names_the_field(
    broken: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(EventError) as error:
        vpc_lattice.to_request(broken)

    assert str(error.value) == sentence


def test_a_result_that_is_no_object_is_an_error() -> None:
    with pytest.raises(EventError, match="the result must be an object with statusCode, not 'x'"):
        vpc_lattice.to_response("x")
