"""The Extensions API's other end: its calls, and the states an extension goes through by them.

- The init is over when the runtime and every extension have asked for the next event, the invoke
  phase when the runtime and every extension that takes INVOKE have.
- Extensions register until the runtime asks for its first event.
- All are internal ones here: what the environment's own command starts is the runtime's, and only
  Lambda itself starts external ones. An internal extension may not ask for SHUTDOWN, and with
  Managed Instances for nothing at all.

Source: lambda/latest/dg/runtimes-extensions-api.html; the states, and the refusals, which that page
does not name, are those of aws-lambda-runtime-interface-emulator.
"""

import asyncio
from enum import Enum
from json import dumps, loads
from typing import NamedTuple
from uuid import UUID

from ambidex.errors import shown
from ambidex.http import Headers, header
from ambidex.local.ids import request_id as new_id
from ambidex.local.runtime_api import ACCEPTED, JSON, Answer, Attempt, refused

BASE = b"/2020-01-01/"
MOST_EXTENSIONS = 10


class Call(Enum):
    """What an extension asks of the Extensions API."""

    REGISTER = "POST /extension/register"
    NEXT = "GET /extension/event/next"
    INIT_ERROR = "POST /extension/init/error"
    EXIT_ERROR = "POST /extension/exit/error"


class State(Enum):
    """Where an extension is in its life."""

    STARTED = "has not registered"
    REGISTERED = "has registered, and not asked for an event"
    READY = "has asked for an event"
    RUNNING = "has an event"
    INIT_FAILED = "has reported that its init failed"
    EXITED = "has reported that it ends"


TRANSITIONS = {
    (State.STARTED, Call.REGISTER): State.REGISTERED,
    (State.REGISTERED, Call.NEXT): State.READY,
    (State.REGISTERED, Call.INIT_ERROR): State.INIT_FAILED,
    (State.REGISTERED, Call.EXIT_ERROR): State.EXITED,
    (State.READY, Call.EXIT_ERROR): State.EXITED,
    (State.RUNNING, Call.NEXT): State.READY,
    (State.RUNNING, Call.EXIT_ERROR): State.EXITED,
    (State.INIT_FAILED, Call.INIT_ERROR): State.INIT_FAILED,
    (State.EXITED, Call.EXIT_ERROR): State.EXITED,
}
"""By calls; READY becomes RUNNING by an event. Any other call is refused with a 403."""

_CALLS = {call.value: call for call in Call}

# How Lambda names the end of an environment after these calls.
ERROR_TYPES = {Call.INIT_ERROR: "Extension.InitError", Call.EXIT_ERROR: "Extension.ExitError"}


class Metadata(NamedTuple):
    """What an extension is told of the function when it registers."""

    function_name: str
    handler: str
    account_id: str
    function_version: str = "$LATEST"


class Registered(NamedTuple):
    """An extension, and the events that it takes."""

    name: str
    events: tuple[str, ...]


class _Extension:
    __slots__ = ("events", "identifier", "name", "next", "state")

    def __init__(self, name: str, events: tuple[str, ...]) -> None:
        self.name = name
        self.events = events
        self.identifier = new_id()
        self.state = TRANSITIONS[State.STARTED, Call.REGISTER]
        self.next: asyncio.Future[Answer] | None = None


