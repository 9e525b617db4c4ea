"""One request and its response: the whole table of states, and what an app may and may not do."""

import asyncio
import logging
import tracemalloc
from http import HTTPStatus
from typing import Any

import pytest

from ambidex.asgi.exchange import INTERNAL_SERVER_ERROR, TRANSITIONS, Exchange, State, Step
from ambidex.asgi.types import App, Message, Receive, Scope, Send
from ambidex.http import Response

START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain")],
}
BODY: Message = {"type": "http.response.body", "body": b"a", "more_body": True}
LAST_BODY: Message = {"type": "http.response.body", "body": b"b"}

MESSAGES = {Step.START: START, Step.BODY: BODY, Step.PIECE: BODY, Step.LAST_BODY: LAST_BODY}

# The shortest way of an app into each state.
WAYS: dict[State, list[Message]] = {
    State.WAITING: [],
    State.STARTED: [START],
    State.STREAMING: [START, BODY],
    State.COMPLETE: [START, LAST_BODY],
    State.FAILED: [],  # it is an app that has returned; see `in_state`
    State.BROKEN: [START, BODY],  # and has returned
}


class Pieces:
    """A stream that keeps what it gets; after `most` pieces it takes no more."""

    def __init__(self, most: int = 100) -> None:
        self.opened: list[Response] = []
        self.got: list[object] = []
        self._most = most

    def open(self, response: Response) -> "Pieces":
        self.opened.append(response)
        return self

    @property
    def is_closed(self) -> bool:
        return len(self.got) >= self._most

    async def write(self, piece: bytes) -> None:
        if self.is_closed:
            raise BrokenPipeError
        self.got.append(piece)

    def end(self, piece: bytes) -> None:
        self.got += [piece, "end"]

    def abort(self, error: BaseException | None) -> None:
        self.got.append(repr(error))


def scripted(*messages: Message) -> App:
    """An app that sends these messages and returns."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


def answered(app: App, *, body: bytes = b"", is_head: bool = False) -> list[Response]:
    """The responses that an app's run gives; there should be one."""
    responses: list[Response] = []
    asyncio.run(Exchange(body, is_head, responses.append).run(app, {}))
    return responses


async def in_state(state: State, *, has_stream: bool = False) -> Exchange:
    exchange = Exchange(b"", False, lambda _: None, Pieces().open if has_stream else None)
    if state in (State.FAILED, State.BROKEN):
        await exchange.run(scripted(*WAYS[state]), {})
    else:
        for message in WAYS[state]:
            await exchange.send(message)
    assert exchange.state is state
    return exchange


async def take(exchange: Exchange, step: Step) -> None:
    if step is Step.RETURN:
        await exchange.run(scripted(), {})
    elif step is Step.RAISE:
        await exchange.run(_raising(ValueError("the app's own")), {})
    else:
        await exchange.send(MESSAGES[step])


def _raising(error: BaseException, *before: Message) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in before:
            await send(message)
        raise error

    return app


@pytest.mark.parametrize(
    ("state", "step"),
    [
        pytest.param(state, step, id=f"{state.name}, {step.name}")
        for state in State
        for step in Step
        # An app that has been answered for is over.
        if not (state in (State.FAILED, State.BROKEN) and step in (Step.RETURN, Step.RAISE))
        # The first piece decides whether there is a stream.
        if not (state is State.STREAMING and step is Step.BODY)
    ],
)
def test_every_step_leads_where_the_table_says_or_is_an_error_to_the_app(
    state: State, step: Step
) -> None:
    has_stream = step is Step.PIECE or state in (State.STREAMING, State.BROKEN)

    async def walk() -> State:
        exchange = await in_state(state, has_stream=has_stream)
        if (state, step) not in TRANSITIONS:
            with pytest.raises(RuntimeError, match="unexpected ASGI message") as error:
                await take(exchange, step)
            assert state.value in str(error.value)
            assert MESSAGES[step]["type"] in str(error.value)
        else:
            await take(exchange, step)
        return exchange.state

    assert asyncio.run(walk()) is TRANSITIONS.get((state, step), state)


