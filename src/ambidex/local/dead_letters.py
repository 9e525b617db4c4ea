"""Events that failed for good: each is a line of a file in the project's folder.

The line is what AWS sends to an on-failure destination, of which there is none here.

Source: lambda/latest/dg/invocation-async-retain-records.html, "Example invocation record"
"""

from datetime import UTC, datetime
from json import dumps, loads
from pathlib import Path
from typing import Any, NamedTuple

from ambidex.local.invocation import Outcome

# In the project's folder.
FILE = ".ambidex/dead-letters.jsonl"


class DeadLetter(NamedTuple):
    """An event, and what became of it."""

    request_id: str
    function_arn: str
    version: str
    condition: str  # RetriesExhausted or EventAgeExceeded
    invoke_count: int  # how often the function was invoked with it
    event: bytes
    outcome: Outcome | None  # the last one; None if the function was never invoked with it


def record(letter: DeadLetter, when: datetime) -> dict[str, Any]:
    """A dead letter in AWS's form.

    An event that never reached the function has no response; AWS does not document its record.

    Args:
        letter: the event.
        when: now, with a time zone.
    """
    document = {
        "version": "1.0",
        "timestamp": f"{when.astimezone(UTC).replace(tzinfo=None).isoformat('T', 'milliseconds')}Z",
        "requestContext": {
            "requestId": letter.request_id,
            "functionArn": f"{letter.function_arn}:{letter.version}",
            "condition": letter.condition,
            "approximateInvokeCount": letter.invoke_count,
        },
        "requestPayload": _value(letter.event),
    }
    if letter.outcome is not None:
        document["responseContext"] = {
            "statusCode": 200,
            "executedVersion": letter.version,
            "functionError": "Unhandled",
        }
        document["responsePayload"] = _value(letter.outcome.payload)
    return document


def append(folder: Path, letter: DeadLetter, when: datetime) -> None:
    """Add a dead letter to the file of a project; its folder is kept out of git.

    Raises:
        OSError: it cannot be written.
    """
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    ignore = path.parent / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    with path.open("a") as file:
        file.write(f"{dumps(record(letter, when))}\n")


def _value(document: bytes) -> Any:  # noqa: ANN401 – any JSON
    try:
        return loads(document)
    except (ValueError, RecursionError):  # a runtime may have posted anything
        return document.decode(errors="replace")
