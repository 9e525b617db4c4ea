"""Events of API Gateway's HTTP APIs, payload format 2.0.

1. `rawPath` is percent-decoded in spite of its name, so it is encoded again here and nobody
   decodes it twice. What decoding lost (`%2F` against `/`) stays lost.
2. `rawPath` starts with the stage, unless that is `$default`. On the API's own host the client's
   URL has the stage too: it is the root path. On a custom domain it has the API mapping's key
   instead, which no event tells: there the base path from the settings is the root path.

Source: apigateway/latest/developerguide/http-api-develop-integrations-lambda.html. Rule 1 and
the custom domain of rule 2 are not on that page but are what AWS does.
"""

from typing import Any
from urllib.parse import unquote

from ambidex.events import payload_2_0
from ambidex.events.fields import DEFAULT_STAGE as DEFAULT_STAGE
from ambidex.events.fields import (
    Event,
    encoded_again,
    is_own_host,
    mapping,
    optional_text,
    stage_path,
    starts_with_segments,
    text,
)
from ambidex.events.payload_2_0 import FrontDoor as FrontDoor
from ambidex.events.payload_2_0 import to_response as to_response
from ambidex.events.payload_2_0 import to_result as to_result
from ambidex.http import Request


def to_request(event: Event, base_path: str = "") -> Request:
    """The request that an event stands for.

    Args:
        event: payload 2.0.
        base_path: percent-encoded; what a custom domain or a proxy puts in front of the path.

    Raises:
        EventError: a field is missing or of the wrong type.
    """
    context = mapping(event, "requestContext")
    return payload_2_0.to_request(event, context, *_path(event, context, base_path))


def to_event(request: Request, door: FrontDoor) -> dict[str, Any]:
    """The event that an HTTP API makes of a request; the path has the stage in front."""
    return payload_2_0.to_event(request, door, unquote(request.path))


def _path(event: Event, context: Event, base_path: str) -> tuple[str, str]:
    path = encoded_again(text(event, "rawPath"))
    stage = stage_path(context)
    if stage and not starts_with_segments(path, stage):
        stage = ""
    rest = path[len(stage) :]
    is_below_base = bool(base_path) and starts_with_segments(rest, base_path)
    if is_below_base:
        rest = rest[len(base_path) :]
    if is_own_host(optional_text(context, "domainName")):
        root_path = stage + (base_path if is_below_base else "")
    else:
        root_path = base_path
    return (root_path + rest) or "/", root_path