def test_the_table_is_the_specification() -> None:
    waiting, started, streaming, complete, failed, broken = State
    start, body, piece, last_body, returns, raises = Step

    assert {
        (waiting, start): started,
        (waiting, returns): failed,
        (waiting, raises): failed,
        (started, body): started,
        (started, piece): streaming,
        (started, last_body): complete,
        (started, returns): failed,
        (started, raises): failed,
        (streaming, piece): streaming,
        (streaming, last_body): complete,
        (streaming, returns): broken,
        (streaming, raises): broken,
        (complete, returns): complete,
        (complete, raises): complete,
    } == TRANSITIONS


def test_chunks_are_joined_to_one_body() -> None:
    chunks = [
        {"type": "http.response.body", "body": chunk, "more_body": True}
        for chunk in (b"a", b"", bytearray(b"b"), memoryview(b"c"))
    ]
    without_a_body = {"type": "http.response.body", "more_body": True}
    app = scripted(START, *chunks, without_a_body, {"type": "http.response.body"})

    assert answered(app) == [Response(200, ((b"content-type", b"text/plain"),), b"abc")]


def test_every_byte_of_a_body_survives() -> None:
    body = bytes(range(256))

    assert answered(scripted(START, {**LAST_BODY, "body": body}))[0].body == body


def test_headers_keep_their_order_and_repeats() -> None:
    headers = [[b"Set-Cookie", b"a=1"], (b"x", b"\xe9"), (b"Set-Cookie", b"b=2")]
    responses = answered(scripted({**START, "headers": headers}, LAST_BODY))

    assert responses[0].headers == (
        (b"Set-Cookie", b"a=1"),
        (b"x", b"\xe9"),
        (b"Set-Cookie", b"b=2"),
    )


def test_headers_may_be_left_out() -> None:
    start = {"type": "http.response.start", "status": 204}

    assert answered(scripted(start, {"type": "http.response.body"})) == [Response(204)]


def test_a_status_may_be_one_of_pythons_names() -> None:
    responses = answered(scripted({**START, "status": HTTPStatus.CREATED}, LAST_BODY))

    assert responses[0].status == 201
    assert type(responses[0].status) is int


@pytest.mark.parametrize(
    ("is_head", "status", "body"),
    [
        pytest.param(True, 200, b"", id="HEAD"),
        pytest.param(False, 204, b"", id="204"),
        pytest.param(False, 304, b"", id="304"),
        pytest.param(False, 205, b"b", id="205 as the app gives it"),
        pytest.param(False, 200, b"b", id="200"),
    ],
)
def test_head_204_and_304_have_the_headers_and_no_body(
    is_head: bool, status: int, body: bytes
) -> None:
    headers = ((b"content-length", b"1"),)
    app = scripted({**START, "status": status, "headers": headers}, LAST_BODY)

    assert answered(app, is_head=is_head) == [Response(status, headers, body)]


def test_a_body_that_is_for_nobody_is_not_kept() -> None:
    """HEAD of an event stream: a body that may have no end."""
    kept = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal kept
        await send({"type": "http.response.start", "status": 200, "headers": []})
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            piece = {"type": "http.response.body", "body": bytes(64 * 1024), "more_body": True}
            await send(piece)
        kept = tracemalloc.get_traced_memory()[0] - before
        await send({"type": "http.response.body"})

    tracemalloc.start()
    try:
        assert answered(app, is_head=True) == [Response(200)]
    finally:
        tracemalloc.stop()
    assert kept < 10 * 64 * 1024


def test_the_request_arrives_whole_in_one_message() -> None:
    received: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        received.append(await receive())
        await send(START)
        await send(LAST_BODY)

    answered(app, body=b"\x00\xff")

    assert received == [{"type": "http.request", "body": b"\x00\xff", "more_body": False}]


def test_the_app_gets_the_scope() -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await scripted(START, LAST_BODY)(scope, receive, send)

    scope = {"type": "http"}
    asyncio.run(Exchange(b"", False, lambda _: None).run(app, scope))

    assert scopes == [scope]
    assert scopes[0] is scope


def test_receive_blocks_until_the_response_is_complete_and_then_disconnects() -> None:
    order: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

        async def listen() -> None:
            message = await receive()
            order.append(str(message["type"]))

        listener = asyncio.create_task(listen())
        for message in (START, BODY):
            await send(message)
            await asyncio.sleep(0)
            order.append(f"sent, done {listener.done()}")
        await send(LAST_BODY)
        await listener
        order.append(str((await receive())["type"]))

    answered(app)

    assert order == ["sent, done False", "sent, done False", "http.disconnect", "http.disconnect"]


