"""Stages joined by files: run in order, skipped when nothing they depend on has changed (doit)."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doit.cmd_base import ModuleTaskLoader
from doit.dependency import DatabaseException, SqliteDB
from doit.doit_cmd import DoitMain
from doit.exceptions import TaskFailed
from doit.tools import config_changed

from unet2015.errors import UNet2015Error
from unet2015.safe_files import make_folder


@dataclass(frozen=True)
class Stage:
    """One step of a pipeline.

    Attributes
    ----------
    name, does : str
        What it is called, and what it does, in a line.
    action : callable
        Does it; reads `inputs`, writes all of `outputs`, each whole or not at all.
    inputs, outputs : sequence of Path
        Files. It runs again when an input or the settings differ from the last time it ended well,
        or an output is missing.
    settings : dict
        Whatever else the outputs depend on.
    """

    name: str
    does: str
    action: Callable[[], object]
    inputs: Sequence[Path]
    outputs: Sequence[Path]
    settings: dict[str, Any] = field(default_factory=dict)

    def task(self) -> dict[str, Any]:
        """Return the stage as doit knows it."""
        return {
            "basename": self.name,
            "doc": self.does,
            "actions": [self._act],
            "file_dep": [str(path) for path in self.inputs],
            "targets": [str(path) for path in self.outputs],
            "uptodate": [config_changed(self.settings)],
            "title": lambda task: f"{self.name}: {self.does}",
            "verbosity": 2,
        }

    def _act(self) -> TaskFailed | None:
        try:
            self.action()
        except UNet2015Error as error:
            return TaskFailed(f"{self.name}: {error}")
        return None


class DurableDB(SqliteDB):  # type: ignore[misc]
    """What doit knows of finished stages, kept from each stage on rather than from the end of the run.

    doit's own waits for the end, so a kill would lose that finished stages are finished.
    """

    def set(self, task_id: str, dependency: str, value: Any) -> None:
        """Keep a value; on disk once the last of a stage has come."""
        super().set(task_id, dependency, value)
        if dependency == "deps:":
            row = (task_id, self.codec.encode(self._cache[task_id]))
            self._conn.execute("insert or replace into doit values (?,?)", row)
            self._conn.commit()


def arguments(description: str, out: str) -> argparse.ArgumentParser:
    """Return the options that every pipeline has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stages", nargs="*", help="run these stages, and what they need (default: all)")
    parser.add_argument(
        "--out", type=Path, default=Path(out), help="folder of the results (default: %(default)s)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: %(default)s)")
    return parser


def listing(stages: Sequence[Stage]) -> str:
    """Return the stages, a line each, for ``--help``."""
    wide = max(len(stage.name) for stage in stages)
    return "stages:\n" + "\n".join(f"  {stage.name:<{wide}}  {stage.does}" for stage in stages)


def run_stages(stages: Sequence[Stage], out: Path, chosen: Sequence[str] = ()) -> int:
    """Run stages; return 0, 1 where one failed, 2 for a name that is not known, 130 if interrupted."""
    known = [stage.name for stage in stages]
    for name in chosen:
        if name not in known:
            print(f"no stage is called {name!r}; there are {', '.join(known)}", file=sys.stderr)
            return 2
    try:
        make_folder(out)
    except UNet2015Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 1

    def task_stages() -> Any:
        yield from (stage.task() for stage in stages)

    config = {"dep_file": str(out / ".doit.db"), "backend": "durable", "default_tasks": None}
    tasks = {"task_stages": task_stages, "DOIT_CONFIG": config}
    backend = {"BACKEND": {"durable": f"{__name__}:DurableDB"}}
    try:
        return int(DoitMain(ModuleTaskLoader(tasks), extra_config=backend).run(["run", *chosen]) or 0)
    except DatabaseException as error:
        print(f"error: {out / '.doit.db'}: cannot be read: {error}; remove it", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
