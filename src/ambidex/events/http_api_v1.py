"""Events of API Gateway's HTTP APIs whose integration asks for payload format 1.0.

1. `path` is percent-decoded, so it is encoded again here. What decoding lost stays lost.
2. `path` is the client's: on the API's own host with the stage, unless that is `$default`; on a
   custom domain with the API mapping's key, which the base path from the settings names.
3. Header names are in lower case, but for those that API Gateway itself reads or adds.

Source: apigateway/latest/developerguide/http-api-develop-integrations-lambda.html. Rule 1 and
the stage of rule 2 are not on that page but are what AWS does. Where rule 3 differs from the page,
and for fields of the context that it does not show, this does as captured events do; there is one
in CustomRuntimeEventLoopTest of spring-cloud-function.
"""

from typing import Any
from urllib.parse import unquote

from ambidex.events import body, multi_value, payload_1_0
from ambidex.events.fields import (
    Event,
    below,
    encoded_again,
    is_own_host,
    mapping,
    optional_text,
    stage_path,
    starts_with_segments,
    text,
)
from ambidex.events.payload_1_0 import FrontDoor as FrontDoor
from ambidex.events.payload_1_0 import Route
from ambidex.http import Request, Response

_ROUTE = Route("$default", {})
_SPELLED = {
    name.lower(): name
    for name in (
        "Content-Length", "Content-Type", "Host", "User-Agent", "X-Amzn-Trace-Id",
        "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto",
    )
}  # fmt: skip


def to_request(event: Event, base_path: str = "") -> Request:
    """The request that an event stands for.

    Args:
        event: payload 1.0.
        base_path: percent-encoded; what a custom domain or a proxy puts in front of the path.

    Raises:
        EventError: a field is missing or of the wrong type.
    """
    path, stage = _path(event, mapping(event, "requestContext"))
    root_path = stage + below(path[len(stage) :], base_path)
    return payload_1_0.to_request(event, path, root_path)


def to_result(response: Response) -> dict[str, Any]:
    """The result that the HTTP API turns back into this response."""
    return payload_1_0.to_result(response, *body.encode_result(response.body))


def to_event(request: Request, door: FrontDoor) -> dict[str, Any]:
    """The event that an HTTP API makes of a request; the path is the client's."""
    path = unquote(request.path)
    lists = multi_value.lists(request.headers)
    headers = {_SPELLED.get(name, name): values for name, values in lists.items()}
    event = payload_1_0.to_event(request, door, path, path, _ROUTE, headers)
    event["version"] = "1.0"
    event["requestContext"]["resourceId"] = _ROUTE.resource
    event["requestContext"]["identity"]["cognitoAmr"] = None
    if request.body:
        event["body"], event["isBase64Encoded"] = body.encode_event(request.body, request.headers)
    return event


def to_response(result: object) -> Response:
    """The response that an HTTP API makes of a function's result.

    Raises:
        EventError: a field of the result is missing or of the wrong type; the function's fault.
    """
    return payload_1_0.to_response(result, body.decode(payload_1_0.result_fields(result)))


def _path(event: Event, context: Event) -> tuple[str, str]:
    path = encoded_again(text(event, "path"))
    stage = stage_path(context) if is_own_host(optional_text(context, "domainName")) else ""
    # Emulators leave the stage out of `path`, as a REST API does, and have it in the context's.
    if stage and encoded_again(optional_text(context, "path")) == stage + path:
        return stage + path, stage
    return path, stage if starts_with_segments(path, stage) else ""
