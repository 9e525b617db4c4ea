"""An internal extension that takes no events: with one, Lambda ends the environment by SIGTERM.

Without any extension an environment ends by SIGKILL. One that has registered has to ask for an
event, though it takes none: the init is over when the runtime and each extension have asked. There
is none for it, so the question stays open for as long as the environment lives.

Source: lambda/latest/dg/runtimes-extensions-api.html, "Shutdown phase" and "Next"; that an empty
list of events is taken, and that the question is needed nevertheless, is what
aws-lambda-runtime-interface-emulator does.
"""

import asyncio
import logging

from ambidex.runtime.connection import Connection
from ambidex.runtime.messages import PeerError, Reply

logger = logging.getLogger("ambidex")

# An internal extension is told from others by its name alone.
NAME = "ambidex"
_BASE = "/2020-01-01/extension"
_BODY = b'{"events":[]}'


def register_request(host: str) -> bytes:
    """POST extension/register."""
    head = (
        f"POST {_BASE}/register HTTP/1.1\r\nHost: {host}\r\nLambda-Extension-Name: {NAME}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(_BODY)}\r\n\r\n"
    )
    return head.encode() + _BODY


def parse_identifier(reply: Reply) -> str:
    """The identifier that an extension which has registered got; empty if it was refused."""
    if reply.status != 200:
        return ""
    return reply.headers.get(b"lambda-extension-identifier", b"").decode("latin-1")


def next_request(host: str, identifier: str) -> bytes:
    """GET extension/event/next."""
    head = (
        f"GET {_BASE}/event/next HTTP/1.1\r\nHost: {host}\r\n"
        f"Lambda-Extension-Identifier: {identifier}\r\n\r\n"
    )
    return head.encode("latin-1")


async def register(connection: Connection) -> asyncio.Task[None] | None:
    """Register, and ask for an event; the runtime asks for its first one afterwards.

    Args:
        connection: one of the extension's own.

    Returns:
        What waits for the event, to be cancelled at the end; None where there is no Extensions API.
    """
    try:
        reply = await connection.call(register_request(connection.host))
    except PeerError as error:
        logger.debug("there is no Extensions API: %s", error.message)
        return None
    identifier = parse_identifier(reply)
    if not identifier:
        logger.debug("the Extensions API refused the extension (%d)", reply.status)
        return None
    try:
        await connection.open()  # so that it is sent now: the loop may stand still from here on
    except PeerError as error:
        logger.debug("the Extensions API has gone: %s", error.message)
        return None
    connection.start(next_request(connection.host, identifier))
    return asyncio.create_task(_wait(connection), name="extension")


async def _wait(connection: Connection) -> None:
    try:
        reply = await connection.reply()
    except PeerError as error:
        logger.debug("the Extensions API has gone: %s", error.message)
    else:
        logger.debug("the Extensions API answered event/next (%d)", reply.status)
