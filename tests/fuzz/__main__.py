"""``python -m tests.fuzz``: damage files, read each in a limited process, and say what came of it.

Every file is either read, or refused with one clear error of this package. What else happens is a finding:
its file is kept, and the exit status is 1. The same seed gives the same files.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz import seeds
from tests.fuzz.mutate import mutated

FINDINGS = ("finding", "unclear error")


class Worker:
    """A process that reads files; begun anew when it crashes or hangs."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.process: subprocess.Popen[str] | None = None

    def ask(self, job: dict[str, str]) -> dict[str, Any]:
        """Return the answer to a job, or that there was none."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        hung = threading.Event()
        alarm = threading.Timer(self.limit, lambda: (hung.set(), self.process and self.process.kill()))
        alarm.start()
        try:
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            alarm.cancel()
        if line:
            return dict(json.loads(line))
        status, words = self.close()
        what = f"no answer in {self.limit:g} s" if hung.is_set() else f"ended with {status}: {words[-500:]}"
        return {"kind": "finding", "message": what, "trace": words, "seconds": self.limit, "memory": 0}

    def close(self) -> tuple[int, str]:
        """End the process; return its exit status and what it wrote to standard error."""
        if self.process is None:
            return 0, ""
        words = self.process.communicate()[1]
        status, self.process = self.process.returncode, None
        return status, words


def read_damaged(worker: Worker, name: str, data: bytes, place: Path, keep: Path) -> dict[str, Any]:
    """Have a damaged file read; keep it if that is a finding."""
    (place / "out").mkdir(parents=True)
    suffix = ".safetensors" if name.startswith("model") else ".png" if name.startswith("png") else ".tif"
    path = place / f"{name}{suffix}"
    path.write_bytes(data)
    answer = worker.ask({"path": str(path), "out": str(place / "out")})
    if set(place.iterdir()) != {path, place / "out"} and answer["kind"] != "finding":
        answer |= {"kind": "finding", "message": f"written elsewhere: {list(place.iterdir())}"}
    if answer["kind"] in FINDINGS:
        keep.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, keep / path.name)
    shutil.rmtree(place)
    return {"name": path.name, **answer}


def fuzz(files: dict[str, bytes], count: int, options: Any, folder: Path) -> list[dict[str, Any]]:
    """Return what came of `count` damaged files, made from `files` in turn."""
    worker, names, answers = Worker(options.limit), sorted(files), []
    for number in range(count):
        name = names[number % len(names)]
        data = mutated(files[name], Random(f"{options.seed} {name} {number}"))
        answers.append(read_damaged(worker, f"{name}-{number}", data, folder / str(number), options.keep))
    worker.close()
    return answers


def report(what: str, answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the numbers of all answers, and the findings in full."""
    slowest = max(answers, key=lambda one: float(one["seconds"]), default={"name": "-", "seconds": 0})
    largest = max(answers, key=lambda one: int(one["memory"]), default={"name": "-", "memory": 0})
    return {
        "what": what,
        "files": len(answers),
        "kinds": dict(Counter(one["kind"] for one in answers).most_common()),
        "slowest": [slowest["name"], round(slowest["seconds"], 2)],
        "most_memory_mib": [largest["name"], round(largest["memory"] / 2**20, 1)],
        "findings": [one for one in answers if one["kind"] in FINDINGS],
    }


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--models", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds that a file may take")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "unet2015-fuzz",
                        help="folder for the files of findings")  # fmt: skip
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = seeds.images()
        models = {f"model-{key}": value for key, value in seeds.models(folder).items()}
        found = False
        for what, files, count in (("images", images, options.images), ("models", models, options.models)):
            done = report(what, fuzz(files, count, options, folder / what))
            print(json.dumps(done, indent=1), flush=True)
            found = found or bool(done["findings"])
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
