"""Has the emulators make their events of the table's requests: `make foreign`.

Each emulator serves as it does for its users, with a function that keeps its events; the requests
go to it as bytes over a loopback socket. What differs from run to run is replaced, and the files
beside this module are written. The exit code is 1 if one of them has changed.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tests.events.cases import REQUESTS
from tests.events.foreign import EMULATIONS, FOLDER, SAM_CLI, Emulation
from tests.events.foreign.wire import HOST, NOT_SENT, encode, exchange, sent
from tests.project import ROOT

BIN = ROOT / ".foreign" / "bin"
SAM_FOLDER = FOLDER / "sam_cli"
SERVERLESS_FOLDER = FOLDER / "serverless_offline"
START_S = 60

# What differs from run to run, in an event's JSON, and what stands for it.
VOLATILE = (
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "00000000-0000-4000-8000-000000000000"),
    (r"\b\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d ([+-]\d{4})", r"24/Nov/2025:16:00:00 \1"),
    (r'("(?:requestTimeEpoch|timeEpoch)": )\d{13}\b', r"\g<1>1764000000123"),
    (r'("(?:requestTimeEpoch|timeEpoch)": )\d{10}\b', r"\g<1>1764000000"),
)
PORT = "3000"  # in the place of the one that was free

# By source, or by its module for all its sources.
TEMPLATES = {
    "http_api": "http_api.yml",
    "http_api_v1": "http_api.yml",
    "rest_api": "rest_api.yml",
    "rest_api, binary */*": "rest_api_binary.yml",
}


class Start(NamedTuple):
    """How an emulator is started as a source."""

    command: Sequence[str | Path]
    environ: Mapping[str, str] = {}
    prefix: str = ""  # what its URLs have in front of the path
    packages: Sequence[str] = ()  # whose versions make the events


def main() -> int:
    """Write every file; 1 if one has changed."""
    changed = []
    for emulation in EMULATIONS:
        before = emulation.path.read_bytes() if emulation.path.exists() else b""
        after = made(emulation).encode()
        emulation.path.write_bytes(after)
        same = before == after
        print("as committed" if same else "CHANGED", emulation.path.relative_to(ROOT), flush=True)
        if not same:
            changed.append(emulation.path.name)
    return 1 if changed else 0


def made(emulation: Emulation) -> str:
    """The file of an emulation: one line a case."""
    port = free_port()
    start = sam_cli(emulation, port) if emulation.emulator == SAM_CLI else offline(emulation, port)
    with TemporaryDirectory() as folder, running(start, port, Path(folder)) as kept:
        cases = [
            f"    {dumps(case.id)}: {dumps(answered(case_bytes, port, kept))}"
            for case in REQUESTS
            if case.id not in NOT_SENT
            for case_bytes in [encode(sent(case), start.prefix)]
        ]
    joined = ",\n".join(cases)
    return f'{{\n  "versions": {dumps(versions(start))},\n  "cases": {{\n{joined}\n  }}\n}}\n'


def answered(request: bytes, port: int, kept: Path) -> Any:
    """The event of a request, without what differs from run to run; else the refusal's status."""
    kept.write_bytes(b"")
    status = exchange(port, request)
    events = kept.read_text("utf-8").split("\n")[:-1]
    if not events:
        return status
    (line,) = events
    text = dumps(json.loads(line)).replace(f'"{port}"', f'"{PORT}"')
    for pattern, name in VOLATILE:
        text = re.sub(pattern, name, text)
    return json.loads(text)


def sam_cli(emulation: Emulation, port: int) -> Start:
    """SAM CLI's `local start-api`."""
    module, _, mode = emulation.source.partition(", ")
    parameters = {
        "Payload": "1.0" if module == "http_api_v1" else "2.0",
        "Stage": "prod" if mode == "named stage" else "$default",
    }
    template = TEMPLATES.get(emulation.source) or TEMPLATES[module]
    return Start(
        (
            *(BIN / "python", SAM_FOLDER / "start_api.py"),
            *(SAM_FOLDER / template, str(port)),
            *(f"{name}={value}" for name, value in parameters.items()),
        ),
        {"SAM_CLI_TELEMETRY": "0"},
        packages=("aws-sam-cli", "Flask", "Werkzeug"),
    )


def offline(emulation: Emulation, port: int) -> Start:
    """serverless-offline; it always listens for invocations, too."""
    module = emulation.source.partition(", ")[0]
    service = "http_api" if module == "http_api_v1" else module
    return Start(
        (
            BIN / "node",
            SERVERLESS_FOLDER / "node_modules" / "serverless" / "bin" / "serverless.js",
            *("offline", "--config", f"{service}.yml", "--host", HOST, "--noSponsor"),
            *("--albPort" if module == "alb" else "--httpPort", str(port)),
            *("--lambdaPort", str(free_port())),
            *(["--noPrependStageInUrl"] if module == "alb" else []),
        ),
        {
            "PAYLOAD": "1.0" if module == "http_api_v1" else "2.0",
            "SLS_TELEMETRY_DISABLED": "1",
            "SLS_NOTIFICATIONS_MODE": "off",
        },
        prefix="/prod" if module == "rest_api" else "",
        packages=("serverless", "serverless-offline", "@hapi/hapi"),
    )


@contextmanager
def running(start: Start, port: int, folder: Path) -> Iterator[Path]:
    """Run an emulator in a home of its own; the file to which its function appends events."""
    kept = folder / "events"
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TZ": "UTC",
        "EVENTS": str(kept),
        **start.environ,
    }
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            list(map(str, start.command)), cwd=SERVERLESS_FOLDER, env=environ,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        ) as process,
    ):  # fmt: skip
        try:
            wait_until_open(process, port, folder / "log")
            yield kept
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_until_open(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Wait for an emulator to listen."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    sys.exit(f"an emulator does not listen:\n{log.read_text('utf-8', 'replace')}")


def versions(start: Start) -> Mapping[str, str]:
    """The versions of the packages that make the events."""
    return {name: version(name) for name in start.packages}


def version(package: str) -> str:
    """The version of a package in the emulators' environments."""
    manifest = SERVERLESS_FOLDER / "node_modules" / package / "package.json"
    if manifest.exists():
        return str(json.loads(manifest.read_text("utf-8"))["version"])
    code = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    command = (str(BIN / "python"), "-c", code, package)
    shown = subprocess.run(command, check=True, capture_output=True, text=True)
    return str(shown.stdout).strip()


def dumps(value: object) -> str:
    """JSON in ASCII, on one line."""
    return json.dumps(value)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
