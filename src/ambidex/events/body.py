"""Bodies in JSON: as text where that is exact and no longer, else as base64."""

import re
from collections.abc import Mapping
from typing import Any

from ambidex.errors import shown
from ambidex.events import base64
from ambidex.events.fields import EventError
from ambidex.http import Headers, header

# Content types whose bodies API Gateway's HTTP API and ALB pass on as text; all others are base64.
# Source: elasticloadbalancing/latest/application/lambda-functions.html. The HTTP API's page speaks
# of "binary" types only; measured on AWS it is the same list, and a missing type, forms and
# application/problem+json are base64 as well.
_TEXT_TYPE = re.compile(rb"\s*(text/|application/(json|javascript|xml)\s*(;|$))", re.IGNORECASE)

# Bytes that stand for themselves in JSON, and those that become two characters.
_PLAIN = bytes(set(range(0x20, 0x100)) - set(b'"\\'))
_SHORT = bytes(set(range(0x100)) - set(b'"\\\b\f\n\r\t'))

# From here on text may take another way into its JSON.
_LARGE_BYTES = 64 * 1024


def encode_result(body: bytes) -> tuple[str, bool]:
    """A response's body as JSON carries it.

    Returns:
        The string and `isBase64Encoded`: text if the body is UTF-8 and its JSON is no longer than
        base64 would be (control characters take six characters each), else base64.
    """
    text, is_base64 = encode_text(body)
    if is_base64:
        return text, True
    escaped = body.translate(None, _PLAIN)
    most_bytes = 4 * ((len(body) + 2) // 3)
    if len(body) + 5 * len(escaped) > most_bytes:  # only then does it matter how long each is
        short = len(escaped.translate(None, _SHORT))
        json_bytes = len(body) + short + 5 * (len(escaped) - short)
        if json_bytes > most_bytes:
            return base64.encode(body), True
    if len(body) >= _LARGE_BYTES and not text.isascii():
        from ambidex.events.large_text import large_text

        text = large_text(text, body, escaped)
    return text, False


def encode_text(body: bytes) -> tuple[str, bool]:
    """A body as text if it is UTF-8, however long its JSON is, else as base64."""
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.encode(body), True


def encode_event(body: bytes, headers: Headers) -> tuple[str, bool]:
    """A request's body as the HTTP API and ALB put it into an event.

    Returns:
        The string and `isBase64Encoded`: by content type; text that is not UTF-8 is base64, so
        that every byte survives.
    """
    if _TEXT_TYPE.match(header(headers, b"content-type") or b""):
        return encode_text(body)
    return base64.encode(body), True


def decode(container: Mapping[str, Any], base64_key: str = "isBase64Encoded") -> bytes:
    """The body of an event or a result; missing and null are empty.

    Args:
        container: the event or result.
        base64_key: what says that the body is base64.

    Raises:
        EventError: the body is no string, or says base64 and is not; the sender's fault.
    """
    body = container.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise EventError(f"body must be a string in the JSON, not {shown(body)}")
    if not container.get(base64_key):
        return body.encode("utf-8", "surrogatepass")
    try:
        return base64.decode(body)
    except ValueError as error:
        raise EventError(f"body says {base64_key} and is not base64: {error}") from None
