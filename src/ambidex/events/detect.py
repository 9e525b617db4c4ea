"""Which event source an event is from."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

from ambidex.errors import shown
from ambidex.events.fields import Event, EventError
from ambidex.http import Request, Response


class NotHttpError(EventError):
    """An event of none of the sources; the message says what it looks like."""


Prelude = Callable[[Response], dict[str, Any]]
"""Status and headers of a response as they go before its streamed body."""


class Source(NamedTuple):
    """An event source as the runtime uses it, with its mode bound."""

    name: str
    to_request: Callable[[Event, str], Request]
    to_result: Callable[[Response], dict[str, Any]]
    result_bytes: int  # the longest result JSON it takes
    too_large: str  # what to do about a longer one
    to_prelude: Prelude | None = None  # none: it takes no streams


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
        NotHttpError: the event is from none of the sources; the message says what it looks like.
    """
    if not isinstance(event, dict):
        raise NotHttpError(f"an event must be a JSON object to be a request, not {_kind(event)}")
    name = "" if _is_authorizer(event) else _name(event)
    if not name:
        raise NotHttpError(
            "the event is no HTTP request of an HTTP API, a REST API, a Function URL, an "
            f"Application Load Balancer or VPC Lattice: {_looks_like(event)}"
        )
    return _alb(event) if name == "alb" else _of_lambdas_limit(name)


def _name(event: Event) -> str:
    """The module of the source whose mark an event has, or nothing."""
    version = event.get("version")
    context = event.get("requestContext")
    if not isinstance(context, dict):
        context = {}
    if "elb" in context:
        return "alb"
    if version == "2.0" and "http" in context:
        return "function_url" if _is_function_url(context) else "http_api"
    if version == "2.0" and "method" in event and "serviceArn" in context:
        return "vpc_lattice"
    if version == "1.0" and "httpMethod" in event:
        return "http_api_v1"
    if version is None and "httpMethod" in event and "resource" in event:
        return "rest_api"
    return "vpc_lattice" if "raw_path" in event and "is_base64_encoded" in event else ""


@cache
def _of_lambdas_limit(name: str) -> Source:
    module = import_module(f"ambidex.events.{name}")
    return Source(
        name,
        module.to_request,
        module.to_result,
        LAMBDA_RESULT_BYTES,
        _LAMBDA_TOO_LARGE,
        getattr(module, "to_prelude", None),
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


def _is_authorizer(event: Event) -> bool:
    # The question to a Lambda authorizer has everything that the request behind it has.
    return "methodArn" in event or "routeArn" in event


def _looks_like(event: dict[str, Any]) -> str:
    records = event.get("Records")
    context = event.get("requestContext")
    if isinstance(records, list) and records and isinstance(records[0], dict):
        origin = records[0].get("eventSource") or records[0].get("EventSource")
        return f"it holds records of {shown(origin) if origin else 'an unnamed source'}"
    if _is_authorizer(event):
        return "it is a question to a Lambda authorizer"
    if isinstance(context, dict) and "connectionId" in context:
        return "it is of a WebSocket API"
    if "detail-type" in event:
        return "it is of EventBridge"
    return f"its keys are {shown(sorted(map(str, event)))}" if event else "it is empty"


def _kind(event: object) -> str:
    if event is None:
        return "null"
    names = {list: "a list", str: "a string", bool: "a boolean"}
    return names.get(type(event), "a number")
