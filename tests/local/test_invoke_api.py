"""The Invoke API, as boto3 speaks it."""

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.project import Service, lambda_service, project

APP = """
import os, sys
async def app(scope, receive, send):
    if scope["path"] == "/die":
        os._exit(7)
    if scope["path"] == "/log":
        print("x" * 5000)
        print("the last line")
    if scope["path"] == "/context":
        await answer(send, body=scope["aws.context"].client_context.custom["who"].encode())
        return
    await answer(send, body=b"hello")
"""


def event(path: str = "/") -> bytes:
    return json.dumps(
        {
            "version": "2.0",
            "rawPath": path,
            "headers": {},
            "requestContext": {"stage": "$default", "http": {"method": "GET"}},
        }
    ).encode()


def call(
    folder: Path, test: Callable[[Any, str], None], app: str = APP, **options: Any
) -> list[str]:
    """Run a test with a boto3 client, in a thread; the function's log."""

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

    async def main() -> list[str]:
        async with lambda_service(folder, project(folder, app), **options) as service:
            await asyncio.to_thread(client_test, service)
            return service.log

    return asyncio.run(main())


def test_boto3_gets_the_functions_result(tmp_path: Path) -> None:
    def test(client: Any, name: str) -> None:
        answer = client.invoke(FunctionName=name, Payload=event())
        assert answer["StatusCode"] == 200
        assert answer["ExecutedVersion"] == "$LATEST"
        assert "FunctionError" not in answer
        assert "LogResult" not in answer
        assert json.loads(answer["Payload"].read())["body"] == "hello"

    call(tmp_path, test)


@pytest.mark.parametrize(
    "form", ["{name}", "arn:aws:lambda:us-east-1:123456789012:function:{name}"]
)
def test_a_function_is_known_by_its_name_and_its_arn(tmp_path: Path, form: str) -> None:
    def test(client: Any, name: str) -> None:
        answer = client.invoke(FunctionName=form.format(name=name), Payload=event())
        assert answer["StatusCode"] == 200

    call(tmp_path, test)


def test_an_event_that_is_no_http_event_is_a_function_error_that_says_so(tmp_path: Path) -> None:
    def test(client: Any, name: str) -> None:
        answer = client.invoke(
            FunctionName=name, Payload=b'{"Records": [{"eventSource": "aws:sqs"}]}'
        )
        error = json.loads(answer["Payload"].read())
        assert answer["FunctionError"] == "Unhandled"
        assert error["errorType"] == "Runtime.UnsupportedEvent"
        assert "it holds records of 'aws:sqs'" in error["errorMessage"]

    call(tmp_path, test)


def test_a_function_that_dies_is_a_function_error(tmp_path: Path) -> None:
    def test(client: Any, name: str) -> None:
        answer = client.invoke(FunctionName=name, Payload=event("/die"))
        assert answer["FunctionError"] == "Unhandled"
        assert json.loads(answer["Payload"].read())["errorType"] == "Runtime.ExitError"

    call(tmp_path, test)


def test_the_log_tail_is_the_last_4_kb_with_the_report(tmp_path: Path) -> None:
    def test(client: Any, name: str) -> None:
        answer = client.invoke(FunctionName=name, Payload=event("/log"), LogType="Tail")
        tail = base64.b64decode(answer["LogResult"]).decode()
        assert len(tail) == 4096
        assert "the last line\nEND RequestId: " in tail
        assert tail.splitlines()[-1].startswith("REPORT RequestId: ")

    call(tmp_path, test)


def test_the_client_context_reaches_the_app(tmp_path: Path) -> None:
    def test(client: Any, name: str) -> None:
        context = base64.b64encode(b'{"custom": {"who": "me"}}').decode()
        answer = client.invoke(FunctionName=name, Payload=event("/context"), ClientContext=context)
        assert json.loads(answer["Payload"].read())["body"] == "me"

    call(tmp_path, test)


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        pytest.param({"FunctionName": "other"}, "ResourceNotFoundException", 404, id="no function"),
        pytest.param({"Payload": b"{"}, "InvalidRequestContentException", 400, id="no JSON"),
        pytest.param(
            {"Payload": b'"%b"' % (b"x" * (6 * 1024 * 1024))}, "RequestTooLargeException", 413,
            id="too large",
        ),
        pytest.param(
            {"InvocationType": "Event"}, "InvalidParameterValueException", 400, id="not offered"
        ),
    ],
)  # fmt: skip
def test_a_bad_request_is_the_error_that_aws_gives(
    tmp_path: Path, arguments: dict[str, Any], code: str, status: int
) -> None:
    def test(client: Any, name: str) -> None:
        with pytest.raises(ClientError) as caught:
            client.invoke(**({"FunctionName": name} | arguments))
        response = caught.value.response
        assert response["Error"]["Code"] == code
        assert response["ResponseMetadata"]["HTTPStatusCode"] == status

    call(tmp_path, test)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        pytest.param({"X-Amz-Client-Context": "@@@a"}, b"{}", id="a context that is no base64"),
        pytest.param({"X-Amz-Client-Context": "W10="}, b"{}", id="a context that is no object"),
        pytest.param({}, b"1" * 5000, id="more digits than Python takes"),
        pytest.param({}, b"[" * 200_000, id="nested beyond the stack"),
    ],
)
def test_what_boto3_would_not_send_is_refused_in_awss_form(
    tmp_path: Path, headers: dict[str, str], body: bytes
) -> None:
    async def main() -> None:
        async with (
            lambda_service(tmp_path, project(tmp_path, APP)) as service,
            httpx.AsyncClient() as client,
        ):
            path = f"/2015-03-31/functions/{service.service.function.name}/invocations"
            answer = await client.post(service.invoke_api + path, content=body, headers=headers)
            assert answer.status_code == 400
            assert answer.headers["x-amzn-errortype"] == "InvalidRequestContentException"
            assert answer.json()["Type"] == "User"

    asyncio.run(main())


def test_a_client_context_of_several_lines_reaches_the_app(tmp_path: Path) -> None:
    def test(client: Any, name: str) -> None:
        document = json.dumps({"custom": {"who": "me"}}, indent=1).encode()
        context = base64.b64encode(document).decode()
        answer = client.invoke(FunctionName=name, Payload=event("/context"), ClientContext=context)
        assert json.loads(answer["Payload"].read())["body"] == "me"

    call(tmp_path, test)


def test_beyond_the_limit_the_caller_is_told_of_too_many_requests(tmp_path: Path) -> None:
    app = """
    import asyncio
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await asyncio.sleep(60)
    """

    async def main() -> None:
        async with lambda_service(tmp_path, project(tmp_path, app), concurrency=1) as service:
            service.service.invoke(event())
            async with httpx.AsyncClient() as client:
                name = service.service.function.name
                path = f"/2015-03-31/functions/{name}/invocations"
                answer = await client.post(service.invoke_api + path, content=event())
            assert answer.status_code == 429
            assert answer.headers["x-amzn-ErrorType"] == "TooManyRequestsException"

    asyncio.run(main())
