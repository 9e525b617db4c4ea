"""Events of Lambda Function URLs: payload format 2.0, with differences.

1. `rawPath` is percent-encoded, as the client sent it; there is no stage in it.
2. `requestContext.http.path` is `rawPath` without a slash at its end, so nothing is read from it.
3. With `InvokeMode: RESPONSE_STREAM` a prelude takes a result's place, with the same fields but for
   those of the body. Whether the URL would take `multiValueHeaders` there is not documented.
4. With `AuthType: AWS_IAM` the caller's identity is in `requestContext.authorizer.iam`, and
   `accountId` is the caller's; without, that is `anonymous`.

Source: lambda/latest/dg/urls-invocation.html, lambda/latest/dg/runtimes-custom.html. That the path
is encoded, and rule 2, are not on these pages but are what AWS does; rule 2 has been measured by
others (adamchainz/apig-wsgi#426).
"""

from typing import Any, NamedTuple

from ambidex.events import payload_2_0
from ambidex.events.fields import Event, absolute, below, encoded, mapping, text
from ambidex.events.payload_2_0 import from_prelude as from_prelude
from ambidex.events.payload_2_0 import to_prelude as to_prelude
from ambidex.events.payload_2_0 import to_response as to_response
from ambidex.events.payload_2_0 import to_result as to_result
from ambidex.http import Request

ANONYMOUS = "anonymous"


class Caller(NamedTuple):
    """The IAM identity that has signed a request."""

    access_key: str
    account_id: str
    caller_id: str
    user_arn: str
    user_id: str


class FrontDoor(NamedTuple):
    """What the Function URL itself knows of a request."""

    request_id: str
    time_epoch_ms: int
    domain_name: str  # `{url id}.lambda-url.{region}.on.aws`
    caller: Caller | None = None


def to_request(event: Event, base_path: str = "") -> Request:
    """The request that an event stands for.

    Args:
        event: payload 2.0.
        base_path: percent-encoded; what a proxy in front of the URL leaves in the path.

    Raises:
        EventError: a field is missing or of the wrong type.
    """
    path = encoded(absolute(text(event, "rawPath")))
    context = mapping(event, "requestContext")
    return payload_2_0.to_request(event, context, path, below(path, base_path))


def to_event(request: Request, door: FrontDoor) -> dict[str, Any]:
    """The event that a Function URL makes of a request."""
    url_id = door.domain_name.partition(".")[0]
    account_id = door.caller.account_id if door.caller else ANONYMOUS
    shared = payload_2_0.FrontDoor(
        door.request_id, door.time_epoch_ms, door.domain_name, url_id, account_id
    )
    event = payload_2_0.to_event(request, shared, request.path)
    event["requestContext"]["http"]["path"] = request.path.removesuffix("/") or "/"
    if door.caller is not None:
        event["requestContext"]["authorizer"] = {
            "iam": {
                "accessKey": door.caller.access_key,
                "accountId": door.caller.account_id,
                "callerId": door.caller.caller_id,
                "cognitoIdentity": None,
                "principalOrgId": None,
                "userArn": door.caller.user_arn,
                "userId": door.caller.user_id,
            }
        }
    return event