class Extensions:
    """The extensions of one environment.

    Args:
        metadata: what they are told of the function.
        offered: the events that they may ask for.

    Attributes:
        is_open: whether more may register.
        error_type: of the first error that one of them has reported; empty without one.
    """

    def __init__(self, metadata: Metadata, offered: tuple[str, ...] = ("INVOKE",)) -> None:
        self.is_open = True
        self.error_type = ""
        self._offered = offered
        self._metadata = metadata
        self._extensions: dict[str, _Extension] = {}

    @property
    def are_ready(self) -> bool:
        """Whether each has asked for the next event."""
        return all(each.state is State.READY for each in self._extensions.values())

    @property
    def registered(self) -> list[Registered]:
        """Those that have registered."""
        return [Registered(each.name, each.events) for each in self._extensions.values()]

    def deliver(self, attempt: Attempt) -> None:
        """Give an invocation's event to those that take INVOKE; all have to be ready."""
        for each in self._extensions.values():
            if "INVOKE" in each.events:
                assert each.next is not None
                each.state = State.RUNNING
                each.next.set_result(invoke_event(attempt))

    def answer(
        self, call: Call, headers: Headers, document: bytes
    ) -> Answer | asyncio.Future[Answer]:
        """Take a call.

        Returns:
            The answer; of a call for the next event one that comes with it.
        """
        if call is Call.REGISTER:
            return self._register(headers, document)
        identifier = _text(headers, b"lambda-extension-identifier")
        extension = self._extensions.get(identifier)
        if extension is None:
            return _unknown(identifier)
        if call is not Call.NEXT and not _text(headers, _ERROR_TYPE):
            kind = "Extension.MissingHeader"
            return refused(403, kind, "Lambda-Extension-Function-Error-Type not found")
        if (extension.state, call) not in TRANSITIONS:
            message = f"{call.value} may not come now: {extension.name} {extension.state.value}"
            return refused(403, "Extension.InvalidExtensionState", message)
        extension.state = TRANSITIONS[extension.state, call]
        if call is not Call.NEXT:
            self.error_type = self.error_type or ERROR_TYPES[call]
            return ACCEPTED
        extension.next = asyncio.get_running_loop().create_future()
        return extension.next

    def _register(self, headers: Headers, document: bytes) -> Answer:
        name = _text(headers, b"lambda-extension-name")
        events = _events(document)
        problem = self._registration_problem(name, events)
        if problem is not None:
            return problem
        assert not isinstance(events, str)
        extension = _Extension(name, events)
        self._extensions[extension.identifier] = extension
        features = _text(headers, b"lambda-extension-accept-feature").split(",")
        return _registered(
            extension.identifier, self._metadata, {each.strip() for each in features}
        )

    def _registration_problem(self, name: str, events: tuple[str, ...] | str) -> Answer | None:
        if not name:
            return refused(403, "Extension.InvalidExtensionName", "Empty extension name")
        if isinstance(events, str):
            return refused(403, "InvalidRequestFormat", events)
        if events and not self._offered:
            message = "No events allowed for internal extensions"
            return refused(403, "Extension.InvalidEventType", message)
        for event in events:
            if event == "SHUTDOWN":
                message = "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension"
                return refused(403, "Extension.InvalidEventType", message)
            if event not in self._offered:
                message = f"{shown(event)}: ErrorInvalidEventType"
                return refused(403, "Extension.InvalidEventType", message)
        if not self.is_open:
            message = "Extension registration closed already"
            return refused(403, "Extension.RegistrationClosed", message)
        if any(each.name == name for each in self._extensions.values()):
            message = "Extension with this name already registered"
            return refused(403, "Extension.InvalidExtensionState", message)
        if len(self._extensions) >= MOST_EXTENSIONS:
            message = f"Extension limit ({MOST_EXTENSIONS}) reached"
            return refused(403, "Extension.TooManyExtensions", message)
        return None


def parse_call(method: str, target: bytes) -> Call | None:
    """The call that a request is; None if it is none."""
    if not target.startswith(BASE):
        return None
    path = target[len(BASE) :].decode("latin-1").partition("?")[0]
    return _CALLS.get(f"{method} /{path}")


def invoke_event(attempt: Attempt) -> Answer:
    """The answer of event/next when the function is invoked."""
    event = {
        "eventType": "INVOKE",
        "deadlineMs": attempt.deadline_ms,
        "requestId": attempt.request_id,
        "invokedFunctionArn": attempt.function_arn,
        "tracing": {"type": "X-Amzn-Trace-Id", "value": attempt.trace_id},
    }
    headers = (*JSON, (b"Lambda-Extension-Event-Identifier", new_id().encode()))
    return Answer(200, headers, dumps(event).encode())


def _registered(identifier: str, metadata: Metadata, features: set[str]) -> Answer:
    document = {
        "functionName": metadata.function_name,
        "functionVersion": metadata.function_version,
        "handler": metadata.handler,
    }
    if "accountId" in features:
        document["accountId"] = metadata.account_id
    headers = (*JSON, (b"Lambda-Extension-Identifier", identifier.encode()))
    return Answer(200, headers, dumps(document).encode())


def _unknown(identifier: str) -> Answer:
    if not identifier:
        message = "Missing Lambda-Extension-Identifier header"
        return refused(403, "Extension.MissingExtensionIdentifier", message)
    try:
        UUID(identifier)
    except ValueError:
        message = "Invalid Lambda-Extension-Identifier"
        return refused(403, "Extension.InvalidExtensionIdentifier", message)
    message = f"Unknown extension {identifier}"
    return refused(403, "Extension.UnknownExtensionIdentifier", message)


def _events(document: bytes) -> tuple[str, ...] | str:
    """The events that a registration asks for, or what is wrong with it."""
    try:
        value = loads(document)
    except ValueError as error:
        return f"the body is no JSON: {error}"
    events = value.get("events") or [] if isinstance(value, dict) else None
    if not isinstance(events, list) or not all(isinstance(event, str) for event in events):
        return "the body must be an object whose `events` is a list of strings"
    return tuple(events)


_ERROR_TYPE = b"lambda-extension-function-error-type"


def _text(headers: Headers, name: bytes) -> str:
    return (header(headers, name) or b"").decode("latin-1")
