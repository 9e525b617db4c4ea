"""A runtime for Managed Instances, in one process: a connection and a task for each slot.

It does what its events ask for, and says what the Runtime API refuses. A test's function runs it as
its command, so it imports nothing of this repository.
"""

import asyncio
import json
import os
import signal
import sys
from typing import Any, NamedTuple

BASE = "/2018-06-01/runtime"
EXTENSION = "/2020-01-01/extension"
Pairs = list[tuple[str, str]]


class Answer(NamedTuple):
    """What the Runtime API answers."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


class Connection:
    """One connection to the Runtime API."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, line: str, pairs: Pairs | None = None, document: object = None) -> Answer:
        """Send a request with a JSON body, or none, and read its answer."""
        body = b"" if document is None else json.dumps(document).encode()
        lines = [f"{line} HTTP/1.1", f"Host: {os.environ['AWS_LAMBDA_RUNTIME_API']}"]
        lines += [f"{name}: {value}" for name, value in pairs or ()]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
        self._writer.write(head.encode() + body)
        first, *rest = (await self._reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = dict(line.split(": ", 1) for line in rest if line)
        headers = {name.lower(): value for name, value in headers.items()}
        length = int(headers.get("content-length", 0))
        return Answer(int(first.split()[1]), headers, await self._reader.readexactly(length))


async def connect() -> Connection:
    host, _, port = os.environ["AWS_LAMBDA_RUNTIME_API"].partition(":")
    return Connection(*await asyncio.open_connection(host, int(port)))


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


class Runtime:
    """What the slots have in common."""

    def __init__(self) -> None:
        self.terminated = asyncio.Event()
        self.turns: set[asyncio.Task[None]] = set()
        self._meeting: list[asyncio.Future[None]] = []
        self._held: dict[str, asyncio.Future[None]] = {}

    async def slot(self) -> None:
        """Take one event after the other."""
        connection = await connect()
        while not self.terminated.is_set():
            given = await connection.ask(f"GET {BASE}/invocation/next")
            turn = asyncio.create_task(self._turn(connection, given))
            self.turns.add(turn)
            await turn
            self.turns.remove(turn)

    async def _turn(self, connection: Connection, given: Answer) -> None:
        event = json.loads(given.body)
        request_id = event.get("answers for") or given.headers["lambda-runtime-aws-request-id"]
        call, pairs, result = "response", [], None
        try:
            result = await self._act(event)
        except RuntimeError as error:
            call, pairs = "error", [("Lambda-Runtime-Function-Error-Type", "Runtime.Test")]
            result = {"errorType": "Test", "errorMessage": str(error)}
        if event.get("names its attempt", True):
            attempt = given.headers["lambda-runtime-invocation-id"]
            pairs = [*pairs, ("Lambda-Runtime-Invocation-Id", attempt)]
        for _ in range(event.get("times", 1)):
            line = f"POST {BASE}/invocation/{request_id}/{call}"
            answer = await connection.ask(line, pairs, result)
            if answer.status != 202:
                say(answer.status, answer.body.decode())

    async def _act(self, event: dict[str, Any]) -> object:
        if "meet" in event:  # nobody goes on before so many are here
            self._meeting.append(here := asyncio.get_running_loop().create_future())
            if len(self._meeting) == event["meet"]:
                for each in self._meeting:
                    each.set_result(None)
                self._meeting.clear()
            await here
        if "hold" in event:
            await self._future(event["hold"])
        if "release" in event:
            self._future(event["release"]).set_result(None)
        if "say" in event:
            say(event["say"])
        if "exit" in event:
            os._exit(event["exit"])
        if "until SIGTERM" in event:
            await self.terminated.wait()
        if "raise" in event:
            raise RuntimeError(event["raise"])
        return "x" * event["bytes"] if "bytes" in event else {"pid": os.getpid(), "event": event}

    def _future(self, name: str) -> "asyncio.Future[None]":
        return self._held.setdefault(name, asyncio.get_running_loop().create_future())


async def register(events: list[str]) -> "asyncio.Task[Answer] | None":
    """Register an internal extension, and have it wait for an event."""
    connection = await connect()
    line, pairs = f"POST {EXTENSION}/register", [("Lambda-Extension-Name", "internal")]
    answer = await connection.ask(line, pairs, {"events": events})
    say("extension", answer.status, answer.body.decode())
    identifier = answer.headers.get("lambda-extension-identifier")
    if identifier is None:
        return None
    pairs = [("Lambda-Extension-Identifier", identifier)]
    return asyncio.create_task(connection.ask(f"GET {EXTENSION}/event/next", pairs))


async def fail_init(times: int) -> None:
    for _ in range(times):
        connection = await connect()
        pairs = [("Lambda-Runtime-Function-Error-Type", "Runtime.Test")]
        document = {"errorType": "Test", "errorMessage": "it cannot start"}
        answer = await connection.ask(f"POST {BASE}/init/error", pairs, document)
        say("init/error", answer.status, answer.body.decode())
    os._exit(1)


async def main() -> None:
    runtime = Runtime()
    loop = asyncio.get_running_loop()
    waiting: asyncio.Task[Answer] | None = None
    if "EXTENSION" in os.environ:
        loop.add_signal_handler(signal.SIGTERM, runtime.terminated.set)
        waiting = await register(json.loads(os.environ["EXTENSION"]))
    if "INIT_ERRORS" in os.environ:
        await fail_init(int(os.environ["INIT_ERRORS"]))
    if "NEVER_READY" in os.environ:
        await loop.create_future()
    count = int(os.environ.get("SLOTS") or os.environ["AWS_LAMBDA_MAX_CONCURRENCY"])
    slots = [asyncio.create_task(runtime.slot()) for _ in range(count)]
    await asyncio.wait([asyncio.create_task(runtime.terminated.wait()), *slots],
                       return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
    for each in slots:
        if each.done():
            each.result()
    await asyncio.gather(*runtime.turns)
    say("ends by itself, and so does its extension", waiting is not None)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
