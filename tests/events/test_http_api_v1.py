"""HTTP API, payload 1.0: each of the four functions alone."""

from typing import Any

import pytest

from ambidex.events import http_api_v1
from ambidex.events.fields import EventError
from ambidex.http import Request, Response

HOST = "a1b2c3.execute-api.eu-west-1.amazonaws.com"
DOOR = http_api_v1.FrontDoor(
    "id", "extended=", 1583348638390, HOST, "a1b2c3", "123456789012", "$default"
)


def event(path: str = "/my/path", **changes: Any) -> dict[str, Any]:
    """An event with the keys that AWS's page shows; context fields by `context`."""
    context = {
        "accountId": "123456789012",
        "domainName": HOST,
        "httpMethod": "GET",
        "identity": {"sourceIp": "192.0.2.1", "userAgent": "agent"},
        "path": path,
        "protocol": "HTTP/1.1",
        "stage": "$default",
        **changes.pop("context", {}),
    }
    return {
        "version": "1.0",
        "resource": "/my/path",
        "path": path,
        "httpMethod": "GET",
        "headers": {"header1": "value1", "header2": "value2"},
        "multiValueHeaders": {"header1": ["value1"], "header2": ["value1", "value2"]},
        "queryStringParameters": {"parameter1": "value1", "parameter2": "value"},
        "multiValueQueryStringParameters": {
            "parameter1": ["value1", "value2"],
            "parameter2": ["value"],
        },
        "requestContext": context,
        "pathParameters": None,
        "stageVariables": None,
        "body": "Hello from Lambda!",
        "isBase64Encoded": False,
        **changes,
    }


def test_an_event_as_awss_page_shows_it_is_this_request() -> None:
    assert http_api_v1.to_request(event()) == Request(
        method="GET",
        path="/my/path",
        query=b"parameter1=value1&parameter1=value2&parameter2=value",
        headers=((b"header1", b"value1"), (b"header2", b"value1"), (b"header2", b"value2")),
        body=b"Hello from Lambda!",
        client=("192.0.2.1", 0),
    )


@pytest.mark.parametrize(
    ("decoded", "path"),
    [("/a b", "/a%20b"), ("/100%", "/100%25"), ("/a%25b", "/a%2525b"), ("/café", "/caf%C3%A9")],
)
def test_the_path_is_decoded_in_the_event_and_encoded_again(decoded: str, path: str) -> None:
    assert http_api_v1.to_request(event(decoded)).path == path


OWN_HOST = {"stage": "prod", "domainName": HOST}
DOMAIN = {"stage": "prod", "domainName": "api.example.com"}


@pytest.mark.parametrize(
    ("path", "context", "base_path", "expected"),
    [
        pytest.param("/x", {}, "", ("/x", ""), id="default stage"),
        pytest.param("/prod/x", OWN_HOST, "", ("/prod/x", "/prod"), id="named stage"),
        pytest.param("/prod", OWN_HOST, "", ("/prod", "/prod"), id="exactly the stage"),
        pytest.param("/production", OWN_HOST, "", ("/production", ""), id="the stage's letters"),
        pytest.param(
            "/x", OWN_HOST | {"path": "/prod/x"}, "", ("/prod/x", "/prod"),
            id="an emulator's, without the stage",
        ),
        pytest.param(
            "/prod/x", OWN_HOST | {"path": "/prod/prod/x"}, "", ("/prod/prod/x", "/prod"),
            id="an emulator's, below a route of the stage's name",
        ),
        pytest.param("/v1/x", DOMAIN, "/v1", ("/v1/x", "/v1"), id="custom domain"),
        pytest.param("/v1/x", DOMAIN, "", ("/v1/x", ""), id="custom domain, no base path"),
        pytest.param("/prod/x", DOMAIN, "", ("/prod/x", ""), id="custom domain, no stage in URLs"),
        pytest.param("/v1/x", {}, "/v1", ("/v1/x", "/v1"), id="base path on the own host"),
        pytest.param("/prod/v1/x", OWN_HOST, "/v1", ("/prod/v1/x", "/prod/v1"), id="both"),
    ],
)  # fmt: skip
def test_stage_and_base_path_are_the_root_path(
    path: str, context: dict[str, str], base_path: str, expected: tuple[str, str]
) -> None:
    made = event(path, context={"path": path} | context)
    request = http_api_v1.to_request(made, base_path)

    assert (request.path, request.root_path) == expected


def test_maps_of_strings_do_where_there_are_no_lists() -> None:
    made = event(multiValueHeaders=None)
    del made["multiValueQueryStringParameters"]
    request = http_api_v1.to_request(made)

    assert request.headers == ((b"header1", b"value1"), (b"header2", b"value2"))
    assert request.query == b"parameter1=value1&parameter2=value"