def test_every_listener_hears_of_the_disconnect_and_one_that_gave_up_harms_nobody() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        gave_up, first, second = (asyncio.create_task(_receive(receive)) for _ in range(3))
        await asyncio.sleep(0)
        gave_up.cancel()
        await send(START)
        await send(LAST_BODY)
        assert await first == await second == {"type": "http.disconnect"}
        assert (await asyncio.gather(gave_up, return_exceptions=True))[0].__class__ is (
            asyncio.CancelledError
        )

    assert answered(app) == [Response(200, ((b"content-type", b"text/plain"),), b"b")]


async def _receive(receive: Receive) -> Message:
    return await receive()


def test_a_listener_hears_of_the_disconnect_when_the_app_failed() -> None:
    listeners: list[asyncio.Task[Message]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        listeners.append(asyncio.create_task(_receive(receive)))
        await asyncio.sleep(0)
        raise ValueError

    async def run() -> Message:
        await Exchange(b"", False, lambda _: None).run(app, {})
        return await listeners[0]

    assert asyncio.run(run()) == {"type": "http.disconnect"}


def test_the_response_is_there_before_background_work_goes_on() -> None:
    order: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(BODY)
        order.append("streaming")
        await send(LAST_BODY)
        order.append("background work")
        await asyncio.sleep(0)
        order.append("background work ends")

    async def run() -> None:
        await Exchange(b"", False, lambda _: order.append("response")).run(app, {})
        order.append("the app is over")

    asyncio.run(run())

    assert order == [
        "streaming",
        "response",
        "background work",
        "background work ends",
        "the app is over",
    ]


@pytest.mark.parametrize(
    ("app", "reason"),
    [
        pytest.param(
            scripted(),
            "the app returned without a response: answered with a 500",
            id="returns without a response",
        ),
        pytest.param(
            scripted(START, BODY),
            "the app returned before its response ended: answered with a 500",
            id="returns in its response",
        ),
        pytest.param(
            _raising(ValueError("the app's own")),
            "the app raised: answered with a 500",
            id="raises before its response",
        ),
        pytest.param(
            _raising(ValueError("the app's own"), START, BODY),
            "the app raised in its response: answered with a 500",
            id="raises in its response",
        ),
    ],
)
def test_an_app_that_fails_is_answered_for_with_a_500_and_the_reason_logged(
    app: App, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert answered(app) == [INTERNAL_SERVER_ERROR]
    assert [record.message for record in caplog.records] == [reason]
    assert caplog.records[0].levelno == logging.ERROR
    error = caplog.records[0].exc_info
    assert (error is not None and str(error[1]) == "the app's own") == ("raised" in reason)


def test_the_500_is_the_one_that_uvicorn_gives() -> None:
    assert (
        Response(500, ((b"content-type", b"text/plain; charset=utf-8"),), b"Internal Server Error")
        == INTERNAL_SERVER_ERROR
    )


def test_an_app_that_raises_after_its_response_has_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    responses = answered(_raising(ValueError("late"), START, LAST_BODY))

    assert [response.status for response in responses] == [200]
    assert [record.message for record in caplog.records] == [
        "the app raised; it had answered with 200"
    ]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_what_is_no_exception_goes_on_and_nothing_is_answered(error: BaseException) -> None:
    responses: list[Response] = []

    async def run() -> None:
        with pytest.raises(type(error)):
            await Exchange(b"", False, responses.append).run(_raising(error), {})

    asyncio.run(run())

    assert responses == []


def test_a_request_that_is_cancelled_is_not_answered() -> None:
    responses: list[Response] = []

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.get_running_loop().create_future()

    async def run() -> None:
        task = asyncio.create_task(Exchange(b"", False, responses.append).run(waits, {}))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())

    assert responses == []


def test_a_cancellation_of_the_apps_own_that_it_lets_out_is_a_500() -> None:
    responses = answered(_raising(asyncio.CancelledError()))

    assert [response.status for response in responses] == [500]


@pytest.mark.parametrize(
    ("message", "error", "sentence"),
    [
        pytest.param(
            {**START, "status": 99},
            RuntimeError,
            "the status of a response must be 100 to 599, not 99",
            id="status too small",
        ),
        pytest.param(
            {**START, "status": 600},
            RuntimeError,
            "the status of a response must be 100 to 599, not 600",
            id="status too large",
        ),
        pytest.param(
            {**START, "status": "200"},
            RuntimeError,
            "the status of a response must be 100 to 599, not '200'",
            id="status a string",
        ),
        pytest.param(
            {**START, "headers": [("x", b"y")]},
            TypeError,
            "a header must be two bytes objects, not ('x', b'y')",
            id="name a string",
        ),
        pytest.param(
            {**START, "headers": [(b"x", 5)]},
            TypeError,
            "a header must be two bytes objects, not (b'x', 5)",
            id="value a number",
        ),
        pytest.param(
            {"type": "http.response.trailers"},
            RuntimeError,
            "unexpected ASGI message 'http.response.trailers'",
            id="unknown message",
        ),
        pytest.param(
            {"type": "websocket.accept"},
            RuntimeError,
            "unexpected ASGI message 'websocket.accept'",
            id="message of another protocol",
        ),
    ],
)
def test_a_wrong_first_message_is_an_error_to_the_app(
    message: Message, error: type[Exception], sentence: str
) -> None:
    raised = _error_of([], message)

    assert (type(raised), str(raised)) == (error, sentence)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        pytest.param("text", "'text'", id="a string"),
        pytest.param(5, "5", id="a number is not that many NULs"),
        pytest.param(None, "None", id="null"),
        pytest.param([104, 105], "[104, 105]", id="a list is not its bytes"),
        pytest.param("x" * 1000, "'" + "x" * 196 + "...", id="cut at 200 characters"),
    ],
)
def test_a_body_that_is_not_of_bytes_is_an_error_to_the_app(body: object, shown: str) -> None:
    raised = _error_of([START], {**LAST_BODY, "body": body})

    assert type(raised) is TypeError
    assert str(raised) == f"the body of a response must be bytes, not {shown}"


