"""Payload format 2.0, in which HTTP APIs and Function URLs send their events and take results.

1. Header names are in lower case, repeats are joined with commas; cookies are apart.
2. `rawQueryString` is as the client sent it.
3. Whether `rawPath` is percent-encoded depends on the source.

Source: apigateway/latest/developerguide/http-api-develop-integrations-lambda.html,
lambda/latest/dg/urls-invocation.html
"""

from collections.abc import Mapping
from functools import lru_cache
from json import dumps
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from ambidex.errors import shown
from ambidex.events import body
from ambidex.events.fields import (
    DEFAULT_STAGE,
    HTTP_VERSIONS,
    PROTOCOLS,
    Event,
    EventError,
    an_object,
    common_log_time,
    header_bytes,
    header_value,
    mapping,
    optional_mapping,
    optional_text,
    query_text,
    status_code,
    strings,
    text,
)
from ambidex.events.forwarded import scheme
from ambidex.http import Headers, Request, Response


class FrontDoor(NamedTuple):
    """What the front door itself knows of a request."""

    request_id: str
    time_epoch_ms: int
    domain_name: str
    api_id: str
    account_id: str
    stage: str = DEFAULT_STAGE


def to_request(event: Event, context: Event, path: str, root_path: str) -> Request:
    """The request that an event stands for.

    Args:
        event: payload 2.0.
        context: its `requestContext`.
        path: percent-encoded, with the root path in front.
        root_path: percent-encoded.

    Raises:
        EventError: a field is missing or of the wrong type.
    """
    http = mapping(context, "http")
    headers = _request_headers(event)
    address = optional_text(http, "sourceIp")
    return Request(
        method=text(http, "method"),
        path=path,
        query=optional_text(event, "rawQueryString").encode("utf-8", "surrogatepass"),
        headers=headers,
        body=body.decode(event),
        root_path=root_path,
        scheme=scheme(headers, "https"),
        http_version=HTTP_VERSIONS.get(optional_text(http, "protocol"), "1.1"),
        client=(address, 0) if address else None,
    )


def to_result(response: Response) -> dict[str, Any]:
    """The result that the front door turns back into this response."""
    result = to_prelude(response)
    result["body"], result["isBase64Encoded"] = body.encode_result(response.body)
    return result


def to_prelude(response: Response) -> dict[str, Any]:
    """The prelude that a front door turns back into this response's status and headers."""
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
    prelude: dict[str, Any] = {"statusCode": response.status, "headers": headers}
    if cookies:
        prelude["cookies"] = cookies
    return prelude


def to_event(request: Request, door: FrontDoor, raw_path: str) -> dict[str, Any]:
    """The event that a front door makes of a request.

    Args:
        request: the request.
        door: what the front door knows of it.
        raw_path: the path as the event has it.
    """
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
                "protocol": PROTOCOLS.get(request.http_version, "HTTP/1.1"),
                "sourceIp": request.client[0] if request.client else "",
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": door.request_id,
            "routeKey": "$default",
            "stage": door.stage,
            "time": common_log_time(door.time_epoch_ms),
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
    """The response that a front door makes of a function's result.

    A result without `statusCode` is itself the body of a 200, as the pages promise.

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
    return Response(status_code(result), _response_headers(result), body.decode(result))


def from_prelude(prelude: object) -> Response:
    """The response that a prelude begins; its body is empty here.

    Raises:
        EventError: the prelude is no object, or a field of it is of the wrong type; the function's
            fault.
    """
    fields = an_object(prelude, "the prelude")
    # No page says what a prelude without a status is; emulators take it for a 200.
    return Response(status_code({"statusCode": 200, **fields}), _response_headers(fields))


def _response_headers(result: Event) -> Headers:
    headers: list[tuple[bytes, bytes]] = [
        (header_bytes(name), header_value(value, name))
        for name, value in optional_mapping(result, "headers").items()
    ]
    headers += [
        (b"set-cookie", header_bytes(cookie))
        for cookie in strings(result.get("cookies"), "cookies")
    ]
    return tuple(headers)


def _request_headers(event: Event) -> Headers:
    fields = optional_mapping(event, "headers")
    try:
        headers = [(_name(name), value.encode("latin-1")) for name, value in fields.items()]
    except (AttributeError, UnicodeEncodeError):  # what is rare costs the others nothing
        headers = [(_name(name), _value(value, name)) for name, value in fields.items()]
    if cookies := strings(event.get("cookies"), "cookies"):
        headers = [header for header in headers if header[0] != b"cookie"]
        headers.append((b"cookie", header_bytes("; ".join(cookies))))
    return tuple(headers)


@lru_cache(maxsize=128)
def _name(name: str) -> bytes:
    return header_bytes(name.lower())


def _value(value: object, name: str) -> bytes:
    if not isinstance(value, str):
        raise EventError(f"the header {shown(name)} must be a string, not {shown(value)}")
    return header_bytes(value)


def _query_parameters(query: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters
