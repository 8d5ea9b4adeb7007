"""What tests of the documentation read in a Markdown file: fenced blocks, inline code, headings, links."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^`]*)$")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its ``title="..."`` (or nothing), its text and first line."""

    document: Path
    line: int
    language: str
    title: str
    text: str


def blocks(document: Path) -> list[Block]:
    """Return the fenced blocks of a document."""
    found, opened = [], None
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if fence and opened is None:
            opened, inside = (number, fence), []
        elif fence and opened is not None:
            start, first = opened
            language, _, rest = first["info"].strip().partition(" ")
            title = re.search(r'title="([^"]*)"', rest)
            text = "".join(f"{one[len(first['indent']) :]}\n" for one in inside)
            found.append(Block(document, start + 1, language, title[1] if title else "", text))
            opened = None
        elif opened is not None:
            inside.append(line)
    assert opened is None, f"{document}: the block that begins in line {opened[0]} does not end"
    return found


def prose(document: Path) -> str:
    """Return a document without its fenced blocks; lines keep their numbers."""
    kept, inside = [], False
    for line in document.read_text(encoding="utf-8").splitlines():
        fence = bool(_FENCE.match(line))
        inside ^= fence
        kept.append("" if inside or fence else line)
    return "\n".join(kept)


def commands(document: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield line and words of each command in the blocks of shell of a document."""
    for block in blocks(document):
        if block.language != "sh":
            continue
        joined = block.text.replace("\\\n", " ")
        for number, line in enumerate(joined.splitlines()):
            if words := shlex.split(line, comments=True):
                yield block.line + number, words


def inline_commands(document: Path) -> Iterator[list[str]]:
    """Yield the words of each command that stands in a line of prose or in a table."""
    for code in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose(document)):
        if re.match(r"(unet2015|python -m (pipelines|benchmarks)\S*|make) ", code):
            yield shlex.split(code)


def headings(document: Path) -> list[str]:
    """Return the headings of a document as they read."""
    lines = re.findall(r"^#+ +(.+?) *$", prose(document), re.MULTILINE)
    return [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line).replace("`", "").replace("*", "") for line in lines]


def slug(heading: str) -> str:
    """Return the anchor of a heading, by the rule of GitHub."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def links(document: Path) -> list[str]:
    """Return where the links and pictures of a document point."""
    return re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", prose(document))
