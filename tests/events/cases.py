"""What every event source has to carry: one table of requests, one of responses, one of sources.

Every case runs over every source in every mode. A case that a source cannot carry says so here, by
the source's name or its module's for all its modes: `no(reason, what arrives otherwise)`; that is
asserted as well. A source joins by one entry in SOURCES. docs/reference/event-sources.md is
printed from these tables.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from hypothesis import strategies as st

from ambidex.events import alb, function_url, http_api, http_api_v1, rest_api, vpc_lattice
from ambidex.http import Headers, Request, Response
from tests.events import strategies

HTTP_API = "http_api"
HTTP_API_V1 = "http_api_v1"
REST_API = "rest_api"
FUNCTION_URL = "function_url"
ALB = "alb"
LATTICE = "vpc_lattice"
CUSTOM_DOMAIN = "http_api, custom domain"
REST_BINARY = "rest_api, binary */*"
REST_TEXT = "rest_api, no binary media types"
ALB_SINGLE = "alb, single values"
ALB_MULTI = "alb, multi values"
LATTICE_V1 = "vpc_lattice, V1"
LATTICE_V2 = "vpc_lattice, V2"

# Modules that share a payload format.
PAYLOAD_1_0 = (HTTP_API_V1, REST_API)
PAYLOAD_2_0 = (HTTP_API, FUNCTION_URL)
DECODED_PATH = (HTTP_API, HTTP_API_V1)
ALL = (HTTP_API, HTTP_API_V1, REST_API, FUNCTION_URL, ALB, LATTICE)


class Differs(NamedTuple):
    """Why a source does not carry a case, and the fields that arrive otherwise."""

    reason: str
    arrives: Mapping[str, Any]


def no(reason: str, **arrives: object) -> Differs:
    """Not carried; `arrives` names the fields of the value that arrive otherwise."""
    return Differs(reason, arrives)


def everywhere(names: Iterable[str], differs: Differs) -> dict[str, Differs]:
    """The same difference under several names."""
    return dict.fromkeys(names, differs)


class RequestCase(NamedTuple):
    """A request as the front door has it, without the source's own stage."""

    id: str
    request: Request
    differs: Mapping[str, Differs] = {}
    base_path: str = ""  # the setting; the part of the request's path in its `root_path`


class ResponseCase(NamedTuple):
    """A response as the app gives it."""

    id: str
    response: Response
    differs: Mapping[str, Differs] = {}


class Source(NamedTuple):
    """An event source in one of its modes."""

    id: str
    module: str
    page: str  # AWS's own, under docs.aws.amazon.com
    to_event: Callable[[Request], Mapping[str, Any]]
    to_request: Callable[[Mapping[str, Any], str], Request]
    to_result: Callable[[Response], Mapping[str, Any]]
    to_response: Callable[[object], Response]
    requests: st.SearchStrategy[Request]  # any that it carries
    responses: st.SearchStrategy[Response]
    stage: str = ""  # in front of the path in the event
    mapping: str = ""  # in the client's URL in the stage's place; the base path in the settings
    is_clients_path: bool = False  # `to_event` is given the path of the client's URL as it is
    is_text_only: bool = False  # bytes that are not UTF-8 are lost

    def sent(self, request: Request, base_path: str = "") -> Request:
        """What `to_event` is given: the path with the stage, without the API mapping's key."""
        if self.is_clients_path:
            return request._replace(path=self.arrived(request, base_path).path)
        path = request.path.removeprefix(request.root_path) if self.mapping else request.path
        return request._replace(path=self.stage + path)

    def arrived(self, request: Request, base_path: str = "") -> Request:
        """What `to_request` gives: the path as in the client's URL."""
        if self.mapping and base_path:
            return request
        mount = self.mapping or self.stage
        return request._replace(path=mount + request.path, root_path=mount + request.root_path)

    def base_path(self, base_path: str = "") -> str:
        """The setting: on a custom domain always what the API mapping cuts off."""
        return base_path or self.mapping


