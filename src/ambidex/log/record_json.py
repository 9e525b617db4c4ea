"""The JSON of a log record: whatever is in it, there is a line, and the same one without orjson.

What JSON has no form for is its `str`. Lone surrogates, which no UTF-8 has, are their escapes as
text; NaN and the infinities are null; keys are strings.
"""

import json
import re
from collections.abc import Callable
from math import isfinite
from typing import Any

try:
    import orjson
except ImportError:  # the image works without it
    _fast: Callable[[Any], bytes] | None = None
else:
    # What orjson would have a form of its own for, and the standard library has not.
    _OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME

    def _fast(document: Any) -> bytes:  # noqa: ANN401 – anything
        return orjson.dumps(document, _value, _OPTIONS)


# What is nested deeper is shown as text. Source: none; it is deeper than anybody reads.
_DEPTH = 32


def dumps(document: dict[str, Any]) -> str:
    """A document as JSON, on one line."""
    if _fast is not None:
        try:
            return _fast(document).decode()
        except TypeError:
            pass  # surrogates, long integers, keys that are no strings, circles
    return json.dumps(_plain(document, 0), ensure_ascii=False, separators=(",", ":"))


def _value(value: object) -> object:
    """What stands for a value that has no form in JSON."""
    return list(value) if isinstance(value, tuple) else _shown(value)


def _plain(value: object, depth: int) -> object:
    if isinstance(value, str):
        return _encodable(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if isfinite(value) else None
    if depth < _DEPTH:
        if isinstance(value, dict):
            return {_key(key): _plain(each, depth + 1) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [_plain(each, depth + 1) for each in value]
    return _plain(_enumerated(value), depth)


def _enumerated(value: object) -> object:
    from enum import Enum  # most records hold none

    return value.value if isinstance(value, Enum) else _shown(value)


def _key(key: object) -> str:
    if key is None or isinstance(key, bool):
        return json.dumps(key)
    return _encodable(key if isinstance(key, str) else _shown(key))


def _shown(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 – the app's, and the rest of the record matters more
        return f"<{type(value).__name__} that has no text>"


def _encodable(text: str) -> str:
    if text.isascii():
        return str(text)
    return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)
