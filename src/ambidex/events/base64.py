"""Base64: pybase64 for large bodies where it is installed, and the same bytes either way."""

from binascii import a2b_base64, b2a_base64
from functools import cache
from types import ModuleType

# From here on it makes up for its import, which smaller bodies do without.
_LARGE = 64 * 1024


def encode(data: bytes) -> str:
    """Bytes as base64, without line breaks."""
    if len(data) >= _LARGE and (pybase64 := _pybase64()):
        text: str = pybase64.b64encode_as_string(data)
        return text
    return b2a_base64(data, newline=False).decode()


def decode(text: str) -> bytes:
    """Base64 as bytes; what is not of its alphabet counts for nothing, as in the standard library.

    Raises:
        ValueError: it is not base64.
    """
    if len(text) >= _LARGE and (pybase64 := _pybase64()):
        try:
            data: bytes = pybase64.b64decode(text, validate=True)
        except ValueError:
            pass  # the standard library takes more
        else:
            return data
    return a2b_base64(text)


@cache
def _pybase64() -> ModuleType | None:
    try:
        import pybase64
    except ImportError:  # the image works without it
        return None
    return pybase64
