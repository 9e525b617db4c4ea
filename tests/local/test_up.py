"""`ambidex up` as a user runs it: a command, its output, and what is left of it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

from ambidex.local.ports import Port, in_turn
from tests.project import PLAIN, ROOT, project

FREE_PORTS = ["--lambda-port", "0", "--ecs-port", "0", "--invoke-port", "0"]
OK = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await answer(send, body=b"one")
"""


class Up:
    """A running `ambidex up`."""

    def __init__(self, process: "subprocess.Popen[str]", urls: dict[str, Any]) -> None:
        self.process = process
        self.lambda_url: str = urls["targets"]["lambda"]["url"]
        self.ecs_url: str = urls["targets"]["ecs"]["url"]
        self.front_doors: dict[str, str] = urls["targets"]["lambda"]["front-doors"]
        self.invoke_url: str = urls["invoke"]["url"]

    def logged(self, text: str) -> str:
        """Read the log up to a line that holds a text."""
        assert self.process.stderr is not None
        return until(self.process.stderr, lambda line: text in line)


def until(stream: IO[str], wanted: Callable[[str], bool]) -> str:
    for line in stream:
        if wanted(line):
            return line
    raise AssertionError("the output has ended")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ambidex", *arguments]


@contextmanager
def up(folder: Path, *arguments: str, ports: list[str] = FREE_PORTS) -> Iterator[Up]:
    process = subprocess.Popen(
        command("up", "--json", *ports, *arguments),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield Up(process, json.loads(line))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        if not process.stderr.closed:
            process.stderr.read()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = [int(child) for child in children]
    return found + [pid for child in found for pid in descendants(child)]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


CLASSIC = (ROOT / "examples/math_service_mangum/pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("example", "settings"),
    [
        pytest.param("math_service", "", id="native"),
        pytest.param("math_service", CLASSIC, id="Handler under awslambdaric, plain uvicorn"),
        pytest.param("math_service_mangum", "", id="Mangum under awslambdaric, plain uvicorn"),
    ],
)
def test_the_posts_system_answers_on_both_platforms(
    tmp_path: Path, example: str, settings: str
) -> None:
    folder = ROOT / "examples" / example
    if settings:
        (tmp_path / "main.py").write_text((folder / "main.py").read_text())
        (tmp_path / "pyproject.toml").write_text(settings)
        folder = tmp_path
    with up(folder) as running:
        for url in (running.lambda_url, running.ecs_url):
            fifteen = httpx.get(f"{url}/math/add?i=5&i=10")
            ten = httpx.get(f"{url}/math/add?i=4&i=6")
            assert (fifteen.status_code, fifteen.text, ten.text) == (200, "15", "10")
            assert fifteen.headers["content-type"] == "text/plain; charset=utf-8"
            assert fifteen.headers["content-length"] == "2"
            assert ("apigw-requestid" in fifteen.headers) == (url == running.lambda_url)
            assert httpx.get(f"{url}/math/add").text == "0"
            assert httpx.get(f"{url}/math/add?i=abc").status_code == 422
            assert httpx.get(url).json() == {"status": "OK"}
            huge = 2**200
            assert httpx.get(f"{url}/math/add?i={huge}&i=-1").text == str(huge - 1)


@pytest.mark.parametrize(
    ("settings", "prefix"),
    [
        pytest.param('stage = "dev"', "/dev", id="HTTP API"),
        pytest.param('front-door = "rest-api"', "/prod", id="REST API"),
        pytest.param(
            'domain = "api.example.com"\nbase-path = "/shop"\nstage = "dev"',
            "/shop",
            id="HTTP API on a custom domain",
        ),
    ],
)
def test_docs_and_redirects_work_behind_a_stage_or_a_mapping(
    tmp_path: Path, settings: str, prefix: str
) -> None:
    source = (ROOT / "examples/math_service/main.py").read_text()
    app = '\n@app.get("/items/")\nasync def items() -> str:\n    return "items"\n'
    (tmp_path / "main.py").write_text(source + app)
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.ambidex]\napp = "main:app"\n[tool.ambidex.lambda]\n{settings}\n'
    )
    with up(tmp_path) as running:
        assert running.lambda_url.endswith(prefix)
        docs = httpx.get(f"{running.lambda_url}/docs")
        assert f"{prefix}/openapi.json" in docs.text
        schema = httpx.get(f"{running.lambda_url}/openapi.json").json()
        assert schema["servers"] == [{"url": prefix}]
        redirected = httpx.get(f"{running.lambda_url}/items", follow_redirects=True)
        assert (redirected.status_code, redirected.json()) == (200, "items")


