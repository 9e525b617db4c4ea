"""REST API: each of the four functions alone, against what others wrote."""

from typing import Any

import pytest

from ambidex.events import rest_api
from ambidex.events.fields import EventError
from ambidex.http import Request, Response
from tests.events.samples import sample

HOST = "a1b2c3.execute-api.eu-west-1.amazonaws.com"
DOOR = rest_api.FrontDoor(
    "id",
    "extended=",
    1583348638390,
    HOST,
    "a1b2c3",
    "123456789012",
    "prod",
    ("image/*",),
    "image/png",
)
TYPE = (b"content-type", b"text/plain")


def event(**changes: Any) -> dict[str, Any]:
    """AWS's sample, with changes; those to the context by `context`."""
    made: dict[str, Any] = sample("aws-apigw-request") | changes
    context = changes.get("context")
    if context is not None:
        made["requestContext"] = sample("aws-apigw-request")["requestContext"] | made.pop("context")
    return made


def test_awss_event_is_this_request() -> None:
    request = rest_api.to_request(event())

    assert request._replace(headers=()) == Request(
        method="POST",
        path="/hello/world",
        query=b"name=me",
        body=b'{\r\n\t"a": 1\r\n}',
        client=("192.168.196.186", 0),
    )
    assert (b"headername", b"headerValue") in request.headers
    assert (b"host", b"gy415nuibc.execute-api.us-east-1.amazonaws.com") in request.headers
    assert (b"x-forwarded-for", b"54.240.196.186, 54.182.214.83") in request.headers


@pytest.mark.parametrize("path", ["/a%2Fb", "/100%25", "/a%2525b", "/caf%c3%a9", "/a%20b", "/a+b"])
def test_the_path_is_encoded_and_stays_as_it_is(path: str) -> None:
    made = event(path=path, context={"path": f"/prod{path}", "stage": "prod"})

    assert rest_api.to_request(made).path == f"/prod{path}"


OWN_HOST = {"stage": "prod", "domainName": HOST}
DOMAIN = {"stage": "prod", "domainName": "api.example.com"}


@pytest.mark.parametrize(
    ("path", "context", "base_path", "expected"),
    [
        pytest.param("/x", {"path": "/prod/x"}, "", ("/prod/x", "/prod"), id="own host"),
        pytest.param("/", {"path": "/prod/"}, "", ("/prod/", "/prod"), id="root of the own host"),
        pytest.param("/", {"path": "/prod"}, "", ("/prod/", "/prod"), id="no slash at its end"),
        pytest.param(
            "/x", {"path": "/prod//x"}, "", ("/prod/x", "/prod"),
            id="two slashes behind the stage, as measured on AWS",
        ),
        pytest.param(
            "/prodx", DOMAIN | {"path": "/prodx"}, "", ("/prodx", ""), id="the stage's letters"
        ),
        pytest.param(
            "/prod/x", DOMAIN | {"path": "/prod/x"}, "", ("/prod/x", ""),
            id="a mapping without a stage, which the path then has",
        ),
        pytest.param(
            "/prod/x", {"path": "/prod/prod/x"}, "", ("/prod/prod/x", "/prod"),
            id="path that repeats the stage",
        ),
        pytest.param("/x", {"path": None}, "", ("/prod/x", "/prod"), id="no path in the context"),
        pytest.param(
            "/x", DOMAIN | {"path": None}, "", ("/x", ""), id="nor there on a custom domain"
        ),
        pytest.param("/x", {"path": "/x"}, "", ("/x", ""), id="test of the console"),
        pytest.param(
            "/x", {"path": "/é/x", "stage": "é"}, "", ("/%C3%A9/x", "/%C3%A9"),
            id="a stage that no URL could have as it is",
        ),
        pytest.param("/v1/x", DOMAIN | {"path": "/v1/x"}, "/v1", ("/v1/x", "/v1"), id="mapping"),
        pytest.param("/v1/x", DOMAIN | {"path": "/v1/x"}, "", ("/v1/x", ""), id="unknown mapping"),
        pytest.param("/v10/x", DOMAIN | {"path": "/v10/x"}, "/v1", ("/v10/x", ""), id="segments"),
        pytest.param(
            "/api/x", {"path": "/prod/api/x"}, "/api", ("/prod/api/x", "/prod/api"),
            id="stage and base path",
        ),
    ],
)  # fmt: skip
def test_what_is_in_front_of_the_apps_paths_is_the_root_path(
    path: str, context: dict[str, Any], base_path: str, expected: tuple[str, str]
) -> None:
    request = rest_api.to_request(event(path=path, context=OWN_HOST | context), base_path)

    assert (request.path, request.root_path) == expected


