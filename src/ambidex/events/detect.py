"""Which event source an event is from."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ambidex.errors import shown
from ambidex.events.fields import Event, EventError
from ambidex.http import Request, Response


class Source(NamedTuple):
    """An event source as the runtime uses it, with its mode bound."""

    name: str
    to_request: Callable[[Event, str], Request]
    to_result: Callable[[Response], dict[str, Any]]
    result_bytes: int  # the longest result JSON it takes
    too_large: str  # what to do about a longer one


# Lambda's limit for a buffered response, and what is added to it in its own error message.
# Source: lambda/latest/dg/gettingstarted-limits.html; aws-lambda-runtime-interface-emulator.
LAMBDA_RESULT_BYTES = 6 * 1024 * 1024 + 100
# Source: elasticloadbalancing/latest/application/lambda-functions.html, "Limits".
ALB_RESULT_BYTES = 1024 * 1024

_LAMBDA_TOO_LARGE = (
    "Lambda takes 6 MB of a buffered response: stream it (Function URL or REST API with response "
    "streaming), hand out a link to S3, or serve this route from ECS"
)
_ALB_TOO_LARGE = (
    "a load balancer takes 1 MB from Lambda: put a front door that streams (Function URL or REST "
    "API) before this route, hand out a link to S3, or serve this route from ECS"
)


def detect(event: object) -> Source:
    """The source of an event.

    Modules are imported when their first event comes: a function has one front door.

    Raises:
        EventError: the event is from none of the sources; the message says what it looks like.
    """
    if not isinstance(event, dict):
        raise EventError(f"an event must be a JSON object to be a request, not {_kind(event)}")
    context = event.get("requestContext")
    if isinstance(context, dict):
        if "elb" in context:
            return _alb(event)
        if event.get("version") == "2.0" and "http" in context and not _is_function_url(context):
            return _http_api()
    raise EventError(
        f"the event is no HTTP request of an HTTP API (payload 2.0) or an Application Load "
        f"Balancer: {_looks_like(event)}"
    )


def _http_api() -> Source:
    from ambidex.events import http_api

    return Source(
        "http_api", http_api.to_request, http_api.to_result, LAMBDA_RESULT_BYTES, _LAMBDA_TOO_LARGE
    )


def _alb(event: Event) -> Source:
    from ambidex.events import alb

    group = alb.MULTI_VALUE if alb.is_multi_value(event) else alb.SINGLE_VALUE
    return Source(
        "alb",
        alb.to_request,
        lambda response: alb.to_result(response, group),
        ALB_RESULT_BYTES,
        _ALB_TOO_LARGE,
    )


def _is_function_url(context: dict[str, Any]) -> bool:
    return ".lambda-url." in str(context.get("domainName"))


def _looks_like(event: dict[str, Any]) -> str:
    records = event.get("Records")
    context = event.get("requestContext")
    if isinstance(records, list) and records and isinstance(records[0], dict):
        origin = records[0].get("eventSource") or records[0].get("EventSource")
        return f"it holds records of {shown(origin) if origin else 'an unnamed source'}"
    if isinstance(context, dict) and _is_function_url(context):
        return "it is of a Function URL"
    if event.get("version") == "1.0" and "httpMethod" in event:
        return "it is of an HTTP API with payload 1.0; set the integration's payload format to 2.0"
    if "httpMethod" in event and "resource" in event:
        return "it is of a REST API"
    if "raw_path" in event or (isinstance(context, dict) and "serviceArn" in context):
        return "it is of VPC Lattice"
    if "detail-type" in event:
        return "it is of EventBridge"
    return f"its keys are {shown(sorted(map(str, event)))}" if event else "it is empty"


def _kind(event: object) -> str:
    if event is None:
        return "null"
    names = {list: "a list", str: "a string", bool: "a boolean"}
    return names.get(type(event), "a number")
