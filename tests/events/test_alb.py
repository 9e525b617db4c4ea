"""Application Load Balancer, both modes: each of the four functions alone."""

from typing import Any

import pytest

from ambidex.events import alb
from ambidex.events.fields import EventError
from ambidex.http import Request, Response
from tests.events.samples import sample

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/lambda-target/abcdefg"
SINGLE = alb.TargetGroup(multi_value_headers=False, arn=ARN)
MULTI = alb.TargetGroup(multi_value_headers=True, arn=ARN)

SAMPLES = [
    pytest.param(
        "aws-alb-lambda-target-request-headers-only",
        Request(
            method="GET",
            path="/",
            query=b"key=hello",
            headers=(
                (b"accept", b"*/*"),
                (b"connection", b"keep-alive"),
                (b"host", b"lambda-test-alb-1334523864.us-east-1.elb.amazonaws.com"),
                (b"user-agent", b"curl/7.54.0"),
                (b"x-amzn-trace-id", b"Root=1-5c34e93e-4dea0086f9763ac0667b115a"),
                (b"x-forwarded-for", b"25.12.198.67"),
                (b"x-forwarded-port", b"80"),
                (b"x-forwarded-proto", b"http"),
                (b"x-imforwards", b"20"),
                (b"x-myheader", b"123"),
            ),
            scheme="http",
            client=("25.12.198.67", 0),
        ),
        id="AWS, single values",
    ),
    pytest.param(
        "aws-alb-lambda-target-request-multivalue-headers",
        Request(
            method="GET",
            path="/",
            query=b"key=hello",
            headers=(
                (b"accept", b"*/*"),
                (b"connection", b"keep-alive"),
                (b"host", b"lambda-test-alb-1234567.us-east-1.elb.amazonaws.com"),
                (b"user-agent", b"curl/7.54.0"),
                (b"x-amzn-trace-id", b"Root=1-5c34e7d4-00ca239424b68028d4c56d68"),
                (b"x-forwarded-for", b"72.21.198.67"),
                (b"x-forwarded-port", b"80"),
                (b"x-forwarded-proto", b"http"),
                (b"x-imforwards", b"20"),
                (b"x-myheader", b"123"),
            ),
            scheme="http",
            client=("72.21.198.67", 0),
        ),
        id="AWS, multi values",
    ),
]


@pytest.mark.parametrize(("name", "request_"), SAMPLES)
def test_an_event_of_awss_is_this_request(name: str, request_: Request) -> None:
    assert alb.to_request(sample(name)) == request_


@pytest.mark.parametrize(
    ("name", "group"),
    [
        pytest.param("aws-alb-lambda-target-request-headers-only", SINGLE, id="single"),
        pytest.param(
            "aws-alb-lambda-target-request-multivalue-headers",
            MULTI._replace(arn=f"{ARN}h"),
            id="multi",
        ),
    ],
)
def test_the_request_of_an_event_of_awss_makes_the_same_event(
    name: str, group: alb.TargetGroup
) -> None:
    event = sample(name)

    assert alb.to_event(alb.to_request(event), group) == event


def event(path: str = "/", **changes: Any) -> dict[str, Any]:
    """The smallest event: a health check's."""
    return {
        "requestContext": {"elb": {"targetGroupArn": ARN}},
        "httpMethod": "GET",
        "path": path,
        "queryStringParameters": {},
        "headers": {"user-agent": "ELB-HealthChecker/2.0"},
        "body": "",
        "isBase64Encoded": False,
        **changes,
    }


def multi_event(**changes: Any) -> dict[str, Any]:
    """The same of a target group with multi-value headers."""
    made = event(multiValueQueryStringParameters={}, multiValueHeaders={}, **changes)
    del made["queryStringParameters"], made["headers"]
    return made


