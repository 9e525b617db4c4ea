"""The ASGI scope of a request. This is where a path is decoded, once.

Source: asgi.readthedocs.io/en/latest/specs/www.html#http-connection-scope
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from ambidex.http import Request, port_number


def http_scope(request: Request, state: dict[str, Any]) -> dict[str, Any]:
    """The scope of one HTTP request.

    Args:
        request: the request; its path includes its root path, as ASGI wants it, and the names of
            its headers are in lower case.
        state: what the lifespan left; the request gets a shallow copy.
    """
    path, root_path = request.path, request.root_path
    headers = list(request.headers)
    first = dict(reversed(headers))  # of each name
    # A REST API leaves it out of its events; frameworks take a form without it for an empty one.
    if request.body and b"content-length" not in first:
        headers.append((b"content-length", b"%d" % len(request.body)))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": request.http_version,
        "method": request.method,
        "scheme": request.scheme,
        "path": unquote(path) if "%" in path else path,
        "raw_path": path.encode("ascii"),
        "query_string": request.query,
        "root_path": unquote(root_path) if "%" in root_path else root_path,
        "headers": headers,
        "client": request.client,
        "server": server(request.scheme, first),
        "state": state.copy(),
    }


def server(scheme: str, headers: Mapping[bytes, bytes]) -> tuple[str, int] | None:
    """Host and port that the client asked for; None without a usable Host header.

    An ALB's health check has no Host; IPv6 addresses have brackets around them.
    """
    host = headers.get(b"host", b"").decode("latin-1")
    name, colon, port = host.rpartition(":")
    if not colon or "]" in port:
        name, port = host, ""
    name = name.strip("[]")
    if not name:
        return None
    number = port_number(port) if port else None
    if not number:
        number = port_number(headers.get(b"x-forwarded-port", b"").decode("latin-1"))
    return name, number or (443 if scheme == "https" else 80)