def test_the_result_has_headers_in_lists() -> None:
    response = Response(200, ((b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2")), b"\xff")

    assert http_api_v1.to_result(response) == {
        "statusCode": 200,
        "multiValueHeaders": {"set-cookie": ["a=1", "b=2"]},
        "body": "/w==",
        "isBase64Encoded": True,
    }


def test_the_event_of_a_request_field_by_field() -> None:
    request = Request(
        method="POST",
        path="/prod/a%2Fb",
        query=b"tag=a&tag=%20&flag",
        headers=((b"X-Tag", b"a"), (b"x-tag", b"b"), (b"content-type", b"text/plain")),
        body="é".encode(),
        client=("192.0.2.1", 0),
    )
    made = http_api_v1.to_event(request, DOOR._replace(stage="prod"))
    identity = made["requestContext"].pop("identity")

    assert made == {
        "version": "1.0",
        "resource": "$default",
        "path": "/prod/a/b",
        "httpMethod": "POST",
        "headers": {"x-tag": "b", "Content-Type": "text/plain"},
        "multiValueHeaders": {"x-tag": ["a", "b"], "Content-Type": ["text/plain"]},
        "queryStringParameters": {"tag": " ", "flag": ""},
        "multiValueQueryStringParameters": {"tag": ["a", " "], "flag": [""]},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3",
            "domainName": HOST,
            "domainPrefix": "a1b2c3",
            "extendedRequestId": "extended=",
            "httpMethod": "POST",
            "path": "/prod/a/b",
            "protocol": "HTTP/1.1",
            "requestId": "id",
            "requestTime": "04/Mar/2020:19:03:58 +0000",
            "requestTimeEpoch": 1583348638390,
            "resourceId": "$default",
            "resourcePath": "$default",
            "stage": "prod",
        },
        "pathParameters": None,
        "stageVariables": None,
        "body": "é",
        "isBase64Encoded": False,
    }
    assert identity.pop("userAgent") is None
    # As in an event that was captured on AWS; see the source in the module.
    assert identity == {
        "sourceIp": "192.0.2.1",
        **dict.fromkeys(
            (
                "accessKey", "accountId", "caller", "cognitoAmr", "cognitoAuthenticationProvider",
                "cognitoAuthenticationType", "cognitoIdentityId", "cognitoIdentityPoolId",
                "principalOrgId", "user", "userArn",
            )
        ),
    }  # fmt: skip


def test_headers_are_spelt_as_in_captured_events() -> None:
    """What API Gateway reads or adds is in capitals, whatever the client wrote; see the module."""
    names = (
        "content-length", "Content-Type", "host", "USER-AGENT", "x-amzn-trace-id",
        "x-forwarded-for", "x-forwarded-port", "x-forwarded-proto", "Accept",
    )  # fmt: skip
    request = Request("GET", "/", headers=tuple((name.encode(), b"x") for name in names))

    assert list(http_api_v1.to_event(request, DOOR)["headers"]) == [
        "Content-Length",
        "Content-Type",
        "Host",
        "User-Agent",
        "X-Amzn-Trace-Id",
        "X-Forwarded-For",
        "X-Forwarded-Port",
        "X-Forwarded-Proto",
        "accept",
    ]


def test_values_of_both_maps_of_a_result_are_merged_without_doubling() -> None:
    result = {
        "statusCode": 200,
        "headers": {"x-a": "1", "x-b": "2", "x-c": 3},
        "multiValueHeaders": {"X-A": ["1", "4"], "x-d": "5"},
        "body": "eA==",
        "isBase64Encoded": True,
    }

    assert http_api_v1.to_response(result) == Response(
        200,
        ((b"X-A", b"1"), (b"X-A", b"4"), (b"x-d", b"5"), (b"x-b", b"2"), (b"x-c", b"3")),
        b"x",
    )


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        pytest.param("x", "the result must be an object with statusCode, not 'x'", id="text"),
        pytest.param({}, "statusCode must be a number from 100 to 599, not None", id="no status"),
        pytest.param(
            {"statusCode": 200, "headers": []},
            "headers must be an object in the JSON, not []",
            id="headers in a list",
        ),
        pytest.param(
            {"statusCode": 200, "body": {}}, "body must be a string in the JSON, not {}", id="body"
        ),
    ],
)
def test_a_result_of_another_form_is_an_error_for_nothing_is_inferred(
    result: object, sentence: str
) -> None:
    with pytest.raises(EventError) as error:
        http_api_v1.to_response(result)

    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        pytest.param(
            event(requestContext=None),
            "requestContext must be an object in the JSON, not None",
            id="context",
        ),
        pytest.param(
            event() | {"path": None}, "path must be a string in the JSON, not None", id="path"
        ),
        pytest.param(
            event(httpMethod=1), "httpMethod must be a string in the JSON, not 1", id="method"
        ),
        pytest.param(
            event(context={"identity": "x"}),
            "identity must be an object in the JSON, not 'x'",
            id="identity",
        ),
    ],
)
def test_an_event_of_another_form_is_an_error_that_names_the_field(
    broken: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(EventError) as error:
        http_api_v1.to_request(broken)

    assert str(error.value) == sentence
