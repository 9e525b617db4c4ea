"""HTTP requests and responses as frozen values, whatever carried them."""

from typing import NamedTuple

Headers = tuple[tuple[bytes, bytes], ...]
"""Names and values in wire order; a name may repeat."""


class Request(NamedTuple):
    """A request that has arrived whole.

    NamedTuples, not dataclasses: they cost a tenth of the import time on the cold-start path.
    """

    method: str
    path: str  # percent-encoded ASCII, starts with "/", includes root_path
    query: bytes = b""  # as sent, without the "?"
    headers: Headers = ()
    body: bytes = b""
    root_path: str = ""  # percent-encoded: the part of path in front of the app
    scheme: str = "https"
    http_version: str = "1.1"
    client: tuple[str, int] | None = None  # address and port; port 0 where nobody tells it


class Response(NamedTuple):
    """A response that is complete."""

    status: int
    headers: Headers = ()
    body: bytes = b""


def port_number(digits: str) -> int | None:
    """A port in decimal digits, or None; Python's own `int` refuses thousands of digits."""
    is_port = digits.isascii() and digits.isdigit() and len(digits) <= 5
    return int(digits) if is_port else None


def header(headers: Headers, name: bytes) -> bytes | None:
    """The first value of a header, or None; `name` is in lower case."""
    for key, value in headers:
        if key.lower() == name:
            return value
    return None
