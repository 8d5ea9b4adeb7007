"""Documents with parts that a command writes from results, between two markers."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Block:
    """A part of a document that is made, never written by hand.

    Attributes
    ----------
    begin, end : str
        The lines before and after it.
    """

    begin: str
    end: str

    def replaced(self, document: str, text: str) -> str:
        """Return the document with `text` between the markers.

        Raises
        ------
        RuntimeError
            The markers are missing, there more than once, or in the wrong order.
        """
        once = document.count(self.begin) == document.count(self.end) == 1
        if not once or document.index(self.end) < document.index(self.begin):
            raise RuntimeError(
                f"the document needs one line {self.begin!r} and, after it, one line {self.end!r}"
            )
        before, after = document[: document.index(self.begin)], document[document.index(self.end) :]
        return f"{before}{self.begin}\n\n{text}\n\n{after}"


def bring_up(path: Path, text: str, check: bool, command: str) -> int:
    """Write a document, or with `check` say whether it is up to date; return the exit status."""
    if not check:
        path.write_text(text, encoding="utf-8")
        print(f"written to {path}")
    elif text != path.read_text(encoding="utf-8"):
        print(f"{path} is out of date; make it again with: {command}", file=sys.stderr)
        return 1
    return 0


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
