"""Events of a VPC Lattice service whose target is a Lambda function.

1. A target group has one of two event structures. V2 has `path`, `headers` in lists and
   `requestContext`; V1 has `raw_path`, `headers` joined with commas, and names with underscores.
2. The path is percent-encoded and has the query behind it, which is taken from there. Where it has
   none, the map of query parameters is read; nobody says whether that is decoded, so percent signs
   stay as they are there.
3. `isBase64Encoded` may be missing.
4. There is no client address but in X-Forwarded-For, the last one there.
5. The result is the same for both structures.

Source: vpc-lattice/latest/ug/lambda-functions.html. The query in the path has been measured on AWS
by others; several cookies in a result, and what carries the client's scheme, are on no page.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote

from ambidex.errors import shown
from ambidex.events import body, multi_value
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
from ambidex.http import Request, Response


class TargetGroup(NamedTuple):
    """The target group that holds the function, and what it knows of a request."""

    version: int  # of the event structure, 1 or 2
    service_network_arn: str = ""
    service_arn: str = ""
    arn: str = ""
    region: str = ""
    source_vpc_arn: str = ""
    time_epoch_us: int = 0


def is_v2(event: Event) -> bool:
    """Whether an event has the structure V2."""
    return "raw_path" not in event


def to_request(event: Event, base_path: str = "") -> Request:
    """The request that an event stands for, in either structure.

    Args:
        event: what the service sends to the function.
        base_path: percent-encoded; it becomes the root path of the requests below it.

    Raises:
        EventError: a field is missing or of the wrong type.
    """
    keys = ("path", "queryStringParameters", "isBase64Encoded")
    if not is_v2(event):
        keys = ("raw_path", "query_string_parameters", "is_base64_encoded")
    path_key, query_key, base64_key = keys
    path, mark, query = text(event, path_key).partition("?")
    path = encoded(absolute(path))
    if not mark:
        query = "&".join(
            f"{_encoded(name)}={_encoded(value)}" for name, value in _values(event, query_key)
        )
    headers = tuple(
        (header_bytes(name.lower()), header_bytes(value))
        for name, value in _values(event, "headers")
    )
    return Request(
        method=text(event, "method"),
        path=path,
        query=query.encode("utf-8", "surrogatepass"),
        headers=headers,
        body=body.decode(event, base64_key),
        root_path=below(path, base_path),
        scheme=scheme(headers, "https"),
        client=client(headers),
    )


def to_result(response: Response) -> dict[str, Any]:
    """The result that the service turns back into this response."""
    content, is_base64 = body.encode_result(response.body)
    return {
        "isBase64Encoded": is_base64,
        "statusCode": response.status,
        "headers": multi_value.one_each(multi_value.lists(response.headers)),
        "body": content,
    }


def to_event(request: Request, group: TargetGroup) -> dict[str, Any]:
    """The event that a service makes of a request, in the structure of the target group."""
    headers = multi_value.lists(request.headers)
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(query_text(request.query), keep_blank_values=True):
        query.setdefault(name, []).append(value)
    path = request.path + (f"?{query_text(request.query)}" if request.query else "")
    content, is_base64 = "", False
    if request.body:
        content, is_base64 = body.encode_event(request.body, request.headers)
    if group.version == 1:
        return {
            "raw_path": path,
            "method": request.method,
            "headers": {name: ", ".join(values) for name, values in headers.items()},
            "query_string_parameters": {name: values[-1] for name, values in query.items()},
            "body": content,
            "is_base64_encoded": is_base64,
        }
    return {
        "version": "2.0",
        "path": path,
        "method": request.method,
        "headers": headers,
        "queryStringParameters": query,
        "body": content,
        "isBase64Encoded": is_base64,
        "requestContext": {
            "serviceNetworkArn": group.service_network_arn,
            "serviceArn": group.service_arn,
            "targetGroupArn": group.arn,
            "identity": {"sourceVpcArn": group.source_vpc_arn},
            "region": group.region,
            "timeEpoch": str(group.time_epoch_us),
        },
    }


def to_response(result: object) -> Response:
    """The response that a service makes of a function's result.

    Raises:
        EventError: a field of the result is missing or of the wrong type; the function's fault.
    """
    if not isinstance(result, Mapping):
        raise EventError(f"the result must be an object with statusCode, not {shown(result)}")
    headers = tuple(
        (header_bytes(name), header_value(value, name))
        for name, value in optional_mapping(result, "headers").items()
    )
    return Response(status_code(result), headers, body.decode(result))


def _values(event: Event, key: str) -> Iterator[tuple[str, str]]:
    # V2 has lists by AWS's page; strings have been seen as well.
    for name, value in optional_mapping(event, key).items():
        if isinstance(value, str):
            yield name, value
        else:
            for each in strings(value, name):
                yield name, each


def _encoded(value: str) -> str:
    return quote(value.encode("utf-8", "surrogatepass"), safe="%")
