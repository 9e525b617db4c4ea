"""An event that is no HTTP request, as the app gets it: a POST of its JSON to the events path.

Nobody has sent a request, so it says as little as frameworks can do with: no client, nothing in
front of the path, `localhost` for a host, which most lists of allowed hosts have, and https for a
scheme, so that nothing redirects it there. The answer's JSON is the result.
"""

import json
from typing import Any

from ambidex.errors import shown
from ambidex.events.detect import LAMBDA_RESULT_BYTES
from ambidex.events.event_json import is_json
from ambidex.http import Request, Response
from ambidex.runtime.errors import InvocationError


def to_request(document: bytes, events_path: str) -> Request:
    """The request for an event.

    Args:
        document: the event's JSON.
        events_path: percent-encoded.
    """
    headers = (
        (b"host", b"localhost"),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(document)),
    )
    return Request("POST", events_path, headers=headers, body=document)


def to_result(request: Request, response: Response) -> bytes:
    """The result that an answer is: its JSON as it came, `null` for an empty body.

    Raises:
        InvocationError: the status is none of success, or the body is no JSON or too long; the
            app's fault.
    """
    if not 200 <= response.status < 300:
        raise error_status(request, response)
    document = response.body or b"null"
    if len(document) > LAMBDA_RESULT_BYTES:
        raise InvocationError(
            "Function.ResponseSizeTooLarge",
            f"the app answered {_named(request)} with {len(document)} bytes of JSON, and Lambda "
            f"takes {LAMBDA_RESULT_BYTES}: put the data where the caller can fetch it, such as S3",
        )
    if not is_json(document):
        raise InvocationError(
            "Runtime.MarshalError",
            f"the app answered {_named(request)} with a body that is no JSON: {_shown(response)}",
        )
    return document


def error_status(request: Request, response: Response) -> InvocationError:
    """What a status is reported as that fails the invocation."""
    return InvocationError(
        "Function.ErrorStatus",
        f"the app answered {_named(request)} with {response.status}: {_shown(response)}",
    )


def dumped(event: Any) -> bytes:  # noqa: ANN401 – any JSON
    """The JSON of an event of which only the values are at hand."""
    # Not by orjson, which takes neither integers above 64 bit nor lone surrogates.
    return json.dumps(event, separators=(",", ":")).encode()


def _named(request: Request) -> str:
    return f"{request.method} {request.path}"


def _shown(response: Response) -> str:
    return shown(response.body[:1000].decode("utf-8", "replace"))