def _error_of(before: list[Message], message: Message) -> Exception:
    errors: list[Exception] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for sent in before:
            await send(sent)
        try:
            await send(message)
        except Exception as error:
            errors.append(error)
            raise

    assert answered(app) == [INTERNAL_SERVER_ERROR]
    return errors[0]


@pytest.mark.parametrize(
    ("wrong", "then"),
    [
        pytest.param({**START, "status": 0}, [START, LAST_BODY], id="status"),
        pytest.param({**START, "headers": [(1, 2)]}, [START, LAST_BODY], id="headers"),
        pytest.param(LAST_BODY, [START, LAST_BODY], id="body too early"),
    ],
)
def test_an_app_may_answer_after_a_message_that_was_refused(
    wrong: Message, then: list[Message]
) -> None:
    assert _after_refused(wrong, then) == [Response(200, ((b"content-type", b"text/plain"),), b"b")]


@pytest.mark.parametrize("body", ["text", 5, None], ids=repr)
def test_a_body_that_was_refused_does_not_complete_the_response(body: object) -> None:
    responses = _after_refused({**LAST_BODY, "body": body}, [LAST_BODY], before=[START])

    assert responses == [Response(200, ((b"content-type", b"text/plain"),), b"b")]


def _after_refused(
    wrong: Message, then: list[Message], before: list[Message] | None = None
) -> list[Response]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in before or []:
            await send(message)
        with pytest.raises((RuntimeError, TypeError)):
            await send(wrong)
        for message in then:
            await send(message)

    return answered(app)


def test_starlettes_streams_and_background_tasks_work() -> None:
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.requests import Request as StarletteRequest
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    order: list[str] = []

    async def numbers(request: StarletteRequest) -> StreamingResponse:
        async def chunks() -> Any:
            for number in range(3):
                yield f"{number};"

        task = BackgroundTask(order.append, "background work")
        return StreamingResponse(chunks(), media_type="text/plain", background=task)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "root_path": "",
        "query_string": b"",
        "headers": [],
    }
    responses: list[Response] = []

    def respond(response: Response) -> None:
        order.append("response")
        responses.append(response)

    app = Starlette(routes=[Route("/", numbers)])
    asyncio.run(Exchange(b"", False, respond).run(app, scope))

    assert responses[0].body == b"0;1;2;"
    assert order == ["response", "background work"]