class Streamed(NamedTuple):
    """An event source's streamed results, whose preludes have all of a response but its body."""

    id: str
    module: str
    page: str
    to_prelude: Callable[[Response], Mapping[str, Any]]
    from_prelude: Callable[[object], Response]
    responses: st.SearchStrategy[Response]


def difference(source: Source | Streamed, case: RequestCase | ResponseCase) -> Differs | None:
    """Why and how a source carries a case otherwise, or None if it carries it."""
    return case.differs.get(source.id) or case.differs.get(source.module)


def expected_request(source: Source, case: RequestCase) -> Request:
    """The request that arrives, by the table."""
    differs = difference(source, case)
    request = case.request._replace(**differs.arrives) if differs else case.request
    return source.arrived(request, case.base_path)


def expected_response(source: Source | Streamed, case: ResponseCase) -> Response:
    """The response that arrives, by the table; its header names are in lower case."""
    differs = difference(source, case)
    response = case.response._replace(**differs.arrives) if differs else case.response
    return response._replace(headers=lower(response.headers))


def lower(headers: Headers) -> Headers:
    """Headers as HTTP compares them."""
    return tuple((name.lower(), value) for name, value in headers)


def _http_api_source(mode: str, domain: str, stage: str, mapping: str = "") -> Source:
    door = http_api.FrontDoor("id", 1764000000123, domain, "a1b2c3", "123456789012", stage)
    return Source(
        id=f"{HTTP_API}, {mode}",
        module=HTTP_API,
        page="apigateway/latest/developerguide/http-api-develop-integrations-lambda.html",
        to_event=lambda request: http_api.to_event(request, door),
        to_request=http_api.to_request,
        to_result=http_api.to_result,
        to_response=http_api.to_response,
        requests=strategies.requests(
            # A path below the mapping is taken to have it already: see "base path twice".
            paths=strategies.DECODABLE_PATHS.filter(
                lambda path: not mapping or not path.startswith(mapping)
            ),
            queries=strategies.ANY_QUERIES,
            headers=strategies.unique_headers(),
            http_versions=("1.0", "1.1", "2"),
        ),
        responses=strategies.responses(strategies.unique_headers(with_cookies=True)),
        stage="" if stage == http_api.DEFAULT_STAGE else f"/{stage}",
        mapping=mapping,
    )


def _alb_source(name: str, group: alb.TargetGroup) -> Source:
    is_multi = group.multi_value_headers
    unique, grouped = strategies.unique_headers, strategies.grouped_headers
    return Source(
        id=name,
        module=ALB,
        page="elasticloadbalancing/latest/application/lambda-functions.html",
        to_event=lambda request: alb.to_event(request, group),
        to_request=alb.to_request,
        to_result=lambda response: alb.to_result(response, group),
        to_response=lambda result: alb.to_response(result, group),
        requests=strategies.requests(
            paths=strategies.ENCODED_PATHS,
            queries=strategies.pair_queries(values_per_key=3 if is_multi else 1),
            headers=grouped() if is_multi else unique(),
            http_versions=("1.1",),
        ),
        responses=strategies.responses(grouped() if is_multi else unique(with_cookies=True)),
    )


def _http_api_v1_source(mode: str, domain: str, stage: str, mapping: str = "") -> Source:
    door = http_api_v1.FrontDoor(
        "id", "extended", 1764000000123, domain, "a1b2c3", "123456789012", stage
    )
    return Source(
        id=f"{HTTP_API_V1}, {mode}",
        module=HTTP_API_V1,
        page="apigateway/latest/developerguide/http-api-develop-integrations-lambda.html",
        to_event=lambda request: http_api_v1.to_event(request, door),
        to_request=http_api_v1.to_request,
        to_result=http_api_v1.to_result,
        to_response=http_api_v1.to_response,
        requests=strategies.requests(
            paths=strategies.DECODABLE_PATHS,
            queries=strategies.decodable_queries(),
            headers=strategies.grouped_headers(),
            http_versions=("1.0", "1.1", "2"),
        ),
        responses=strategies.responses(strategies.grouped_headers()),
        stage="" if stage == http_api.DEFAULT_STAGE else f"/{stage}",
        mapping=mapping,
        is_clients_path=True,
    )


