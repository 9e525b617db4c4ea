"""Payload format 1.0, in which REST APIs, and HTTP APIs that ask for it, send events.

1. Query parameters are percent-decoded, in lists by name: the client's spelling and the order among
   names are lost.
2. Maps of lists (`multiValueHeaders`) have every value, maps of strings the last one.
3. A map that would be empty is null.

Source: apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html,
apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote

from ambidex.errors import shown
from ambidex.events import body, multi_value
from ambidex.events.fields import (
    HTTP_VERSIONS,
    PROTOCOLS,
    Event,
    EventError,
    common_log_time,
    header_bytes,
    header_value,
    mapping,
    optional_mapping,
    optional_text,
    query_text,
    status_code,
    text,
)
from ambidex.events.forwarded import scheme
from ambidex.http import Request, Response

_IDENTITY = (
    "accessKey", "accountId", "caller", "cognitoAuthenticationProvider",
    "cognitoAuthenticationType", "cognitoIdentityId", "cognitoIdentityPoolId", "principalOrgId",
    "user", "userArn",
)  # fmt: skip


class FrontDoor(NamedTuple):
    """What the front door itself knows of a request."""

    request_id: str
    extended_request_id: str
    time_epoch_ms: int
    domain_name: str
    api_id: str
    account_id: str
    stage: str


class Route(NamedTuple):
    """Where a request has led in the API."""

    resource: str
    parameters: dict[str, str]


def to_request(event: Event, path: str, root_path: str) -> Request:
    """The request that an event stands for.

    Args:
        event: payload 1.0.
        path: percent-encoded, with the root path in front.
        root_path: percent-encoded.

    Raises:
        EventError: a field is missing or of the wrong type.
    """
    context = mapping(event, "requestContext")
    headers = multi_value.headers(event)
    query = "&".join(
        f"{_encoded(name)}={_encoded(value)}"
        for name, value in multi_value.pairs(
            event, "multiValueQueryStringParameters", "queryStringParameters"
        )
    )
    address = optional_text(optional_mapping(context, "identity"), "sourceIp")
    return Request(
        method=text(event, "httpMethod"),
        path=path,
        query=query.encode("ascii"),
        headers=headers,
        body=body.decode(event),
        root_path=root_path,
        scheme=scheme(headers, "https"),
        http_version=HTTP_VERSIONS.get(optional_text(context, "protocol"), "1.1"),
        client=(address, 0) if address else None,
    )


def to_result(response: Response, content: str, is_base64: bool) -> dict[str, Any]:
    """The result that the front door turns back into this response.

    Args:
        response: the response.
        content: its body as JSON carries it.
        is_base64: whether that is base64.
    """
    return {**to_prelude(response), "body": content, "isBase64Encoded": is_base64}


def to_prelude(response: Response) -> dict[str, Any]:
    """What stands for this response's status and headers, in a prelude as in a result."""
    return {
        "statusCode": response.status,
        "multiValueHeaders": multi_value.lists(response.headers),
    }


def to_event(
    request: Request,
    door: FrontDoor,
    path: str,
    path_in_url: str,
    route: Route,
    headers: Mapping[str, list[str]],
) -> dict[str, Any]:
    """The event that a front door makes of a request, without its body.

    Args:
        request: the request.
        door: what the front door knows of it.
        path: as the event has it.
        path_in_url: as the client's URL has it.
        route: where the request has led.
        headers: the request's by name, as the front door spells it.
    """
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(query_text(request.query), keep_blank_values=True):
        query.setdefault(name, []).append(value)
    agents = [values[-1] for name, values in headers.items() if name.lower() == "user-agent"]
    identity: dict[str, Any] = dict.fromkeys(_IDENTITY)
    identity["sourceIp"] = request.client[0] if request.client else ""
    identity["userAgent"] = agents[-1] if agents else None
    return {
        "resource": route.resource,
        "path": path,
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in headers.items()} or None,
        "multiValueHeaders": dict(headers) or None,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "requestContext": {
            "accountId": door.account_id,
            "apiId": door.api_id,
            "domainName": door.domain_name,
            "domainPrefix": door.domain_name.partition(".")[0],
            "extendedRequestId": door.extended_request_id,
            "httpMethod": request.method,
            "identity": identity,
            "path": path_in_url,
            "protocol": PROTOCOLS.get(request.http_version, "HTTP/1.1"),
            "requestId": door.request_id,
            "requestTime": common_log_time(door.time_epoch_ms),
            "requestTimeEpoch": door.time_epoch_ms,
            "resourceId": None,
            "resourcePath": route.resource,
            "stage": door.stage,
        },
        "pathParameters": route.parameters or None,
        "stageVariables": None,
        "body": None,
        "isBase64Encoded": False,
    }


def to_response(result: object, content: bytes) -> Response:
    """The response that a front door makes of a function's result.

    Values of `headers` join those of `multiValueHeaders`, but for those that are there already.

    Args:
        result: the function's.
        content: the body, as the front door reads it.

    Raises:
        EventError: a field of the result is missing or of the wrong type; the function's fault.
    """
    fields = result_fields(result)
    headers: list[tuple[bytes, bytes]] = []
    for name, values in optional_mapping(fields, "multiValueHeaders").items():
        some = values if isinstance(values, list) else [values]
        headers += [(header_bytes(name), header_value(value, name)) for value in some]
    present = {(name.lower(), value) for name, value in headers}
    for name, value in optional_mapping(fields, "headers").items():
        pair = (header_bytes(name), header_value(value, name))
        if (pair[0].lower(), pair[1]) not in present:
            headers.append(pair)
    return Response(status_code(fields), tuple(headers), content)


def result_fields(result: object) -> Mapping[str, Any]:
    """A result as the object that it must be.

    Raises:
        EventError: it is none; the function's fault.
    """
    if not isinstance(result, Mapping):
        raise EventError(f"the result must be an object with statusCode, not {shown(result)}")
    return result


def _encoded(value: str) -> str:
    return quote(value.encode("utf-8", "surrogatepass"), safe="")
