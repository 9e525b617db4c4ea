"""Hypothesis strategies for requests and responses, by what an event source carries."""

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from hypothesis import strategies as st

from ambidex.http import Headers, Request, Response

_TOKEN = "abcdefghijklmnopqrstuvwxyz0123456789-"
# Names with a meaning of their own to a codec are added on purpose or not at all.
_NAMES = st.text(_TOKEN, min_size=1, max_size=8).map(lambda name: f"x-{name}".encode())
_OF_FRONT_DOORS = (b"x-forwarded-for", b"x-forwarded-proto")
_TYPES = (
    b"",
    b"text/plain",
    b"application/json",
    b"application/json; charset=utf-8",
    b"application/problem+json",
    b"application/x-www-form-urlencoded",
    b"application/octet-stream",
)
BODIES = st.one_of(st.binary(max_size=64), st.text(max_size=32).map(str.encode))
UTF_8 = st.text(max_size=32).map(str.encode)
_PRINTABLE = tuple(map(chr, range(0x21, 0x7F)))


def _joined(pieces: Iterable[str], max_size: int) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(tuple(pieces)), max_size=max_size).map("".join)


# As a client may send it: any printable ASCII, also where "%" is followed by no hexadecimal.
ENCODED_PATHS = _joined(
    [*(c for c in _PRINTABLE if c not in "?#"), "%2F", "%25", "%C3%A9", "%ff"], 12
).map(lambda path: f"/{path}")
# What stays the same when it is decoded and encoded again.
DECODABLE_PATHS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(
    lambda path: quote(f"/{path}", safe="/:@!$&'()*+,;=~")
)
ANY_QUERIES = _joined([*_PRINTABLE, "%20", "%C3%A9", "%ff"], 16).map(str.encode)


def pair_queries(values_per_key: int) -> st.SearchStrategy[bytes]:
    """Queries of `key=value` pairs, with the values of a key together."""
    keys = _joined([*(c for c in _PRINTABLE if c not in "&="), "%3D"], 4)
    values = _joined([*(c for c in _PRINTABLE if c != "&"), "%26"], 4)
    queries = st.dictionaries(
        keys, st.lists(values, min_size=1, max_size=values_per_key), max_size=4
    )
    return queries.map(
        lambda pairs: "&".join(
            f"{key}={value}" for key, some in pairs.items() for value in some
        ).encode()
    )


def decodable_queries() -> st.SearchStrategy[bytes]:
    """Queries that stay the same when they are decoded and encoded again, values in groups."""
    texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
    values = st.lists(texts, min_size=1, max_size=3)
    return st.dictionaries(texts, values, max_size=4).map(
        lambda pairs: "&".join(
            f"{quote(key, safe='')}={quote(value, safe='')}"
            for key, some in pairs.items()
            for value in some
        ).encode()
    )


def unique_headers(*, with_cookies: bool = False) -> st.SearchStrategy[Headers]:
    """Each name once; Set-Cookie, the last, as often as it likes."""
    cookies = st.lists(st.binary(max_size=8), max_size=4 if with_cookies else 0)
    return st.builds(
        lambda headers, values: (*headers.items(), *((b"set-cookie", v) for v in values)),
        st.dictionaries(_NAMES, st.binary(max_size=8), max_size=4),
        cookies,
    )


def grouped_headers() -> st.SearchStrategy[Headers]:
    """Names may repeat; the values of one are together."""
    names = st.one_of(_NAMES, st.just(b"set-cookie"))
    values = st.lists(st.binary(max_size=8), min_size=1, max_size=3)
    return st.dictionaries(names, values, max_size=4).map(
        lambda headers: tuple((name, value) for name, some in headers.items() for value in some)
    )


@st.composite
def requests(
    draw: st.DrawFn,
    *,
    paths: st.SearchStrategy[str],
    queries: st.SearchStrategy[bytes],
    headers: st.SearchStrategy[Headers],
    http_versions: Sequence[str],
    bodies: st.SearchStrategy[bytes] = BODIES,
) -> Request:
    """Requests as a front door passes them on, with the headers it adds itself."""
    client = str(draw(st.ip_addresses()))
    scheme = draw(st.sampled_from(("http", "https")))
    content_type = draw(st.sampled_from(_TYPES))
    cookie = draw(st.one_of(st.none(), st.binary(max_size=12)))
    lines = [
        (b"x-forwarded-for", client.encode()),
        (b"x-forwarded-proto", scheme.encode()),
        *((name, value) for name, value in draw(headers) if name not in _OF_FRONT_DOORS),
    ]
    if content_type:
        lines.append((b"content-type", content_type))
    if cookie is not None:
        lines.append((b"cookie", cookie))
    return Request(
        method=draw(st.sampled_from(("GET", "HEAD", "POST", "PUT", "DELETE", "M-SEARCH"))),
        path=draw(paths),
        query=draw(queries),
        headers=tuple(lines),
        body=draw(bodies),
        scheme=scheme,
        http_version=draw(st.sampled_from(http_versions)),
        client=(client, 0),
    )


def responses(
    headers: st.SearchStrategy[Headers], bodies: st.SearchStrategy[bytes] = BODIES
) -> st.SearchStrategy[Response]:
    """Responses of any status and body."""
    return st.builds(Response, st.integers(100, 599), headers, bodies)


# Whatever a socket can bring, carried or not.
ANY_REQUESTS = st.builds(
    Request,
    method=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=8),
    path=ENCODED_PATHS,
    query=st.binary(max_size=16),
    headers=st.lists(
        st.tuples(
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from((b"cookie", b"Host", b"content-type", b"X-Forwarded-For")),
            ),
            st.binary(max_size=8),
        ),
        max_size=6,
    ).map(tuple),
    body=BODIES,
    http_version=st.sampled_from(("1.0", "1.1", "2", "3")),
    client=st.one_of(st.none(), st.tuples(st.text(max_size=4), st.integers(0, 65535))),
)
