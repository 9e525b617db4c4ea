"""The socket that the server listens on.

uvicorn would open one itself, but it answers a port that is taken with a log line and `sys.exit`.
"""

import errno
import socket

from ambidex.errors import AmbidexError

_HINTS = {
    errno.EADDRINUSE: "stop what listens there, or set AMBIDEX_ECS_PORT; 0 is any free port",
    errno.EACCES: "ports below 1024 may need root: set AMBIDEX_ECS_PORT to one above",
    errno.EADDRNOTAVAIL: "set AMBIDEX_ECS_HOST to an address of this machine, or to 0.0.0.0",
}


class ListenError(AmbidexError):
    """The address or the port cannot be had; the user's fault."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        reason = error.strerror or str(error)
        super().__init__(
            f"cannot listen on {shown_address(host, port)}: {reason[:1].lower()}{reason[1:]}",
            _HINTS.get(error.errno or 0, ""),
        )


def bound(host: str, port: int) -> socket.socket:
    """A socket that has the address but refuses connections until `listen` is called.

    Args:
        host: an address, or a name for one.
        port: 0 for any that is free.

    Raises:
        ListenError: it cannot be had; the user's fault.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(host, port, error) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Else an IPv4 client is ::ffff:10.0.0.1, which is in none of the trusted networks.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise ListenError(host, port, error) from None
    return listener


def listen(listener: socket.socket, backlog: int) -> str:
    """Accept connections from now on.

    Args:
        listener: a bound socket.
        backlog: connections that may wait to be accepted.

    Returns:
        The address, as a URL has it.

    Raises:
        ListenError: another process was faster; the user's fault.
    """
    host, port = listener.getsockname()[:2]
    try:
        listener.listen(backlog)
    except OSError as error:
        raise ListenError(host, port, error) from None
    return shown_address(host, port)


def shown_address(host: str, port: int) -> str:
    """Host and port as a URL has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
