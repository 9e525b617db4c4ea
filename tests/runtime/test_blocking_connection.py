"""The connection that blocks: what is different from the other; what goes wrong on it is in
`test_misbehaving_runtime_api`.
"""

import asyncio
import threading

import pytest

from ambidex.asgi.types import Receive, Scope, Send
from ambidex.runtime import loop
from ambidex.runtime.blocking_connection import BlockingConnection
from ambidex.runtime.invocation import function
from ambidex.runtime.messages import PeerError, next_request
from ambidex.settings import from_environ
from tests.runtime.misbehaving_peer import Peer, request, send

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_requests_share_a_connection() -> None:
    with Peer([[request, send(ANSWER), request, send(ANSWER)]]).running() as peer:

        async def main() -> list[bytes]:
            connection = BlockingConnection(peer.address)
            replies = [await connection.call(next_request(peer.address)) for _ in range(2)]
            connection.close()
            return [reply.body for reply in replies]

        assert asyncio.run(main()) == [b"ok", b"ok"]


def test_the_event_loop_stands_still_until_the_answer_comes() -> None:
    ran: list[str] = []
    asked = threading.Event()
    go_on = threading.Event()

    def held(_: object) -> None:
        asked.set()
        go_on.wait()

    def release() -> None:
        asked.wait()
        go_on.set()

    with Peer([[request, held, send(ANSWER)]]).running() as peer:

        async def main() -> list[str]:
            connection = BlockingConnection(peer.address)
            asyncio.get_running_loop().call_soon(ran.append, "ran")
            waiter = threading.Thread(target=release)
            waiter.start()
            await connection.call(next_request(peer.address))
            before = list(ran)
            waiter.join()
            await asyncio.sleep(0)
            connection.close()
            return before

        assert asyncio.run(main()) == []
    assert ran == ["ran"]


def test_what_an_app_leaves_running_has_a_turn_of_the_event_loop_after_each_event() -> None:
    event = b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: r-1\r\nContent-Length: 2\r\n\r\n{}"
    taken = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
    turns: list[int] = []
    left: list[asyncio.Task[None]] = []

    async def leftover() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if not left:
            left.append(asyncio.create_task(leftover()))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"%d" % len(turns)})

    one_event = [request, send(event), request, send(taken)]
    with Peer([one_event * 5]).running() as peer:

        async def main() -> None:
            settings = from_environ({}).aws_lambda._replace(events_path="/events")
            connection = BlockingConnection(peer.address)
            with pytest.raises(PeerError):
                await loop.run(connection, function(app, {}, settings), {})
            connection.close()

        asyncio.run(main())
    assert len(turns) >= 5


def test_what_waits_for_an_answer_can_be_interrupted_and_nothing_else() -> None:
    connection = BlockingConnection("127.0.0.1:1")
    connection.interrupt()

    with pytest.raises(PeerError, match=r"no Runtime API answers at '127\.0\.0\.1:1'"):
        asyncio.run(connection.call(b""))


def test_a_wait_that_begins_after_the_interrupt_is_none() -> None:
    """Lambda may freeze the process between its asking and its waiting, and end it at the thaw."""
    asked = threading.Event()
    with Peer([[request, lambda _: asked.set()]]).running() as peer:

        async def main() -> None:
            connection = BlockingConnection(peer.address)
            connection.interrupt()
            with pytest.raises(asyncio.CancelledError):
                await connection.call(next_request(peer.address))
            asked.wait()
            connection.close()

        asyncio.run(main())
