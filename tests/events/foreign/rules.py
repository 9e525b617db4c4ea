"""How an emulator's field follows from ours: the rules in the tables of disagreements."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, unquote_plus, urlencode

from ambidex.events import base64, fields
from ambidex.http import Headers, header
from tests.events.foreign.disagreement import ABSENT, Rule, Seen


def always(value: Any) -> Rule:
    """The same value, whatever ours is."""
    return lambda _ours, _seen: value


def instead(of: Any, value: Any) -> Rule:
    """A value in the place of one of ours."""
    return lambda ours, _seen: value if ours == of else ours


# Paths


def without_stage(ours: str, _: Seen) -> str:
    """The path without the stage."""
    return ours.removeprefix("/prod")


def without_first_slash(ours: Any, _: Seen) -> Any:
    """A path, or the values of path parameters, without the slash in front."""
    if isinstance(ours, str):
        return ours.removeprefix("/")
    return {name: value.removeprefix("/") for name, value in ours.items()}


def with_first_slash(ours: Any, _: Seen) -> Any:
    """A path, or the values of path parameters, with one more slash in front."""
    if isinstance(ours, str):
        return f"/{ours}"
    return {name: f"/{value}" for name, value in ours.items()}


def without_last_slash(ours: Any, _: Seen) -> Any:
    """A path, or the values of path parameters, without the slash at the end."""
    if isinstance(ours, str):
        return ours.removesuffix("/")
    return {name: value.removesuffix("/") for name, value in ours.items()}


def decoded(ours: Any, _: Seen) -> Any:
    """A path, or the values of path parameters, percent-decoded."""
    if ours is None or isinstance(ours, str):
        return ours and unquote(ours)
    return {name: unquote(value) for name, value in ours.items()}


def decoded_in_request(ours: str, _: Seen) -> str:
    """What arrives of a decoded path; whoever encodes it again takes its percent signs as such."""
    return fields.encoded(unquote(ours))


def encoded(_: Any, seen: Seen) -> str:
    """The path as it was sent, as hapi has it."""
    return _hapi(seen.request.path)


def twice_encoded(_: Any, seen: Seen) -> str:
    """That path, encoded by us again."""
    return _hapi(seen.request.path).replace("%", "%25")


def normalised(ours: str, _: Seen) -> str:
    """Our path as hapi has it."""
    return _hapi(ours)


def parameter(name: str, at_root: Any) -> Rule:
    """The decoded path under the name that the emulator's own route has for it."""

    def parameters(_: Any, seen: Seen) -> Any:
        rest = unquote(seen.request.path)[1:]
        return {name: rest} if rest else at_root

    return parameters


def resource(pattern: str, root: str) -> Rule:
    """The emulator's own route, in the place of the path."""
    return lambda _, seen: root if seen.request.path == "/" else pattern


def _hapi(path: str) -> str:
    """A path without needless escapes, and with upper-case digits in the others."""

    def kept(escape: re.Match[str]) -> str:
        character = chr(int(escape[0][1:], 16))
        is_unreserved = character.isascii() and (character.isalnum() or character in "-._~")
        return character if is_unreserved else escape[0].upper()

    return re.sub("%[0-9A-Fa-f]{2}", kept, path)


# Queries


def encoded_anew(ours: Any, _: Seen) -> Any:
    """A query after a form's decoder and encoder."""
    query = ours if isinstance(ours, str) else ours.decode()
    anew = urlencode(parse_qsl(query, keep_blank_values=True))
    return anew if isinstance(ours, str) else anew.encode()


def decoded_lists(ours: Mapping[str, list[str]], _: Seen) -> Any:
    """Query parameters with all their values, decoded."""
    return {
        unquote_plus(name): [unquote_plus(value) for value in values]
        for name, values in ours.items()
    }


def decoded_values(_: Any, seen: Seen) -> Any:
    """Query parameters with their last values, decoded; none are null."""
    lists = decoded_lists(seen.event["multiValueQueryStringParameters"], seen)
    return {name: values[-1] for name, values in lists.items()} or None


def decoded_in_query(ours: bytes, _: Seen) -> bytes:
    """What arrives of decoded parameters; an ampersand in one parts it."""
    text = "&".join(unquote_plus(pair) for pair in ours.decode().split("&"))
    return b"&".join(sorted(text.encode().split(b"&")))


def misread(_: Any, seen: Seen) -> str:
    """A query's bytes, each a character of latin-1."""
    return seen.request.query.decode("latin-1")


def misread_in_request(ours: bytes, seen: Seen) -> bytes:
    """What arrives of such a query."""
    return misread(ours, seen).encode()


def misread_and_encoded(ours: bytes, seen: Seen) -> bytes:
    """The same, where the query is made of parameters."""
    return quote(misread(ours, seen), safe="=").encode()


def misread_value(_: Any, seen: Seen) -> Any:
    """The one parameter of such a query."""
    return {"q": misread(_, seen).removeprefix("q=")}


