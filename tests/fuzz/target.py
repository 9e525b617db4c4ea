"""What must hold of any bytes that come as an event, or as a function's result.

A request that an ASGI app can be given, a response that HTTP can carry, or an error of ours that
says what is wrong: never another exception.
"""

from typing import Any

from ambidex.asgi.scope import http_scope
from ambidex.events import alb, function_url, http_api, http_api_v1, rest_api, vpc_lattice
from ambidex.events.detect import detect
from ambidex.events.event_json import MalformedJsonError, loads
from ambidex.events.fields import EventError
from ambidex.http import Response

_REST = rest_api.FrontDoor("", "", 0, "", "", "", "prod", ("image/*",), "image/png")
_DOORS = (
    http_api.to_response,
    http_api_v1.to_response,
    function_url.to_response,
    vpc_lattice.to_response,
    lambda result: rest_api.to_response(result, _REST),
    lambda result: alb.to_response(result, alb.MULTI_VALUE),
    lambda result: alb.to_response(result, alb.SINGLE_VALUE),
)
_ANSWER = Response(200, ((b"set-cookie", b"a=1"), (b"content-type", b"text/plain")), b"\xff")


def is_handled(data: bytes) -> None:
    """Take bytes for an event, and for a result."""
    try:
        value = loads(data)
    except MalformedJsonError:
        return
    is_request_or_refused(value)
    is_request_or_refused(value, "/api")
    for door in _DOORS:
        is_response_or_refused(door, value)


def is_request_or_refused(event: Any, base_path: str = "") -> None:
    """A request that an app can be given, and a result for its answer, or an EventError."""
    try:
        source = detect(event)
        request = source.to_request(event, base_path)
    except EventError:
        return
    scope = http_scope(request, {})
    assert isinstance(request.body, bytes)
    assert scope["path"].startswith("/")
    assert request.path.startswith(request.root_path)
    assert all(isinstance(part, bytes) for pair in scope["headers"] for part in pair)
    assert scope["client"] is None or isinstance(scope["client"][1], int)
    assert source.to_result(_ANSWER)["statusCode"] == 200


def is_response_or_refused(door: Any, result: Any) -> None:
    """A response with a status and bytes, or an EventError."""
    try:
        response = door(result)
    except EventError:
        return
    assert 100 <= response.status <= 599
    assert isinstance(response.body, bytes)
    assert all(isinstance(part, bytes) for pair in response.headers for part in pair)
