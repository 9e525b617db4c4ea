"""`ambidex serve` with many requests at a time, in processes of its own."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ambidex.runtime.main import INIT_FAILED
from ambidex.runtime.managed_instances import share
from tests.project import project
from tests.runtime.held_runtime_api import HeldRuntimeApi, held_runtime_api

# It says which process it is, and waits for as long as there is no file of the path's name.
APP = """
import asyncio, logging, os, sys
from contextlib import asynccontextmanager
from pathlib import Path

logger = logging.getLogger("app")
with Path("imported").open("a") as file:
    print(os.getpid(), file=file)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        with Path("shut-down").open("a") as file:
            print(os.getpid(), file=file)
        return await send({"type": "lifespan.shutdown.complete"})
    request_id = scope["aws.context"].aws_request_id
    gate = Path(scope["path"][1:])
    while scope["path"] != "/" and not gate.exists():
        await asyncio.sleep(0.01)
    logger.error("of %s", request_id)
    trace_id = os.environ.get("_X_AMZN_TRACE_ID", "")
    await answer(send, body=f"{os.getpid()} {trace_id}".encode())
"""


class Served:
    """A process under test."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._log: list[str] = []

    def pids(self, name: str = "imported") -> list[int]:
        """The processes that have written themselves into a file."""
        file = self._folder / name
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def logged(self, text: str) -> None:
        """Wait for a line of the log that holds a text."""
        assert self._process.stderr is not None
        while not any(text in line for line in self._log):
            line = await self._process.stderr.readline()
            assert line, f"no {text!r} in {self._log}"
            self._log.append(line.decode().rstrip("\n"))

    async def ended(self) -> tuple[int, list[str]]:
        """Wait for the end; the exit status and the log."""
        _, log = await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode, self._log + log.decode().splitlines()


def serving(
    folder: Path,
    test: Callable[[HeldRuntimeApi, Served], Awaitable[None]],
    app: str = APP,
    **variables: str,
) -> None:
    """Run `ambidex serve`, and a test with it."""
    project(folder, app)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AMBIDEX_", "AWS_"))}
    environ = inherited | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | variables

    async def main() -> None:
        async with held_runtime_api() as api:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "ambidex", "serve", "main:app"),
                cwd=folder,
                env=environ | {"AWS_LAMBDA_RUNTIME_API": api.address},
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
            try:
                await test(api, Served(process, folder))
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("total", "shares"),
    [(16, [16]), (16, [8, 8]), (16, [6, 5, 5]), (3, [1, 1, 1]), (64, [16, 16, 16, 16])],
)
def test_workers_share_the_requests_evenly(total: int, shares: list[int]) -> None:
    assert [share(total, n, len(shares)) for n in range(len(shares))] == shares


@pytest.mark.parametrize(
    ("workers", "processes"), [("1", [16]), ("2", [8, 8]), ("3", [5, 5, 6]), ("20", [1] * 16)]
)
def test_as_many_processes_as_the_settings_say_answer_all_requests_at_once(
    tmp_path: Path, workers: str, processes: list[int]
) -> None:
    async def test(api: HeldRuntimeApi, served: Served) -> None:
        await api.until(lambda: api.held == 16)
        ids = [f"r-{n}" for n in range(16)]
        for request_id in ids:
            await api.hand_out(request_id, "/gate")
        (tmp_path / "gate").touch()
        pids = Counter([(await api.answer(request_id)).text.split()[0] for request_id in ids])
        assert sorted(pids.values()) == processes
        # Where there are workers, the process above them has imported nothing of the app.
        assert sorted(map(int, pids)) == sorted(served.pids())

    serving(tmp_path, test, AWS_LAMBDA_MAX_CONCURRENCY="16", AMBIDEX_LAMBDA_WORKERS=workers)


