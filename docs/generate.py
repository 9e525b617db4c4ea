"""Writes docs/reference from the tables in the code: `.venv/bin/python docs/generate.py`.

Nothing else may be written there by hand: a test compares the pages with what this script makes.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from json import dumps
from pathlib import Path
from typing import Any

from ambidex.asgi.exchange import TRANSITIONS, State, Step
from ambidex.http import Headers
from ambidex.local.samples import SAMPLES
from ambidex.settings import TABLE, Setting, table_name

ROOT = Path(__file__).resolve().parent.parent
# The table of cases belongs to the tests, which are on no path when a script runs.
sys.path.insert(0, str(ROOT))

from tests.events.cases import (  # noqa: E402 – needs the path above
    FORWARDED,
    REQUESTS,
    RESPONSES,
    SOURCES,
    STREAMED,
    Differs,
    RequestCase,
    ResponseCase,
    Source,
    Streamed,
    difference,
)
from tests.events.foreign import EMULATIONS, events  # noqa: E402
from tests.events.foreign.compare import CASES, DISAGREEMENTS, changes, where  # noqa: E402
from tests.events.foreign.disagreement import ABSENT, Disagreement  # noqa: E402

REFERENCE = ROOT / "docs" / "reference"
AWS = "https://docs.aws.amazon.com"
NOTICE = "<!-- Written by docs/generate.py from the code: change that, then run it. -->"


def main() -> None:
    """Write every page."""
    REFERENCE.mkdir(exist_ok=True)
    for name, page in pages().items():
        (REFERENCE / name).write_text(page, encoding="utf-8")


def pages() -> dict[str, str]:
    """The pages of docs/reference by file name."""
    return {
        "settings.md": _page(_settings()),
        "event-sources.md": _page(_event_sources()),
        "foreign-events.md": _page(_foreign_events()),
        "exchange.md": _page(_exchange()),
        "sample-events.md": _page(_sample_events()),
    }


def _page(lines: Iterable[str]) -> str:
    title, *rest = lines
    return "\n".join((title, "", NOTICE, "", *rest)) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield _row(head)
    yield _row(["---"] * len(head))
    yield from map(_row, rows)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _code(text: str) -> str:
    return f"`{text}`"


# Settings


def _settings() -> Iterable[str]:
    yield "# Settings"
    yield (
        "Everything is in `pyproject.toml`, under `[tool.ambidex]`. A flag on the command line "
        "wins over it; a key or a variable that is not here is an error. In the image a setting "
        "arrives as the variable named here; one without a variable does not reach it."
    )
    for section in dict.fromkeys(setting.section for setting in TABLE):
        yield ""
        yield f"## `[{table_name(section)}]`"
        yield ""
        yield from _table(
            ("Key", "Default", "Range", "Variable in the image", "What it is"),
            (_setting(setting) for setting in TABLE if setting.section == section),
        )


def _setting(setting: Setting) -> Sequence[str]:
    return (
        _code(setting.key),
        _code(_toml(setting.default)),
        setting.range or "–",
        _code(setting.variable) if setting.is_in_image else "–",
        setting.doc,
    )


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value)


# Event sources


def _event_sources() -> Iterable[str]:
    yield "# Event sources"
    yield (
        "What each source of events carries from the client to the app and back. Every line is a "
        "case that the tests run over every source (`tests/events/cases.py`), and so is everything "
        "that is not carried."
    )
    yield ""
    yield from _table(
        ("Source", "AWS's page"),
        ((source.id, f"[{source.page}]({AWS}/{source.page})") for source in (*SOURCES, *STREAMED)),
    )
    yield ""
    yield (
        "What two emulators make of the same requests is [a page of its own](foreign-events.md), "
        "with everything about which they disagree with us."
    )
    yield ""
    yield "## Requests"
    yield ""
    yield from _cases(REQUESTS, SOURCES)
    yield ""
    yield "## Responses"
    yield ""
    yield from _cases(RESPONSES, (*SOURCES, *STREAMED))


def _cases(
    cases: Sequence[RequestCase | ResponseCase], sources: Sequence[Source | Streamed]
) -> Iterable[str]:
    notes: list[str] = []
    rows = []
    for case in cases:
        cells = [case.id]
        for source in sources:
            differs = difference(source, case)
            note = _note(differs, case) if differs else ""
            if note and note not in notes:
                notes.append(note)
            cells.append(f"no ({notes.index(note) + 1})" if note else "yes")
        rows.append(cells)
    yield from _table(("Case", *(source.id for source in sources)), rows)
    yield ""
    yield "What is not carried, and what arrives instead:"
    yield ""
    for number, note in enumerate(notes, 1):
        yield f"{number}. {note}"


def _note(differs: Differs, case: RequestCase | ResponseCase) -> str:
    sent: Any = case.request if isinstance(case, RequestCase) else case.response
    fields = ", ".join(
        f"{name.replace('_', ' ')} {_arrived(name, value, sent.headers)}"
        for name, value in differs.arrives.items()
    )
    return f"{differs.reason[0].upper()}{differs.reason[1:]}: {fields}"


def _arrived(name: str, value: Any, sent: Headers) -> str:  # noqa: ANN401 – any field
    if name == "headers":
        names = [key for key, _ in sent]
        told = [(k, v) for k, v in value if (k, v) not in FORWARDED or names.count(k) > 1]
        return ", ".join(_code(f"{key.decode()}: {text.decode()}") for key, text in told)
    if name == "client":
        return _code(f"{value[0]}, port {value[1]}")
    if name == "body":
        escaped = repr(value)[2:-1]
        return _code(escaped if len(escaped) <= 40 else f"{escaped[:37]}...")
    return _code(value.decode() if isinstance(value, bytes) else str(value))


# Foreign events


def _foreign_events() -> Iterable[str]:
    yield "# Foreign events"
    yield (
        "Codecs that are wrong in the same way go round perfectly. So SAM CLI and "
        "serverless-offline have made, with their own code, an event of every request in the "
        "table of [event sources](event-sources.md), sent to them over a socket; and the tests "
        "compare each, field by field, with the event that we make, and with the request that the "
        "case expects. Here is everything about which they disagree with us, and who has what AWS "
        "has. All else agrees. The events are in `tests/events/foreign`; `make foreign` makes them "
        "anew."
    )
    yield ""
    yield from _table(
        ("Emulator", "Source", "Cases", "Refused", "Made by"),
        (
            (
                emulation.emulator,
                emulation.source,
                str(len(CASES)),
                str(sum(isinstance(e, int) for e in events(emulation).cases.values())),
                ", ".join(f"{name} {v}" for name, v in events(emulation).versions.items()),
            )
            for emulation in EMULATIONS
        ),
    )
    for emulator, entries in DISAGREEMENTS.items():
        yield ""
        yield f"## {emulator}"
        yield ""
        yield from _table(
            ("Sources", "Cases", "Fields", "Theirs", "Ours", "Who has what AWS has", "Why"),
            (_disagreement(emulator, entry) for entry in entries),
        )


def _disagreement(emulator: str, entry: Disagreement) -> Sequence[str]:
    theirs, ours = _example(emulator, entry)
    fields = (*map(_code, entry.event), *(f"request: {_code(name)}" for name in entry.request))
    return (
        "; ".join(_sources(emulator, entry.sources)),
        "; ".join(entry.cases) or "wherever it can be seen",
        ", ".join(fields) or "–",
        entry.theirs + theirs,
        entry.ours + ours,
        entry.who.value,
        f"[{entry.why}]({entry.page})",
    )


def _sources(emulator: str, sources: Sequence[str]) -> Iterable[str]:
    """The sources, or the module in the place of all that the emulator has of it."""
    emulated = [emulation.source for emulation in EMULATIONS if emulation.emulator == emulator]
    for module in dict.fromkeys(source.partition(",")[0] for source in sources):
        all_of_it = [source for source in emulated if source.partition(",")[0] == module]
        concerned = [source for source in all_of_it if source in sources]
        yield from (module,) if concerned == all_of_it else concerned


def _example(emulator: str, entry: Disagreement) -> tuple[str, str]:
    """The first values of the two that are short enough to be shown."""
    for emulation, case in where(entry, emulator):
        for theirs, ours in changes(entry, emulation, case).values():
            shown = [_value(one, other) for one, other in ((theirs, ours), (ours, theirs))]
            if all(len(text) <= 60 for text in shown):
                return f": {shown[0]}", f": {shown[1]}"
    return "", ""


def _value(value: object, other: object) -> str:
    if value is ABSENT:
        return "no field"
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        value = {name: item for name, item in value.items() if other.get(name) != item}
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    is_plain = isinstance(text, str) and text.isprintable() and text != ""
    return _code(str(text) if is_plain else dumps(text, ensure_ascii=False))


# The exchange


def _exchange() -> Iterable[str]:
    yield "# The exchange"
    yield (
        "What an app may send, and in which order: one request and its response. The rows are "
        "where the exchange is, the columns what the app does; a cell is where that leads. "
        "*Error* is a `RuntimeError` that `send` raises to the app; nothing has changed then."
    )
    yield ""
    steps = [step for step in Step if any((state, step) in TRANSITIONS for state in State)]
    yield from _table(
        ("", *(_step(step) for step in steps)),
        (
            (f"**{state.name}**: {state.value}", *(_cell(state, step) for step in steps))
            for state in State
        ),
    )
    yield ""
    yield (
        "The response is complete, and leaves, in COMPLETE, while the app may go on. FAILED is "
        "answered with `500 Internal Server Error`, as uvicorn does, and the reason is logged. "
        "Whether there is a stream is decided when the first piece of the body comes: by the "
        "setting `response`, the event source and the status."
    )


def _step(step: Step) -> str:
    return f"`{step.value}`" if step.value.startswith("http.") else step.value


def _cell(state: State, step: Step) -> str:
    if (state, step) in TRANSITIONS:
        return TRANSITIONS[state, step].name
    is_over = state in (State.FAILED, State.BROKEN) and step in (Step.RETURN, Step.RAISE)
    is_streamed = state is State.STREAMING and step is Step.BODY
    return "–" if is_over or is_streamed else "*error*"


# Sample events


def _sample_events() -> Iterable[str]:
    yield "# Sample events"
    yield (
        "What `ambidex invoke --event` sends if it is given a kind, and `ambidex invoke --print` "
        "prints. The form is that of AWS's page, the values are ours. The page of `scheduler` "
        "names the event and does not show it: its form is what others have logged."
    )
    yield ""
    yield from _table(
        ("Kind", "What it is", "AWS's page"),
        (
            (_code(kind), sample.sentence, f"[{sample.page.rsplit('/', 1)[1]}]({sample.page})")
            for kind, sample in SAMPLES.items()
        ),
    )


if __name__ == "__main__":
    main()
