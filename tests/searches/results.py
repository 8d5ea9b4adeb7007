"""The results of the searches that run by hand: written with where and on what they ran, shown in a document.

``python -m tests.searches.results [--check]`` writes the tables of ``docs/searches.md`` from the files beside
this one.
"""

import json
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from pipelines.base.document import Block

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
DOCUMENT = ROOT / "docs" / "searches.md"


def write_result(path: Path, found: Mapping[str, Any]) -> None:
    """Write what a search found, with the commit, the machine and the date."""
    result = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
    }
    path.write_text(json.dumps(result | dict(found), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def commit() -> str:
    """Return the commit of the checkout; with ``+`` if files of the package differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()

    return git("rev-parse", "--short=12", "HEAD") + "+" * bool(git("status", "--porcelain", "unet2015"))


def block(name: str) -> Block:
    """Return the block of the document called `name`."""
    made_by = "made by python -m tests.searches.results"
    return Block(f"<!-- search, {name}: {made_by} -->", f"<!-- search, {name} end -->")


def where(result: Mapping[str, Any]) -> str:
    """Return on what a search ran, in a sentence."""
    date, processor = result["date"][:10], result["machine"]["processor"]
    return f"Commit `{result['commit']}`, {date}, {processor}, one core."
