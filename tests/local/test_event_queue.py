"""Asynchronous invocations: what is tried again, when, and what becomes a dead letter."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from ambidex.local.dead_letters import FILE, DeadLetter, append, record
from ambidex.local.event_queue import Attempts, Discard, EventQueue, Retries, Retry, decide
from ambidex.local.invocation import Invocation, Outcome, ThrottledError
from ambidex.local.lambda_service import Limits
from tests.project import Service, with_lambda_service

DONE = Outcome(b"{}")
FAILED = Outcome(b'{"errorType": "E"}', "E")
HOUR_S = 60 * 60
AT_ONCE = Retries(after_error_s=(0, 0), throttled_first_s=0.01, throttled_longest_s=0.01)


@pytest.mark.parametrize(
    ("attempts", "outcome", "age_s", "decision"),
    [
        pytest.param(Attempts(1), DONE, 0, None, id="done"),
        pytest.param(Attempts(3), DONE, 7 * HOUR_S, None, id="done at last"),
        pytest.param(Attempts(1), FAILED, 0, Retry(1), id="failed once"),
        pytest.param(Attempts(2), FAILED, 0, Retry(2), id="failed twice"),
        pytest.param(Attempts(3), FAILED, 0, Discard("RetriesExhausted"), id="failed thrice"),
        pytest.param(Attempts(0, 1), None, 0, Retry(0.1), id="throttled once"),
        pytest.param(Attempts(0, 2), None, 0, Retry(0.2), id="throttled twice"),
        pytest.param(Attempts(2, 4), None, 0, Retry(0.8), id="throttled after two errors"),
        pytest.param(Attempts(0, 9999), None, HOUR_S, Retry(5), id="throttled again and again"),
        pytest.param(
            Attempts(0, 50), None, 6 * HOUR_S - 4, Discard("EventAgeExceeded"), id="throttled on"
        ),
        pytest.param(Attempts(1), FAILED, 6 * HOUR_S - 1, Retry(1), id="failed just in time"),
        pytest.param(
            Attempts(1), FAILED, 6 * HOUR_S, Discard("EventAgeExceeded"), id="failed too late"
        ),
    ],
)
def test_an_event_is_tried_again_or_given_up_by_attempts_outcome_and_age(
    attempts: Attempts, outcome: Outcome | None, age_s: float, decision: Retry | Discard | None
) -> None:
    assert decide(attempts, outcome, age_s, Retries()) == decision


WHEN = datetime(2026, 11, 20, 12, 30, 1, 250_000, UTC)
LETTER = DeadLetter("4-2", "arn:of:it", "$LATEST", "RetriesExhausted", 3, b'{"order": 7}', FAILED)


def test_a_dead_letter_has_the_form_of_an_on_failure_destinations_record() -> None:
    assert record(LETTER, WHEN) == {
        "version": "1.0",
        "timestamp": "2026-11-20T12:30:01.250Z",
        "requestContext": {
            "requestId": "4-2",
            "functionArn": "arn:of:it:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": {"order": 7},
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled",
        },
        "responsePayload": {"errorType": "E"},
    }


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        pytest.param(b"no \xff JSON", "no \ufffd JSON", id="no JSON"),
        pytest.param(b"[" * 9999 + b"]" * 9999, "[" * 9999 + "]" * 9999, id="too deep"),
    ],
)
def test_a_result_that_cannot_be_read_is_in_the_record_as_text(payload: bytes, text: str) -> None:
    letter = LETTER._replace(outcome=Outcome(payload, "E"))
    assert record(letter, WHEN)["responsePayload"] == text


def test_an_event_that_never_reached_the_function_has_no_response() -> None:
    document = record(LETTER._replace(outcome=None, invoke_count=0), WHEN)
    assert "responseContext" not in document
    assert "responsePayload" not in document


APP = """
import asyncio, os
from pathlib import Path
async def app(scope, receive, send):
    assert scope["type"] == "http"
    print("context", scope["aws.context"].client_context)
    if scope["path"] == "/die":
        os._exit(7)
    if scope["path"] == "/sleep":
        await asyncio.sleep(60)
    while scope["path"] == "/hold" and not Path("release").exists():
        await asyncio.sleep(0.01)
    await answer(send)
