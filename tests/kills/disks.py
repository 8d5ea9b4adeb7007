"""Commands on file systems that are really full, or odd: ``python -m tests.kills.disks``.

Each command writes its results to a disk (tmpfs, ext4 in a file) with little room, then with more and more,
until they fit. Where they do not, it must end with an error that says so, without a traceback, and with
nothing half-written under a final name. Then the disk gets room, and the same command must end as on an
empty one. Needs the right to mount; without it, it says so and ends with status 0.
"""

import argparse
import contextlib
import io
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tifffile

from unet2015.cli import main
from unet2015.safe_files import sha256
from unet2015.synthetic import em_stack

LARGE = 2**24
"""Bytes of a disk."""
SIZES = (4, 12, 24, 48, 96, 160, 256, 384, 640, 1024, 2048)
"""KiB that are left."""
ENDS = re.compile(r"No space left|File too large|disk", re.I)
RECORDS = (".json", ".csv", ".jsonl")
COMMANDS = {
    "segment": "segment {in}/images -o {out}/r --model {in}/m.safetensors --probability --tile 64",
    "objects": "segment {in}/images -o {out}/r --model {in}/m.safetensors --objects --overlay --tile 64",
    "zarr": "segment {in}/images/a.tif -o {out}/r.zarr --model {in}/m.safetensors --objects --tile 64",
    "label": "label {in}/maps -o {out}/r --threshold 0.5",
    "measure": "measure {in}/labels -o {out}/r --images {in}/images",
    "weights": "weights {in}/labels/a.tif -o {out}/w.tif --label-kind membrane",
    "evaluate": "evaluate pixels --truth {in}/labels --result {in}/labels --foreground "
    "--per-image {out}/t.csv",
    "train": "train --images {in}/images --labels {in}/labels -o {out}/r --label-kind membrane --steps 4 "
    "--tile 64 --width 2 --settings {in}/s.toml",
}


def prepare(folder: Path) -> None:
    """Make the inputs."""
    from tests.segmentation.conftest import _make_model

    images, labels = em_stack(2, 96, 80, 0)
    for name, pages in (("images", images), ("labels", labels)):
        (folder / name).mkdir()
        tifffile.imwrite(folder / name / "a.tif", pages, photometric="minisblack")
    (folder / "maps").mkdir()
    values = np.random.default_rng(0).random((2, 96, 80)).astype(np.float32)
    tifffile.imwrite(folder / "maps" / "a.tif", values, photometric="minisblack")
    _make_model(folder / "m.safetensors")
    (folder / "s.toml").write_text("[network]\ndepth = 2\n", encoding="utf-8")


def run(command: str) -> tuple[int, str]:
    """Run a command here; return exit status and what it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main(command.split())
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        except BaseException:
            status, _ = 99, said.write(traceback.format_exc())
    for handler in list(logging.getLogger("unet2015").handlers):
        logging.getLogger("unet2015").removeHandler(handler)
    return status, said.getvalue()


PICTURES = re.compile(r"^(progress\.gif|examples\.png|\d{8}\.png)$")
"""A training goes on without its pictures where they cannot be written, and says so."""


def state(folder: Path, name: str) -> dict[str, str]:
    """Return what lies under final names: digests of results, and names of what differs from run to run."""
    return {
        file.relative_to(folder).as_posix(): "" if file.suffix in RECORDS or name == "train" else sha256(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and not any(part.startswith((".", "lost")) for part in file.relative_to(folder).parts)
        and "tfevents" not in file.name
        and not PICTURES.search(file.name)
    }


@contextmanager
def mounted(place: Path, kind: str) -> Iterator[None]:
    """Mount an empty file system of `LARGE`: tmpfs, or ext4 in a file."""
    place.mkdir(exist_ok=True)
    source = ["-t", "tmpfs", "-o", f"size={LARGE}", "none"]
    if kind != "tmpfs":
        image = place.with_suffix(f".{kind}")
        with image.open("wb") as file:
            file.truncate(LARGE)
        subprocess.run([f"mkfs.{kind}", "-q", str(image)], check=True, capture_output=True)
        source = ["-o", "loop", str(image)]
    subprocess.run(["mount", *source, str(place)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True)


def fill(place: Path, left: int) -> Path:
    """Fill a disk but for so many bytes; return the file that does it."""
    filler = place / ".filler"
    with filler.open("wb") as file:
        free = os.statvfs(place)
        file.write(bytes(max(0, free.f_bavail * free.f_frsize - left)))
        os.fsync(file.fileno())
    return filler


def problems_of(name: str, kind: str, inputs: Path, place: Path) -> Iterator[str]:
    """Yield what falls short of a command on disks of each size."""
    command = COMMANDS[name].replace("{in}", str(inputs)).replace("{out}", str(place))
    good = (0, 3) if name == "train" else (0,)
    with mounted(place, kind):
        status, said = run(command)
        whole = state(place, name)
        if status not in good:
            yield f"{name}: on a large disk: {status}: {said}"
            return
    for size in SIZES:
        where = f"{name} on {kind}, {size} KiB: "
        with mounted(place, kind):
            filler = fill(place, 1024 * size)
            status, said = run(command)
            found = state(place, name)
            if "Traceback" in said or status == 99 or "unexpected error" in said:
                yield f"{where}{said[-1500:]}"
            if status in good and found != whole:
                yield f"{where}status {status}, but the results are {set(found.items()) ^ set(whole.items())}"
            if status not in good and not ENDS.search(said):
                yield f"{where}status {status}, but it says {said[-300:]}"
            for file, digest in found.items():
                if file in whole and whole[file] != digest:
                    yield f"{where}half-written: {file}"
            if status in good:
                return
            filler.unlink()
            again, said = run(command + " --resume" * (name == "train" and _begun(place)))
            if again not in good or state(place, name) != whole:
                difference = sorted(set(state(place, name).items()) ^ set(whole.items()))
                yield f"{where}freed, but status {again}: {said[-600:]}; {difference[:6]}"
    yield f"{name}: {SIZES[-1]} KiB are too small"


def _begun(place: Path) -> bool:
    return (place / "r" / "checkpoints").is_dir() and any((place / "r" / "checkpoints").iterdir())


def search(names: list[str]) -> int:
    """Run the commands of these names, or all; return the exit status."""
    folder = Path(tempfile.mkdtemp())
    try:
        place, found = folder / "disk", []
        kinds = ["tmpfs", *(["ext4"] if shutil.which("mkfs.ext4") else [])]
        try:
            with mounted(place, "tmpfs"):
                pass
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"skipped: this process may not mount a file system ({error})")
            return 0
        inputs = folder / "in"
        inputs.mkdir()
        prepare(inputs)
        for name in names or COMMANDS:
            for kind in kinds:
                found += list(problems_of(name, kind, inputs, place))
                print(f"{name} on {kind}: {len(found)} problems so far", flush=True)
        print(*found, f"{len(found)} problems", sep="\n")
        return bool(found)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m tests.kills.disks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="COMMAND", help=f"{', '.join(COMMANDS)} (default: all)")
    given = parser.parse_args().names
    if unknown := sorted(set(given) - set(COMMANDS)):
        parser.error(f"no such commands: {', '.join(unknown)}")
    sys.exit(search(given))
