"""The Invoke API, as boto3 speaks it."""

import asyncio
import base64
import json
import platform
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
    folder: Path,
    test: Callable[[Any, str], None],
    app: str = APP,
    settings: str = "",
    **options: Any,
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
        async with lambda_service(folder, project(folder, app, settings), **options) as service:
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


@pytest.mark.parametrize("payload", [{}, {"Payload": b""}], ids=["none", "empty"])
def test_without_a_payload_the_event_is_an_empty_object(
    tmp_path: Path, payload: dict[str, bytes]
) -> None:
    app = """
    import json
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await answer(send, body=json.dumps(scope["aws.event"]).encode())
    """

    def test(client: Any, name: str) -> None:
        answer = client.invoke(FunctionName=name, **payload)
        assert json.loads(answer["Payload"].read()) == {}

    call(tmp_path, test, app, '[tool.ambidex.lambda]\nevents-path = "/events"')


ARN = "arn:aws:lambda:us-east-1:123456789012:function:{name}"


@pytest.mark.parametrize(
    ("form", "qualifier"),
    [
        pytest.param("{name}", None, id="name"),
        pytest.param("{name}:$LATEST", None, id="name and qualifier"),
        pytest.param("{name}", "$LATEST", id="name, and a qualifier of its own"),
        pytest.param("{name}:$LATEST", "$LATEST", id="the qualifier twice"),
        pytest.param("123456789012:function:{name}", None, id="partial ARN"),
        pytest.param("123456789012:function:{name}:$LATEST", None, id="partial, qualified ARN"),
        pytest.param(ARN, None, id="ARN"),
        pytest.param(f"{ARN}:$LATEST", None, id="qualified ARN"),
    ],
)
def test_a_function_is_known_by_its_name_and_its_arn(
    tmp_path: Path, form: str, qualifier: str | None
) -> None:
    def test(client: Any, name: str) -> None:
        qualified = {} if qualifier is None else {"Qualifier": qualifier}
        answer = client.invoke(FunctionName=form.format(name=name), Payload=event(), **qualified)
        assert answer["StatusCode"] == 200
        assert answer["ExecutedVersion"] == "$LATEST"

    call(tmp_path, test)


@pytest.mark.parametrize(
    ("form", "qualifier", "code", "message"),
    [
        pytest.param(
            "{name}:prod", None, "ResourceNotFoundException", f"Function not found: {ARN}:prod",
            id="an alias",
        ),
        pytest.param(
            "{name}", "7", "ResourceNotFoundException", f"Function not found: {ARN}:7",
            id="a version",
        ),
        pytest.param(
            "other", None, "ResourceNotFoundException",
            "Function not found: arn:aws:lambda:us-east-1:123456789012:function:other",
            id="another function",
        ),
        pytest.param(
            "210987654321:function:{name}", None, "ResourceNotFoundException",
            "Function not found: arn:aws:lambda:us-east-1:210987654321:function:{name}",
            id="another account",
        ),
        pytest.param(
            "arn:aws:lambda:eu-west-1:123456789012:function:{name}", None,
            "ResourceNotFoundException",
            "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
            id="another region",
        ),
        pytest.param(
            "{name}:prod", "$LATEST", "InvalidParameterValueException",
            "The derived qualifier from the function name does not match the specified qualifier.",
            id="two qualifiers",
        ),
    ],
)  # fmt: skip
def test_what_is_not_there_is_an_error_in_awss_words(
    tmp_path: Path, form: str, qualifier: str | None, code: str, message: str
) -> None:
    def test(client: Any, name: str) -> None:
        qualified = {} if qualifier is None else {"Qualifier": qualifier}
        for operation in (client.invoke, client.get_function, client.get_function_configuration):
            with pytest.raises(ClientError) as caught:
                operation(FunctionName=form.format(name=name), **qualified)
            error = caught.value.response["Error"]
            assert error["Code"] == code
            assert error["Message"].startswith(message.format(name=name))

    call(tmp_path, test)