"""


def event(path: str) -> bytes:
    context = {"stage": "$default", "http": {"method": "GET"}}
    return json.dumps(
        {"version": "2.0", "rawPath": path, "headers": {}, "requestContext": context}
    ).encode()


async def invoke(service: Service, payload: bytes, **options: Any) -> Any:
    """Invoke the function asynchronously, with boto3; its answer."""

    def call() -> Any:
        client = boto3.client(
            "lambda",
            endpoint_url=service.invoke_api,
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="y",
            config=Config(retries={"max_attempts": 0}),
        )
        name = service.service.function.name
        try:
            return client.invoke(
                FunctionName=name, Payload=payload, InvocationType="Event", **options
            )
        finally:
            client.close()

    return await asyncio.to_thread(call)


def run(
    folder: Path,
    test: Callable[[Service], Awaitable[None]],
    retries: Retries = AT_ONCE,
    **options: Any,
) -> None:
    with_lambda_service(folder, test, APP, limits=Limits(retries=retries), **options)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[str], Awaitable[str]]:
    """Wait until `up` would have said a text; the whole sentence."""
    caplog.set_level("INFO", "ambidex.local")

    async def wait(text: str) -> str:
        while True:
            for message in caplog.messages:
                if text in message:
                    return message
            await asyncio.sleep(0.01)

    return wait


Said = Callable[[str], Awaitable[str]]


def letters(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def test_the_caller_is_answered_at_once_with_nothing_but_the_request_id(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        answer = await invoke(service, event("/hold"))
        assert answer["StatusCode"] == 202
        assert answer["Payload"].read() == b""
        assert "ExecutedVersion" not in answer
        await service.logged(f"START RequestId: {answer['ResponseMetadata']['RequestId']}")
        (tmp_path / "release").touch()
        await service.logged("END RequestId: ")

    run(tmp_path, test)


def test_an_event_that_succeeds_is_done(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ambidex.local")

    async def test(service: Service) -> None:
        await invoke(service, event("/"))
        await service.logged("REPORT RequestId: ")
        # The queue hears of it a few turns of the loop after the log does.
        queue = {task for task in asyncio.all_tasks() if "EventQueue" in str(task.get_coro())}
        await asyncio.gather(*queue)

    run(tmp_path, test)
    assert caplog.messages == []
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    ("payload", "error_type"),
    [
        pytest.param(b'{"no": "request"}', "Runtime.UnsupportedEvent", id="function error"),
        pytest.param(event("/die"), "Runtime.ExitError", id="crash"),
        pytest.param(event("/sleep"), "Sandbox.Timedout", id="time-out"),
    ],
)
def test_a_failing_event_is_tried_twice_more_with_the_same_id_and_is_a_dead_letter_then(
    tmp_path: Path, said: Said, payload: bytes, error_type: str
) -> None:
    async def test(service: Service) -> None:
        answer = await invoke(service, payload)
        request_id = answer["ResponseMetadata"]["RequestId"]
        sentence = f"event {request_id} failed ({error_type}): it is tried again in 0 s"
        assert await said(f"{request_id} failed (") == sentence
        assert await said("dead letter") == (
            f"event {request_id} failed 3 times and is a dead letter: {FILE} says more"
        )
        starts = [line for line in service.log if line.startswith("START ")]
        assert starts == [f"START RequestId: {request_id} Version: $LATEST"] * 3
        (letter,) = letters(tmp_path)
        assert letter["requestContext"] == {
            "requestId": request_id,
            "functionArn": f"{service.service.function.arn}:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        }
        assert letter["requestPayload"] == json.loads(payload)
        assert letter["responsePayload"]["errorType"] == error_type

    # Long enough for an init on a busy machine, which a time-out includes the second time.
    settings = "[tool.ambidex.lambda]\ntimeout = 2\ndeadline-margin = 0"
    run(tmp_path, test, settings=settings if error_type == "Sandbox.Timedout" else "")


def test_dead_letters_are_added_to_those_that_are_there_and_kept_out_of_git(
    tmp_path: Path, said: Said
) -> None:
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_text("{}\n")

    async def test(service: Service) -> None:
        await invoke(service, b'{"no": "request"}')
        await said("dead letter")

    run(tmp_path, test)
    assert len(letters(tmp_path)) == 2
    assert (tmp_path / FILE).parent.joinpath(".gitignore").read_text() == "*\n"


def test_a_gitignore_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    ignore = (tmp_path / FILE).parent / ".gitignore"
    ignore.parent.mkdir()
    ignore.write_text("!dead-letters.jsonl\n")
    append(tmp_path, LETTER, WHEN)
    assert ignore.read_text() == "!dead-letters.jsonl\n"


def test_a_dead_letter_that_cannot_be_written_is_said_to_be_lost(
    tmp_path: Path, said: Said
) -> None:
    (tmp_path / FILE).parent.touch()

    async def test(service: Service) -> None:
        await invoke(service, b'{"no": "request"}')
        sentence = await said("lost")
        assert f"failed 3 times and is lost: {tmp_path / FILE} cannot be written" in sentence

    run(tmp_path, test)


def test_a_throttled_event_is_tried_again_until_there_is_an_environment_for_it(
    tmp_path: Path, said: Said
) -> None:
    async def test(service: Service) -> None:
        service.service.invoke(event("/hold"))
        await service.logged("START ")
        answer = await invoke(service, event("/"))
        request_id = answer["ResponseMetadata"]["RequestId"]
        await said(f"event {request_id} is throttled: it is tried again in 0.01 s")
        (tmp_path / "release").touch()
        await service.logged(f"END RequestId: {request_id}")

    run(tmp_path, test, concurrency=1)


def test_a_throttled_event_is_tried_as_soon_as_another_is_done(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        for request_id in [service.service.enqueue(event("/")) for _ in range(5)]:
            await service.logged(f"END RequestId: {request_id}")

    retries = Retries(throttled_first_s=HOUR_S, throttled_longest_s=HOUR_S)
    run(tmp_path, test, retries, concurrency=1)


def test_after_an_error_a_throttled_event_waits_as_short_as_at_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "ambidex.local")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        outcomes = [None, None, FAILED, None, DONE]
        done = loop.create_future()

        def invoke(event: bytes, request_id: str, trace_id: str) -> Invocation:
            invocation = Invocation(loop, request_id, event, trace_id)
            outcome = outcomes.pop(0)
            if outcome is None:
                invocation.throttle(ThrottledError("all are at work"))
            else:
                invocation.settle(outcome)
                invocation.finish()
            if outcome is DONE:
                done.set_result(None)
            return invocation

        queue = EventQueue(invoke, "arn:of:it", "$LATEST", tmp_path, Retries((0, 0), 0.001, 1))
        queue.put(b"{}", "")
        await done
        await queue.close()

    asyncio.run(main())
    waits = [message.split()[-2] for message in caplog.messages if "tried again" in message]
    assert waits == ["0.001", "0", "0.001"]  # one that is throttled on is said to be so once


def test_an_event_that_is_throttled_for_too_long_is_a_dead_letter_without_a_response(
    tmp_path: Path, said: Said
) -> None:
    async def test(service: Service) -> None:
        service.service.invoke(event("/hold"))
        await service.logged("START ")
        await invoke(service, event("/"))
        assert "is not done after 0.1 s" in await said("dead letter")
        (letter,) = letters(tmp_path)
        assert letter["requestContext"]["condition"] == "EventAgeExceeded"
        assert letter["requestContext"]["approximateInvokeCount"] == 0
        assert "responsePayload" not in letter

    run(tmp_path, test, AT_ONCE._replace(event_age_s=0.1), concurrency=1)


def test_events_that_are_not_done_at_the_end_are_said_to_be_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "ambidex.local")
    request_ids = []

    async def test(service: Service) -> None:
        for _ in range(2):
            answer = await invoke(service, event("/hold"))
            request_ids.append(answer["ResponseMetadata"]["RequestId"])
            await service.logged(f"START RequestId: {request_ids[-1]}")

    run(tmp_path, test)
    assert caplog.messages == [
        f"2 events are queued or at work still, and lost: {', '.join(request_ids)}"
    ]


def test_a_client_context_reaches_the_function_in_synchronous_invocations_only(
    tmp_path: Path,
) -> None:
    async def test(service: Service) -> None:
        context = b64encode(b'{"custom": {"who": "me"}}').decode()
        await invoke(service, event("/"), ClientContext=context)
        assert await service.logged("context ") == "context None"

    run(tmp_path, test)
