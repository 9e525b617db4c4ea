"""Names that come with several values, in the maps of events and results."""

from collections.abc import Iterator, Mapping

from ambidex.errors import shown
from ambidex.events.fields import Event, EventError, header_bytes, optional_mapping, strings
from ambidex.http import Headers


def pairs(event: Event, multi: str, single: str) -> Iterator[tuple[str, str]]:
    """Names and values of the map of lists, or of the map of strings where there is no other.

    Args:
        event: the event.
        multi: the key of the map of lists.
        single: the key of the map of strings.

    Raises:
        EventError: a map is none, or a value is no string.
    """
    if event.get(multi) is not None:
        for name, values in optional_mapping(event, multi).items():
            for value in strings(values, name):
                yield name, value
    else:
        for name, value in optional_mapping(event, single).items():
            if not isinstance(value, str):
                raise EventError(f"{shown(name)} in {single} must be a string, not {shown(value)}")
            yield name, value


def headers(event: Event) -> Headers:
    """The headers of a request, from `multiValueHeaders` or `headers`, names in lower case."""
    return tuple(
        (header_bytes(name.lower()), header_bytes(value))
        for name, value in pairs(event, "multiValueHeaders", "headers")
    )


def lists(headers: Headers) -> dict[str, list[str]]:
    """Headers as a map of lists, names in lower case."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return values


def one_each(lists: Mapping[str, list[str]]) -> dict[str, str]:
    """A map of lists as a map of strings: repeats are joined with commas.

    Cookies cannot be joined: names that differ in case are different keys of the map and the same
    header to the client.
    """
    return dict(_one_each(lists))


def _one_each(lists: Mapping[str, list[str]]) -> Iterator[tuple[str, str]]:
    for name, values in lists.items():
        if name == "set-cookie":
            yield from zip(_spellings(name), values, strict=False)
        else:
            yield name, ",".join(values)


def _spellings(name: str) -> Iterator[str]:
    letters = [index for index, letter in enumerate(name) if letter.isalpha()]
    for number in range(1 << len(letters)):
        upper = {index for bit, index in enumerate(letters) if number >> bit & 1}
        yield "".join(c.upper() if i in upper else c for i, c in enumerate(name))
