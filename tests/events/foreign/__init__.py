"""The events that other emulators made of the same requests, as they are committed here."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

SAM_CLI = "SAM CLI"
SERVERLESS_OFFLINE = "serverless-offline"

FOLDER = Path(__file__).parent


class Emulation(NamedTuple):
    """One emulator as one event source."""

    emulator: str
    source: str  # its id in the table of cases

    @property
    def path(self) -> Path:
        """Where its events are."""
        name = (
            f"{self.emulator} {self.source}".lower()
            .replace(",", "")
            .replace("*/*", "any")
            .replace(" ", "-")
        )
        return FOLDER / f"{name}.json"


class Events(NamedTuple):
    """What an emulator made of the table's requests."""

    versions: Mapping[str, str]  # of its packages
    cases: Mapping[str, Mapping[str, Any] | int]  # the event, or the status of its refusal


EMULATIONS = (
    Emulation(SAM_CLI, "http_api, default stage"),
    Emulation(SAM_CLI, "http_api, named stage"),
    Emulation(SAM_CLI, "http_api_v1, default stage"),
    Emulation(SAM_CLI, "http_api_v1, named stage"),
    Emulation(SAM_CLI, "rest_api, no binary media types"),
    Emulation(SAM_CLI, "rest_api, binary */*"),
    Emulation(SERVERLESS_OFFLINE, "http_api, default stage"),
    Emulation(SERVERLESS_OFFLINE, "http_api_v1, default stage"),
    Emulation(SERVERLESS_OFFLINE, "rest_api, no binary media types"),
    Emulation(SERVERLESS_OFFLINE, "alb, multi values"),
)


@cache
def events(emulation: Emulation) -> Events:
    """The events of an emulation, by case."""
    return Events(**json.loads(emulation.path.read_text("utf-8")))
