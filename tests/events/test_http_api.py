"""HTTP API, payload 2.0: each of the four functions alone, against what others wrote."""

from typing import Any

import pytest

from ambidex.events import http_api
from ambidex.events.fields import EventError
from ambidex.http import Request, Response
from tests.events.samples import sample

DOOR = http_api.FrontDoor(
    request_id="JKJaXmPLvHcESHA=",
    time_epoch_ms=1583348638390,
    domain_name="a1b2c3.execute-api.eu-west-1.amazonaws.com",
    api_id="a1b2c3",
    account_id="123456789012",
)

AUTHORIZED = Request(
    method="GET",
    path="/my/path",
    query=b"parameter1=value1&parameter1=value2&parameter2=value",
    headers=((b"header1", b"value1"), (b"header2", b"value2"), (b"cookie", b"cookie1; cookie2")),
    body=b'{\r\n\t"a": 1\r\n}',
    client=("IP", 0),
)

SAMPLES = [
    pytest.param(
        "aws-apigw-v2-request-no-authorizer",
        Request(
            method="GET",
            path="/",
            headers=(
                (b"accept", b"*/*"),
                (b"content-length", b"0"),
                (b"host", b"aaaaaaaaaa.execute-api.us-west-2.amazonaws.com"),
                (b"user-agent", b"curl/7.58.0"),
                (b"x-amzn-trace-id", b"Root=1-5e9f0c65-1de4d666d4dd26aced652b6c"),
                (b"x-forwarded-for", b"1.2.3.4"),
                (b"x-forwarded-port", b"443"),
                (b"x-forwarded-proto", b"https"),
            ),
            client=("1.2.3.4", 0),
        ),
        id="AWS, no authorizer",
    ),
    pytest.param("aws-apigw-v2-request-iam", AUTHORIZED, id="AWS, IAM"),
    pytest.param("aws-apigw-v2-request-jwt-authorizer", AUTHORIZED, id="AWS, JWT"),
    pytest.param("aws-apigw-v2-request-lambda-authorizer", AUTHORIZED, id="AWS, Lambda authorizer"),
]


@pytest.mark.parametrize(("name", "request_"), SAMPLES)
def test_an_event_that_others_made_is_this_request(name: str, request_: Request) -> None:
    assert http_api.to_request(sample(name)) == request_


def event(path: str = "/", **changes: Any) -> dict[str, Any]:
    """The smallest event; `context` and `http` are merged into theirs."""
    context = {
        "domainName": "a1b2c3.execute-api.eu-west-1.amazonaws.com",
        "stage": "$default",
        "http": {"method": "GET", **changes.pop("http", {})},
        **changes.pop("context", {}),
    }
    return {"version": "2.0", "rawPath": path, "requestContext": context, **changes}


@pytest.mark.parametrize(
    ("stage", "domain", "base_path", "raw_path", "path", "root_path"),
    [
        # On the API's own host the client's URL has the stage.
        pytest.param("$default", "x.execute-api.a", "", "/x", "/x", "", id="default stage"),
        pytest.param("prod", "x.execute-api.a", "", "/prod/x", "/prod/x", "/prod", id="stage"),
        pytest.param("prod", "x.execute-api.a", "", "/prod", "/prod", "/prod", id="only the stage"),
        pytest.param("prod", "x.execute-api.a", "", "/prod/", "/prod/", "/prod", id="stage, slash"),
        pytest.param(
            "prod", "x.execute-api.a", "", "/prod/prod/x", "/prod/prod/x", "/prod", id="stage twice"
        ),
        pytest.param(
            "prod",
            "x.execute-api.a",
            "",
            "/production/x",
            "/production/x",
            "",
            id="no stage but its letters",
        ),
        pytest.param(
            "prod",
            "x.execute-api.a",
            "/api",
            "/prod/api/x",
            "/prod/api/x",
            "/prod/api",
            id="stage and base path",
        ),
        pytest.param(
            "prod",
            "x.execute-api.a",
            "/api",
            "/prod/apiary",
            "/prod/apiary",
            "/prod",
            id="stage and the base path's letters",
        ),
        pytest.param("prod", "", "", "/prod/x", "/prod/x", "/prod", id="no domain: as on its host"),
        # On a custom domain it has the API mapping's key in the stage's place, or nothing.
        pytest.param("prod", "api.example.com", "", "/prod/x", "/x", "", id="custom domain"),
        pytest.param("prod", "api.example.com", "", "/prod", "/", "", id="custom domain, root"),
        pytest.param(
            "prod",
            "api.example.com",
            "",
            "/prod/prod/x",
            "/prod/x",
            "",
            id="custom domain, /prod/x",
        ),
        pytest.param(
            "prod", "api.example.com", "/v1", "/prod/x", "/v1/x", "/v1", id="custom domain, mapping"
        ),
        pytest.param(
            "$default", "api.example.com", "/v1", "/x", "/v1/x", "/v1", id="default stage, mapping"
        ),
        pytest.param(
            "$default",
            "api.example.com",
            "/api",
            "/api/x",
            "/api/x",
            "/api",
            id="custom domain without a mapping, base path in the event",
        ),
        pytest.param(
            "$default",
            "api.example.com",
            "/v1",
            "/v1beta/x",
            "/v1/v1beta/x",
            "/v1",
            id="custom domain, the mapping's letters",
        ),
    ],
)
def test_stage_and_base_path_are_cut_at_segments_and_become_the_root_path(
    stage: str, domain: str, base_path: str, raw_path: str, path: str, root_path: str
) -> None:
    request = http_api.to_request(
        event(raw_path, context={"stage": stage, "domainName": domain}), base_path
    )

    assert (request.path, request.root_path) == (path, root_path)


