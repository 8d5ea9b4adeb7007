"""Stages joined by files: run in order, skipped when nothing they depend on has changed (doit)."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from doit.cmd_base import ModuleTaskLoader
from doit.dependency import DatabaseException, SqliteDB
from doit.doit_cmd import DoitMain
from doit.exceptions import TaskFailed
from doit.tools import config_changed

from pipelines.base.command import INTERRUPTED
from pipelines.base.stage import Stage
from unet2015.errors import DataSetError, UNet2015Error
from unet2015.safe_files import make_folder


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


def run_stages(stages: Sequence[Stage], out: Path, chosen: Sequence[str] = ()) -> int:
    """Run stages; return 0, 1 where one failed, 2 for a name that is not known, 130 if interrupted.

    Raises
    ------
    ImageWriteError
        The folder of the results cannot be made.
    DataSetError
        What an earlier run noted there of finished stages cannot be read.
    """
    known = [stage.name for stage in stages]
    for name in chosen:
        if name not in known:
            print(f"no stage is called {name!r}; there are {', '.join(known)}", file=sys.stderr)
            return 2
    make_folder(out)

    def task_stages() -> Any:
        yield from (_task(stage) for stage in stages)

    config = {"dep_file": str(out / ".doit.db"), "backend": "durable", "default_tasks": None}
    tasks = {"task_stages": task_stages, "DOIT_CONFIG": config}
    backend = {"BACKEND": {"durable": f"{__name__}:DurableDB"}}
    try:
        return int(DoitMain(ModuleTaskLoader(tasks), extra_config=backend).run(["run", *chosen]) or 0)
    except DatabaseException as error:
        raise DataSetError(
            f"{out / '.doit.db'}: cannot be read: {error}; move it away, and the stages run again"
        ) from error
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED


def _task(stage: Stage) -> dict[str, Any]:
    """Return a stage as doit knows it."""

    def act() -> TaskFailed | None:
        try:
            stage.action()
        except UNet2015Error as error:
            return TaskFailed(f"{stage.name}: {error}")
        return None

    return {
        "basename": stage.name,
        "doc": stage.does,
        "actions": [act],
        "file_dep": [str(path) for path in stage.inputs],
        "targets": [str(path) for path in stage.outputs],
        "uptodate": [config_changed(stage.settings)],
        "title": lambda task: f"{stage.name}: {stage.does}",
        "verbosity": 2,
    }