def test_decoded_query_parameters_are_encoded_again() -> None:
    made = event(multiValueQueryStringParameters={"a b": ["1&2", "é"], "=": ["+"], "\ud800": [""]})

    assert rest_api.to_request(made).query == b"a%20b=1%262&a%20b=%C3%A9&%3D=%2B&%ED%A0%80="


def test_missing_maps_are_null() -> None:
    made = event(headers=None, multiValueHeaders=None, queryStringParameters=None,
                 multiValueQueryStringParameters=None, body=None)  # fmt: skip
    request = rest_api.to_request(made)

    assert (request.headers, request.query, request.body) == ((), b"", b"")


def test_a_body_of_a_result_that_is_utf_8_is_text_for_base64_may_not_be_decoded() -> None:
    assert rest_api.to_result(Response(200, (TYPE,), bytes(4))) == {
        "statusCode": 200,
        "multiValueHeaders": {"content-type": ["text/plain"]},
        "body": "\0\0\0\0",
        "isBase64Encoded": False,
    }
    assert rest_api.to_result(Response(200, (), b"\xff"))["isBase64Encoded"] is True


def test_the_event_of_a_request_field_by_field() -> None:
    request = Request(
        method="PUT",
        path="/prod/a%2Fb/c",
        query=b"tag=a&tag=%20",
        headers=(
            (b"Host", HOST.encode()),
            (b"X-Tag", b"a"),
            (b"x-tag", b"b"),
            (b"User-Agent", b"curl"),
            (b"Content-Length", b"2"),
            (b"Connection", b"close"),
        ),
        body=b"{}",
        client=("192.0.2.1", 0),
    )
    made = rest_api.to_event(request, DOOR)
    identity = made["requestContext"].pop("identity")

    assert made == {
        "resource": "/{proxy+}",
        "path": "/a%2Fb/c",
        "httpMethod": "PUT",
        "headers": {"Host": HOST, "X-Tag": "b", "User-Agent": "curl"},
        "multiValueHeaders": {"Host": [HOST], "X-Tag": ["a", "b"], "User-Agent": ["curl"]},
        "queryStringParameters": {"tag": " "},
        "multiValueQueryStringParameters": {"tag": ["a", " "]},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3",
            "domainName": HOST,
            "domainPrefix": "a1b2c3",
            "extendedRequestId": "extended=",
            "httpMethod": "PUT",
            "path": "/prod/a%2Fb/c",
            "protocol": "HTTP/1.1",
            "requestId": "id",
            "requestTime": "04/Mar/2020:19:03:58 +0000",
            "requestTimeEpoch": 1583348638390,
            "resourceId": None,
            "resourcePath": "/{proxy+}",
            "stage": "prod",
        },
        "pathParameters": {"proxy": "a%2Fb/c"},
        "stageVariables": None,
        "body": "{}",
        "isBase64Encoded": False,
    }
    assert (identity["sourceIp"], identity["userAgent"]) == ("192.0.2.1", "curl")


def test_the_keys_of_an_event_are_among_those_of_awss_sample() -> None:
    made = rest_api.to_event(Request("GET", "/prod/x"), DOOR)
    theirs = sample("aws-apigw-request")
    made.pop("isBase64Encoded")
    made.pop("multiValueQueryStringParameters")

    assert made.keys() <= theirs.keys()
    assert made["requestContext"].keys() <= theirs["requestContext"].keys()


