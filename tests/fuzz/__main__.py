"""``python -m tests.fuzz``: damage files, have each used in a limited process, and say what came of it.

Every file is read right, or refused with one clear error of this package. Anything else is a finding: a
crash, no answer in time, a traceback, an unclear error, too much memory, files left behind, or pixels,
settings and results that differ from what another reader or an undisturbed run gives. The files of a finding
are kept, and the exit status is 1. The same seed gives the same files.
"""

import argparse
import contextlib
import json
import math
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from random import Random
from typing import IO, Any, NamedTuple

from tests.fuzz import scenes, seeds
from tests.fuzz.damage import damage
from tests.fuzz.models import models
from tests.fuzz.mutate import mutated
from tests.searches.results import write_result

ROOT = Path(__file__).parents[2]


class Seed(NamedTuple):
    """What is damaged: a file's bytes, or a folder and the files in it; and how it is looked at."""

    look: str
    file: bytes = b""
    suffix: str = ""
    folder: Path = Path()
    names: tuple[str, ...] = ()


class Worker:
    """A process that looks at files; begun anew when it crashes or hangs."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.process: subprocess.Popen[str] | None = None
        self.words: IO[str] | None = None

    def ask(self, job: dict[str, str]) -> dict[str, Any]:
        """Return the answer to a job, or that there was none."""
        if self.process is None:
            # Not a pipe, which nobody reads: full after some thousand notes, it would make the process wait.
            self.words = tempfile.TemporaryFile("w+")  # noqa: SIM115 - `close` closes it
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.worker"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.words,
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
        kind = "finding: hang" if hung.is_set() else "finding: crash"
        return {"kind": kind, "message": what, "trace": words, "seconds": self.limit, "memory": 0}

    def close(self) -> tuple[int, str]:
        """End the process; return its exit status and what it wrote to standard error."""
        if self.process is None or self.words is None:
            return 0, ""
        self.process.communicate()
        status, self.process = self.process.returncode, None
        with self.words as file:
            file.seek(0)
            return status, file.read()[-20_000:]


def image_seeds(folder: Path) -> dict[str, Seed]:
    """Return all kinds of images."""
    made = {
        name: Seed("image", data, ".png" if name.startswith("png-") else ".lsm" if name == "lsm" else ".tif")
        for name, data in seeds.images().items()
    }
    for name, path in seeds.image_folders(folder).items():
        files = tuple(str(one.relative_to(path)) for one in sorted(path.rglob("*")) if one.is_file())
        texts = tuple(
            one for one in files if one.endswith((".json", ".zattrs", ".zarray", ".zgroup", ".ome"))
        )
        made[name] = Seed("folder", folder=path, names=files + texts * max(1, len(files) // 3))
    return made


def other_seeds(folder: Path) -> dict[str, Seed]:
    """Return models, and the scenes of other files."""
    made = {f"model-{name}": Seed("model", data, ".safetensors") for name, data in models(folder).items()}
    known: dict[Any, Path] = {}
    for name, scene in scenes.SCENES.items():
        place = folder / name
        if scene.make in known:
            shutil.copytree(known[scene.make], place, symlinks=True)
        else:
            (folder / "making").mkdir()
            scene.make(folder / "making")
            (folder / "making").rename(place)  # so that paths in records lead nowhere
            known[scene.make] = place
        names = [str(p.relative_to(place)) for one in scene.damaged for p in sorted(place.glob(one))]
        made[name] = Seed(name, folder=place, names=tuple(names))
    return made


def used(worker: Worker, seed: Seed, name: str, random: Random, place: Path) -> dict[str, Any]:
    """Damage a copy of a seed in `place` and have it looked at."""
    (place / "out").mkdir(parents=True)
    if seed.file:
        path, done = place / f"{name}{seed.suffix}", ["bytes"]
        path.write_bytes(mutated(seed.file, random))
    else:
        path = place / name
        shutil.copytree(seed.folder, path, symlinks=True)
        done = damage(path, list(seed.names), random)
    answer = worker.ask({"look": seed.look, "path": str(path), "out": str(place / "out")})
    if set(place.iterdir()) != {path, place / "out"} and not answer["kind"].startswith("finding"):
        answer |= {"kind": "finding: left", "message": f"written elsewhere: {list(place.iterdir())}"}
    return {"name": path.name, "seed": name.rpartition("-")[0], "damage": done, **answer}


class Copy(NamedTuple):
    """A damaged copy that is to be made: of which part of the search, from which seed, the how manieth."""

    part: str
    name: str
    seed: Seed
    number: int


def copies(part: str, made: dict[str, Seed], count: int, only: str) -> list[Copy]:
    """Return `count` copies, of the seeds in turn."""
    names = sorted(name for name in made if only in name)
    numbers = range(count if names else 0)
    return [Copy(part, name, made[name], n) for n in numbers for name in [names[n % len(names)]]]


def in_step(parts: Sequence[Sequence[Copy]]) -> list[Copy]:
    """Return the copies of all parts so that each part is done to the same fraction at any time."""
    places = ((i / len(part), copy) for part in parts for i, copy in enumerate(part))
    return [copy for _, copy in sorted(places, key=lambda pair: pair[0])]


def fuzz(parts: dict[str, list[Copy]], options: Any, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return what came of the copies of each part, until the time is over."""
    end = time.monotonic() + 60 * options.minutes
    remaining: SimpleQueue[Copy] = SimpleQueue()
    for copy in in_step(list(parts.values())):
        remaining.put(copy)

    def some(_: int) -> list[tuple[Copy, dict[str, Any]]]:
        worker = Worker(options.limit)
        found = []
        with contextlib.suppress(Empty):
            while time.monotonic() < end:
                copy = remaining.get_nowait()
                _, name, seed, number = copy
                random, place = Random(f"{options.seed} {name} {number}"), folder / copy.part / str(number)
                answer = used(worker, seed, f"{name}-{number}", random, place)
                if answer["kind"].startswith("finding"):
                    keep(answer, place, options.keep)
                shutil.rmtree(place)
                found.append((copy, answer))
        worker.close()
        return found

    with ThreadPoolExecutor(options.workers) as pool:
        answers = [pair for mine in pool.map(some, range(options.workers)) for pair in mine]
    answers.sort(key=lambda pair: pair[0].number)
    return {part: [answer for copy, answer in answers if copy.part == part] for part in parts}