def test_a_health_check_has_no_host_and_no_client() -> None:
    assert alb.to_request(event("/health")) == Request(
        "GET", "/health", headers=((b"user-agent", b"ELB-HealthChecker/2.0"),), scheme="http"
    )


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        pytest.param("/a%2Fb", "/a%2Fb", id="encoded slash"),
        pytest.param("/a%2525b", "/a%2525b", id="encoded twice"),
        pytest.param("/a%20b+c", "/a%20b+c", id="space and plus"),
        pytest.param("/caf%C3%A9", "/caf%C3%A9", id="UTF-8"),
        pytest.param("/a%FFb", "/a%FFb", id="not UTF-8"),
        pytest.param("/100%", "/100%", id="percent sign alone"),
        pytest.param("/café b", "/caf%C3%A9%20b", id="not encoded at all"),
        pytest.param("/a\x7fb", "/a%7Fb", id="control character"),
        pytest.param("a", "/a", id="no slash"),
        pytest.param("", "/", id="empty"),
    ],
)
def test_the_path_of_an_event_is_encoded_as_the_client_sent_it(sent: str, path: str) -> None:
    assert alb.to_request(event(sent)).path == path


@pytest.mark.parametrize(
    ("base_path", "path", "root_path"),
    [
        pytest.param("", "/api/x", "", id="none"),
        pytest.param("/api", "/api/x", "/api", id="below"),
        pytest.param("/api", "/api", "/api", id="exactly"),
        pytest.param("/api", "/api/api/x", "/api", id="twice"),
        pytest.param("/api", "/apiary", "", id="its letters"),
        pytest.param("/api", "/x/api", "", id="further on"),
    ],
)
def test_the_base_path_is_cut_at_segments_and_becomes_the_root_path(
    base_path: str, path: str, root_path: str
) -> None:
    request = alb.to_request(event(path), base_path)

    assert (request.path, request.root_path) == (path, root_path)


def test_keys_and_values_of_the_query_stay_encoded_in_single_mode() -> None:
    request = alb.to_request(
        event(queryStringParameters={"q": "a%20b%26c", "%C3%A9": "+%2B", "flag": "", "x": "y=z"})
    )

    assert request.query == b"q=a%20b%26c&%C3%A9=+%2B&flag=&x=y=z"


def test_keys_and_values_of_the_query_stay_encoded_in_multi_mode() -> None:
    request = alb.to_request(
        multi_event() | {"multiValueQueryStringParameters": {"t%26": ["a%20b", "", "c"], "u": [""]}}
    )

    assert request.query == b"t%26=a%20b&t%26=&t%26=c&u="


def test_every_value_of_a_header_arrives_in_multi_mode() -> None:
    request = alb.to_request(
        multi_event()
        | {"multiValueHeaders": {"X-Tag": ["a", "b"], "cookie": ["c=1", "d=2"], "x-none": []}}
    )

    assert request.headers == (
        (b"x-tag", b"a"),
        (b"x-tag", b"b"),
        (b"cookie", b"c=1"),
        (b"cookie", b"d=2"),
    )


def test_a_header_is_latin_1_and_what_is_not_is_utf_8() -> None:
    request = alb.to_request(event(headers={"x-name": "José", "x-price": "3 €"}))

    assert request.headers == ((b"x-name", b"Jos\xe9"), (b"x-price", b"3 \xe2\x82\xac"))


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        pytest.param("192.0.2.1", ("192.0.2.1", 0), id="one"),
        pytest.param("6.6.6.6, 192.0.2.1", ("192.0.2.1", 0), id="forged: the last is ALB's own"),
        pytest.param("unknown, ,192.0.2.1", ("192.0.2.1", 0), id="forged with rubbish"),
        pytest.param("192.0.2.1:4711", ("192.0.2.1", 4711), id="with a port"),
        pytest.param("2001:db8::7", ("2001:db8::7", 0), id="IPv6"),
        pytest.param("[2001:db8::7]:4711", ("2001:db8::7", 4711), id="IPv6 with a port"),
        pytest.param("192.0.2.1:" + "9" * 5000, ("192.0.2.1", 0), id="absurd port"),
        pytest.param("192.0.2.1:²", ("192.0.2.1", 0), id="port of no digits"),
        pytest.param("", None, id="empty"),
        pytest.param("6.6.6.6, ", None, id="nobody last"),
    ],
)
def test_the_client_is_the_last_of_x_forwarded_for(
    forwarded_for: str, client: tuple[str, int] | None
) -> None:
    assert alb.to_request(event(headers={"x-forwarded-for": forwarded_for})).client == client


