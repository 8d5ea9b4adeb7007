"""Folders of files that belong together, one of which is damaged; the command, and what must come of it.

A scene is made once, then copied, damaged and looked at in the copy; names are relative to its folder.
"""

import contextlib
import hashlib
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tifffile

from tests.fuzz import runs
from tests.fuzz.commands import Scene, command, inside, refusal, same_files
from tests.fuzz.looks import FindingError
from tests.fuzz.models import save_small_model
from tests.fuzz.second import difference
from unet2015.errors import ImageError
from unet2015.images.reader import open_image
from unet2015.safe_files import signed
from unet2015.segmentation.part_store import PartWriter
from unet2015.settings import TrainingSettings, load_settings

# A result and its record.

SEGMENT = (
    "segment",
    "a.tif",
    "-o",
    "out",
    "--model",
    "m.safetensors",
    "--probability",
    "--tile",
    "44",
    "--device",
    "cpu",
)


def make_record(folder: Path) -> None:
    """An image, a model, the results and their record; the results once more as ``reference``."""
    random = np.random.default_rng(0)
    tifffile.imwrite(folder / "a.tif", random.integers(0, 60_000, (5 * 28 - 3, 2 * 28 - 3)).astype(np.uint16))
    save_small_model(folder / "m.safetensors")
    with inside(folder):
        ended = command(*SEGMENT)
    assert ended.status == 0, ended
    (folder / "reference").mkdir()
    for path in (folder / "out").glob("*.tif"):
        (folder / "reference" / path.name).write_bytes(path.read_bytes())


def look_at_record(folder: Path, out: Path) -> str:
    """Replay a damaged record, then segment again: the results are right afterwards, or it says why not.

    Every second one gets the digest of what it says now; without that all would be refused alike.
    """
    with inside(folder):
        _sign_some(Path("out/a.record.json"))
        replayed = command("replay", "out/a.record.json", "--input", "a.tif", "--model", "m.safetensors")
        if replayed.status:
            refusal(replayed, folder)
        else:
            said = json.loads(Path("out/a.record.json").read_text())["outputs"]
            true = {path.name: _sha256(path) for path in Path("reference").iterdir()}
            if {Path(name).name: digest for name, digest in said.items()} != true:
                raise FindingError(f"differs: replay says the same, the record says {said}")
        ended = command(*SEGMENT)
        if ended.status:
            return refusal(ended, folder)
        same_files(Path("out"), Path("reference"), ("a.record.json",))
        record = json.loads(Path("out/a.record.json").read_text())
    # A signed record may name what never was there.
    there = {name: digest for name, digest in record["outputs"].items() if (folder / "out" / name).exists()}
    if {name: _sha256(folder / "out" / name) for name in there} != there:
        raise FindingError("differs: the record states other digests than its outputs have")
    return "result" if replayed.status == 0 else "result (not replayed)"


def _sign_some(path: Path) -> None:
    """Sign a record that is JSON, if its bytes say so."""
    if not path.is_file():  # a pipe would never end
        return
    try:
        data = path.read_bytes()
        said = json.loads(data)
    except (OSError, ValueError, RecursionError):
        return
    if isinstance(said, dict) and sum(data) % 2:
        path.write_text(json.dumps(signed(said)))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# What a killed run has left.


def make_work(folder: Path) -> None:
    """A run that was interrupted after three parts; its results, had it not been, as ``reference``."""
    make_record(folder)
    for path in (folder / "out").iterdir():
        path.unlink()
    real, done = PartWriter.__exit__, []

    def interrupted(self: PartWriter, *error: Any) -> None:
        real(self, *error)
        done.append(1)
        if len(done) == 3:
            raise KeyboardInterrupt

    with inside(folder), mock.patch.object(PartWriter, "__exit__", interrupted):
        assert command(*SEGMENT).status == 130
    assert len(list(folder.glob("out/.*.parts/*.part"))) == 3, list(folder.rglob("*"))


def look_at_work(folder: Path, out: Path) -> str:
    """Run again, at most three times: in the end the bytes are those of a run that was not killed."""
    kind = "result"
    for _ in range(4):
        with inside(folder):
            ended = command(*SEGMENT)
            if ended.status == 0:
                same_files(Path("out"), Path("reference"), ("a.record.json",))
                return kind
            refusal(ended, folder)
            kind = "refused, then a result"
    raise FindingError(f"stuck: running again does not help: {ended.err}")


# Settings.


def make_settings(folder: Path) -> None:
    """A settings file with every section, after the shipped ones."""
    lines: list[str] = []
    sections: list[str] = []
    for name, value in TrainingSettings().model_dump(mode="json").items():
        if isinstance(value, dict):
            sections += [f"[{name}]", *_toml(value)]
        else:
            lines += _toml({name: value})
    (folder / "settings.toml").write_text("\n".join([*lines, *sections]) + "\n")
    load_settings(folder / "settings.toml")