@pytest.mark.parametrize(
    ("raw_path", "path"),
    [
        pytest.param("/a%25b", "/a%2525b", id="a percent sign was one for the client, too"),
        pytest.param("/a%2Fb", "/a%252Fb", id="what looks encoded is not"),
        pytest.param("/a b?c#d", "/a%20b%3Fc%23d", id="delimiters of a URL"),
        pytest.param("/é€🐍", "/%C3%A9%E2%82%AC%F0%9F%90%8D", id="UTF-8"),
        pytest.param("/\ud800", "/%ED%A0%80", id="half a surrogate pair"),
        pytest.param("a", "/a", id="no slash"),
        pytest.param("", "/", id="empty"),
    ],
)
def test_the_path_of_an_event_is_decoded_already(raw_path: str, path: str) -> None:
    assert http_api.to_request(event(raw_path)).path == path


def test_what_is_null_or_missing_is_empty() -> None:
    bare = {"rawPath": "/", "requestContext": {"http": {"method": "GET"}}}
    nulls = event(
        headers=None,
        cookies=None,
        body=None,
        rawQueryString=None,
        http={"sourceIp": None, "protocol": None},
        context={"stage": None, "domainName": None},
    )

    assert http_api.to_request(bare) == http_api.to_request(nulls) == Request("GET", "/")


@pytest.mark.parametrize("cookies", [None, []])
def test_a_cookie_header_stays_where_there_is_no_list_of_cookies(cookies: list[str] | None) -> None:
    request = http_api.to_request(event(headers={"Cookie": "a=1"}, cookies=cookies))

    assert request.headers == ((b"cookie", b"a=1"),)


@pytest.mark.parametrize(
    ("protocol", "http_version"),
    [("HTTP/1.0", "1.0"), ("HTTP/1.1", "1.1"), ("HTTP/2.0", "2"), ("SPDY", "1.1")],
)
def test_the_protocol_is_asgis_http_version(protocol: str, http_version: str) -> None:
    assert http_api.to_request(event(http={"protocol": protocol})).http_version == http_version


@pytest.mark.parametrize(
    ("forwarded", "scheme"), [("http", "http"), ("https", "https"), ("gopher", "https")]
)
def test_the_scheme_is_the_forwarded_one_or_https(forwarded: str, scheme: str) -> None:
    request = http_api.to_request(event(headers={"X-Forwarded-Proto": forwarded}))

    assert request.scheme == scheme


def test_a_header_is_latin_1_and_what_is_not_is_utf_8() -> None:
    request = http_api.to_request(event(headers={"X-Name": "José", "X-Price": "3 €"}))

    assert request.headers == ((b"x-name", b"Jos\xe9"), (b"x-price", b"3 \xe2\x82\xac"))


