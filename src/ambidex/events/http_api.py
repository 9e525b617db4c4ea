"""Events of API Gateway's HTTP APIs, payload format 2.0.

1. `rawPath` is percent-decoded in spite of its name, so it is encoded again here and nobody
   decodes it twice. What decoding lost (`%2F` against `/`) stays lost.
2. `rawPath` starts with the stage, unless that is `$default`. On the API's own host the client's
   URL has the stage too: it is the root path. On a custom domain it has the API mapping's key
   instead, which no event tells: there the base path from the settings is the root path.
3. Header names are in lower case, repeats are joined with commas; cookies are apart.
4. `rawQueryString` is as the client sent it.

Source: apigateway/latest/developerguide/http-api-develop-integrations-lambda.html. Rule 1 and
the custom domain of rule 2 are not on that page but are what AWS does.
"""

from collections.abc import Mapping
from json import dumps
from time import gmtime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote

from ambidex.errors import shown
from ambidex.events import body
from ambidex.events.fields import (
    PATH_SAFE,
    Event,
    EventError,
    absolute,
    header_bytes,
    header_value,
    mapping,
    optional_mapping,
    optional_text,
    query_text,
    scheme,
    starts_with_segments,
    status_code,
    strings,
    text,
)
from ambidex.http import Headers, Request, Response

DEFAULT_STAGE = "$default"
_HTTP_VERSIONS = {"HTTP/1.0": "1.0", "HTTP/1.1": "1.1", "HTTP/2.0": "2"}
_PROTOCOLS = {version: protocol for protocol, version in _HTTP_VERSIONS.items()}
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


class FrontDoor(NamedTuple):
    """What the HTTP API itself knows of a request."""

    request_id: str
    time_epoch_ms: int
    domain_name: str
    api_id: str
    account_id: str
    stage: str = DEFAULT_STAGE


def to_request(event: Event, base_path: str = "") -> Request:
    """The request that an event stands for.

    Args:
        event: payload 2.0.
        base_path: percent-encoded; what a custom domain or a proxy puts in front of the path.

    Raises:
        EventError: a field is missing or of the wrong type.
    """
    context = mapping(event, "requestContext")
    http = mapping(context, "http")
    headers = _request_headers(event)
    path, root_path = _path(event, context, base_path)
    address = optional_text(http, "sourceIp")
    return Request(
        method=text(http, "method"),
        path=path,
        query=optional_text(event, "rawQueryString").encode("utf-8", "surrogatepass"),
        headers=headers,
        body=body.decode(event),
        root_path=root_path,
        scheme=scheme(headers, "https"),
        http_version=_HTTP_VERSIONS.get(optional_text(http, "protocol"), "1.1"),
        client=(address, 0) if address else None,
    )


def to_result(response: Response) -> dict[str, Any]:
    """The result that the HTTP API turns back into this response."""
    headers: dict[str, str] = {}
    cookies = []
    for name_bytes, value_bytes in response.headers:
        name, value = name_bytes.decode("latin-1").lower(), value_bytes.decode("latin-1")
        if name == "set-cookie":
            cookies.append(value)
        elif name in headers:
            headers[name] += f",{value}"
        else:
            headers[name] = value
    content, is_base64 = body.encode_result(response.body)
    result: dict[str, Any] = {
        "statusCode": response.status,
        "headers": headers,
        "body": content,
        "isBase64Encoded": is_base64,
    }
    if cookies:
        result["cookies"] = cookies
    return result


def to_event(request: Request, door: FrontDoor) -> dict[str, Any]:
    """The event that an HTTP API makes of a request; the path has the stage in front."""
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name_bytes, value_bytes in request.headers:
        name, value = name_bytes.decode("latin-1").lower(), value_bytes.decode("latin-1")
        if name == "cookie":
            cookies += value.split("; ")
        elif name in headers:
            headers[name] += f",{value}"
        else:
            headers[name] = value
    raw_path = unquote(request.path)
    query = query_text(request.query)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": raw_path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": door.account_id,
            "apiId": door.api_id,
            "domainName": door.domain_name,
            "domainPrefix": door.domain_name.partition(".")[0],
            "http": {
                "method": request.method,
                "path": raw_path,
                "protocol": _PROTOCOLS.get(request.http_version, "HTTP/1.1"),
                "sourceIp": request.client[0] if request.client else "",
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": door.request_id,
            "routeKey": "$default",
            "stage": door.stage,
            "time": _common_log_time(door.time_epoch_ms),
            "timeEpoch": door.time_epoch_ms,
        },
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    if query:
        event["queryStringParameters"] = _query_parameters(query)
    if request.body:
        event["body"], event["isBase64Encoded"] = body.encode_event(request.body, request.headers)
    return event


def to_response(result: object) -> Response:
    """The response that an HTTP API makes of a function's result.

    A result without `statusCode` is itself the body of a 200, as the page promises.

    Raises:
        EventError: a field of the result is of the wrong type; the function's fault.
    """
    if not isinstance(result, Mapping) or "statusCode" not in result:
        content = (
            result
            if isinstance(result, str)
            else dumps(result, separators=(",", ":"), ensure_ascii=False)
        )
        json_type = (b"content-type", b"application/json")
        return Response(200, (json_type,), content.encode("utf-8", "surrogatepass"))
    headers: list[tuple[bytes, bytes]] = [
        (header_bytes(name), header_value(value, name))
        for name, value in optional_mapping(result, "headers").items()
    ]
    headers += [
        (b"set-cookie", header_bytes(cookie))
        for cookie in strings(result.get("cookies"), "cookies")
    ]
    return Response(status_code(result), tuple(headers), body.decode(result))


def _request_headers(event: Event) -> Headers:
    headers = []
    cookies = strings(event.get("cookies"), "cookies")
    for name, value in optional_mapping(event, "headers").items():
        if not isinstance(value, str):
            raise EventError(f"the header {shown(name)} must be a string, not {shown(value)}")
        key = header_bytes(name.lower())
        if key != b"cookie" or not cookies:
            headers.append((key, header_bytes(value)))
    if cookies:
        headers.append((b"cookie", header_bytes("; ".join(cookies))))
    return tuple(headers)


def _path(event: Event, context: Event, base_path: str) -> tuple[str, str]:
    raw_path = absolute(text(event, "rawPath")).encode("utf-8", "surrogatepass")
    path = quote(raw_path, safe=PATH_SAFE)
    stage = optional_text(context, "stage")
    domain_name = optional_text(context, "domainName")
    stage_path = "" if stage in ("", DEFAULT_STAGE) else f"/{stage}"
    if stage_path and not starts_with_segments(path, stage_path):
        stage_path = ""
    rest = path[len(stage_path) :]
    is_below_base = bool(base_path) and starts_with_segments(rest, base_path)
    if is_below_base:
        rest = rest[len(base_path) :]
    if domain_name and ".execute-api." not in domain_name:
        root_path = base_path
    else:
        root_path = stage_path + (base_path if is_below_base else "")
    return (root_path + rest) or "/", root_path


def _query_parameters(query: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters


def _common_log_time(epoch_ms: int) -> str:
    time = gmtime(epoch_ms // 1000)
    return (
        f"{time.tm_mday:02}/{_MONTHS[time.tm_mon - 1]}/{time.tm_year}"
        f":{time.tm_hour:02}:{time.tm_min:02}:{time.tm_sec:02} +0000"
    )
