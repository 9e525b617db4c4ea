"""Events of API Gateway's REST APIs, with the Lambda proxy integration.

1. `path` is percent-encoded, as the client sent it. On the API's own host it has no stage, while
   the client's URL has: the stage is the root path. On a custom domain it has the base path of the
   mapping. `requestContext.path` is the client's path in either case. Several slashes behind the
   stage are one in `path`, and are all there in that.
2. Header names keep the client's case; Content-Length and Connection are left out.
3. A body is base64 if its Content-Type is one of the API's binary media types, else text, in which
   bytes that are not UTF-8 are lost.
4. A base64 body of a result is decoded if the first type in the client's Accept header is one of
   the binary media types, else the client gets the base64. No event tells these types, so a body
   that is UTF-8 is always text.
5. A result may have no other keys than `statusCode`, `headers`, `multiValueHeaders`, `body` and
   `isBase64Encoded`. None has to be there: the status is then 200. Without a Content-Type the
   response is application/json.
6. With the response transfer mode STREAM a prelude takes a result's place. It may have `cookies`
   besides what a result has, and nothing about a body: rules 3 and 4 are not for streams. That
   rule 5 else holds for a prelude, too, is not documented.

Source: apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html,
apigateway/latest/developerguide/lambda-proxy-binary-media.html,
apigateway/latest/developerguide/response-transfer-mode-lambda.html. Rules 1 and 2, and what
rule 5 says beyond the page, have been measured on AWS by others.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ambidex.errors import shown
from ambidex.events import base64, body, payload_1_0
from ambidex.events.fields import (
    Event,
    EventError,
    absolute,
    an_object,
    below,
    encoded,
    header_bytes,
    is_own_host,
    mapping,
    optional_text,
    stage_path,
    starts_with_segments,
    strings,
    text,
)
from ambidex.events.payload_1_0 import Route
from ambidex.events.payload_1_0 import to_prelude as to_prelude
from ambidex.http import Headers, Request, Response, header

_RESULT_KEYS = frozenset({"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"})
_PRELUDE_KEYS = frozenset({"statusCode", "headers", "multiValueHeaders", "cookies"})
_LEFT_OUT = frozenset({b"connection", b"content-length"})
_JSON = (b"Content-Type", b"application/json")


class FrontDoor(NamedTuple):
    """What the REST API itself knows of a request."""

    request_id: str
    extended_request_id: str
    time_epoch_ms: int
    domain_name: str
    api_id: str
    account_id: str
    stage: str
    binary_media_types: tuple[str, ...] = ()
    accept: str = ""  # the request's header, which decides about the response


def to_request(event: Event, base_path: str = "") -> Request:
    """The request that an event stands for.

    Args:
        event: payload 1.0 of a REST API.
        base_path: percent-encoded; what a custom domain or a proxy puts in front of the path.

    Raises:
        EventError: a field is missing or of the wrong type.
    """
    path = encoded(absolute(text(event, "path")))
    stage = _stage(path, mapping(event, "requestContext"))
    return payload_1_0.to_request(event, stage + path, stage + below(path, base_path))


def to_result(response: Response) -> dict[str, Any]:
    """The result that the REST API turns back into this response; UTF-8 is text."""
    return payload_1_0.to_result(response, *body.encode_text(response.body))


def to_event(request: Request, door: FrontDoor) -> dict[str, Any]:
    """The event that a REST API with a greedy proxy resource makes of a request.

    Args:
        request: the request; its path is the client's.
        door: what the API knows of it.
    """
    path = request.path
    if is_own_host(door.domain_name):
        path = "/" + path.removeprefix(f"/{door.stage}").lstrip("/")
    route = Route("/{proxy+}", {"proxy": path[1:]}) if path != "/" else Route("/", {})
    shared = payload_1_0.FrontDoor(*(getattr(door, name) for name in payload_1_0.FrontDoor._fields))
    headers = _spelled(request.headers)
    event = payload_1_0.to_event(request, shared, path, request.path, route, headers)
    if request.body:
        content_type = header(request.headers, b"content-type") or _JSON[1]
        if is_binary(content_type.decode("latin-1"), door.binary_media_types):
            event["body"], event["isBase64Encoded"] = base64.encode(request.body), True
        else:
            event["body"] = request.body.decode("utf-8", "replace")
    return event


def to_response(result: object, door: FrontDoor) -> Response:
    """The response that a REST API makes of a function's result.

    Raises:
        EventError: the result is malformed; the function's fault.
    """
    fields = _checked(payload_1_0.result_fields(result), _RESULT_KEYS)
    as_it_is = fields
    if not is_binary(door.accept.partition(",")[0], door.binary_media_types):
        as_it_is = {**fields, "isBase64Encoded": False}
    return _response(fields, body.decode(as_it_is))


def from_prelude(prelude: object) -> Response:
    """The response that a prelude begins; its body is empty here.

    Raises:
        EventError: the prelude is malformed; the function's fault.
    """
    fields = _checked(an_object(prelude, "the prelude"), _PRELUDE_KEYS)
    cookies = strings(fields.get("cookies"), "cookies")
    response = _response(fields, b"")
    set_cookie = tuple((b"set-cookie", header_bytes(cookie)) for cookie in cookies)
    return response._replace(headers=response.headers + set_cookie)


def is_binary(media_type: str, binary_media_types: Iterable[str]) -> bool:
    """Whether an API takes a media type for binary.

    Args:
        media_type: with or without parameters; empty is one that nobody has named.
        binary_media_types: as the API has them; `image/*` and `*/*` stand for several.
    """
    name = media_type.partition(";")[0].strip().lower()
    for binary in map(str.lower, binary_media_types):
        group, _, rest = binary.partition("/")
        if binary in ("*/*", name) or (rest == "*" and name.startswith(f"{group}/")):
            return True
    return False


def _checked(fields: Event, keys: frozenset[str]) -> Event:
    unknown = sorted(str(key) for key in fields.keys() - keys)
    if unknown:
        raise EventError(f"a result for a REST API must not have the key {shown(unknown[0])}")
    for name, value in _header_values(fields):
        if not isinstance(value, str | bool):
            raise EventError(f"the header {shown(name)} must be a string, not {shown(value)}")
    return fields


def _response(fields: Event, content: bytes) -> Response:
    response = payload_1_0.to_response({"statusCode": 200, **fields}, content)
    if header(response.headers, b"content-type") is None:
        return response._replace(headers=(_JSON, *response.headers))
    return response


def _stage(path: str, context: Event) -> str:
    stage = stage_path(context)
    in_url = encoded(optional_text(context, "path"))
    if not in_url:
        return stage if is_own_host(optional_text(context, "domainName")) else ""
    if not starts_with_segments(in_url, stage):
        return ""
    return stage if in_url[len(stage) :].lstrip("/") == path.lstrip("/") else ""


def _spelled(headers: Headers) -> dict[str, list[str]]:
    """Header values by the spelling that came first."""
    spelling: dict[bytes, str] = {}
    values: dict[str, list[str]] = {}
    for name, value in headers:
        if name.lower() not in _LEFT_OUT:
            key = spelling.setdefault(name.lower(), name.decode("latin-1"))
            values.setdefault(key, []).append(value.decode("latin-1"))
    return values


def _header_values(fields: Mapping[str, Any]) -> Iterable[tuple[str, object]]:
    for key in ("headers", "multiValueHeaders"):
        values = fields.get(key)
        for name, value in values.items() if isinstance(values, Mapping) else ():
            for each in value if isinstance(value, list) else [value]:
                yield name, each