def test_an_alb_can_be_lambdas_front_door(tmp_path: Path) -> None:
    project(tmp_path, OK, '[tool.ambidex.lambda]\nfront-door = "alb"')
    with up(tmp_path) as running:
        answer = httpx.get(running.lambda_url)
        assert (answer.text, "apigw-requestid" in answer.headers) == ("one", False)


def test_front_doors_that_are_named_all_lead_to_the_one_function(tmp_path: Path) -> None:
    app = """
    import os
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await answer(send, body=str(os.getpid()).encode())
    """
    project(tmp_path, app)
    names = ["http-api-v1", "rest-api", "function-url", "alb", "http-api"]
    with up(tmp_path, "--front-doors", ",".join(names)) as running:
        assert list(running.front_doors) == names
        assert running.lambda_url == running.front_doors["http-api-v1"]
        assert running.front_doors["rest-api"].endswith("/prod")
        environments = {httpx.get(f"{url}/").text for url in running.front_doors.values()}
        assert len(environments) == 1


def test_json_is_one_line_on_stdout_and_all_else_on_stderr(tmp_path: Path) -> None:
    project(tmp_path, OK)
    with up(tmp_path) as running:
        for url in (running.lambda_url, running.ecs_url, running.invoke_url):
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        httpx.get(running.lambda_url)
        running.logged("REPORT RequestId")
        httpx.get(running.ecs_url)
        running.logged("ecs    | ")
        running.process.send_signal(signal.SIGINT)
        assert running.process.stdout is not None
        assert running.process.stdout.read() == ""


def test_the_invoke_api_answers_in_json_even_to_what_is_no_request(tmp_path: Path) -> None:
    project(tmp_path, OK)
    with up(tmp_path) as running, socket.socket() as client:
        client.connect(("127.0.0.1", httpx.URL(running.invoke_url).port))
        client.sendall(b"NONSENSE\r\n\r\n")
        head, _, body = b"".join(iter(lambda: client.recv(4096), b"")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body) == {"Type": "User", "Message": "Bad Request"}


@pytest.mark.parametrize(
    ("arguments", "labels"),
    [
        pytest.param([], ["Lambda", "ECS"], id="one front door"),
        pytest.param(
            ["--front-doors", "alb, rest-api"],
            ["Lambda alb", "Lambda rest-api", "ECS"],
            id="several, with their names",
        ),
    ],
)
def test_without_json_it_prints_a_curl_line_for_each_target(
    tmp_path: Path, arguments: list[str], labels: list[str]
) -> None:
    project(tmp_path, OK)
    process = subprocess.Popen(
        command("up", *FREE_PORTS, *arguments), cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in (*labels, "Invoke API")]
    try:
        for label, line in zip(labels, lines, strict=False):
            match = re.fullmatch(rf"{label} +curl (http://\S+)\n", line)
            assert match, line
            assert httpx.get(match[1]).text == "one"
        assert re.fullmatch(r"Invoke API +http://\S+, function \S+\n", lines[-1])
        assert "\x1b" not in "".join(lines)
    finally:
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything(tmp_path: Path, number: signal.Signals) -> None:
    project(tmp_path, OK)
    with up(tmp_path) as running:
        httpx.get(running.lambda_url)
        pids = descendants(running.process.pid)
        assert len(pids) >= 3
        running.process.send_signal(number)
        assert running.process.stderr is not None
        running.process.stderr.read()
        assert running.process.wait() == 0
        assert not [pid for pid in pids if is_alive(pid)]


