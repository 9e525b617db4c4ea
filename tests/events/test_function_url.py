"""Function URL: each of the four functions alone, against what others wrote."""

import pytest

from ambidex.events import function_url
from ambidex.http import Request, Response
from tests.events.samples import sample

DOMAIN = "abcdefghij.lambda-url.eu-west-1.on.aws"
DOOR = function_url.FrontDoor("id", 1583348638390, DOMAIN)
CALLER = function_url.Caller(
    "AKIA1", "111122223333", "AIDA1", "arn:aws:iam::111122223333:user/a", "AIDA1"
)


def test_awss_event_is_this_request() -> None:
    request = function_url.to_request(sample("aws-lambda-urls-request"))

    assert request == Request(
        method="POST",
        path="/my/path",
        query=b"parameter1=value1&parameter1=value2&parameter2=value",
        headers=(
            (b"header1", b"value1"),
            (b"header2", b"value1,value2"),
            (b"cookie", b"cookie1; cookie2"),
        ),
        body=b"Hello from client!",
        client=("123.123.123.123", 0),
    )


@pytest.mark.parametrize(
    "raw_path", ["/a%2Fb", "/100%25", "/a%2525b", "/caf%c3%a9", "/a%20b", "/a+b"]
)
def test_the_path_is_encoded_and_stays_as_it_is(raw_path: str) -> None:
    event = sample("aws-lambda-urls-request") | {"rawPath": raw_path}

    assert function_url.to_request(event).path == raw_path


@pytest.mark.parametrize(
    ("base_path", "root_path"),
    [("", ""), ("/my", "/my"), ("/my/path", "/my/path"), ("/m", ""), ("/my/path/x", "")],
)
def test_the_base_path_is_cut_at_segments_and_becomes_the_root_path(
    base_path: str, root_path: str
) -> None:
    request = function_url.to_request(sample("aws-lambda-urls-request"), base_path)

    assert (request.path, request.root_path) == ("/my/path", root_path)


def test_the_result_has_cookies_apart_and_the_body_as_text() -> None:
    response = Response(
        201, ((b"X-Tag", b"a"), (b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2")), "é".encode()
    )

    assert function_url.to_result(response) == {
        "statusCode": 201,
        "headers": {"x-tag": "a"},
        "cookies": ["a=1", "b=2"],
        "body": "é",
        "isBase64Encoded": False,
    }


def test_the_event_of_a_request_field_by_field() -> None:
    request = Request(
        method="GET",
        path="/a%2Fb",
        query=b"x=1&x=%20",
        headers=((b"Host", DOMAIN.encode()), (b"Cookie", b"a=1; b=2"), (b"User-Agent", b"curl")),
        client=("192.0.2.1", 0),
    )

    assert function_url.to_event(request, DOOR) == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/a%2Fb",
        "rawQueryString": "x=1&x=%20",
        "cookies": ["a=1", "b=2"],
        "headers": {"host": DOMAIN, "user-agent": "curl"},
        "queryStringParameters": {"x": "1, "},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abcdefghij",
            "domainName": DOMAIN,
            "domainPrefix": "abcdefghij",
            "http": {
                "method": "GET",
                "path": "/a%2Fb",
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "curl",
            },
            "requestId": "id",
            "routeKey": "$default",
            "stage": "$default",
            "time": "04/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1583348638390,
        },
        "isBase64Encoded": False,
    }


@pytest.mark.parametrize(
    ("path", "in_context"), [("/items/", "/items"), ("/items", "/items"), ("/", "/")]
)
def test_a_slash_at_the_end_is_in_the_raw_path_only_and_is_kept(path: str, in_context: str) -> None:
    event = function_url.to_event(Request("GET", path), DOOR)

    assert (event["rawPath"], event["requestContext"]["http"]["path"]) == (path, in_context)
    assert function_url.to_request(event).path == path


def test_a_signed_request_has_the_callers_identity_in_the_places_of_awss_sample() -> None:
    event = function_url.to_event(Request("GET", "/"), DOOR._replace(caller=CALLER))
    context = event["requestContext"]

    assert context["accountId"] == "111122223333"
    assert context["authorizer"]["iam"].keys() >= (
        sample("aws-lambda-urls-request")["requestContext"]["authorizer"]["iam"].keys()
    )
    assert context["authorizer"]["iam"]["userArn"] == "arn:aws:iam::111122223333:user/a"


def test_a_result_without_a_status_is_the_body_of_a_200() -> None:
    response = function_url.to_response({"message": "é"})

    assert response == Response(
        200, ((b"content-type", b"application/json"),), '{"message":"é"}'.encode()
    )


def test_a_result_with_a_status_is_the_response() -> None:
    result = {"statusCode": 302, "headers": {"Location": "/x"}, "cookies": ["a=1"], "body": None}

    assert function_url.to_response(result) == Response(
        302, ((b"Location", b"/x"), (b"set-cookie", b"a=1"))
    )
