"""What AWS's proxies add and remove on a request's way to its target, and on the way back.

- Hop-by-hop headers end here (RFC 9110 7.6.1), and so do those that `Connection` names.
- `X-Forwarded-For` is appended to, `X-Forwarded-Proto` and `X-Forwarded-Port` are set:
  elasticloadbalancing/latest/application/x-forwarded-headers.html
- `X-Amzn-Trace-Id` is created or continued:
  elasticloadbalancing/latest/application/load-balancer-request-tracing.html

Names are sent as an ALB writes them; everything else keeps its bytes, its place and its case.
"""

from typing import NamedTuple

from ambidex.http import Headers

# RFC 9110 7.6.1 and 11.7; `Proxy-Connection` and `Keep-Alive` for history's sake.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# "If the HTTP headers are greater than 7 KB, the load balancer rewrites the X-Amzn-Trace-Id header
# with a Root field." Source: load-balancer-request-tracing.html, Limitations.
TRACE_HEADERS_BYTES = 7 * 1024

# Set by the proxy whatever the client says; `Expect: 100-continue` it answers itself.
_REPLACED = frozenset({b"x-forwarded-proto", b"x-forwarded-port", b"expect"})

# What a `Connection` header may not take away: without these a request means something else.
_KEPT = frozenset({b"host", b"content-length", b"connection"})


class Hop(NamedTuple):
    """What a proxy knows of a request beyond its head."""

    client: str  # the client's address
    scheme: str  # as the client spoke it: "http" or "https"
    port: int  # as the client reached it
    now_s: float  # seconds since the epoch
    unique: str  # 24 hexadecimal digits, new for each request


def end_to_end(headers: Headers) -> Headers:
    """The headers without those that concern one connection only."""
    dropped = HOP_BY_HOP
    for name, value in headers:
        if name.lower() == b"connection":
            named = {part.strip(b" \t") for part in value.lower().split(b",")}
            dropped = dropped | (named - _KEPT)
    return tuple(pair for pair in headers if pair[0].lower() not in dropped)


def to_target(headers: Headers, hop: Hop) -> Headers:
    """A request's headers as an ALB sends them on.

    Repeated `X-Forwarded-For` lines become one, at the end with the others that the proxy writes.
    """
    kept: list[tuple[bytes, bytes]] = []
    forwarded_for: list[bytes] = []
    trace = None
    for name, value in end_to_end(headers):
        lower = name.lower()
        if lower == b"x-forwarded-for":
            forwarded_for.append(value)
        elif lower == b"x-amzn-trace-id":
            trace = value
        elif lower not in _REPLACED:
            kept.append((name, value))
    if trace is not None and _size(headers) > TRACE_HEADERS_BYTES:
        trace = None
    forwarded_for.append(hop.client.encode("ascii"))
    return (
        *kept,
        (b"X-Forwarded-For", b", ".join(filter(None, forwarded_for))),
        (b"X-Forwarded-Proto", hop.scheme.encode("ascii")),
        (b"X-Forwarded-Port", b"%d" % hop.port),
        (b"X-Amzn-Trace-Id", trace_id(trace, hop)),
    )


def trace_id(received: bytes | None, hop: Hop) -> bytes:
    """The value of `X-Amzn-Trace-Id`.

    Args:
        received: what the client sent, None for nothing.
        hop: time and id of the new field.

    Returns:
        `Root=…` where the client sent no Root, else `Self=…;` before what it sent, in place of a
        Self that was there. Fields of an application's own are kept.
    """
    new = b"1-%08x-%b" % (int(hop.now_s), hop.unique.encode("ascii"))
    fields = [field.strip() for field in (received or b"").split(b";") if field.strip()]
    others = [field for field in fields if not field.startswith(b"Self=")]
    has_root = any(field.startswith(b"Root=") for field in others)
    return b";".join([b"Self=" + new if has_root else b"Root=" + new, *others])


def _size(headers: Headers) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)
