"""Typed access to the JSON of an event or a result, with errors that name the field."""

from collections.abc import Mapping
from string import ascii_letters, digits
from time import gmtime
from typing import Any
from urllib.parse import quote

from ambidex.errors import AmbidexError, shown

Event = Mapping[str, Any]

# What RFC 3986 allows in a path as it is; "%" is not among them.
PATH_SAFE = "/:@!$&'()*+,;=~"
_AS_THEY_ARE = f"{PATH_SAFE}-._{ascii_letters}{digits}"
DEFAULT_STAGE = "$default"
HTTP_VERSIONS = {"HTTP/1.0": "1.0", "HTTP/1.1": "1.1", "HTTP/2.0": "2"}
PROTOCOLS = {version: protocol for protocol, version in HTTP_VERSIONS.items()}
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


class EventError(AmbidexError):
    """An event or a result that is not of the form its source promises."""


def an_object(value: object, what: str) -> Event:
    """A value that must be an object in the JSON.

    Args:
        value: any JSON.
        what: its name in the error.

    Raises:
        EventError: it is none.
    """
    if not isinstance(value, Mapping):
        raise EventError(f"{what} must be an object in the JSON, not {shown(value)}")
    return value


def mapping(parent: Event, key: str) -> Event:
    """The object under `key`; missing and null are errors."""
    value = parent.get(key)  # nearly always a dict, and asking for Mapping takes longer
    return value if type(value) is dict else an_object(value, key)


def optional_mapping(parent: Event, key: str) -> Event:
    """The object under `key`; missing and null are empty."""
    return {} if parent.get(key) is None else mapping(parent, key)


def text(parent: Event, key: str) -> str:
    """The string under `key`; missing and null are errors."""
    value = parent.get(key)
    if not isinstance(value, str):
        raise EventError(f"{key} must be a string in the JSON, not {shown(value)}")
    return value


def optional_text(parent: Event, key: str) -> str:
    """The string under `key`; missing and null are empty."""
    value = parent.get(key)
    if type(value) is str:
        return value
    return "" if value is None else text(parent, key)


def strings(value: object, key: str) -> tuple[str, ...]:
    """A list of strings; missing and null are empty."""
    if value is None:
        return ()
    items = value if isinstance(value, list) else [None]
    for item in items:  # not all(...): each header comes here, and a generator takes half the time
        if not isinstance(item, str):
            raise EventError(
                f"{shown(key)} must be a list of strings in the JSON, not {shown(value)}"
            )
    return tuple(items)


def status_code(result: Event) -> int:
    """The status of a result, a number or its digits, 100 to 599."""
    value = result.get("statusCode")
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 100 <= value <= 599:
        raise EventError(f"statusCode must be a number from 100 to 599, not {shown(value)}")
    return value


def header_bytes(value: str) -> bytes:
    """A header's name or value as bytes: latin-1, or UTF-8 for what latin-1 does not have."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")


def header_value(value: object, name: object) -> bytes:
    """A header's value in a result, where AWS takes a string, a number or a boolean."""
    if isinstance(value, str):
        return header_bytes(value)
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int | float):
        return str(value).encode()
    raise EventError(f"the header {shown(name)} must be a string, not {shown(value)}")


def absolute(path: str) -> str:
    """A path that starts with a slash."""
    return path if path.startswith("/") else f"/{path}"


def encoded(path: str) -> str:
    """A path as a URL carries it: ASCII, with everything else percent-encoded; "%" stays."""
    if path.isascii() and path.isprintable() and " " not in path:
        return path
    return quote(path.encode("utf-8", "surrogatepass"), safe=PATH_SAFE + "%")


def encoded_again(path: str) -> str:
    """A path that its source has percent-decoded, as a URL carries it."""
    path = absolute(path)
    if not path.strip(_AS_THEY_ARE):  # each character is one of these: `quote` finds it out slowly
        return path
    return quote(path.encode("utf-8", "surrogatepass"), safe=PATH_SAFE)


def query_text(query: bytes) -> str:
    """A query as JSON carries it: bytes that are not ASCII, which no URL may have, are encoded."""
    try:
        return query.decode("ascii")
    except UnicodeDecodeError:
        return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in query)


def starts_with_segments(path: str, prefix: str) -> bool:
    """Whether a path is below a prefix: `/api/x` and `/api` are below `/api`, `/apiary` is not."""
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/")


def below(path: str, base_path: str) -> str:
    """The base path, if a path is below it, or nothing."""
    return base_path if base_path and starts_with_segments(path, base_path) else ""


def is_own_host(domain_name: str) -> bool:
    """Whether a domain is the one that API Gateway gives an API, with the stage in its paths."""
    return not domain_name or ".execute-api." in domain_name


def stage_path(context: Event) -> str:
    """What a named stage is in a URL; nothing for the default stage."""
    stage = optional_text(context, "stage")
    return "" if stage in ("", DEFAULT_STAGE) else encoded(f"/{stage}")


def common_log_time(epoch_ms: int) -> str:
    """A time as access logs have it; the months' names are nobody's locale."""
    time = gmtime(epoch_ms // 1000)
    return (
        f"{time.tm_mday:02}/{_MONTHS[time.tm_mon - 1]}/{time.tm_year}"
        f":{time.tm_hour:02}:{time.tm_min:02}:{time.tm_sec:02} +0000"
    )