def test_the_client_is_the_source_address_and_not_x_forwarded_for() -> None:
    request = http_api.to_request(
        event(headers={"x-forwarded-for": "6.6.6.6"}, http={"sourceIp": "2001:db8::7"})
    )

    assert request.client == ("2001:db8::7", 0)


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        pytest.param({}, "requestContext must be an object in the JSON, not None", id="empty"),
        pytest.param(
            event(context={"http": "GET /"}),
            "http must be an object in the JSON, not 'GET /'",
            id="http is a string",
        ),
        pytest.param(
            event(http={"method": None}),
            "method must be a string in the JSON, not None",
            id="method",
        ),
        pytest.param(
            event(rawPath=["/"]), "rawPath must be a string in the JSON, not ['/']", id="path"
        ),
        pytest.param(
            event(rawQueryString=1),
            "rawQueryString must be a string in the JSON, not 1",
            id="query",
        ),
        pytest.param(
            event(headers=[]), "headers must be an object in the JSON, not []", id="headers"
        ),
        pytest.param(
            event(headers={"a": ["b"]}),
            "the header 'a' must be a string, not ['b']",
            id="header in a list",
        ),
        pytest.param(
            event(cookies="a=1"),
            "'cookies' must be a list of strings in the JSON, not 'a=1'",
            id="cookies in a string",
        ),
        pytest.param(
            event(body={"a": 1}), "body must be a string in the JSON, not {'a': 1}", id="body"
        ),
        pytest.param(
            event(body="a", isBase64Encoded=True),
            "body says isBase64Encoded and is not base64: Invalid base64-encoded string: number of "
            "data characters (1) cannot be 1 more than a multiple of 4",
            id="no base64",
        ),
        pytest.param(
            event(body="é", isBase64Encoded=True),
            "body says isBase64Encoded and is not base64: string argument should contain only "
            "ASCII characters",
            id="base64 that is not ASCII",
        ),
    ],
)
def test_an_event_of_another_form_is_an_error_that_names_the_field(
    broken: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(EventError) as error:
        http_api.to_request(broken)

    assert str(error.value) == sentence


def test_an_error_shows_at_most_200_characters_of_a_value() -> None:
    with pytest.raises(EventError) as error:
        http_api.to_request(event(rawPath=["secret" * 1000]))

    assert len(str(error.value)) <= 200 + len("rawPath must be a string in the JSON, not ")


def test_the_event_of_a_request_field_by_field() -> None:
    request = Request(
        method="POST",
        path="/prod/files/a%2Fb%20c%2525/%C3%A9+d",
        query=b"tag=a&tag=b&empty=&flag&q=%C3%A9%20%26+x",
        headers=(
            (b"Host", b"a1b2c3.execute-api.eu-west-1.amazonaws.com"),
            (b"User-Agent", b"curl/7.88.1"),
            (b"Cookie", b"session=abc; theme=dark"),
            (b"X-Tag", b"a"),
            (b"x-tag", b"b"),
            (b"X-Name", b"Jos\xe9"),
            (b"Cookie", b"third=3"),
            (b"Content-Type", b"application/json"),
        ),
        body='{"name":"café"}'.encode(),
        http_version="2",
        client=("192.0.2.1", 4711),
    )

    assert http_api.to_event(request, DOOR._replace(stage="prod")) == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/prod/files/a/b c%25/é+d",
        "rawQueryString": "tag=a&tag=b&empty=&flag&q=%C3%A9%20%26+x",
        "cookies": ["session=abc", "theme=dark", "third=3"],
        "headers": {
            "host": "a1b2c3.execute-api.eu-west-1.amazonaws.com",
            "user-agent": "curl/7.88.1",
            "x-tag": "a,b",
            "x-name": "José",
            "content-type": "application/json",
        },
        "queryStringParameters": {"tag": "a,b", "empty": "", "flag": "", "q": "é & x"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3",
            "domainName": "a1b2c3.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "a1b2c3",
            "http": {
                "method": "POST",
                "path": "/prod/files/a/b c%25/é+d",
                "protocol": "HTTP/2.0",
                "sourceIp": "192.0.2.1",
                "userAgent": "curl/7.88.1",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": "prod",
            "time": "04/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1583348638390,
        },
        "body": '{"name":"café"}',
        "isBase64Encoded": False,
    }


def test_the_event_of_an_empty_request_has_no_optional_keys() -> None:
    made = http_api.to_event(Request("GET", "/"), DOOR)

    assert set(made) == set(sample("aws-apigw-v2-request-no-authorizer"))
    assert (made["headers"], made["rawQueryString"], made["isBase64Encoded"]) == ({}, "", False)


def test_an_event_of_ours_has_the_types_of_awss_own() -> None:
    of_aws = sample("aws-apigw-v2-request-iam")
    ours = http_api.to_event(AUTHORIZED, DOOR)

    for name in ("rawPath", "rawQueryString", "cookies", "queryStringParameters"):
        assert ours[name] == of_aws[name]
    for name, value in ours["requestContext"].items():
        assert type(of_aws["requestContext"][name]) is type(value), name
    assert set(of_aws["requestContext"]["http"]) == set(ours["requestContext"]["http"])


@pytest.mark.parametrize(
    ("content_type", "body", "content", "is_base64"),
    [
        pytest.param(b"text/plain", b"caf\xc3\xa9", "café", False, id="text"),
        pytest.param(b"application/json; charset=utf-8", b"{}", "{}", False, id="JSON"),
        pytest.param(b"Application/XML", b"<a/>", "<a/>", False, id="XML"),
        pytest.param(b"application/javascript", b"1", "1", False, id="JavaScript"),
        pytest.param(b"application/json-patch+json", b"[]", "W10=", True, id="JSON's namesake"),
        pytest.param(b"application/problem+json", b"{}", "e30=", True, id="problem+json"),
        pytest.param(b"application/x-www-form-urlencoded", b"a=1", "YT0x", True, id="form"),
        pytest.param(b"", b"text", "dGV4dA==", True, id="no type"),
        pytest.param(b"text/plain", b"caf\xe9", "Y2Fm6Q==", True, id="text that is not UTF-8"),
        pytest.param(b"image/png", b"\x89PNG", "iVBORw==", True, id="image"),
        pytest.param(b"image/png", b"\xfb\xef\xff", "++//", True, id="the standard alphabet"),
    ],
)
def test_a_requests_body_is_text_by_its_type_else_base64(
    content_type: bytes, body: bytes, content: str, is_base64: bool
) -> None:
    headers = ((b"content-type", content_type),) if content_type else ()
    made = http_api.to_event(Request("POST", "/", headers=headers, body=body), DOOR)

    assert (made["body"], made["isBase64Encoded"]) == (content, is_base64)


def test_the_result_of_a_response_field_by_field() -> None:
    response = Response(
        201,
        (
            (b"Content-Type", b"application/json"),
            (b"set-cookie", b"a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT"),
            (b"vary", b"accept"),
            (b"Set-Cookie", b"b=2"),
            (b"Vary", b"origin"),
            (b"x-name", b"Jos\xe9"),
        ),
        '{"name":"café"}'.encode(),
    )

    assert http_api.to_result(response) == {
        "statusCode": 201,
        "headers": {
            "content-type": "application/json",
            "vary": "accept,origin",
            "x-name": "José",
        },
        "cookies": ["a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "b=2"],
        "body": '{"name":"café"}',
        "isBase64Encoded": False,
    }


def test_the_result_of_an_empty_response_has_no_cookies_and_no_content_type() -> None:
    assert http_api.to_result(Response(204)) == {
        "statusCode": 204,
        "headers": {},
        "body": "",
        "isBase64Encoded": False,
    }


@pytest.mark.parametrize(
    ("body", "content", "is_base64"),
    [
        pytest.param(b"caf\xc3\xa9", "café", False, id="UTF-8"),
        pytest.param(b"caf\xe9", "Y2Fm6Q==", True, id="not UTF-8"),
        pytest.param(b"\xfb\xef\xff", "++//", True, id="the standard alphabet"),
        pytest.param(b'"\\' * 3, "IlwiXCJc", True, id="quotes: twice as long as text"),
        pytest.param(b'a"b', 'a"b', False, id="one quote: as long as base64"),
        pytest.param(b"a\x00b", "YQBi", True, id="a NUL: eight characters against four"),
        pytest.param(b"a\x00" + b"b" * 14, "a\x00" + "b" * 14, False, id="a NUL in long text"),
        pytest.param(bytes(3), "AAAA", True, id="NULs: six times as long as text"),
        pytest.param(b"\x7f" * 6, "\x7f" * 6, False, id="DEL stands for itself"),
    ],
)
def test_a_responses_body_is_text_unless_base64_is_shorter(
    body: bytes, content: str, is_base64: bool
) -> None:
    result = http_api.to_result(Response(200, (), body))

    assert (result["body"], result["isBase64Encoded"]) == (content, is_base64)


@pytest.mark.parametrize(
    ("result", "response"),
    [
        pytest.param({"statusCode": 200}, Response(200), id="only a status"),
        pytest.param({"statusCode": "404"}, Response(404), id="status of digits"),
        pytest.param(
            {"statusCode": 200, "headers": None, "cookies": None, "body": None},
            Response(200),
            id="nulls",
        ),
        pytest.param(
            {
                "statusCode": 200,
                "headers": {"X-A": "b", "Content-Length": 5, "X-On": True, "X-Ratio": 0.5},
                "cookies": ["a=1", "b=2, c"],
                "body": "text",
            },
            Response(
                200,
                (
                    (b"X-A", b"b"),
                    (b"Content-Length", b"5"),
                    (b"X-On", b"true"),
                    (b"X-Ratio", b"0.5"),
                    (b"set-cookie", b"a=1"),
                    (b"set-cookie", b"b=2, c"),
                ),
                b"text",
            ),
            id="header values of other types, cookies",
        ),
        pytest.param(
            {
                "statusCode": 200,
                "multiValueHeaders": {"x": ["y"]},
                "body": "++//AP8=",
                "isBase64Encoded": True,
            },
            Response(200, (), b"\xfb\xef\xff\x00\xff"),
            id="base64; multi-value headers are another payload's",
        ),
        # What a result without statusCode is. Source: the page in http_api.
        pytest.param(
            "Hello from Lambda!",
            Response(200, ((b"content-type", b"application/json"),), b"Hello from Lambda!"),
            id="a string is the body",
        ),
        pytest.param(
            {"message": "Grüße"},
            Response(
                200, ((b"content-type", b"application/json"),), '{"message":"Grüße"}'.encode()
            ),
            id="an object is the body",
        ),
        pytest.param(
            {"headers": {"x": "y"}, "body": "b"},
            Response(
                200,
                ((b"content-type", b"application/json"),),
                b'{"headers":{"x":"y"},"body":"b"}',
            ),
            id="a result that forgot its status is the body",
        ),
        pytest.param(
            [1, None],
            Response(200, ((b"content-type", b"application/json"),), b"[1,null]"),
            id="a list is the body",
        ),
        pytest.param(
            None,
            Response(200, ((b"content-type", b"application/json"),), b"null"),
            id="null is the body",
        ),
        pytest.param(
            "\ud800",
            Response(200, ((b"content-type", b"application/json"),), b"\xed\xa0\x80"),
            id="half a surrogate pair",
        ),
    ],
)
def test_the_response_of_a_result(result: object, response: Response) -> None:
    assert http_api.to_response(result) == response


STATUS_RANGE = "statusCode must be a number from 100 to 599, not "


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        pytest.param({"statusCode": None}, f"{STATUS_RANGE}None", id="status null"),
        pytest.param({"statusCode": "OK"}, f"{STATUS_RANGE}'OK'", id="status in words"),
        pytest.param({"statusCode": "0200"}, f"{STATUS_RANGE}'0200'", id="status of four digits"),
        pytest.param({"statusCode": "²²²"}, f"{STATUS_RANGE}'²²²'", id="status of superscripts"),
        pytest.param({"statusCode": True}, f"{STATUS_RANGE}True", id="status true"),
        pytest.param({"statusCode": 200.5}, f"{STATUS_RANGE}200.5", id="status with a fraction"),
        pytest.param({"statusCode": 99}, f"{STATUS_RANGE}99", id="status 99"),
        pytest.param({"statusCode": 600}, f"{STATUS_RANGE}600", id="status 600"),
        pytest.param(
            {"statusCode": 200, "headers": []},
            "headers must be an object in the JSON, not []",
            id="headers in a list",
        ),
        pytest.param(
            {"statusCode": 200, "headers": {"x": None}},
            "the header 'x' must be a string, not None",
            id="header null",
        ),
        pytest.param(
            {"statusCode": 200, "headers": {"x": ["y"]}},
            "the header 'x' must be a string, not ['y']",
            id="header in a list",
        ),
        pytest.param(
            {"statusCode": 200, "cookies": [1]},
            "'cookies' must be a list of strings in the JSON, not [1]",
            id="cookie a number",
        ),
        pytest.param(
            {"statusCode": 200, "body": {"a": 1}},
            "body must be a string in the JSON, not {'a': 1}",
            id="body an object",
        ),
        pytest.param(
            {"statusCode": 200, "body": "abc", "isBase64Encoded": True},
            "body says isBase64Encoded and is not base64: Incorrect padding",
            id="no base64",
        ),
    ],
)
def test_a_result_of_another_form_is_an_error_that_names_the_field(
    result: object, sentence: str
) -> None:
    with pytest.raises(EventError) as error:
        http_api.to_response(result)

    assert str(error.value) == sentence