def test_a_dry_run_invokes_nothing(tmp_path: Path) -> None:
    def test(client: Any, name: str) -> None:
        answer = client.invoke(FunctionName=name, Payload=event(), InvocationType="DryRun")
        assert answer["StatusCode"] == 204
        assert answer["Payload"].read() == b""

    assert not [line for line in call(tmp_path, test) if line.startswith("START")]


def test_what_is_told_of_the_function_is_true_and_nothing_is_made_up(tmp_path: Path) -> None:
    def test(client: Any, name: str) -> None:
        configuration = client.get_function_configuration(FunctionName=name)
        del configuration["ResponseMetadata"]
        machine = platform.machine().replace("aarch64", "arm64")
        assert configuration == {
            "FunctionName": name,
            "FunctionArn": ARN.format(name=name),
            "PackageType": "Image",
            "Version": "$LATEST",
            "Timeout": 7,
            "MemorySize": 1024,
            "Architectures": [machine],
            "Environment": {"Variables": {"COLOUR": "blue"} | ambidex_variables(configuration)},
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"},
            "TracingConfig": {"Mode": "PassThrough"},
            "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
            "State": "Active",
            "LastUpdateStatus": "Successful",
        }
        whole = client.get_function(FunctionName=name, Qualifier="$LATEST")
        assert whole["Code"] == {}
        assert whole["Configuration"] == configuration | {
            "FunctionArn": f"{ARN.format(name=name)}:$LATEST"
        }

    settings = """
    environment = { COLOUR = "blue" }
    [tool.ambidex.lambda]
    timeout = 7
    memory = 1024
    """
    call(tmp_path, test, settings=settings)


def ambidex_variables(configuration: dict[str, Any]) -> dict[str, str]:
    variables: dict[str, str] = configuration["Environment"]["Variables"]
    return {name: value for name, value in variables.items() if name.startswith("AMBIDEX_")}


@pytest.mark.parametrize(
    "waiter",
    ["function_active", "function_active_v2", "function_exists", "function_updated",
     "function_updated_v2", "published_version_active"],
)  # fmt: skip
def test_boto3s_waiters_end_at_once(tmp_path: Path, waiter: str) -> None:
    def test(client: Any, name: str) -> None:
        client.get_waiter(waiter).wait(FunctionName=name, WaiterConfig={"MaxAttempts": 1})

    call(tmp_path, test)


def test_the_list_of_functions_has_the_one_that_there_is(tmp_path: Path) -> None:
    def test(client: Any, name: str) -> None:
        configuration = client.get_function_configuration(FunctionName=name)
        for only_in_the_function_itself in ("ResponseMetadata", "State", "LastUpdateStatus"):
            del configuration[only_in_the_function_itself]
        pages = client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 1})
        assert [page["Functions"] for page in pages] == [[configuration]]
        answer = client.list_functions(Marker="any", MaxItems=50, FunctionVersion="ALL")
        (only,) = answer["Functions"]
        assert only["FunctionArn"] == f"{ARN.format(name=name)}:$LATEST"
        assert "NextMarker" not in answer
        with httpx.Client() as http:
            url = f"{client.meta.endpoint_url}/2015-03-31/functions"
            assert http.get(url).json() == http.get(f"{url}/").json()

    call(tmp_path, test)


