"""The ports that `ambidex up` listens on, as the command line names them."""

import errno
from collections.abc import Awaitable, Iterable
from contextlib import AsyncExitStack
from typing import NamedTuple

from ambidex.errors import AmbidexError
from ambidex.local.http1.server import Server

LAST = 65535


class Port(NamedTuple):
    """A port, and the option that chooses it."""

    number: int
    option: str


class PortError(AmbidexError):
    """A port cannot be had; the user's to choose another."""

    def __init__(self, port: Port, reason: str) -> None:
        super().__init__(
            f"port {port.number} {reason}",
            f"choose another with {port.option}, or 0 for any that is free",
        )


def in_turn(first: Port, count: int) -> tuple[Port, ...]:
    """The ports of Lambda's front doors: 8001, 8004, 8005, for ECS and the Invoke API have two.

    Args:
        first: that of the first one; 0, any free one, is so for all.
        count: how many front doors there are.

    Raises:
        PortError: there are no ports so far up; some event loops take 65537 for 1.
    """
    further = (first.number and first.number + 2 + number for number in range(1, count))
    ports = tuple(first._replace(number=number) for number in (first.number, *further))
    if ports[-1].number > LAST:
        raise PortError(ports[-1], f"does not exist: {LAST} is the last")
    return ports


def check_distinct(ports: Iterable[Port]) -> None:
    """See that no two servers want the same port.

    Raises:
        PortError: two do.
    """
    seen: dict[int, Port] = {}
    for port in ports:
        other = seen.setdefault(port.number, port)
        if port.number and other is not port:
            is_door = other.option == "--lambda-port"
            whose = "one of Lambda's front doors" if is_door else other.option
            raise PortError(port, f"is that of {whose} already")


async def listening(stack: AsyncExitStack, server: Awaitable[Server], port: Port) -> Server:
    """A server that listens, until the stack is closed.

    Raises:
        PortError: the port cannot be had.
    """
    try:
        opened = await server
    except OSError as error:
        is_taken = error.errno == errno.EADDRINUSE
        raise PortError(
            port, "is taken" if is_taken else f"cannot be had: {error.strerror}"
        ) from None
    stack.callback(opened.abort)
    return opened
