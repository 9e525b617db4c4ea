"""Events that are no HTTP requests: boto3 invokes, the Lambda service runs the function."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config

from tests.project import Service, lambda_service, project

APP = """
import json
from ambidex import Handler
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    if scope["path"] != "/events":
        await answer(send, 503, b"busy")
        return
    event = json.loads((await receive())["body"])
    if event == "raise":
        raise ValueError("the app's own words")
    if isinstance(event, int):
        await answer(send, event, b"no")
        return
    if event == "nothing":
        await answer(send, 204)
        return
    if not isinstance(event, dict) or "Records" not in event:
        await answer(send, body=json.dumps({"got": event, "is": scope["aws.event"] == event}).encode())
        return
    failed = [record["messageId"] for record in event["Records"] if record["body"] == "bad"]
    items = [{"itemIdentifier": name} for name in failed]
    await answer(send, body=json.dumps({"batchItemFailures": items}).encode())
handler = Handler(app)
"""  # noqa: E501
SETTINGS = """
[tool.ambidex.lambda]
events-path = "/events"
error-statuses = ["500-599"]
"""
NATIVE = SETTINGS
HANDLER = SETTINGS + 'command = ["python", "-m", "awslambdaric", "main.handler"]\n'

EVERY_WAY = pytest.mark.parametrize(
    "settings",
    [
        pytest.param(NATIVE, id="ambidex serve"),
        pytest.param(HANDLER, id="ambidex.Handler under awslambdaric"),
    ],
)


def call(folder: Path, settings: str, test: Callable[[Any, Service], None]) -> list[str]:
    """Run a test with a function that boto3 invokes with any JSON; the function's log."""

    def with_client(service: Service) -> None:
        client = boto3.client(
            "lambda",
            endpoint_url=service.invoke_api,
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="y",
            config=Config(retries={"max_attempts": 0}),
        )

        def invoke(event: object) -> tuple[str, Any]:
            name = service.service.function.name
            answer = client.invoke(FunctionName=name, Payload=json.dumps(event))
            return answer.get("FunctionError", ""), json.loads(answer["Payload"].read())

        try:
            test(invoke, service)
        finally:
            client.close()

    async def main() -> list[str]:
        async with lambda_service(folder, project(folder, APP, settings)) as service:
            await asyncio.to_thread(with_client, service)
            return service.log

    return asyncio.run(main())


@EVERY_WAY
def test_an_sqs_batch_fails_in_part(tmp_path: Path, settings: str) -> None:
    def test(invoke: Any, service: Service) -> None:
        messages = {"m-1": "good", "m-2": "bad", "m-3": "good", "m-4": "bad"}
        records = [
            {"messageId": name, "eventSource": "aws:sqs", "body": body}
            for name, body in messages.items()
        ]
        failed = [{"itemIdentifier": "m-2"}, {"itemIdentifier": "m-4"}]
        assert invoke({"Records": records}) == ("", {"batchItemFailures": failed})

    call(tmp_path, settings, test)


@EVERY_WAY
def test_any_json_reaches_the_app_and_its_answer_the_caller(tmp_path: Path, settings: str) -> None:
    events: list[Any] = [
        [1, "two", None],
        "wärm \ud800",
        None,
        {"source": "aws.events", "detail-type": "Scheduled Event"},
        {"large": 2**70, "small": -(2**70)},
    ]

    def test(invoke: Any, service: Service) -> None:
        for event in events:
            assert invoke(event) == ("", {"got": event, "is": True})
        assert invoke("nothing") == ("", None)

    call(tmp_path, settings, test)


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        pytest.param(NATIVE, "Function.ErrorStatus", id="ambidex serve"),
        pytest.param(HANDLER, "InvocationError", id="ambidex.Handler under awslambdaric"),
    ],
)
def test_an_app_that_raises_or_refuses_fails_the_invocation(
    tmp_path: Path, settings: str, kind: str
) -> None:
    def test(invoke: Any, service: Service) -> None:
        error, document = invoke("raise")
        assert (error, document["errorType"]) == ("Unhandled", kind)
        error, document = invoke(418)
        assert (error, document["errorType"]) == ("Unhandled", kind)
        assert document["errorMessage"] == "the app answered POST /events with 418: 'no'"

    log = call(tmp_path, settings, test)
    assert sum("ValueError: the app's own words" in line for line in log) == 1


@EVERY_WAY
def test_nobody_reaches_the_events_path_from_outside(tmp_path: Path, settings: str) -> None:
    def test(invoke: Any, service: Service) -> None:
        for door in (service.http_api, service.alb):
            for path in ("/events", "/events/", "//events", "/%65vents", "/events%2F"):
                for method in ("POST", "GET", "OPTIONS"):
                    response = httpx.request(method, door + path, content=b'"raise"')
                    assert (response.status_code, response.text) == (404, "Not Found")
            head = httpx.head(f"{door}/events")
            assert (head.status_code, head.text) == (404, "")

    log = call(tmp_path, settings, test)
    assert not [line for line in log if "ERROR" in line]


@EVERY_WAY
def test_a_status_that_the_settings_name_is_the_front_doors_own_error(
    tmp_path: Path, settings: str
) -> None:
    def test(invoke: Any, service: Service) -> None:
        response = httpx.get(f"{service.http_api}/other")
        assert (response.status_code, response.json()) == (
            500,
            {"message": "Internal Server Error"},
        )
        assert httpx.get(f"{service.alb}/other").status_code == 502

    log = call(tmp_path, settings, test)
    assert any("the app answered GET /other with 503: 'busy'" in line for line in log)


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        pytest.param("", "Runtime.UnsupportedEvent", id="ambidex serve"),
        pytest.param(
            HANDLER.removeprefix(SETTINGS), "NotHttpError", id="ambidex.Handler under awslambdaric"
        ),
    ],
)
def test_without_an_events_path_the_error_says_which_setting_to_set(
    tmp_path: Path, command: str, kind: str
) -> None:
    def test(invoke: Any, service: Service) -> None:
        error, document = invoke({"Records": [{"eventSource": "aws:sqs"}]})
        assert (error, document["errorType"]) == ("Unhandled", kind)
        assert "'aws:sqs'" in document["errorMessage"]
        assert "set `events-path` in [tool.ambidex.lambda]" in document["errorMessage"]

    call(tmp_path, f"[tool.ambidex.lambda]\n{command}", test)
