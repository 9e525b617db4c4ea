"""The command `ambidex invoke` as a user runs it, against the Invoke API of a Lambda service."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ambidex.local import samples
from ambidex.local.samples import SAMPLES
from tests.project import HOST, Service, with_lambda_service
from tests.test_rooms import loaded

APP = """
import asyncio, os
async def app(scope, receive, send):
    assert scope["type"] == "http"
    context = scope["aws.context"].client_context
    if scope["path"] == "/die":
        print("good-bye")
        os._exit(7)
    if scope["path"] == "/hold":
        await asyncio.sleep(60)
    print("asked for", scope["path"])
    await answer(send, body=b"hello " + (context.custom["who"] if context else "you").encode())
"""


def event(path: str) -> str:
    return json.dumps(
        {
            "version": "2.0",
            "rawPath": path,
            "headers": {},
            "requestContext": {"stage": "$default", "http": {"method": "GET"}},
        }
    )


Completed = subprocess.CompletedProcess[str]


def ambidex(*arguments: str, **options: Any) -> Completed:
    """Run `ambidex invoke` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "ambidex", "invoke", *arguments],
        text=True, capture_output=True, check=False, **options,
    )  # fmt: skip


async def invoke(service: Service, *arguments: str, **options: Any) -> Completed:
    """Run `ambidex invoke` against the Invoke API of a service."""
    return await asyncio.to_thread(ambidex, *arguments, "--url", service.invoke_api, **options)


def run(folder: Path, test: Callable[[Service], Awaitable[None]], **options: Any) -> None:
    with_lambda_service(folder, test, APP, **options)


def test_the_result_is_on_standard_output_as_it_is_and_the_log_on_standard_error(
    tmp_path: Path,
) -> None:
    async def test(service: Service) -> None:
        done = await invoke(service, "--event", "http-api")
        assert done.returncode == 0
        assert done.stdout == '{"statusCode":200,"headers":{},"body":"hello you",' \
            '"isBase64Encoded":false}\n'  # fmt: skip
        lines = done.stderr.splitlines()
        assert lines[0].startswith("lambda | START RequestId: ")
        assert lines[1] == "lambda | asked for /"
        assert lines[-1].startswith("lambda | REPORT RequestId: ")

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("no_color", "start"),
    [
        pytest.param("", "\x1b[33mlambda |\x1b[0m START", id="with colour"),
        pytest.param("1", "lambda | START", id="without colour"),
    ],
)
def test_on_a_terminal_the_result_is_indented_and_the_log_in_colour(
    tmp_path: Path, no_color: str, start: str
) -> None:
    async def test(service: Service) -> None:
        terminal, ours = os.openpty()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ambidex", "invoke", "--event", "alb",
            "--url", service.invoke_api, stdout=ours, stderr=ours,
            env={**os.environ, "TERM": "xterm", "NO_COLOR": no_color},
        )  # fmt: skip
        await process.wait()
        printed = os.read(terminal, 100_000).decode().replace("\r\n", "\n")
        os.close(terminal)
        os.close(ours)
        assert printed.startswith(start)
        assert '\n{\n  "statusCode": 200,\n' in printed

    run(tmp_path, test)