@pytest.mark.parametrize(
    ("operation", "arguments", "request_line"),
    [
        pytest.param(
            "delete_function", {}, "DELETE /2015-03-31/functions/{name}", id="of the function"
        ),
        pytest.param(
            "list_aliases", {}, "GET /2015-03-31/functions/{name}/aliases", id="of its aliases"
        ),
        pytest.param(
            "invoke_async", {"InvokeArgs": b"{}"},
            "POST /2014-11-13/functions/{name}/invoke-async", id="of former days",
        ),
    ],
)  # fmt: skip
def test_a_call_that_is_not_offered_is_named_and_so_are_those_that_are(
    tmp_path: Path, operation: str, arguments: dict[str, Any], request_line: str
) -> None:
    def test(client: Any, name: str) -> None:
        with pytest.raises(ClientError) as caught:
            getattr(client, operation)(FunctionName=name, **arguments)
        error = caught.value.response["Error"]
        assert error["Code"] == "UnknownOperationException"
        assert error["Message"] == (
            f"{request_line.format(name=name)} is not offered here; offered are Invoke, "
            "InvokeWithResponseStream, GetFunction, GetFunctionConfiguration, ListFunctions"
        )

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
        pytest.param({"TenantId": "me"}, "InvalidParameterValueException", 400, id="a tenant"),
        pytest.param({"Payload": b"{"}, "InvalidRequestContentException", 400, id="no JSON"),
        pytest.param(
            {"Payload": b'"%b"' % (b"x" * (6 * 1024 * 1024))}, "RequestTooLargeException", 413,
            id="too large",
        ),
        pytest.param(
            {"Payload": b'"%b"' % (b"x" * (1024 * 1024)), "InvocationType": "Event"},
            "RequestTooLargeException", 413, id="too large for an asynchronous invocation",
        ),
        pytest.param(
            {"InvocationType": "Later"}, "ValidationException", 400, id="no invocation type"
        ),
        pytest.param({"LogType": "Head"}, "ValidationException", 400, id="no log type"),
        pytest.param({"FunctionName": "a b"}, "ValidationException", 400, id="no name"),
        pytest.param(
            {"InvocationType": "DryRun", "FunctionName": "other"},
            "ResourceNotFoundException", 404, id="no function, in a dry run",
        ),
        pytest.param(
            {"ClientContext": base64.b64encode(json.dumps({"a": "b" * 2700}).encode()).decode()},
            "InvalidRequestContentException", 400, id="too large a client context",
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
        pytest.param({}, b'{"a": NaN}', id="a number that JSON has not"),
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


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8003", 200),
        ("127.0.0.1", 200),
        ("[::1]:8003", 200),
        ("up.localhost", 200),
        ("host.docker.internal:8003", 200),
        ("evil.example:8003", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("[::1", 403),
        ("", 403),
    ],
)
def test_a_web_page_whose_name_leads_here_reads_nothing(
    tmp_path: Path, host: str, status: int
) -> None:
    async def main() -> None:
        async with (
            lambda_service(tmp_path, project(tmp_path, APP), warm=False) as service,
            httpx.AsyncClient() as client,
        ):
            url = f"{service.invoke_api}/2015-03-31/functions/"
            answer = await client.get(url, headers={"Host": host})
            assert answer.status_code == status
            assert ("Environment" in answer.text) == (status == 200)

    asyncio.run(main())


def test_a_web_page_from_elsewhere_invokes_nothing(tmp_path: Path) -> None:
    # As a browser sends it for `fetch(url, {mode: "no-cors", method: "POST", body: "{}"})`.
    headers = {"Origin": "https://evil.example", "Content-Type": "text/plain;charset=UTF-8"}

    async def main() -> None:
        async with (
            lambda_service(tmp_path, project(tmp_path, APP)) as service,
            httpx.AsyncClient() as client,
        ):
            path = f"/2015-03-31/functions/{service.service.function.name}/invocations"
            answer = await client.post(service.invoke_api + path, content="{}", headers=headers)
            assert answer.status_code == 403
            assert not any(line.startswith("START ") for line in service.log)

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


def test_the_end_does_not_wait_for_a_call_at_work(tmp_path: Path) -> None:
    app = """
    import asyncio
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await asyncio.sleep(60)
    """

    async def main() -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            async with lambda_service(tmp_path, project(tmp_path, app)) as service:
                path = f"/2015-03-31/functions/{service.service.function.name}/invocations"
                call = asyncio.create_task(client.post(service.invoke_api + path, content=event()))
                await service.logged("START")
            with pytest.raises(httpx.RemoteProtocolError):
                await call

    asyncio.run(main())