# Streams


def streamed(app: App, pieces: Pieces, *, is_head: bool = False) -> list[Response]:
    """What is answered in one piece, of an app whose responses may be streamed."""
    responses: list[Response] = []
    asyncio.run(Exchange(b"", is_head, responses.append, pieces.open).run(app, {}))
    return responses


def test_a_response_in_pieces_goes_to_the_stream_piece_by_piece() -> None:
    pieces = Pieces()

    assert streamed(scripted(START, BODY, BODY, LAST_BODY), pieces) == []
    assert pieces.opened == [Response(200, ((b"content-type", b"text/plain"),))]
    assert pieces.got == [b"a", b"a", b"b", "end"]


@pytest.mark.parametrize(
    ("app", "is_head", "response"),
    [
        pytest.param(
            scripted(START, LAST_BODY),
            False,
            Response(200, ((b"content-type", b"text/plain"),), b"b"),
            id="all there at once",
        ),
        pytest.param(
            scripted(START, BODY, LAST_BODY),
            True,
            Response(200, ((b"content-type", b"text/plain"),)),
            id="HEAD",
        ),
        pytest.param(
            scripted({**START, "status": 204}, BODY, LAST_BODY),
            False,
            Response(204, ((b"content-type", b"text/plain"),)),
            id="204",
        ),
        pytest.param(scripted(), False, INTERNAL_SERVER_ERROR, id="nothing sent"),
        pytest.param(scripted(START), False, INTERNAL_SERVER_ERROR, id="returned before a piece"),
        pytest.param(
            _raising(ValueError("x"), START),
            False,
            INTERNAL_SERVER_ERROR,
            id="raised before a piece",
        ),
    ],
)
def test_what_has_no_first_piece_opens_no_stream(
    app: App, is_head: bool, response: Response
) -> None:
    pieces = Pieces()

    assert streamed(app, pieces, is_head=is_head) == [response]
    assert pieces.opened == []


def test_a_response_that_no_stream_is_opened_for_is_gathered() -> None:
    responses: list[Response] = []
    asked: list[Response] = []
    exchange = Exchange(b"", False, responses.append, asked.append)
    asyncio.run(exchange.run(scripted(START, BODY, BODY, LAST_BODY), {}))

    assert [response.body for response in responses] == [b"aab"]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("app", "error", "line"),
    [
        pytest.param(
            _raising(ValueError("the app's own"), START, BODY),
            """ValueError("the app's own")""",
            "the app raised in its response: the stream ends with an error",
            id="raises",
        ),
        pytest.param(
            scripted(START, BODY),
            "None",
            "the app returned before its response ended: the stream ends with an error",
            id="returns",
        ),
    ],
)
def test_a_stream_whose_app_ends_early_ends_with_an_error(
    app: App, error: str, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    pieces = Pieces()

    assert streamed(app, pieces) == []
    assert pieces.got == [b"a", error]
    assert [record.message for record in caplog.records] == [line]


def test_an_app_waits_until_the_stream_has_room() -> None:
    order: list[str] = []

    class Slow(Pieces):
        async def write(self, piece: bytes) -> None:
            await asyncio.sleep(0)
            order.append("room")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(BODY)
        order.append("went on")
        await send(LAST_BODY)

    streamed(app, Slow())

    assert order == ["room", "went on"]


def test_an_app_that_raises_after_its_stream_is_logged_as_any_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    streamed(_raising(ValueError("later"), START, BODY, LAST_BODY), Pieces(most=2))

    assert [record.message for record in caplog.records] == [
        "the app raised; it had answered with 200"
    ]


def test_an_app_learns_that_nobody_takes_more_of_its_response(
    caplog: pytest.LogCaptureFixture,
) -> None:
    received: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        disconnect = asyncio.ensure_future(receive())
        await send(START)
        await send(BODY)
        with pytest.raises(BrokenPipeError):
            await send(BODY)
        received.append(await disconnect)
        received.append(await receive())
        raise BrokenPipeError("let out")

    pieces = Pieces(most=1)

    assert streamed(app, pieces) == []
    assert received == [{"type": "http.disconnect"}] * 2
    assert caplog.records == []
