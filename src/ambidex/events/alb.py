"""Events of an Application Load Balancer whose target is a Lambda function.

1. A target group has one of two modes. With multi-value headers every value of a header and of a
   query key arrives, in lists; without, only the last one does. The result must be of the mode
   of the event.
2. Path, query keys and query values are percent-encoded, as the client sent them; a key without
   `=` cannot be told from one with an empty value.
3. There is no client address but in X-Forwarded-For, to which ALB appends: only the last one
   cannot be forged.
4. A health check has no Host header.

Source: elasticloadbalancing/latest/application/lambda-functions.html
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from ambidex.errors import shown
from ambidex.events import base64, body, multi_value
from ambidex.events.fields import (
    Event,
    EventError,
    absolute,
    below,
    encoded,
    header_bytes,
    header_value,
    optional_mapping,
    query_text,
    status_code,
    strings,
    text,
)
from ambidex.events.forwarded import client, scheme
from ambidex.http import Request, Response, header


class TargetGroup(NamedTuple):
    """The target group that holds the function."""

    multi_value_headers: bool
    arn: str = ""


SINGLE_VALUE = TargetGroup(multi_value_headers=False)
MULTI_VALUE = TargetGroup(multi_value_headers=True)


def to_request(event: Event, base_path: str = "") -> Request:
    """The request that an event stands for, in either mode.

    Args:
        event: what the load balancer sends to the function.
        base_path: percent-encoded; it becomes the root path of the requests below it.

    Raises:
        EventError: a field is missing or of the wrong type.
    """
    headers = multi_value.headers(event)
    path = encoded(absolute(text(event, "path")))
    query = "&".join(
        f"{name}={value}"
        for name, value in multi_value.pairs(
            event, "multiValueQueryStringParameters", "queryStringParameters"
        )
    )
    return Request(
        method=text(event, "httpMethod"),
        path=path,
        query=query.encode("utf-8", "surrogatepass"),
        headers=headers,
        body=body.decode(event),
        root_path=below(path, base_path),
        scheme=scheme(headers, "http"),
        client=client(headers),
    )


def to_result(response: Response, group: TargetGroup) -> dict[str, Any]:
    """The result that the load balancer turns back into this response, in the group's mode."""
    content, is_base64 = body.encode_result(response.body)
    result: dict[str, Any] = {
        "statusCode": response.status,
        "statusDescription": _status_description(response.status),
        "isBase64Encoded": is_base64,
        "body": content,
    }
    lists = multi_value.lists(response.headers)
    if group.multi_value_headers:
        result["multiValueHeaders"] = lists
    else:
        result["headers"] = multi_value.one_each(lists)
    return result


def to_event(request: Request, group: TargetGroup) -> dict[str, Any]:
    """The event that a load balancer makes of a request, in the group's mode."""
    headers = multi_value.lists(request.headers)
    query: dict[str, list[str]] = {}
    for pair in query_text(request.query).split("&") if request.query else ():
        key, _, text_value = pair.partition("=")
        query.setdefault(key, []).append(text_value)
    content, is_base64 = _event_body(request)
    event: dict[str, Any] = {
        "requestContext": {"elb": {"targetGroupArn": group.arn}},
        "httpMethod": request.method,
        "path": request.path,
    }
    if group.multi_value_headers:
        event["multiValueQueryStringParameters"] = query
        event["multiValueHeaders"] = headers
    else:
        event["queryStringParameters"] = {key: values[-1] for key, values in query.items()}
        event["headers"] = {key: values[-1] for key, values in headers.items()}
    event["body"], event["isBase64Encoded"] = content, is_base64
    return event


def to_response(result: object, group: TargetGroup) -> Response:
    """The response that a load balancer makes of a function's result.

    Headers in the form of the other mode are dropped, as AWS does.

    Raises:
        EventError: a field of the result is missing or of the wrong type; the function's fault.
    """
    if not isinstance(result, Mapping):
        raise EventError(f"the result must be an object with statusCode, not {shown(result)}")
    status = status_code(result)
    headers: list[tuple[bytes, bytes]] = []
    if group.multi_value_headers:
        for name, values in optional_mapping(result, "multiValueHeaders").items():
            headers += [(header_bytes(name), header_bytes(v)) for v in strings(values, name)]
    else:
        for name, value in optional_mapping(result, "headers").items():
            headers.append((header_bytes(name), header_value(value, name)))
    return Response(status, tuple(headers), body.decode(result))


def is_multi_value(event: Event) -> bool:
    """Whether an event comes from a target group with multi-value headers."""
    return "multiValueHeaders" in event


def _event_body(request: Request) -> tuple[str, bool]:
    if not request.body:
        return "", False
    if header(request.headers, b"content-encoding") is not None:
        return base64.encode(request.body), True
    return body.encode_event(request.body, request.headers)


def _status_description(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