def test_more_workers_than_requests_are_a_warning(tmp_path: Path) -> None:
    async def test(api: HeldRuntimeApi, served: Served) -> None:
        await api.until(lambda: api.held == 2)
        served.signal(signal.SIGTERM)
        _, log = await served.ended()
        assert any("workers = 3, but Lambda sends 2 requests at a time" in line for line in log)

    serving(tmp_path, test, AWS_LAMBDA_MAX_CONCURRENCY="2", AMBIDEX_LAMBDA_WORKERS="3")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_logs_and_trace_ids_are_of_their_request(tmp_path: Path, workers: str) -> None:
    async def test(api: HeldRuntimeApi, served: Served) -> None:
        await api.until(lambda: api.held == 8)
        ids = [f"r-{n}" for n in range(8)]
        for request_id in ids:
            await api.hand_out(request_id, f"/{request_id}", f"Root={request_id}")
        for request_id in reversed(ids):
            (tmp_path / request_id).touch()
            assert (await api.answer(request_id)).text.split()[1] == f"Root={request_id}"
        served.signal(signal.SIGTERM)
        _, log = await served.ended()
        for request_id in ids:
            (line,) = [line for line in log if f"of {request_id}" in line]
            assert line.count(request_id) == 2, line

    serving(tmp_path, test, AWS_LAMBDA_MAX_CONCURRENCY="8", AMBIDEX_LAMBDA_WORKERS=workers)


@pytest.mark.parametrize("workers", ["1", "3"])
def test_sigterm_lets_requests_finish_then_shuts_each_app_down_and_ends_with_0(
    tmp_path: Path, workers: str
) -> None:
    async def test(api: HeldRuntimeApi, served: Served) -> None:
        await api.until(lambda: api.held == 12)
        ids = ["r-1", "r-2", "r-3"]
        for request_id in ids:
            await api.hand_out(request_id, "/gate")
        busy = {await first_line(tmp_path / f"at-{request_id}") for request_id in ids}
        served.signal(signal.SIGTERM)
        # Each worker has more slots than are at work, so each has taken the signal then.
        await api.until(lambda: api.held == 0)
        assert not busy & set(served.pids("shut-down"))
        (tmp_path / "gate").touch()
        for request_id in ids:
            await api.answer(request_id)
        status, _ = await served.ended()
        assert status == 0
        assert sorted(served.pids("shut-down")) == sorted(served.pids())
        assert api.calls.count("invocation/next") == 12

    app = APP.replace(
        "    gate =", "    print(os.getpid(), file=Path(f'at-{request_id}').open('w'))\n    gate ="
    )
    serving(tmp_path, test, app, AWS_LAMBDA_MAX_CONCURRENCY="12", AMBIDEX_LAMBDA_WORKERS=workers)


async def first_line(file: Path) -> int:
    while not file.exists() or not file.read_text().endswith("\n"):  # noqa: ASYNC110, ASYNC240 – another process writes it
        await asyncio.sleep(0.01)
    return int(file.read_text())  # noqa: ASYNC240 – it is there


def test_a_worker_that_is_killed_leaves_the_others_and_is_replaced(tmp_path: Path) -> None:
    async def test(api: HeldRuntimeApi, served: Served) -> None:
        await api.until(lambda: api.held == 4)
        first, second = served.pids()
        os.kill(first, signal.SIGKILL)
        await api.until(lambda: api.held == 2)
        for number in range(2):
            await api.hand_out(f"r-{number}", "/gate")
        await api.until(lambda: api.held == 2)  # those of the new one
        (tmp_path / "gate").touch()
        for number in range(2):
            assert (await api.answer(f"r-{number}")).text.split() == [str(second)]
        *_, third = served.pids()
        await api.until(lambda: api.held == 4)
        for number in range(2, 6):
            await api.hand_out(f"r-{number}")
        pids = [(await api.answer(f"r-{number}")).text.strip() for number in range(2, 6)]
        assert sorted(pids) == sorted([str(second), str(third)] * 2)
        served.signal(signal.SIGTERM)
        status, log = await served.ended()
        assert status == 0
        end = f"(process {first}) was ended by signal 9 (Killed): started again in 0.1 s"
        assert [line for line in log if line.endswith(end)]

    serving(tmp_path, test, AWS_LAMBDA_MAX_CONCURRENCY="4", AMBIDEX_LAMBDA_WORKERS="2")


def test_a_worker_that_ends_five_times_in_a_row_is_given_up_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    async def test(api: HeldRuntimeApi, served: Served) -> None:
        await api.until(lambda: api.held == 1)
        await served.logged("given up")
        await api.hand_out("r-1")
        assert (await api.answer("r-1")).text.strip() in map(str, served.pids())
        served.signal(signal.SIGTERM)
        status, log = await served.ended()
        assert status == 0
        ends = [line for line in log if "ended with status 7" in line]
        delays = ("0.1 s", "0.2 s", "0.4 s", "0.8 s", "given up")
        assert len(ends) == 5
        assert all(line.endswith(delay) for line, delay in zip(ends, delays, strict=True))

    # The first process to come stays.
    app = (
        APP + "\ntry:\n    Path('stays').touch(exist_ok=False)\nexcept OSError:\n    os._exit(7)\n"
    )
    serving(tmp_path, test, app, AWS_LAMBDA_MAX_CONCURRENCY="2", AMBIDEX_LAMBDA_WORKERS="2")


