"""Ports for what is started on this machine."""

import socket
from collections.abc import Container

HOST = "127.0.0.1"


def free_port(taken: Container[int]) -> int:
    """A port that nobody listens on.

    Args:
        taken: ports that have been given out: they are free until their process listens, and
            nobody else may get them.
    """
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port: int = probe.getsockname()[1]
        if port not in taken:
            return port