def test_the_log_tells_of_events_that_are_tried_again_and_of_those_that_are_lost(
    tmp_path: Path,
) -> None:
    project(tmp_path, OK)
    with up(tmp_path) as running:
        path = f"/2015-03-31/functions/{re.sub('[^A-Za-z0-9_-]', '-', tmp_path.name)}/invocations"
        headers = {"X-Amz-Invocation-Type": "Event"}
        answer = httpx.post(running.invoke_url + path, json={"order": 7}, headers=headers)
        request_id = answer.headers["x-amzn-requestid"]
        retry = running.logged("it is tried again in 1 s")
        assert retry.startswith(f"up     | event {request_id} failed (")
        running.process.send_signal(signal.SIGINT)
        lost = running.logged("lost")
        assert lost == f"up     | 1 event is queued or at work still, and lost: {request_id}\n"


def test_not_even_its_own_death_leaves_a_process_behind(tmp_path: Path) -> None:
    project(tmp_path, OK)
    with up(tmp_path) as running:
        pids = descendants(running.process.pid)
        running.process.kill()
        while any(is_alive(pid) for pid in pids):
            os.sched_yield()


def test_ports_are_stable_by_default_and_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    project(tmp_path, OK)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ports = ["--lambda-port", "0", "--ecs-port", port, "--invoke-port", "0"]
        failed = subprocess.run(
            command("up", *ports), cwd=tmp_path, capture_output=True, text=True, check=False
        )
    assert failed.returncode == 3
    assert failed.stderr.splitlines()[-2:] == [
        f"error: port {port} is taken",
        "hint: choose another with --ecs-port, or 0 for any that is free",
    ]
    shown = subprocess.run(command("up", "--help"), capture_output=True, text=True, check=True)
    assert [f"[default: {port};" in shown.stdout for port in (8001, 8002, 8003)] == [True] * 3


def test_further_front_doors_are_on_the_ports_behind_the_invoke_api() -> None:
    def numbers(first: int, count: int) -> list[int]:
        return [port.number for port in in_turn(Port(first, "--lambda-port"), count)]

    assert numbers(8001, 1) == [8001]
    assert numbers(8001, 4) == [8001, 8004, 8005, 8006]
    assert numbers(0, 3) == [0, 0, 0]


