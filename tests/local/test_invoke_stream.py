"""InvokeWithResponseStream, as boto3 speaks it, and Invoke of a function that streams."""

import asyncio
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.local.streaming_runtime import PRELUDE_TYPE, command, script
from tests.local.test_result_stream import FAST
from tests.project import Service, with_lambda_service

ERROR = b'{"errorType":"Oh","errorMessage":"no"}'


def run(folder: Path, test: Callable[[Any, str], None], **options: Any) -> list[str]:
    """Run a test with a boto3 client, in a thread; the function's log."""
    log: list[str] = []

    def client_test(service: Service) -> None:
        client = boto3.client(
            "lambda",
            endpoint_url=service.invoke_api,
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="y",
            config=Config(retries={"max_attempts": 0}),
        )
        try:
            test(client, service.service.function.name)
        finally:
            client.close()

    async def main(service: Service) -> None:
        await asyncio.to_thread(client_test, service)
        log.extend(service.log)

    options = {"command": command(folder), **options}
    with_lambda_service(folder, main, "app = 1", **options)
    return log


def told(answer: Any) -> tuple[bytes, dict[str, Any]]:
    """All of the payload, and the last event."""
    *chunks, last = answer["EventStream"]
    answer["EventStream"].close()
    payload = b"".join(chunk["PayloadChunk"]["Payload"] for chunk in chunks)
    return payload, last["InvokeComplete"]


def test_boto3_gets_each_piece_before_the_function_sends_the_next(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    event = script(("send", "a"), ("wait", str(gate)), ("send", "b"), ("wait", str(gate)), ("end",))

    def test(client: Any, name: str) -> None:
        answer = client.invoke_with_response_stream(FunctionName=name, Payload=event)
        assert answer["StatusCode"] == 200
        assert answer["ExecutedVersion"] == "$LATEST"
        assert answer["ResponseStreamContentType"] == "application/vnd.amazon.eventstream"
        events = iter(answer["EventStream"])
        assert next(events) == {"PayloadChunk": {"Payload": b"a"}}
        gate.write_text("")
        assert next(events) == {"PayloadChunk": {"Payload": b"b"}}
        gate.write_text("")
        assert next(events) == {"InvokeComplete": {}}
        assert next(events, None) is None
        answer["EventStream"].close()

    run(tmp_path, test)


def test_the_bytes_are_those_of_the_runtime_prelude_and_all(tmp_path: Path) -> None:
    event = script(("send", "{}\0\0\0\0\0\0\0\0\xff"), ("end",), content_type=PRELUDE_TYPE)

    def test(client: Any, name: str) -> None:
        answer = client.invoke_with_response_stream(FunctionName=name, Payload=event)
        assert told(answer) == (b"{}" + bytes(8) + b"\xff", {})

    run(tmp_path, test)


def test_a_function_that_does_not_stream_is_invoked_all_the_same(tmp_path: Path) -> None:
    event = json.dumps({"steps": [], "body": "x" * 200_000}).encode()

    def test(client: Any, name: str) -> None:
        answer = client.invoke_with_response_stream(FunctionName=name, Payload=event)
        assert told(answer) == (b"x" * 200_000, {})

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("event", "payload", "details"),
    [
        pytest.param(
            script(("send", "half"), ("trailers", "Function.Oh", b64encode(ERROR).decode())),
            b"half", "no", id="in trailers",
        ),
        pytest.param(
            json.dumps({"steps": [], "path": "error", "body": ERROR.decode()}).encode(),
            b"", "no", id="before the first byte",
        ),
        pytest.param(
            script(("send", "half"), ("exit", 3)), b"half", "exit status 3", id="the runtime dies"
        ),
        pytest.param(
            script(("send", "half"), ("hang",)), b"half", "timed out after 1.00", id="time-out"
        ),
    ],
)  # fmt: skip
def test_an_error_is_told_when_the_stream_ends(
    tmp_path: Path, event: bytes, payload: bytes, details: str
) -> None:
    def test(client: Any, name: str) -> None:
        answer = client.invoke_with_response_stream(FunctionName=name, Payload=event)
        received, complete = told(answer)
        assert received == payload
        assert complete["ErrorCode"] == "Unhandled"
        assert details in json.loads(complete["ErrorDetails"])["errorMessage"]

    run(tmp_path, test, timeout_s=1)


def test_the_log_tail_comes_with_the_end(tmp_path: Path) -> None:
    def test(client: Any, name: str) -> None:
        answer = client.invoke_with_response_stream(
            FunctionName=name, Payload=script(("send", "a"), ("end",)), LogType="Tail"
        )
        _, complete = told(answer)
        log = b64decode(complete["LogResult"]).decode()
        assert log.startswith("START RequestId: ")
        assert "REPORT RequestId: " in log

    run(tmp_path, test)


def test_a_dry_run_invokes_nothing(tmp_path: Path) -> None:
    def test(client: Any, name: str) -> None:
        answer = client.invoke_with_response_stream(FunctionName=name, InvocationType="DryRun")
        assert answer["StatusCode"] == 204
        answer["EventStream"].close()

    assert not any("START" in line for line in run(tmp_path, test))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param({"FunctionName": "other"}, "ResourceNotFoundException", id="no function"),
        pytest.param({"Payload": b"no"}, "InvalidRequestContentException", id="no JSON"),
        pytest.param({"InvocationType": "Event"}, "ValidationException", id="asynchronous"),
    ],
)
def test_a_call_that_is_wrong_is_the_error_that_aws_gives(
    tmp_path: Path, arguments: dict[str, Any], error: str
) -> None:
    def test(client: Any, name: str) -> None:
        with pytest.raises(ClientError) as raised:
            client.invoke_with_response_stream(**{"FunctionName": name, **arguments})
        assert raised.value.response["Error"]["Code"] == error

    run(tmp_path, test)


def test_beyond_the_limit_the_caller_is_told_of_too_many_requests(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    def test(client: Any, name: str) -> None:
        event = script(("send", "a"), ("wait", str(gate)), ("end",))
        first = client.invoke_with_response_stream(FunctionName=name, Payload=event)
        with pytest.raises(ClientError) as raised:
            client.invoke_with_response_stream(FunctionName=name, Payload=event)
        assert raised.value.response["Error"]["Code"] == "TooManyRequestsException"
        gate.write_text("")
        assert told(first) == (b"a", {})

    run(tmp_path, test, concurrency=1)


def test_invoke_gets_all_bytes_of_a_stream_at_once(tmp_path: Path) -> None:
    event = script(("send", "{}"), ("send", "\0" * 8), ("send", "x"), ("end",))

    def test(client: Any, name: str) -> None:
        answer = client.invoke(FunctionName=name, Payload=event)
        assert "FunctionError" not in answer
        assert answer["Payload"].read() == b"{}" + bytes(8) + b"x"

    run(tmp_path, test)


def test_invoke_takes_6_mb_of_a_stream(tmp_path: Path) -> None:
    def test(client: Any, name: str) -> None:
        answer = client.invoke(FunctionName=name, Payload=script(("bytes", 7 << 20), ("end",)))
        assert answer["FunctionError"] == "Unhandled"
        error = json.loads(answer["Payload"].read())
        assert error["errorType"] == "Function.ResponseSizeTooLarge"

    run(tmp_path, test, limits=FAST)