def _toml(values: dict[str, Any]) -> list[str]:
    return [f"{key} = {json.dumps(value)}" for key, value in values.items() if _simple(value)]


def _simple(value: Any) -> bool:
    return isinstance(value, bool | int | float | str | list)


def look_at_settings(folder: Path, out: Path) -> str:
    """Read settings: each value that the file gives is the one that is used."""
    path = folder / "settings.toml"
    found = load_settings(path).model_dump()
    said = tomllib.loads(path.read_text(encoding="utf-8"))
    for place, value in _leaves(said):
        used: Any = found
        for key in place:
            used = used[key]
        used = list(used) if isinstance(used, tuple) else used
        value = float(value) if isinstance(used, float) and type(value) is int else value
        # 0 and 1 stand for false and true, but not the other way round.
        if used != value or (isinstance(value, bool) and not isinstance(used, bool)):
            raise FindingError(f"differs: {'.'.join(place)} = {value!r} in the file, {used!r} is used")
    return "result"


def _leaves(values: dict[str, Any], place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*place, key))
        else:
            yield (*place, key), value


# Labels.


LABEL_SETTINGS = """[labels]
kind = "instances"
[network]
width = 1
depth = 1
[optimisation]
steps = 1
tile = 36
warmup = 1
[validation]
fraction = 0.0
[augmentation]
elastic_std = 0.0
"""


def make_labels(folder: Path) -> None:
    """An image with its labels, a prediction, and a frame with its truth in the folders of the challenge."""
    labels = np.kron(np.arange(12, dtype=np.uint16).reshape(3, 4), np.ones((15, 12), np.uint16))
    image = np.where(labels % 3 > 0, 160, 60) + np.random.default_rng(0).integers(0, 30, labels.shape)
    tifffile.imwrite(folder / "i.tif", image.astype(np.uint8))
    for name, options in {"l": {}, "p": {"compression": "zlib"}}.items():
        tifffile.imwrite(folder / f"{name}.tif", labels, **options)
    for name in ("truth/SEG/man_seg000", "result/mask000"):
        (folder / name).parent.mkdir(parents=True)
        tifffile.imwrite(folder / f"{name}.tif", np.roll(labels, len(name) % 3, 0))
    (folder / "s.toml").write_text(LABEL_SETTINGS)


def look_at_labels(folder: Path, out: Path) -> str:
    """Check, weigh and train with labels, and evaluate: what one says, the others say too."""
    kinds = {_evaluated(folder)}
    data = ("--images", "i.tif", "--labels", "l.tif", "--settings", "s.toml")
    with inside(folder):
        checked = command("check", *data)
        weighed = command("weights", "l.tif", "-o", "w.tif")
        for ended in (checked, weighed):
            kinds.add(refusal(ended, folder) if ended.status else "result")
        if weighed.status and Path("w.tif").exists():
            raise FindingError("left: w.tif")
        if checked.status == 0:
            trained = command("train", *data, "-o", "run", "--device", "cpu")
            if trained.status not in (0, 3):
                raise FindingError(f"differs: check finds no error, train ends with {trained.err}")
    return "result" if kinds == {"result"} else "refused" if kinds == {"refused"} else "result and refused"


def _evaluated(folder: Path) -> str:
    """Evaluate; compare what was read with other readers."""
    results = []
    with inside(folder):
        for words in (
            ("em", "--labels", "l.tif", "--prediction", "p.tif"),
            ("seg", "--truth", "truth", "--result", "result"),
        ):
            ended = command("evaluate", *words, "--json")
            results.append(refusal(ended, folder) if ended.status else "result")
            if ended.status == 0:
                json.loads(ended.out)
        for path in folder.rglob("*.tif"):
            with contextlib.suppress(ImageError), open_image(path) as image:
                if image.pages * image.height * image.width * image.channels > 2**20:
                    continue
                if differs := difference(path, image):
                    raise FindingError(f"differs: {path.name}: {differs}")
    return "result" if "result" in results else "refused"


SCENES = {
    "run": Scene(runs.make_run, runs.DAMAGED),
    "report": Scene(runs.make_run, runs.DAMAGED),
    "record": Scene(make_record, ("out/a.record.json",) * 3 + ("out/*.tif",)),
    "work": Scene(make_work, ("out/.*.parts/job.json",) * 2 + ("out/.*.parts/*.part",)),
    "settings": Scene(make_settings, ("settings.toml",)),
    "labels": Scene(make_labels, ("l.tif", "l.tif", "p.tif", "truth/SEG/*.tif", "result/*.tif")),
}
LOOKS = {
    "run": runs.look_at_run,
    "report": runs.look_at_report,
    "record": look_at_record,
    "work": look_at_work,
    "settings": look_at_settings,
    "labels": look_at_labels,
}
