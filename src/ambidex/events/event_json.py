"""The JSON of events and results: orjson where it is installed, and the same values either way."""

import json
from collections.abc import Callable
from typing import Any

from ambidex.errors import AmbidexError

try:
    import orjson
except ImportError:  # the image works without it
    _fast_loads: Callable[[bytes], Any] | None = None
else:
    _fast_loads = orjson.loads

# orjson makes floats of integers above 64 bit; those have 19 digits or more. Digits are looked for
# by making zeros of them all, for a regular expression takes ten times as long.
_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_LONG_INTEGER = b"0" * 19
# In an event of this size most is its body, and what is in that string is no integer.
_LARGE_BYTES = 16 * 1024
_BODY = b'"body":"'


class MalformedJsonError(AmbidexError):
    """An event or a result is no JSON; the fault of whoever sent it."""


def loads(event: bytes) -> Any:  # noqa: ANN401 – any JSON
    """An event or a result as Python values, as the standard library's json has them.

    Raises:
        MalformedJsonError: it is no JSON.
    """
    if _fast_loads is not None and not _may_have_long_integer(event):
        try:
            return _fast_loads(event)
        except ValueError:
            pass  # lone surrogates and NaN, which the standard library takes
    try:
        return json.loads(event)
    except (ValueError, RecursionError) as error:
        raise MalformedJsonError(f"not JSON: {error}") from None


def _may_have_long_integer(event: bytes) -> bool:
    if len(event) < _LARGE_BYTES:
        return _LONG_INTEGER in event.translate(_ZEROS)
    # Within a string each quote has a backslash in front, and the last one here has none. So it
    # begins a string, wherever it is found; up to the next quote, escaped or not, is that string.
    start = event.find(_BODY) + len(_BODY)
    end = event.find(b'"', start)
    if start < len(_BODY) or end < 0:
        return _LONG_INTEGER in event.translate(_ZEROS)
    return any(_LONG_INTEGER in part.translate(_ZEROS) for part in (event[:start], event[end:]))


def is_json(document: bytes) -> bool:
    """Whether bytes are JSON as Lambda takes it: UTF-8, and neither NaN nor Infinity."""
    if _fast_loads is not None:
        try:
            _fast_loads(document)
        except ValueError:
            pass  # lone surrogates, which are JSON
        else:
            return True
    try:
        json.loads(document.decode(), parse_int=str, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return False
    return True


def dumps(value: Any) -> bytes:  # noqa: ANN401 – any JSON
    """A result as JSON, not escaped beyond what JSON demands."""
    if _fast_loads is not None:
        return orjson.dumps(value, _fragment, orjson.OPT_PASSTHROUGH_SUBCLASS)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _fragment(value: object) -> "orjson.Fragment":
    from ambidex.events.large_text import LargeText

    if isinstance(value, LargeText):
        return orjson.Fragment(value.json())
    raise TypeError


def _no_json(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