def keep(answer: dict[str, Any], place: Path, where: Path) -> None:
    """Keep the files of a finding, and add it to ``findings.jsonl`` beside them."""
    where.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(where / answer["name"], ignore_errors=True)
    # Links and pipes stay what they are.
    subprocess.run(["cp", "-a", str(place / answer["name"]), str(where)], check=True)
    with (where / "findings.jsonl").open("a") as file:
        file.write(json.dumps(answer) + "\n")


def report(what: str, answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the numbers of all answers, and the findings in full."""
    by_seed: dict[str, Counter[str]] = {}
    for one in answers:
        by_seed.setdefault(one["seed"], Counter())[one["kind"]] += 1
    slowest = max(answers, key=lambda one: float(one["seconds"]), default={"name": "-", "seconds": 0})
    largest = max(answers, key=lambda one: int(one["memory"]), default={"name": "-", "memory": 0})
    return {
        "what": what,
        "files": len(answers),
        "kinds": dict(Counter(one["kind"] for one in answers).most_common()),
        "by_seed": {name: dict(sorted(kinds.items())) for name, kinds in sorted(by_seed.items())},
        "slowest": [slowest["name"], round(slowest["seconds"], 2)],
        "most_memory_mib": [largest["name"], round(largest["memory"] / 2**20, 1)],
        "findings": [one for one in answers if one["kind"].startswith("finding")],
    }


def main(words: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--others", type=int, default=500, help="models, records, settings, runs, labels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--workers", type=int, default=1, help="processes; what is found does not depend on it"
    )
    parser.add_argument("--only", default="", help="only seeds with this in their name")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds that a file may take")
    parser.add_argument("--results", type=Path, help="also write the numbers to this JSON file")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "unet2015-fuzz",
                        help="folder for the files of findings")  # fmt: skip
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop then; what was found counts")
    options = parser.parse_args(words)
    options.keep = options.keep.resolve()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        place, parts = Path(name).resolve(), {}
        for part, make, count in (
            ("images", image_seeds, options.images),
            ("others", other_seeds, options.others),
        ):
            (place / part).mkdir()
            made = make(place / part) if count else {}
            parts[part] = copies(part, made, count, options.only)
        answers = fuzz(parts, options, place / "damaged")
        searches = [report(part, answers[part]) for part in parts]
    print(json.dumps({"searches": searches}, indent=1), flush=True)
    if options.results is not None:
        for one in searches:
            one["findings"] = [
                {key: found[key] for key in found if key != "trace"} for found in one["findings"]
            ]
        seconds = round(time.monotonic() - start)
        write_result(
            options.results,
            "fuzz",
            {"seed": options.seed, "workers": options.workers, "seconds": seconds, "searches": searches},
        )
    return int(any(one["findings"] for one in searches))


if __name__ == "__main__":
    sys.exit(main())