def test_the_client_is_in_the_last_line_of_x_forwarded_for() -> None:
    request = alb.to_request(
        multi_event() | {"multiValueHeaders": {"x-forwarded-for": ["6.6.6.6", "192.0.2.1"]}}
    )

    assert request.client == ("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("forwarded", "scheme"), [("http", "http"), ("https", "https"), ("gopher", "http")]
)
def test_the_scheme_is_the_forwarded_one_or_http(forwarded: str, scheme: str) -> None:
    assert alb.to_request(event(headers={"x-forwarded-proto": forwarded})).scheme == scheme


def test_a_body_is_text_or_base64_as_the_event_says() -> None:
    text = alb.to_request(event(body="café AP8=")).body
    binary = alb.to_request(event(body="AP8=", isBase64Encoded=True)).body

    assert (text, binary) == ("café AP8=".encode(), b"\x00\xff")


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        pytest.param({}, "path must be a string in the JSON, not None", id="empty"),
        pytest.param(
            event(httpMethod=None), "httpMethod must be a string in the JSON, not None", id="method"
        ),
        pytest.param(event(headers=[]), "headers must be an object in the JSON, not []", id="list"),
        pytest.param(
            event(headers={"a": 1}), "'a' in headers must be a string, not 1", id="header a number"
        ),
        pytest.param(
            event(queryStringParameters={"a": None}),
            "'a' in queryStringParameters must be a string, not None",
            id="query value null",
        ),
        pytest.param(
            multi_event() | {"multiValueHeaders": {"a": "b"}},
            "'a' must be a list of strings in the JSON, not 'b'",
            id="multi-value header a string",
        ),
        pytest.param(
            multi_event() | {"multiValueQueryStringParameters": {"a": [1]}},
            "'a' must be a list of strings in the JSON, not [1]",
            id="multi-value query a number",
        ),
        pytest.param(event(body=1), "body must be a string in the JSON, not 1", id="body"),
    ],
)
def test_an_event_of_another_form_is_an_error_that_names_the_field(
    broken: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(EventError) as error:
        alb.to_request(broken)

    assert str(error.value) == sentence


REQUEST = Request(
    method="POST",
    path="/files/a%2Fb%20c%2525/%C3%A9+d",
    query=b"tag=a%20b&tag=c&flag&empty=&q=%C3%A9%26+x",
    headers=(
        (b"Host", b"alb.example.com"),
        (b"X-Tag", b"a"),
        (b"x-tag", b"b"),
        (b"X-Name", b"Jos\xe9"),
        (b"Cookie", b"a=1; b=2"),
        (b"Cookie", b"c=3"),
        (b"Content-Type", b"application/json"),
    ),
    body='{"name":"café"}'.encode(),
)


def test_the_event_of_a_request_field_by_field_in_single_mode() -> None:
    assert alb.to_event(REQUEST, SINGLE) == {
        "requestContext": {"elb": {"targetGroupArn": ARN}},
        "httpMethod": "POST",
        "path": "/files/a%2Fb%20c%2525/%C3%A9+d",
        "queryStringParameters": {"tag": "c", "flag": "", "empty": "", "q": "%C3%A9%26+x"},
        "headers": {
            "host": "alb.example.com",
            "x-tag": "b",
            "x-name": "José",
            "cookie": "c=3",
            "content-type": "application/json",
        },
        "body": '{"name":"café"}',
        "isBase64Encoded": False,
    }


def test_the_event_of_a_request_field_by_field_in_multi_mode() -> None:
    assert alb.to_event(REQUEST, MULTI) == {
        "requestContext": {"elb": {"targetGroupArn": ARN}},
        "httpMethod": "POST",
        "path": "/files/a%2Fb%20c%2525/%C3%A9+d",
        "multiValueQueryStringParameters": {
            "tag": ["a%20b", "c"],
            "flag": [""],
            "empty": [""],
            "q": ["%C3%A9%26+x"],
        },
        "multiValueHeaders": {
            "host": ["alb.example.com"],
            "x-tag": ["a", "b"],
            "x-name": ["José"],
            "cookie": ["a=1; b=2", "c=3"],
            "content-type": ["application/json"],
        },
        "body": '{"name":"café"}',
        "isBase64Encoded": False,
    }


@pytest.mark.parametrize(
    ("content_type", "encoding", "body", "content", "is_base64"),
    [
        pytest.param(b"image/png", b"", b"", "", False, id="empty"),
        pytest.param(b"text/html", b"", b"caf\xc3\xa9", "café", False, id="text"),
        pytest.param(b"application/json", b"", b"{}", "{}", False, id="JSON"),
        pytest.param(b"application/json", b"gzip", b"{}", "e30=", True, id="compressed"),
        pytest.param(b"application/problem+json", b"", b"{}", "e30=", True, id="problem+json"),
        pytest.param(b"application/x-www-form-urlencoded", b"", b"a=1", "YT0x", True, id="form"),
        pytest.param(b"", b"", b"text", "dGV4dA==", True, id="no type"),
        pytest.param(b"text/plain", b"", b"caf\xe9", "Y2Fm6Q==", True, id="not UTF-8"),
        pytest.param(b"", b"", b"\xfb\xef\xff", "++//", True, id="the standard alphabet"),
    ],
)
def test_a_requests_body_is_text_by_its_type_else_base64(
    content_type: bytes, encoding: bytes, body: bytes, content: str, is_base64: bool
) -> None:
    headers = ((b"content-type", content_type), (b"content-encoding", encoding))
    made = alb.to_event(
        Request("POST", "/", headers=tuple(pair for pair in headers if pair[1]), body=body), SINGLE
    )

    assert (made["body"], made["isBase64Encoded"]) == (content, is_base64)


RESPONSE = Response(
    201,
    (
        (b"Content-Type", b"application/json"),
        (b"set-cookie", b"a=1"),
        (b"vary", b"accept"),
        (b"Set-Cookie", b"b=2"),
        (b"Vary", b"origin"),
        (b"x-name", b"Jos\xe9"),
        (b"set-cookie", b"c=3"),
    ),
    '{"name":"café"}'.encode(),
)


def test_the_result_of_a_response_field_by_field_in_single_mode() -> None:
    assert alb.to_result(RESPONSE, SINGLE) == {
        "statusCode": 201,
        "statusDescription": "201 Created",
        "isBase64Encoded": False,
        "headers": {
            "content-type": "application/json",
            # Names that differ in case only: the client gets three Set-Cookie headers.
            "set-cookie": "a=1",
            "Set-cookie": "b=2",
            "sEt-cookie": "c=3",
            "vary": "accept,origin",
            "x-name": "José",
        },
        "body": '{"name":"café"}',
    }


def test_the_result_of_a_response_field_by_field_in_multi_mode() -> None:
    assert alb.to_result(RESPONSE, MULTI) == {
        "statusCode": 201,
        "statusDescription": "201 Created",
        "isBase64Encoded": False,
        "multiValueHeaders": {
            "content-type": ["application/json"],
            "set-cookie": ["a=1", "b=2", "c=3"],
            "vary": ["accept", "origin"],
            "x-name": ["José"],
        },
        "body": '{"name":"café"}',
    }


@pytest.mark.parametrize(
    ("status", "description"),
    [(200, "200 OK"), (404, "404 Not Found"), (599, "599"), (299, "299")],
)
def test_the_status_description_is_the_status_and_its_name(status: int, description: str) -> None:
    assert alb.to_result(Response(status), MULTI)["statusDescription"] == description


def test_bytes_that_are_no_text_are_base64_in_a_result() -> None:
    result = alb.to_result(Response(200, (), b"\xfb\xef\xff\xe9"), MULTI)

    assert (result["body"], result["isBase64Encoded"]) == ("++//6Q==", True)


def test_as_many_cookies_as_set_cookie_has_spellings_fit_into_single_mode() -> None:
    cookies = tuple((b"set-cookie", b"c%d=1" % number) for number in range(512))
    result = alb.to_result(Response(200, cookies), SINGLE)

    assert {name.lower() for name in result["headers"]} == {"set-cookie"}
    assert list(result["headers"].values()) == [value.decode() for _, value in cookies]


@pytest.mark.parametrize("group", [SINGLE, MULTI], ids=["single", "multi"])
@pytest.mark.parametrize(
    ("result", "response"),
    [
        pytest.param({"statusCode": 200}, Response(200), id="only a status"),
        pytest.param({"statusCode": "503"}, Response(503), id="status of digits"),
        pytest.param(
            {"statusCode": 200, "headers": None, "multiValueHeaders": None, "body": None},
            Response(200),
            id="nulls",
        ),
        pytest.param(
            {"statusCode": 200, "isBase64Encoded": True, "body": "++//AP8="},
            Response(200, (), b"\xfb\xef\xff\x00\xff"),
            id="base64",
        ),
        pytest.param(
            {"statusCode": 200, "statusDescription": "200 OK", "body": "AP8="},
            Response(200, (), b"AP8="),
            id="text that looks like base64",
        ),
    ],
)
def test_the_response_of_a_result_in_either_mode(
    group: alb.TargetGroup, result: object, response: Response
) -> None:
    assert alb.to_response(result, group) == response


# Both forms, as the Rust adapter answers: the load balancer takes that of its own mode.
BOTH = {
    "statusCode": 200,
    "headers": {"x-tag": "single", "content-length": 5, "Set-Cookie": "a=1", "set-cookie": "b=2"},
    "multiValueHeaders": {"x-tag": ["first", "second"], "set-cookie": ["a=1", "b=2"]},
}


def test_headers_of_the_single_form_count_in_single_mode() -> None:
    assert alb.to_response(BOTH, SINGLE).headers == (
        (b"x-tag", b"single"),
        (b"content-length", b"5"),
        (b"Set-Cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
    )


def test_headers_of_the_multi_form_count_in_multi_mode() -> None:
    assert alb.to_response(BOTH, MULTI).headers == (
        (b"x-tag", b"first"),
        (b"x-tag", b"second"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
    )


@pytest.mark.parametrize(
    ("result", "group", "sentence"),
    [
        pytest.param(
            "text", MULTI, "the result must be an object with statusCode, not 'text'", id="string"
        ),
        pytest.param(
            None, MULTI, "the result must be an object with statusCode, not None", id="null"
        ),
        pytest.param(
            {"body": "x"}, MULTI, "statusCode must be a number from 100 to 599, not None", id="none"
        ),
        pytest.param(
            {"statusCode": 1000},
            MULTI,
            "statusCode must be a number from 100 to 599, not 1000",
            id="status out of range",
        ),
        pytest.param(
            {"statusCode": 200, "multiValueHeaders": {"x": "y"}},
            MULTI,
            "'x' must be a list of strings in the JSON, not 'y'",
            id="single value in multi mode",
        ),
        pytest.param(
            {"statusCode": 200, "headers": {"x": ["y"]}},
            SINGLE,
            "the header 'x' must be a string, not ['y']",
            id="list in single mode",
        ),
        pytest.param(
            {"statusCode": 200, "body": ["x"]},
            SINGLE,
            "body must be a string in the JSON, not ['x']",
            id="body",
        ),
    ],
)
def test_a_result_of_another_form_is_an_error_that_names_the_field(
    result: object, group: alb.TargetGroup, sentence: str
) -> None:
    with pytest.raises(EventError) as error:
        alb.to_response(result, group)

    assert str(error.value) == sentence
