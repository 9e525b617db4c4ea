"""What the pages of the documentation hold that can be checked: links, blocks, commands.

A comment above a fenced block says what the tests do with it:

| comment | the block is |
|---|---|
| `<!-- file: main.py -->` | a file of the page's own project |
| `<!-- run -->` | commands after `$`, each followed by what it prints |
| `<!-- fails -->` | the same, of commands that need nothing to run beside them |
| `<!-- log -->` | lines that are in the log of `ambidex up` afterwards, in this order |
"""

import re
from pathlib import Path
from typing import NamedTuple

from tests.project import ROOT

PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], key=lambda page: page.relative_to(ROOT)
)

_BLOCK = re.compile(r"(?:^<!-- ([^\n]+) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# What differs from one run to the next, and what stands for it.
_VOLATILE = (
    (r"(?m)^(date): .*", r"\1: DATE"),
    (r"(?m)^(Date): .*", r"\1: DATE"),
    (r"(?m)^(Apigw-Requestid): [A-Za-z0-9+/]{15}=$", r"\1: ID"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "ID"),
    (r"\b1-[0-9a-f]{8}-[0-9a-f]{24}\b", "TRACE"),
    (r"[\d.]+ ms", "N ms"),
    (r'"timestamp":"[\d:.TZ-]+"', '"timestamp":"TIME"'),
    (r'"durationMs":[\d.]+', '"durationMs":N'),
    (r"Max Memory Used: \d+ MB", "Max Memory Used: N MB"),
)


class Block(NamedTuple):
    """A fenced block of a page."""

    directive: str  # of the comment above it, or empty
    language: str
    text: str


class Command(NamedTuple):
    """A command of a page, and what the page says that it prints."""

    line: str
    output: str


def blocks(page: Path, directive: str = "") -> list[Block]:
    """The blocks of a page; those whose directive begins so, if one is given."""
    found = [Block(m[1] or "", m[2], m[3]) for m in _BLOCK.finditer(page.read_text("utf-8"))]
    return [block for block in found if block.directive.startswith(directive)]


def files(page: Path) -> dict[str, str]:
    """The files of a page's own project, by name."""
    return {block.directive.removeprefix("file: "): block.text for block in blocks(page, "file: ")}


def commands(block: Block) -> list[Command]:
    """The commands of a block."""
    parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
    pairs = (part.partition("\n") for part in parts)
    return [Command(line, output.rstrip("\n")) for line, _, output in pairs]


def settled(output: str) -> str:
    """An output with names in the place of what differs from run to run."""
    text = output.replace("\r\n", "\n").rstrip("\n")
    for pattern, name in _VOLATILE:
        text = re.sub(pattern, name, text)
    return text


def links(page: Path) -> list[str]:
    """The targets of a page's links and pictures, without those inside of code."""
    text = re.sub(r"`[^`\n]*`", "", _BLOCK.sub("", page.read_text("utf-8")))
    return re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)


def anchors(page: Path) -> set[str]:
    """What a link to a heading of a page may name, as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