def test_the_root_has_a_resource_of_its_own_and_no_parameters() -> None:
    for path in ("/prod", "/prod/"):
        made = rest_api.to_event(Request("GET", path), DOOR)

        assert (made["path"], made["resource"], made["pathParameters"]) == ("/", "/", None)


def test_on_a_custom_domain_the_path_is_the_clients() -> None:
    made = rest_api.to_event(Request("GET", "/v1/x"), DOOR._replace(domain_name="api.example.com"))

    assert (made["path"], made["requestContext"]["path"]) == ("/v1/x", "/v1/x")


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        pytest.param(b"image/png", b"\x89PNG", ("iVBORw==", True), id="binary"),
        pytest.param(b"IMAGE/png; x=y", b"a", ("YQ==", True), id="case and parameters"),
        pytest.param(b"text/plain", "é".encode(), ("é", False), id="text"),
        pytest.param(b"application/zip", b"PK\xff", ("PK\ufffd", False), id="not declared: lost"),
        pytest.param(b"", b"{}", ("{}", False), id="no type is JSON"),
    ],
)
def test_a_body_is_base64_if_its_type_is_declared_binary(
    content_type: bytes, body: bytes, expected: tuple[str, bool]
) -> None:
    headers = ((b"content-type", content_type),) if content_type else ()
    made = rest_api.to_event(Request("POST", "/prod", headers=headers, body=body), DOOR)

    assert (made["body"], made["isBase64Encoded"]) == expected


@pytest.mark.parametrize(
    ("media_type", "declared", "is_binary"),
    [
        ("image/png", ("image/png",), True),
        ("image/png", ("image/*",), True),
        ("image/png", ("*/*",), True),
        ("image/png", ("image/jpeg", "application/zip"), False),
        ("imagery/png", ("image/*",), False),
        ("image/png", (), False),
        ("", ("*/*",), True),
        ("", ("image/*",), False),
    ],
)
def test_media_types_are_declared_one_by_one_by_group_or_all(
    media_type: str, declared: tuple[str, ...], is_binary: bool
) -> None:
    assert rest_api.is_binary(media_type, declared) is is_binary


@pytest.mark.parametrize(
    ("accept", "body"),
    [
        pytest.param("image/png", b"x", id="declared"),
        pytest.param("image/png, text/html", b"x", id="first of several"),
        pytest.param("text/html, image/png", b"eA==", id="not the first"),
        pytest.param("*/*", b"eA==", id="anything, and not all is declared"),
        pytest.param("", b"eA==", id="none"),
    ],
)
def test_base64_is_decoded_if_the_first_type_that_is_accepted_is_declared(
    accept: str, body: bytes
) -> None:
    result = {"statusCode": 200, "headers": {"content-type": "image/png"}, "body": "eA==",
              "isBase64Encoded": True}  # fmt: skip
    door = DOOR._replace(accept=accept, binary_media_types=("image/png",))

    assert rest_api.to_response(result, door).body == body


def test_nothing_in_a_result_has_to_be_there() -> None:
    json_type = (b"Content-Type", b"application/json")

    assert rest_api.to_response({}, DOOR) == Response(200, (json_type,))


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        pytest.param("x", "the result must be an object with statusCode, not 'x'", id="text"),
        pytest.param(
            {"statusCode": 200, "cookies": ["a=1"]},
            "a result for a REST API must not have the key 'cookies'",
            id="cookies of payload 2.0",
        ),
        pytest.param(
            {"statusCode": 200, "headers": {"x-count": 1}},
            "the header 'x-count' must be a string, not 1",
            id="header a number",
        ),
        pytest.param(
            {"statusCode": "ok"},
            "statusCode must be a number from 100 to 599, not 'ok'",
            id="status",
        ),
    ],
)
def test_a_result_of_another_form_is_malformed(result: object, sentence: str) -> None:
    with pytest.raises(EventError) as error:
        rest_api.to_response(result, DOOR)

    assert str(error.value) == sentence