def test_a_function_that_fails_is_a_sentence_and_exit_status_1(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        done = await invoke(service, "--event", "-", input=event("/die"))
        assert done.returncode == 1
        assert json.loads(done.stdout)["errorType"] == "Runtime.ExitError"
        assert "lambda | good-bye\n" in done.stderr
        sentence = done.stderr.splitlines()[-1]
        assert sentence.startswith("error: the function failed: Runtime.ExitError: RequestId: ")
        assert sentence.endswith(" Error: Runtime exited with error: exit status 7")

    run(tmp_path, test)


def test_a_throttled_function_is_a_sentence_and_exit_status_1(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        service.service.invoke(event("/hold").encode())
        done = await invoke(service, "--event", "http-api")
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.startswith("error: the function is throttled: ")
        assert "`concurrency` in [tool.ambidex.lambda]" in done.stderr

    run(tmp_path, test, concurrency=1)


def test_an_event_is_queued_and_nobody_waits_for_it(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        done = await invoke(service, "--event", "http-api", "--type", "Event")
        assert (done.returncode, done.stdout) == (0, "")
        request_id = done.stderr.removeprefix("queued as ").partition(";")[0]
        await service.logged(f"START RequestId: {request_id}")

    run(tmp_path, test)


def test_a_dry_run_says_that_nothing_was_invoked(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        done = await invoke(service, "--event", "http-api", "--type", "DryRun")
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr == "the call is in order; nothing was invoked\n"
        assert not [line for line in service.log if "START" in line]

    run(tmp_path, test)


def test_json_is_one_line_with_all_there_is_to_know(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        done = await invoke(service, "--event", "http-api", "--json")
        assert done.stdout.count("\n") == 1
        document = json.loads(done.stdout)
        assert document.pop("log").startswith(f"START RequestId: {document.pop('requestId')}")
        assert document.pop("payload")["body"] == "hello you"
        assert document == {"statusCode": 200, "functionError": None}
        assert done.stderr == ""
        failed = await invoke(service, "--event", "-", "--json", input=event("/die"))
        assert failed.returncode == 1
        assert json.loads(failed.stdout)["functionError"] == "Unhandled"
        queued = await invoke(service, "--event", "http-api", "--json", "--type", "Event")
        assert json.loads(queued.stdout)["payload"] is None

    run(tmp_path, test)


def test_an_event_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text(event("/file"))

    async def test(service: Service) -> None:
        done = await invoke(service, "--event", "event.json", cwd=tmp_path)
        assert "lambda | asked for /file\n" in done.stderr

    run(tmp_path, test)


CONTEXT = '{"custom": {"who": "Ada"}}'


@pytest.mark.parametrize("form", [CONTEXT, "context.json"], ids=["JSON", "file"])
def test_the_client_context_may_be_json_or_a_file(tmp_path: Path, form: str) -> None:
    (tmp_path / "context.json").write_text(CONTEXT)

    async def test(service: Service) -> None:
        done = await invoke(service, "--event", "http-api", "--client-context", form, cwd=tmp_path)
        assert json.loads(done.stdout)["body"] == "hello Ada"

    run(tmp_path, test)


KINDS = f"the kinds are {', '.join(SAMPLES)}"
LONG = json.dumps({"order": "7" * 300})


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param(
            ["--event", "kinesiss"],
            "error: there is neither a file nor a kind of event 'kinesiss'\n"
            f"hint: did you mean kinesis? {KINDS}\n",
            id="nearly a kind",
        ),
        pytest.param(
            ["--event", "no/such.json"],
            "error: there is neither a file nor a kind of event 'no/such.json'\n"
            f"hint: {KINDS}\n",
            id="no file",
        ),
        pytest.param(
            ["--event", LONG],
            f"error: there is neither a file nor a kind of event '{LONG[:196]}...\n"
            f"hint: {KINDS}\n",
            id="JSON in place of its file",
        ),
        pytest.param(
            ["--print", "sq"],
            f"error: there is no kind of event 'sq'\nhint: did you mean sqs? {KINDS}\n",
            id="no kind to print",
        ),
        pytest.param(["--event", "."], "error: . cannot be read: Is a directory\n", id="a folder"),
        pytest.param(
            ["--event", "broken.json"],
            "error: broken.json is no JSON: Expecting value: line 1 column 2 (char 1)\n",
            id="no JSON",
        ),
        pytest.param(
            ["--event", "-"],
            "error: standard input is no JSON: Expecting value: line 1 column 1 (char 0)\n",
            id="nothing on standard input",
        ),
        pytest.param(
            ["--event", "direct", "--client-context", "list.json"],
            "error: the client context is no JSON object\n", id="a client context that is a list",
        ),
        pytest.param(
            ["--event", "direct", "--client-context", "no.json"],
            "error: no.json cannot be read: No such file or directory\n", id="no client context",
        ),
        *(
            pytest.param(
                ["--event", "direct", "--url", url],
                f"error: --url '{url}' is no address of an Invoke API\n"
                "hint: it is like http://127.0.0.1:8003\n",
                id=f"URL {url}",
            )
            for url in (
                "127.0.0.1:8003", "https://x", "http://", "http://x:y", "http://x/2015",
                "http://a b", "http://a..b", f"http://{'a' * 64}",
            )
        ),
    ],
)  # fmt: skip
def test_what_is_not_in_order_is_a_sentence_and_exit_status_2(
    tmp_path: Path, arguments: list[str], error: str
) -> None:
    (tmp_path / "broken.json").write_text("[")
    (tmp_path / "list.json").write_text("[]")
    done = ambidex(*arguments, cwd=tmp_path, input="")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", error)


def test_without_an_event_the_usage_is_shown() -> None:
    done = ambidex()
    assert done.returncode == 2
    assert "Missing option '--event'; --list shows the kinds there are" in done.stderr


def test_an_event_that_the_api_refuses_is_a_sentence_and_exit_status_2(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        large = json.dumps("x" * 1024 * 1024)
        done = await invoke(service, "--event", "-", "--type", "Event", input=large)
        assert done.returncode == 2
        assert done.stderr == (
            "error: the Invoke API refused the call: RequestTooLargeException: Request must be "
            "smaller than 1048576 bytes for the InvokeFunction operation\n"
        )

    run(tmp_path, test)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        port: int = one.getsockname()[1]
        return port


def test_where_nothing_answers_the_question_is_whether_up_is_running(free_port: int) -> None:
    url = f"http://{HOST}:{free_port}"
    done = ambidex("--event", "direct", "--url", url)
    assert done.returncode == 3
    assert done.stderr == (
        f"error: nothing answers at {url}: Connection refused\nhint: is `ambidex up` running?\n"
    )


def test_another_server_is_no_invoke_api(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        done = await asyncio.to_thread(ambidex, "--event", "direct", "--url", service.alb)
        assert done.returncode == 3
        assert f"error: what answers at {service.alb} is no Invoke API\n" in done.stderr

    run(tmp_path, test)


FUNCTIONS = b'{"Functions": [{"FunctionName": "one"}]}'


def test_a_host_that_the_api_refuses_is_named(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        url = service.invoke_api.replace(HOST, "127.1")  # the system's name for it, and no address
        done = await asyncio.to_thread(ambidex, "--event", "direct", "--url", url)
        assert done.returncode == 2
        assert "AccessDeniedException: the host '127.1:" in done.stderr

    run(tmp_path, test)


def test_an_invoke_api_that_fails_itself_is_exit_status_3() -> None:
    answers = [
        (b"200 OK", FUNCTIONS),
        (b"500 Internal Server Error", b'{"Type": "Service", "Message": "it broke"}'),
    ]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for status, body in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
        await reader.read()
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        server = await asyncio.start_server(serve, HOST, 0)
        url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
        async with server:
            done = await asyncio.to_thread(ambidex, "--event", "direct", "--url", url)
        assert done.returncode == 3
        assert done.stderr == "error: the Invoke API failed: HTTP status 500: it broke\n"

    asyncio.run(main())


def test_a_connection_that_breaks_before_the_answer_is_exit_status_3() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(FUNCTIONS)
        writer.write(head + FUNCTIONS)
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        server = await asyncio.start_server(serve, HOST, 0)
        url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
        async with server:
            done = await asyncio.to_thread(ambidex, "--event", "direct", "--url", url)
        assert done.returncode == 3
        assert done.stderr.startswith(f"error: the connection to {url} broke before the answer\n")

    asyncio.run(main())


def test_the_kinds_are_listed_a_line_each() -> None:
    done = ambidex("--list")
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(SAMPLES)
    for line, sample in zip(done.stdout.splitlines(), SAMPLES.values(), strict=True):
        assert line.endswith(f"  {sample.sentence}")


@pytest.mark.parametrize("kind", ["sqs", "http-api"])
def test_a_sample_is_printed_as_its_file_is(kind: str) -> None:
    assert ambidex("--print", kind).stdout.encode() == samples.event(kind)


def test_nothing_but_the_standard_library_is_needed() -> None:
    modules = loaded("import ambidex.local.invoke") - loaded("")
    names = {name.partition(".")[0] for name in modules if not name.startswith("_")}
    assert names - sys.stdlib_module_names == {"ambidex"}