def misread_list(_: Any, seen: Seen) -> Any:
    """The same, in a list."""
    return {"q": [misread(_, seen).removeprefix("q=")]}


# Headers


def with_headers(**values: Any) -> Rule:
    """More headers, or other values; an underscore stands for a hyphen."""
    headers = {name.replace("_", "-"): value for name, value in values.items()}
    names = {name.lower() for name in headers}
    return lambda ours, _seen: {
        **{name: value for name, value in ours.items() if name.lower() not in names},
        **headers,
    }


def with_request_headers(**values: bytes) -> Rule:
    """The same in a request."""
    headers = {name.replace("_", "-").encode(): value for name, value in values.items()}
    return lambda ours, _seen: tuple(sorted((dict(ours) | headers).items()))


def joined(ours: Mapping[str, str], seen: Seen) -> Mapping[str, str]:
    """Repeated headers with commas between the values."""
    lists = seen.event["multiValueHeaders"]
    return {name: ",".join(lists[name]) if name in lists else ours[name] for name in ours}


def joined_lists(ours: Mapping[str, list[str]], _: Seen) -> Mapping[str, list[str]]:
    """Repeated headers as one value with commas, in a list."""
    return {name: [",".join(values)] for name, values in ours.items()}


def joined_in_request(ours: Headers, _: Seen) -> Headers:
    """Repeated headers of a request with commas between the values."""
    values: dict[bytes, list[bytes]] = {}
    for name, value in ours:
        values.setdefault(name, []).append(value)
    return tuple((name, b",".join(lines)) for name, lines in values.items())


def last(ours: Mapping[str, str], seen: Seen) -> Mapping[str, str]:
    """Repeated headers with their last value."""
    lines = {name.decode(): value.decode("latin-1") for name, value in seen.request.headers}
    return {name: lines.get(name, value) for name, value in ours.items()}


def last_in_request(ours: Headers, seen: Seen) -> Headers:
    """Repeated headers of a request with their last value."""
    lines = dict(seen.request.headers)
    return tuple((name, lines[name]) for name, _ in ours)


def spaced(_: Any, seen: Seen) -> Mapping[str, str]:
    """Node's own joining of repeated headers."""
    lists: Mapping[str, list[str]] = seen.event["multiValueHeaders"]
    return {
        name: ("; " if name == "cookie" else ", ").join(values) for name, values in lists.items()
    }


def titled(ours: Mapping[str, Any], _: Seen) -> Mapping[str, Any]:
    """Names with a capital after each hyphen."""
    return {name.title(): value for name, value in ours.items()}


def as_sent(ours: Mapping[str, Any], seen: Seen) -> Mapping[str, Any]:
    """Names as the client spelt them."""
    names = {name.decode().lower(): name.decode() for name, _ in seen.request.headers}
    return {names[name.lower()]: value for name, value in ours.items()}


def with_cookie(ours: Mapping[str, Any], seen: Seen) -> Mapping[str, Any]:
    """The last Cookie header beside the list of cookies."""
    return {**ours, "cookie": dict(seen.request.headers)[b"cookie"].decode()}


def with_length(ours: Mapping[str, Any], seen: Seen) -> Mapping[str, Any]:
    """The Content-Length header, as it was sent."""
    length = header(seen.request.headers, b"content-length")
    return ours if length is None else {**ours, "content-length": length.decode()}


def with_length_list(ours: Mapping[str, Any], seen: Seen) -> Mapping[str, Any]:
    """The same, in a list."""
    length = header(seen.request.headers, b"content-length")
    return ours if length is None else {**ours, "content-length": [length.decode()]}


def with_second_length(ours: Mapping[str, Any], seen: Seen) -> Mapping[str, Any]:
    """A Content-Length of the emulator's own."""
    return {**ours, "Content-Length": str(len(seen.request.body))}


# Bodies


def as_text(_: Any, seen: Seen) -> str:
    """The body as UTF-8, in which other bytes are lost."""
    return seen.request.body.decode("utf-8", "replace")


def as_text_in_request(_: Any, seen: Seen) -> bytes:
    """What arrives of that."""
    return as_text(_, seen).encode()


def as_latin_1(_: Any, seen: Seen) -> str:
    """The body's bytes, each a character of latin-1."""
    return seen.request.body.decode("latin-1")


def as_latin_1_in_request(_: Any, seen: Seen) -> bytes:
    """What arrives of that."""
    return as_latin_1(_, seen).encode()


def as_base64(_: Any, seen: Seen) -> str:
    """The body in base64."""
    return base64.encode(seen.request.body)


def as_base64_in_request(_: Any, seen: Seen) -> bytes:
    """What arrives of that: every byte."""
    return seen.request.body


def absent_without_body(ours: Any, seen: Seen) -> Any:
    """Nothing for methods that have no body."""
    return ABSENT if seen.request.method in ("GET", "HEAD") else ours