def test_a_port_that_the_others_lead_to_and_that_is_none_is_named(tmp_path: Path) -> None:
    project(tmp_path, OK)
    ports = ["--lambda-port", "65534", "--ecs-port", "0", "--invoke-port", "0"]
    failed = subprocess.run(
        command("up", *ports, "--front-doors", "alb,rest-api"), cwd=tmp_path, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert failed.returncode == 3
    assert failed.stderr.splitlines()[-2:] == [
        "error: port 65537 does not exist: 65535 is the last",
        "hint: choose another with --lambda-port, or 0 for any that is free",
    ]


@pytest.mark.parametrize(
    ("ports", "message"),
    [
        pytest.param(
            (9105, 9105, 0), "port 9105 is that of one of Lambda's front doors already", id="Lambda"
        ),
        pytest.param(
            (9107, 9110, 0), "port 9110 is that of one of Lambda's front doors already", id="door"
        ),
        pytest.param((0, 9105, 9105), "port 9105 is that of --ecs-port already", id="ECS"),
    ],
)
def test_a_port_that_is_given_twice_is_told_apart_from_one_that_others_have(
    tmp_path: Path, ports: tuple[int, int, int], message: str
) -> None:
    project(tmp_path, OK)
    names = ("lambda", "ecs", "invoke")
    options = [f"--{name}-port={port}" for name, port in zip(names, ports, strict=True)]
    failed = subprocess.run(
        command("up", *options, "--front-doors", "http-api,alb"),
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert failed.returncode == 3
    assert f"error: {message}" in failed.stderr


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        pytest.param("http-api,rest", "there is no front door 'rest': did you mean rest-api?",
                     id="the nearest"),
        pytest.param("gateway", "there is no front door 'gateway': http-api, http-api-v1, "
                     "rest-api, function-url, alb", id="none is near"),
        pytest.param("alb,", "there is no front door ''", id="nothing behind the comma"),
        pytest.param("alb,alb", "the front door alb is named twice", id="twice"),
    ],
)  # fmt: skip
def test_a_front_door_that_is_none_is_a_usage_error(
    tmp_path: Path, names: str, sentence: str
) -> None:
    project(tmp_path, OK)
    failed = subprocess.run(
        command("up", *FREE_PORTS, "--front-doors", names), cwd=tmp_path, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert failed.returncode == 2
    assert f"--front-doors: {sentence}" in failed.stderr


@pytest.mark.parametrize(
    ("arguments", "settings", "app", "sentence"),
    [
        pytest.param(["no/such/folder"], "", OK, "there is no folder", id="no folder"),
        pytest.param([], 'ap = "main:app"', OK, "there is no setting 'ap'", id="unknown key"),
        pytest.param([], "[tool.ambidex.lambda]\nmemory = 1", OK, "memory = 1 must be", id="range"),
        pytest.param([], '[tool.ambidex.lambda]\nstage = "a/b"', OK, "stage = 'a/b' must be",
                     id="stage"),
        pytest.param([], '[tool.ambidex.lambda]\nfront-door = "alb"\ndomain = "a.example.com"', OK,
                     "domain = 'a.example.com' and front-door = 'alb' exclude each other",
                     id="settings that exclude each other"),
        pytest.param([], 'env-file = "none"', OK, "there is no such file", id="no env-file"),
        pytest.param([], 'environment = { AWS_LAMBDA_RUNTIME_API = "x" }', OK,
                     "is kept for the platform", id="a variable of Lambda's own"),
        pytest.param(["main:ap"], "", OK, "there is no 'ap' in module 'main'", id="no attribute"),
        pytest.param(["mian:app"], "", OK, "there is no module 'mian'", id="no module"),
        pytest.param([], "", "app = 7", "is not an ASGI app", id="no ASGI app"),
        pytest.param([], "", "1 / 0", "ZeroDivisionError: division by zero", id="failing import"),
        pytest.param([], "", """
            async def app(scope, receive, send):
                await receive()
                raise RuntimeError("the database is away")
            """, "the app's startup failed: RuntimeError: the database is away",
            id="failing startup"),
        pytest.param([], '[tool.ambidex.lambda]\ncommand = ["no-such-program"]', OK,
                     "there is no program 'no-such-program'", id="no program"),
    ],
)  # fmt: skip
def test_what_keeps_it_from_starting_is_one_sentence(
    tmp_path: Path, arguments: list[str], settings: str, app: str, sentence: str
) -> None:
    project_files(tmp_path, app, settings)
    failed = subprocess.run(
        command("up", *FREE_PORTS, *arguments), cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert failed.returncode == 3
    assert failed.stdout == ""
    errors = [line for line in failed.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert sentence in failed.stderr
    assert "src/ambidex/local" not in failed.stderr


def project_files(folder: Path, app: str, settings: str) -> None:
    from textwrap import dedent

    (folder / "main.py").write_text(dedent(PLAIN) + dedent(app))
    (folder / "pyproject.toml").write_text(f'[tool.ambidex]\napp = "main:app"\n{settings}')


def test_an_app_that_nobody_names_is_asked_for(tmp_path: Path) -> None:
    failed = subprocess.run(
        command("up", *FREE_PORTS), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert failed.returncode == 3
    assert f"error: there is no {tmp_path}/pyproject.toml" in failed.stderr
    assert "ambidex up main:app" in failed.stderr


def test_a_module_without_an_attribute_is_told_how_to_name_it(tmp_path: Path) -> None:
    project(tmp_path, OK)
    failed = subprocess.run(
        command("up", "main"), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert failed.returncode == 3
    assert "hint: for `app` in main.py: ambidex up main:app" in failed.stderr


@pytest.mark.parametrize(
    ("argument", "hint"),
    [
        pytest.param("main.py", "for `app` in main.py: ambidex up main:app", id="file"),
        pytest.param("sub/pyproject.toml", "name the folder that it is in: ambidex up", id="toml"),
        pytest.param("sub/other.py", "for `app` in other.py: ambidex up other:app", id="below"),
    ],
)
def test_a_file_in_the_place_of_a_folder_is_told_how_to_name_it(
    tmp_path: Path, argument: str, hint: str
) -> None:
    project(tmp_path, OK)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "pyproject.toml").touch()
    (tmp_path / "sub" / "other.py").touch()
    failed = subprocess.run(
        command("up", argument), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert failed.returncode == 3
    assert f"hint: {hint}" in failed.stderr


def test_a_health_path_that_never_answers_200_is_an_error_that_names_it(tmp_path: Path) -> None:
    project(tmp_path, OK.replace("answer(send,", "answer(send, status=404,"))
    failed = subprocess.run(
        command("up", *FREE_PORTS), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert failed.returncode == 3
    assert failed.stderr.splitlines()[-2:] == [
        "error: the app does not become healthy on ECS: GET /: "
        "Health checks failed with these codes: [404]",
        "hint: name a path that answers 200 as `health-path` in [tool.ambidex.ecs]",
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_it_is_ready_ends_everything(
    tmp_path: Path, number: signal.Signals
) -> None:
    app = """
    import time
    print("importing", flush=True)
    time.sleep(600)
    """
    project(tmp_path, app)
    process = subprocess.Popen(
        command("up", *FREE_PORTS), cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    until(process.stderr, lambda line: "importing" in line)
    pids = descendants(process.pid)
    process.send_signal(number)
    rest = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 130
    assert "stopped before it was ready" in rest
    assert "Traceback" not in rest
    assert not [pid for pid in pids if is_alive(pid)]


def test_an_app_can_be_named_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(PLAIN + OK)
    with up(tmp_path, "main:app") as running:
        assert httpx.get(running.lambda_url).text == "one"
        assert httpx.get(running.ecs_url).text == "one"


def test_a_change_of_the_source_restarts_both(tmp_path: Path) -> None:
    project(tmp_path, OK)
    with up(tmp_path, "--reload") as running:
        assert httpx.get(running.lambda_url).text == "one"
        # Of another length, for Python's own cache tells sources apart by second and size.
        project(tmp_path, OK.replace("one", "number two"))
        running.logged("main.py changed: restarting")
        for url in (running.lambda_url, running.ecs_url):
            while httpx.get(url).text != "number two":
                os.sched_yield()


def test_nothing_times_out_while_somebody_debugs(tmp_path: Path) -> None:
    app = """
    import asyncio
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        if scope["path"] == "/slow":
            await asyncio.sleep(1.5)
        await answer(send, body=b"one")
    """
    project(tmp_path, app, "[tool.ambidex.lambda]\ntimeout = 1")
    with up(tmp_path, "--debug") as running:
        assert httpx.get(f"{running.lambda_url}/slow").status_code == 200


def test_restarts_and_the_end_leave_no_word_of_ours(tmp_path: Path) -> None:
    project(tmp_path, OK)
    with up(tmp_path, "--reload") as running:
        for number in range(3):
            project(tmp_path, OK.replace("one", "a" * (number + 10)))
            running.logged("main.py changed: restarting")
            while len(httpx.get(running.lambda_url).text) != number + 10:
                os.sched_yield()
        running.process.send_signal(signal.SIGINT)
        assert running.process.stderr is not None
        rest = running.process.stderr.read()
        assert running.process.wait() == 0
        assert "Traceback" not in rest
        assert "Task " not in rest


def test_a_reader_of_the_log_that_leaves_stops_nothing(tmp_path: Path) -> None:
    project(tmp_path, OK)
    with up(tmp_path) as running:
        assert running.process.stderr is not None
        running.process.stderr.close()
        for _ in range(3):
            assert httpx.get(running.lambda_url).text == "one"
            assert httpx.get(running.ecs_url).text == "one"
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait() == 0


@pytest.mark.parametrize("module", ["httptools", "dotenv", "watchfiles"])
def test_a_part_of_its_extra_that_is_missing_is_named(tmp_path: Path, module: str) -> None:
    project(tmp_path, OK)
    (tmp_path / ".env").write_text("A=1\n")
    script = (
        f"import sys; sys.modules[{module!r}] = None; from ambidex.cli import run; "
        f"sys.exit(run(['up', '--reload', *{FREE_PORTS!r}]))"
    )
    failed = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False,
        timeout=30,
    )  # fmt: skip
    assert failed.returncode == 3
    assert f"error: `ambidex up` needs {module}, which is not installed" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_unknown_options_and_commands_are_usage_errors() -> None:
    for arguments in (["up", "--nonsense"], ["nonsense"]):
        failed = subprocess.run(command(*arguments), capture_output=True, text=True, check=False)
        assert failed.returncode == 2
        assert "No such" in failed.stderr
