"""The right answers of invocations: a contestant's result is checked before its time counts."""

from base64 import b64decode
from collections.abc import Callable
from json import loads

from bench.program import BenchError

Check = Callable[[bytes], None]


def answer(result: bytes) -> tuple[int, str, bytes]:
    """Status, content type and body of a result, buffered.

    Raises:
        BenchError: it is none.
    """
    try:
        document = loads(result)
        headers = {name.lower(): value for name, value in document["headers"].items()}
        content_type = headers.get("content-type", "")
        if not content_type:
            content_type = document.get("multiValueHeaders", {}).get("content-type", [""])[0]
        body = document["body"]
        is_base64 = document.get("isBase64Encoded", False)
        raw = b64decode(body) if is_base64 else body.encode()
    except (ValueError, KeyError, AttributeError) as error:
        raise BenchError(f"no result of an HTTP API: {result[:200]!r}") from error
    return document["statusCode"], content_type, raw


def expect(status: int, content_type: str, body: bytes) -> Check:
    """A check for one right answer."""
    right = (status, content_type, body)

    def check(result: bytes) -> None:
        found = answer(result)
        if found != right:
            wrong = f"{found[0]}, {found[1]}, {found[2][:100]!r}"
            raise BenchError(f"it answers {wrong}, which is wrong")

    return check