def _rest_api_source(
    name: str, domain: str, binary_media_types: tuple[str, ...], mapping: str = ""
) -> Source:
    door = rest_api.FrontDoor(
        "id", "extended", 1764000000123, domain, "a1b2c3", "123456789012", "prod",
        binary_media_types, "*/*",
    )  # fmt: skip
    is_text_only = not binary_media_types
    bodies = strategies.UTF_8 if is_text_only else strategies.BODIES
    return Source(
        id=name,
        module=REST_API,
        page="apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html",
        to_event=lambda request: rest_api.to_event(request, door),
        to_request=rest_api.to_request,
        to_result=rest_api.to_result,
        to_response=lambda result: rest_api.to_response(result, door),
        requests=strategies.requests(
            paths=strategies.ENCODED_PATHS.filter(lambda path: not path.startswith("//")),
            queries=strategies.decodable_queries(),
            headers=strategies.grouped_headers(),
            http_versions=("1.0", "1.1", "2"),
            bodies=bodies,
        ),
        responses=_rest_responses(bodies),
        stage="" if mapping else "/prod",
        mapping=mapping,
        is_clients_path=True,
        is_text_only=is_text_only,
    )


def _rest_responses(bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[Response]:
    with_type = strategies.grouped_headers().map(lambda headers: (*headers, _TYPE))
    return strategies.responses(with_type, bodies)


def _function_url_source() -> Source:
    door = function_url.FrontDoor("id", 1764000000123, "abc.lambda-url.eu-west-1.on.aws")
    return Source(
        id=FUNCTION_URL,
        module=FUNCTION_URL,
        page="lambda/latest/dg/urls-invocation.html",
        to_event=lambda request: function_url.to_event(request, door),
        to_request=function_url.to_request,
        to_result=function_url.to_result,
        to_response=function_url.to_response,
        requests=strategies.requests(
            paths=strategies.ENCODED_PATHS,
            queries=strategies.ANY_QUERIES,
            headers=strategies.unique_headers(),
            http_versions=("1.0", "1.1", "2"),
        ),
        responses=strategies.responses(strategies.unique_headers(with_cookies=True)),
    )


def _vpc_lattice_source(name: str, version: int) -> Source:
    group = vpc_lattice.TargetGroup(version)
    unique, grouped = strategies.unique_headers, strategies.grouped_headers
    return Source(
        id=name,
        module=LATTICE,
        page="vpc-lattice/latest/ug/lambda-functions.html",
        to_event=lambda request: vpc_lattice.to_event(request, group),
        to_request=vpc_lattice.to_request,
        to_result=vpc_lattice.to_result,
        to_response=vpc_lattice.to_response,
        requests=strategies.requests(
            paths=strategies.ENCODED_PATHS,
            queries=strategies.ANY_QUERIES,
            headers=unique() if version == 1 else grouped(),
            http_versions=("1.1",),
        ),
        responses=strategies.responses(unique(with_cookies=True)),
    )


_TYPE = (b"content-type", b"text/plain; charset=utf-8")
_API_HOST = "a1b2c3.execute-api.eu-west-1.amazonaws.com"
_DOMAIN = "api.example.com"

SOURCES = (
    _http_api_source("default stage", _API_HOST, http_api.DEFAULT_STAGE),
    _http_api_source("named stage", _API_HOST, "prod"),
    _http_api_source("custom domain", _DOMAIN, "prod", mapping="/v1"),
    _http_api_v1_source("default stage", _API_HOST, http_api.DEFAULT_STAGE),
    _http_api_v1_source("named stage", _API_HOST, "prod"),
    _http_api_v1_source("custom domain", _DOMAIN, "prod", mapping="/v1"),
    _rest_api_source(REST_BINARY, _API_HOST, ("*/*",)),
    _rest_api_source(REST_TEXT, _API_HOST, ()),
    _rest_api_source("rest_api, custom domain", _DOMAIN, ("*/*",), mapping="/v1"),
    _function_url_source(),
    _alb_source(ALB_MULTI, alb.MULTI_VALUE),
    _alb_source(ALB_SINGLE, alb.SINGLE_VALUE),
    _vpc_lattice_source(LATTICE_V2, 2),
    _vpc_lattice_source(LATTICE_V1, 1),
)

_REST_STREAM = "apigateway/latest/developerguide/response-transfer-mode-lambda.html"

STREAMED = (
    Streamed(
        id="rest_api, streamed",
        module=REST_API,
        page=_REST_STREAM,
        to_prelude=rest_api.to_prelude,
        from_prelude=rest_api.from_prelude,
        responses=_rest_responses(strategies.BODIES),
    ),
    Streamed(
        id="function_url, streamed",
        module=FUNCTION_URL,
        page="lambda/latest/dg/runtimes-custom.html",
        to_prelude=function_url.to_prelude,
        from_prelude=function_url.from_prelude,
        responses=strategies.responses(strategies.unique_headers(with_cookies=True)),
    ),
)

# What a front door adds to every request, and whom it says the request is from.
FORWARDED: Headers = (
    (b"host", b"api.example.com"),
    (b"x-forwarded-for", b"192.0.2.1"),
    (b"x-forwarded-port", b"443"),
    (b"x-forwarded-proto", b"https"),
)
CLIENT = ("192.0.2.1", 0)


def _get(
    path: str = "/items",
    query: bytes = b"",
    extra: Headers = (),
    *,
    forwarded: Headers = FORWARDED,
    client: tuple[str, int] | None = CLIENT,
    **fields: Any,
) -> Request:
    method = fields.pop("method", "GET")
    return Request(method, path, query, forwarded + extra, client=client, **fields)


def _post(body: bytes, content_type: bytes = b"", extra: Headers = ()) -> Request:
    typed: Headers = ((b"content-type", content_type),) if content_type else ()
    return _get(extra=typed + extra, method="POST", body=body)


def _forwarded_for(value: bytes, *more: bytes) -> Headers:
    lines = tuple((b"x-forwarded-for", line) for line in (value, *more))
    return (FORWARDED[0], *lines, *FORWARDED[2:])


def _text_only(body: bytes) -> Mapping[str, Differs]:
    return {REST_TEXT: no(_NOT_UTF8, body=body.decode("utf-8", "replace").encode())}


_EVERY_BYTE = bytes(range(256))
_DECODES_PATH = "the API decodes the path before the function sees it"
_LAST_VALUE = "a target group without multi-value headers passes on the last value only"
_NO_BARE_KEY = "a key without = is the same as one with an empty value in a map"
_DECODES_QUERY = "the API decodes query parameters"
_JOINS = "repeated headers are joined with commas"
_NOT_UTF8 = "without binary media types a REST API takes every body for UTF-8"
_NO_URL = "no URL has such bytes: they are encoded"
_GROUPS = "a map has each key once, with its values together"

REQUESTS = (
    RequestCase("plain GET", _get()),
    RequestCase("the root", _get("/")),
    RequestCase("HEAD", _get(method="HEAD")),
    RequestCase("a method of nobody's", _get(method="PROPFIND")),
    # Paths
    RequestCase(
        "encoded slash in the path",
        _get("/files/a%2Fb"),
        everywhere(DECODED_PATH, no(_DECODES_PATH, path="/files/a/b")),
    ),
    RequestCase("encoded percent sign", _get("/sale/100%25")),
    RequestCase("doubly encoded path, decoded once", _get("/a%2525b")),
    RequestCase("encoded space", _get("/a%20b")),
    RequestCase("plus sign in the path is no space", _get("/a+b")),
    RequestCase("encoded UTF-8 path", _get("/caf%C3%A9/%E2%82%AC/%F0%9F%90%8D")),
    RequestCase(
        "lower-case hexadecimal in the path",
        _get("/caf%c3%a9"),
        everywhere(DECODED_PATH, no(_DECODES_PATH, path="/caf%C3%A9")),
    ),
    RequestCase(
        "needlessly encoded path",
        _get("/%61bc%2Ddef"),
        everywhere(DECODED_PATH, no(_DECODES_PATH, path="/abc-def")),
    ),
    RequestCase(
        "encoded bytes that are not UTF-8",
        _get("/a%FFb"),
        everywhere(
            DECODED_PATH, no(f"{_DECODES_PATH}; JSON has no such bytes", path="/a%EF%BF%BDb")
        ),
    ),
    RequestCase("sub-delimiters in the path", _get("/a;v=1,2/b:c@d/(e)!$&'*~")),
    RequestCase(
        "double and trailing slashes",
        _get("//a//b/"),
        everywhere(
            (REST_BINARY, REST_TEXT),
            no("several slashes behind the stage are one in the event", path="/a//b/"),
        ),
    ),
    # Stages and base paths
    RequestCase("path that begins with the stage's letters", _get("/production/x")),
    RequestCase("path that repeats the stage", _get("/prod/x")),
    RequestCase("below the base path", _get("/api/items", root_path="/api"), base_path="/api"),
    RequestCase("exactly the base path", _get("/api", root_path="/api"), base_path="/api"),
    RequestCase("base path with a slash", _get("/api/", root_path="/api"), base_path="/api"),
    RequestCase(
        "base path twice",
        _get("/api/api/items", root_path="/api"),
        {
            CUSTOM_DOMAIN: no(
                "a domain without an API mapping leaves the base path in the event, and no event "
                "tells which domain has one: a base path that is there is taken for that",
                path="/api/items",
            )
        },
        base_path="/api",
    ),
    RequestCase(
        "encoded base path",
        _get("/caf%C3%A9/x", root_path="/caf%C3%A9"),
        base_path="/caf%C3%A9",
    ),
    RequestCase(
        "path that begins with the base path's letters",
        _get("/apiary"),
        {
            CUSTOM_DOMAIN: no(
                "an API mapping cuts the base path off what it sends to the API, so all that "
                "arrives was below it",
                path="/api/apiary",
                root_path="/api",
            )
        },
        base_path="/api",
    ),
    # Queries
    RequestCase("query", _get(query=b"a=1&b=2")),
    RequestCase(
        "encoded query is not decoded",
        _get(query=b"q=a%20b%26c%3Dd&%C3%A9=%2B+%25"),
        everywhere(PAYLOAD_1_0, no(_DECODES_QUERY, query=b"q=a%20b%26c%3Dd&%C3%A9=%2B%20%25")),
    ),
    RequestCase(
        "lower-case hexadecimal in the query",
        _get(query=b"q=%c3%a9"),
        everywhere(PAYLOAD_1_0, no(_DECODES_QUERY, query=b"q=%C3%A9")),
    ),
    RequestCase(
        "equals sign in a query value",
        _get(query=b"filter=a=b"),
        everywhere(PAYLOAD_1_0, no(_DECODES_QUERY, query=b"filter=a%3Db")),
    ),
    RequestCase("empty query value", _get(query=b"a=&b=")),
    RequestCase(
        "query key without =",
        _get(query=b"flag"),
        everywhere((*PAYLOAD_1_0, ALB), no(_NO_BARE_KEY, query=b"flag=")),
    ),
    RequestCase(
        "repeated query keys",
        _get(query=b"tag=a&tag=b"),
        {ALB_SINGLE: no(_LAST_VALUE, query=b"tag=b")},
    ),
    RequestCase(
        "repeated query keys with others between",
        _get(query=b"a=1&b=2&a=3"),
        {
            **everywhere((*PAYLOAD_1_0, ALB_MULTI), no(_GROUPS, query=b"a=1&a=3&b=2")),
            ALB_SINGLE: no(_LAST_VALUE, query=b"a=3&b=2"),
        },
    ),
    RequestCase(
        "UTF-8 in the query that is not encoded",
        _get(query="q=café".encode()),
        everywhere(ALL, no(_NO_URL, query=b"q=caf%C3%A9")),
    ),
    RequestCase(
        "bytes in the query that are not even UTF-8",
        _get(query=b"q=caf\xe9"),
        {
            **everywhere(ALL, no(_NO_URL, query=b"q=caf%E9")),
            **everywhere(
                PAYLOAD_1_0,
                no(f"{_DECODES_QUERY}; JSON has no such bytes", query=b"q=caf%EF%BF%BD"),
            ),
        },
    ),
    # Headers
    RequestCase(
        "repeated headers",
        _get(extra=((b"x-tag", b"a"), (b"x-tag", b"b, c"))),
        {
            **everywhere(PAYLOAD_2_0, no(_JOINS, headers=(*FORWARDED, (b"x-tag", b"a,b, c")))),
            LATTICE_V1: no(_JOINS, headers=(*FORWARDED, (b"x-tag", b"a, b, c"))),
            ALB_SINGLE: no(_LAST_VALUE, headers=(*FORWARDED, (b"x-tag", b"b, c"))),
        },
    ),
    RequestCase(
        "header names in mixed case",
        _get(extra=((b"X-Request-ID", b"Abc"),)),
        everywhere(
            ALL, no("names are in lower case", headers=(*FORWARDED, (b"x-request-id", b"Abc")))
        ),
    ),
    RequestCase("empty header value", _get(extra=((b"x-empty", b""),))),
    RequestCase("latin-1 header value", _get(extra=((b"x-name", b"Jos\xe9"),))),
    RequestCase("UTF-8 header value", _get(extra=((b"x-name", "José €".encode()),))),
    RequestCase("several cookies", _get(extra=((b"cookie", b"a=1; b=2; c=x=y"),))),
    RequestCase(
        "several Cookie headers",
        _get(extra=((b"cookie", b"a=1"), (b"cookie", b"b=2"))),
        {
            **everywhere(
                PAYLOAD_2_0,
                no(
                    "the event has a list of cookies, which are one header again",
                    headers=(*FORWARDED, (b"cookie", b"a=1; b=2")),
                ),
            ),
            LATTICE_V1: no(_JOINS, headers=(*FORWARDED, (b"cookie", b"a=1, b=2"))),
            ALB_SINGLE: no(_LAST_VALUE, headers=(*FORWARDED, (b"cookie", b"b=2"))),
        },
    ),
    RequestCase(
        "cookie before another header",
        _get(extra=((b"cookie", b"a=1"), (b"x-tag", b"a"))),
        everywhere(
            PAYLOAD_2_0,
            no(
                "the event has its cookies apart from the headers",
                headers=(*FORWARDED, (b"x-tag", b"a"), (b"cookie", b"a=1")),
            ),
        ),
    ),
    RequestCase(
        "IPv6 host with a port",
        _get(forwarded=((b"host", b"[2001:db8::1]:8443"), *FORWARDED[1:])),
    ),
    RequestCase(
        "health check of a load balancer: no Host, nothing forwarded",
        Request("GET", "/", headers=((b"user-agent", b"ELB-HealthChecker/2.0"),), scheme="http"),
        {
            **everywhere(
                (*PAYLOAD_1_0, *PAYLOAD_2_0),
                no("API Gateway and Function URLs speak HTTPS only", scheme="https"),
            ),
            LATTICE: no("no field has the scheme: it is taken for https", scheme="https"),
        },
    ),
    RequestCase(
        "plain http",
        _get(
            forwarded=(
                *FORWARDED[:2],
                (b"x-forwarded-port", b"80"),
                (b"x-forwarded-proto", b"http"),
            ),
            scheme="http",
        ),
    ),
    RequestCase(
        "forged X-Forwarded-For: the client is the last",
        _get(forwarded=_forwarded_for(b"6.6.6.6, 10.0.0.1, 192.0.2.1")),
    ),
    RequestCase(
        "forged X-Forwarded-For in a line of its own",
        _get(forwarded=_forwarded_for(b"6.6.6.6", b"192.0.2.1")),
        {
            **everywhere(PAYLOAD_2_0, no(_JOINS, headers=_forwarded_for(b"6.6.6.6,192.0.2.1"))),
            LATTICE_V1: no(_JOINS, headers=_forwarded_for(b"6.6.6.6, 192.0.2.1")),
            ALB_SINGLE: no(_LAST_VALUE, headers=_forwarded_for(b"192.0.2.1")),
        },
    ),
    RequestCase(
        "client with an IPv6 address",
        _get(forwarded=_forwarded_for(b"2001:db8::7"), client=("2001:db8::7", 0)),
    ),
    RequestCase(
        "client's port in X-Forwarded-For",
        _get(forwarded=_forwarded_for(b"[2001:db8::7]:4711"), client=("2001:db8::7", 4711)),
        everywhere(
            (*PAYLOAD_1_0, *PAYLOAD_2_0),
            no("no event has the client's port", client=("2001:db8::7", 0)),
        ),
    ),
    RequestCase(
        "HTTP/2",
        _get(http_version="2"),
        {
            ALB: no("no event of a load balancer has the HTTP version", http_version="1.1"),
            LATTICE: no("no event of VPC Lattice has the HTTP version", http_version="1.1"),
        },
    ),
    # Bodies
    RequestCase("empty body with a type", _post(b"", b"application/json")),
    RequestCase("text body", _post("Grüße €🐍".encode(), b"text/plain; charset=utf-8")),
    RequestCase("JSON body", _post('{"name":"café","n":[1,2]}'.encode(), b"application/json")),
    RequestCase("problem+json body", _post(b'{"title":"no"}', b"application/problem+json")),
    RequestCase("form body", _post(b"a=1&b=%20+c", b"application/x-www-form-urlencoded")),
    RequestCase(
        "multipart body",
        _post(b"--x\r\n\r\n\x00\xff\r\n--x--", b"multipart/form-data; boundary=x"),
        _text_only(b"--x\r\n\r\n\x00\xff\r\n--x--"),
    ),
    RequestCase("body without a type", _post(b"anything")),
    RequestCase(
        "every byte", _post(_EVERY_BYTE, b"application/octet-stream"), _text_only(_EVERY_BYTE)
    ),
    RequestCase(
        "every byte called text", _post(_EVERY_BYTE, b"text/plain"), _text_only(_EVERY_BYTE)
    ),
    RequestCase(
        "body that is not the UTF-8 it says",
        _post(b"caf\xe9", b"text/plain; charset=utf-8"),
        _text_only(b"caf\xe9"),
    ),
    RequestCase("NULs", _post(bytes(100), b"text/plain")),
    RequestCase(
        "control characters and quotes", _post(b'\x00\x1f\x7f"\\/\r\n\t', b"application/json")
    ),
    RequestCase("byte-order mark", _post(b"\xef\xbb\xbftext", b"text/plain")),
    RequestCase("body that looks like base64", _post(b"aGVsbG8=", b"text/plain")),
    RequestCase(
        "compressed text body",
        _post(b"\x1f\x8b\x08\x00abc", b"text/plain", ((b"content-encoding", b"gzip"),)),
        _text_only(b"\x1f\x8b\x08\x00abc"),
    ),
    RequestCase(
        "content encoding of ASCII",
        _post(b"plain", b"application/json", ((b"content-encoding", b"identity"),)),
    ),
)

_SINGLE_MAP = (*PAYLOAD_2_0, ALB_SINGLE, LATTICE)
_SINGLE_JOINS = "a map has a name once: repeats are joined with commas"


_BASE64 = "without binary media types a REST API decodes no base64"
_JSON_TYPE = (b"content-type", b"application/json")


def _untyped(*headers: tuple[bytes, bytes]) -> Mapping[str, Differs]:
    """A REST API gives every response a type."""
    reason = "a REST API calls a response without a type JSON"
    return {REST_API: no(reason, headers=(_JSON_TYPE, *headers))}


def _base64(body: bytes) -> Mapping[str, Differs]:
    return {REST_TEXT: no(_BASE64, body=b64encode(body))}


def _typed(body: bytes, content_type: bytes, *extra: tuple[bytes, bytes]) -> Response:
    return Response(200, ((b"content-type", content_type), *extra), body)


RESPONSES = (
    ResponseCase("text", _typed("Grüße €🐍".encode(), b"text/plain; charset=utf-8")),
    ResponseCase("JSON", _typed('{"name":"café"}'.encode(), b"application/json")),
    ResponseCase(
        "problem+json", Response(422, ((b"content-type", b"application/problem+json"),), b"{}")
    ),
    ResponseCase("form", _typed(b"a=1&b=%20+c", b"application/x-www-form-urlencoded")),
    ResponseCase("no headers", Response(200, (), b"text"), _untyped()),
    ResponseCase("no body, no headers", Response(200), _untyped()),
    ResponseCase("204 has no body and gains no header", Response(204), _untyped()),
    ResponseCase(
        "304 keeps its ETag", Response(304, ((b"etag", b'"x"'),)), _untyped((b"etag", b'"x"'))
    ),
    ResponseCase(
        "HEAD's content length stays", Response(200, (_TYPE, (b"content-length", b"4711")))
    ),
    ResponseCase("redirect", Response(307, (_TYPE, (b"location", b"/a%20b?c=%26")))),
    ResponseCase("status without a name", Response(599, (_TYPE,), b"?")),
    ResponseCase("smallest status", Response(100, (_TYPE,))),
    ResponseCase("one Set-Cookie", Response(200, (_TYPE, (b"set-cookie", b"a=1; Path=/, x")))),
    ResponseCase(
        "several Set-Cookie headers",
        Response(
            200,
            (
                _TYPE,
                (b"set-cookie", b"a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT"),
                (b"set-cookie", b"b=2; Secure"),
                (b"set-cookie", b"a=3"),
            ),
        ),
    ),
    ResponseCase(
        "Set-Cookie before another header",
        Response(200, ((b"set-cookie", b"a=1"), _TYPE)),
        everywhere(
            PAYLOAD_2_0,
            no(
                "the result has its cookies apart from the headers",
                headers=(_TYPE, (b"set-cookie", b"a=1")),
            ),
        ),
    ),
    ResponseCase(
        "repeated headers",
        Response(200, (_TYPE, (b"vary", b"accept"), (b"vary", b"origin"))),
        everywhere(_SINGLE_MAP, no(_SINGLE_JOINS, headers=(_TYPE, (b"vary", b"accept,origin")))),
    ),
    ResponseCase(
        "repeated headers with others between",
        Response(200, ((b"link", b"<a>"), _TYPE, (b"link", b"<b>"))),
        {
            **everywhere(_SINGLE_MAP, no(_SINGLE_JOINS, headers=((b"link", b"<a>,<b>"), _TYPE))),
            **everywhere(
                (*PAYLOAD_1_0, ALB_MULTI),
                no(_GROUPS, headers=((b"link", b"<a>"), (b"link", b"<b>"), _TYPE)),
            ),
        },
    ),
    ResponseCase("header names in mixed case", Response(200, (_TYPE, (b"X-Request-ID", b"Abc")))),
    ResponseCase("empty header value", Response(200, (_TYPE, (b"x-empty", b"")))),
    ResponseCase("latin-1 header value", Response(200, (_TYPE, (b"x-name", b"Jos\xe9")))),
    ResponseCase("UTF-8 header value", Response(200, (_TYPE, (b"x-name", "José €".encode())))),
    ResponseCase(
        "every byte", _typed(_EVERY_BYTE, b"application/octet-stream"), _base64(_EVERY_BYTE)
    ),
    ResponseCase(
        "every byte called text", _typed(_EVERY_BYTE, b"text/plain"), _base64(_EVERY_BYTE)
    ),
    ResponseCase(
        "body that is not the UTF-8 it says",
        _typed(b"caf\xe9", b"text/html; charset=utf-8"),
        _base64(b"caf\xe9"),
    ),
    ResponseCase("NULs", _typed(bytes(1000), b"text/plain")),
    ResponseCase(
        "a few control characters and quotes", _typed(b'a"\\\r\n\t\x00' * 9, b"text/plain")
    ),
    ResponseCase("body that looks like base64", _typed(b"aGVsbG8=", b"text/plain")),
    ResponseCase(
        "compressed body",
        _typed(b"\x1f\x8b\x08\x00ab", b"text/css", (b"content-encoding", b"gzip")),
        _base64(b"\x1f\x8b\x08\x00ab"),
    ),
    ResponseCase(
        "compressed body that happens to be ASCII",
        _typed(b"plain", b"application/json", (b"content-encoding", b"x-rot13")),
    ),
)
