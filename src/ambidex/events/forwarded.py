"""What a front door tells of the client in the X-Forwarded headers.

Source: elasticloadbalancing/latest/application/x-forwarded-headers.html
"""

from ambidex.http import Headers, port_number


def scheme(headers: Headers, default: str) -> str:
    """The scheme that the client used, as the front door tells it in X-Forwarded-Proto."""
    for name, value in headers:
        if name == b"x-forwarded-proto":
            return value.decode() if value in (b"http", b"https") else default
    return default


def client(headers: Headers) -> tuple[str, int] | None:
    """The last address of X-Forwarded-For: the one that the front door itself has appended."""
    last = None
    for name, value in headers:
        if name == b"x-forwarded-for":
            last = value
    address = (last or b"").decode("latin-1").rpartition(",")[2].strip()
    if not address:
        return None
    host, port = _host_and_port(address)
    return (host, port_number(port) or 0)


def _host_and_port(address: str) -> tuple[str, str]:
    # With the attribute routing.http.xff_client_port.enabled the address has a port, IPv6 brackets.
    if address.startswith("["):
        host, _, port = address[1:].partition("]")
        return host, port.removeprefix(":")
    if address.count(":") == 1:
        host, _, port = address.partition(":")
        return host, port
    return address, ""