def test_when_all_workers_are_given_up_the_process_ends(tmp_path: Path) -> None:
    async def test(api: HeldRuntimeApi, served: Served) -> None:
        status, log = await served.ended()
        assert status == 1
        assert sum("given up" in line for line in log) == 2
        assert api.calls == []

    app = "import os\nos._exit(7)"
    serving(tmp_path, test, app, AWS_LAMBDA_MAX_CONCURRENCY="2", AMBIDEX_LAMBDA_WORKERS="2")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_failed_init_is_reported_and_ends_the_process_and_its_workers(
    tmp_path: Path, workers: str
) -> None:
    async def test(api: HeldRuntimeApi, served: Served) -> None:
        status, log = await served.ended()
        assert status == INIT_FAILED
        assert {error["errorType"] for error in api.init_errors} == {"Runtime.ImportModuleError"}
        assert not any("started again" in line for line in log)

    app = "raise ValueError('no')"
    serving(tmp_path, test, app, AWS_LAMBDA_MAX_CONCURRENCY="2", AMBIDEX_LAMBDA_WORKERS=workers)


def test_a_failed_init_of_an_ordinary_function_is_a_status_of_1(tmp_path: Path) -> None:
    async def test(api: HeldRuntimeApi, served: Served) -> None:
        assert (await served.ended())[0] == 1
        assert len(api.init_errors) == 1

    serving(tmp_path, test, "raise ValueError('no')")


def test_a_failed_init_of_one_worker_is_no_matter_while_others_answer(tmp_path: Path) -> None:
    async def test(api: HeldRuntimeApi, served: Served) -> None:
        api.init_status = 403  # another one has called next
        await api.until(lambda: api.held == 1)
        await api.until(lambda: len(api.init_errors) >= 2)
        (tmp_path / "well").touch()
        await api.until(lambda: api.held == 2)
        served.signal(signal.SIGTERM)
        assert (await served.ended())[0] == 0

    app = APP + (
        "\ntry:\n    Path('stays').touch(exist_ok=False)\n"
        "except OSError:\n    if not Path('well').exists():\n        raise ValueError('not yet')\n"
    )
    serving(tmp_path, test, app, AWS_LAMBDA_MAX_CONCURRENCY="2", AMBIDEX_LAMBDA_WORKERS="2")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        pytest.param(
            {"AWS_LAMBDA_MAX_CONCURRENCY": "many"},
            "AWS_LAMBDA_MAX_CONCURRENCY = 'many' is no number of requests from 1",
            id="no number",
        ),
        pytest.param(
            {"AWS_LAMBDA_MAX_CONCURRENCY": "0"},
            "AWS_LAMBDA_MAX_CONCURRENCY = '0' is no number of requests from 1",
            id="none at all",
        ),
        pytest.param(
            {"AWS_LAMBDA_MAX_CONCURRENCY": "2", "AMBIDEX_LAMBDA_WORKERS": "0"},
            "workers = 0",
            id="no worker",
        ),
    ],
)
def test_a_number_that_is_none_is_an_error_of_the_init(
    tmp_path: Path, variables: dict[str, str], message: str
) -> None:
    async def test(api: HeldRuntimeApi, served: Served) -> None:
        assert (await served.ended())[0] == INIT_FAILED
        (error,) = api.init_errors
        assert error["errorType"] == "Runtime.InvalidSetting"
        assert message in error["errorMessage"]

    serving(tmp_path, test, **variables)


def test_a_runtime_api_that_is_gone_ends_the_process(tmp_path: Path) -> None:
    async def test(api: HeldRuntimeApi, served: Served) -> None:
        api.next_statuses.extend([500] * 100)
        status, log = await served.ended()
        assert status == 1
        assert "500" in log[-1]

    serving(tmp_path, test, AWS_LAMBDA_MAX_CONCURRENCY="2")
