"""``python worker.py OUT.json``, in an empty folder: run the commands, and say what came of them.

A script, in a process of its own, so that the environment which `outcome.run` gives decides how the numbers
are computed. Of the package it uses what everybody uses: the command line and the names of `unet2015`.
"""

import contextlib
import hashlib
import io
import json
import platform
import shlex
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import tifffile
import torch
import zarr

import unet2015
from unet2015.cli import main
from unet2015.provenance import processor_details

# Name and command line; each writes to a folder of that name.
SEGMENT = (
    ("gray", "gray.tif --model membrane.safetensors --tile 60 --batch 3 --probability"),
    ("stack", "deep.tif --model membrane.safetensors --tile 92 --batch 2 --probability"),
    ("classes", "images.tif --model classes.safetensors --tile 76 --batch 2 --probability"),
    ("ome", "ome.ome.tif --model membrane.safetensors --tile 60 --batch 4 --probability"),
    ("png", "gray.png --model classes.safetensors --tile 60 --batch 2 --probability"),
    ("zarr", "volume.zarr --model membrane.safetensors --tile 60 --batch 2"),
    ("zarr-probability", "volume.zarr --model classes.safetensors --tile 92 --batch 1 --probability"),
    ("to-zarr", "deep.tif --model membrane.safetensors --tile 92 --batch 1 -o to-zarr/deep.zarr"),
    ("to-tiff", "volume.zarr --model membrane.safetensors --tile 92 --batch 1 -o to-tiff/volume.tif"),
    (
        "rotations",
        "gray.tif --model membrane.safetensors --tile 92 --batch 1 --average rotations --probability",
    ),
    ("flips", "deep.tif --model classes.safetensors --tile 92 --batch 1 --average flips --probability"),
    (
        "symmetries",
        "gray.tif --model membrane.safetensors --tile 92 --batch 1 --average symmetries --probability",
    ),
    ("number", "gray.tif --model membrane.safetensors --tile 60 --batch 3 --threshold 0.8"),
    ("f1", "gray.tif --model membrane.safetensors --tile 60 --batch 3 --threshold f1"),
    (
        "pyramid",
        "images.tif --model membrane.safetensors --tile 76 --batch 2 --tiled --pyramid --probability",
    ),
    ("skip-empty", "half.tif --model membrane.safetensors --tile 52 --batch 2 --skip-empty --probability"),
    ("max-memory", "gray.tif --model membrane.safetensors --max-memory 2G --probability"),
    (
        "bfloat16",
        "gray.tif --model membrane.safetensors --tile 92 --batch 1 --precision bfloat16 --probability",
    ),
    ("files", "gray.tif half.tif --model classes.safetensors --tile 76 --batch 2 --axes YX"),
    ("shipped", "gray.tif --model em-membrane --tile 268 --batch 1 --probability"),
)
TRAIN = (
    ("membrane", "--labels membranes.tif"),
    ("instances", "--labels cells.tif"),
    ("classes", "--labels classes.tif"),
)
WEIGHTS = (
    ("instances", "cells.tif --w0 8 --sigma 4"),
    ("membrane", "membranes.tif --label-kind membrane"),
    ("everywhere", "cells.tif --gaps everywhere"),
    ("ignore", "classes.tif --label-kind classes --ignore 1"),
)
PRINTED = (
    ("inspect", "inspect gray.tif deep.tif ome.ome.tif gray.png volume.zarr --json"),
    (
        "plan",
        "segment gray.tif deep.tif --model membrane.safetensors --tile 60 --batch 2 -o no --plan --json",
    ),
    ("check", "check --images images.tif --labels membranes.tif --label-kind membrane --json"),
    ("check held out", "check --images images.tif --labels cells.tif --validate 0 --json"),
    ("check wrong", "check --images images.tif --labels gray.tif --json"),
    ("models", "models --json"),
    ("evaluate em", "evaluate em --labels membranes.tif --prediction guess.tif --per-slice em.csv --json"),
    ("evaluate seg", "evaluate seg --truth 01_GT --result 01_RES --per-slice seg.csv --json"),
    ("replay", "replay stack/deep.record.json --json"),
)
# What differs from run to run, from machine to machine, or is a message.
LEFT_OUT = {
    *("date", "seconds", "device", "versions", "path", "memory_bytes", "input_sha256", "model_sha256"),
    *("record_sha256", "convolutions"),
    *("files", "training", "bytes", "message", "why", "validation_why", "notes"),
    *("summary", "modality", "citation", "terms"),
}


def run_all() -> dict[str, Any]:
    """Run everything; return by name what is compared."""
    found: dict[str, Any] = {}
    for name, line in SEGMENT:
        out = "" if " -o " in line else f"-o {name}"
        command(found, f"segment {name}", f"segment {line} --device cpu {out}")
        tolerance = "bfloat16" if name == "bfloat16" else "float32"
        for path in sorted(Path(name).iterdir()):
            output(found, f"segment {name}: {path.name}", path, tolerance)
    for name, line in WEIGHTS:
        command(found, f"weights {name}", f"weights {line} -o weights-{name}.tif")
        output(found, f"weights {name}: map", Path(f"weights-{name}.tif"), "float32")
    for name, line in TRAIN:
        settings = f"--settings {name}.toml --device cpu"
        command(found, f"train {name}", f"train --images images.tif {line} {settings} -o run-{name}")
        training(found, f"train {name}", Path(f"run-{name}"))
    resumed(found)
    for name, line in PRINTED:
        command(found, name, line, printed=True)
    for name in ("em", "seg"):
        found[f"evaluate {name}: per slice"] = table(Path(f"{name}.csv"))
    python(found)
    return found


def command(found: dict[str, Any], name: str, line: str, printed: bool = False) -> None:
    """Run a command line in this process; keep its exit status and, if asked, the JSON that it prints."""
    out = io.StringIO()
    status: object = None
    with contextlib.redirect_stdout(out):
        try:
            main(shlex.split(line))
        except SystemExit as end:
            status = end.code or 0
    found[f"{name}: exit status"] = {"says": status, "tolerance": "exact"}
    if printed:
        found[f"{name}: printed"] = {"says": lasting(json.loads(out.getvalue())), "tolerance": "float32"}


def resumed(found: dict[str, Any]) -> None:
    """Train from the checkpoint in the middle to the end, as after a kill."""
    for name, line in TRAIN[:2]:
        run = Path(f"run-{name}-again")
        shutil.copytree(f"run-{name}", run)
        *_, last = sorted((run / "checkpoints").iterdir())
        last.unlink()
        settings = f"--settings {name}.toml --device cpu"
        command(found, f"resume {name}", f"train --images images.tif {line} {settings} -o {run} --resume")
        training(found, f"resume {name}", run)


def python(found: dict[str, Any]) -> None:
    """Use the functions rather than the commands."""
    pixels, cells = tifffile.imread("gray.tif"), tifffile.imread("cells.tif")
    classes = unet2015.segment(pixels, "membrane.safetensors", tile=60, batch=3, device="cpu")
    found["unet2015.segment"] = array(classes, "float32")
    probability = unet2015.segment(
        pixels, "membrane.safetensors", probabilities=True, tile=60, batch=3, device="cpu"
    )
    found["unet2015.segment: probabilities"] = array(probability, "float32")
    weights = unet2015.weight_map(cells)
    found["unet2015.weight_map"] = array(weights, "float32")
    unet2015.train("images.tif", "cells.tif", "run-python", settings="instances.toml", device="cpu")
    training(found, "unet2015.train", Path("run-python"))


def training(found: dict[str, Any], name: str, run: Path) -> None:
    """Keep what a training left: its log, its model, its settings."""
    tolerance = "training in bfloat16" if name == "train classes" else "training"
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    found[f"{name}: log"] = {"says": [lasting(line) for line in log], "tolerance": tolerance}
    found[f"{name}: settings"] = {
        "says": json.loads((run / "settings.json").read_text()),
        "tolerance": "exact",
    }
    path = run / "model.safetensors"
    with safetensors.safe_open(path, "np") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        description = lasting(json.loads(file.metadata()["unet2015"]), keep=("training",))
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    order = [key for key in json.loads(data[8:end]) if key != "__metadata__"]
    found[f"{name}: model's description"] = {"says": description, "tolerance": tolerance}
    found[f"{name}: model"] = {
        "file": sha(*order, data[end:]),  # all but the description, which has the date
        "values": sha(*(part for key in sorted(tensors) for part in (key, tensors[key]))),
        "says": {key: [float(np.sqrt(np.mean(np.square(t))))] for key, t in sorted(tensors.items())},
        "tolerance": tolerance,
    }


def output(found: dict[str, Any], name: str, path: Path, tolerance: str) -> None:
    """Keep what is compared of a file, or of an image that is a folder."""
    if path.suffix == ".json":
        found[name] = {"says": lasting(json.loads(path.read_text())), "tolerance": tolerance}
    elif path.is_dir():
        files = [file.relative_to(path).as_posix() for file in sorted(path.rglob("*")) if file.is_file()]
        found[name] = {
            "file": sha(*(part for file in files for part in (file, (path / file).read_bytes()))),
            "says": [file for file in files if file.endswith("zarr.json")],
            "tolerance": "exact",
        }
        group = zarr.open_group(path, mode="r")
        for file in found[name]["says"]:
            inside = str(Path(file).parent)
            if inside != "." and isinstance(level := group[inside], zarr.Array):
                found[f"{name}/{inside}"] = array(level[...], tolerance)
    else:
        found[name] = {"file": sha(path.read_bytes())} | array(tifffile.imread(path), tolerance)


def table(path: Path) -> dict[str, Any]:
    """Return what is compared of a table."""
    rows = [line.split(",") for line in path.read_text().splitlines()]
    says = [rows[0], *([float(cell) if cell else None for cell in row] for row in rows[1:])]
    return {"file": sha(path.read_bytes()), "says": says, "tolerance": "float32"}


def array(values: np.ndarray, tolerance: str) -> dict[str, Any]:
    """Return what is compared of an array: all of it, and the means of 4 x 4 blocks of each page."""
    *_, height, width = values.shape
    pages = values.reshape(-1, height, width)
    means = [
        round(float(block.mean(dtype=np.float64)), 9)
        for page in pages
        for rows in np.array_split(page, 4)
        for block in np.array_split(rows, 4, axis=1)
    ]
    return {
        "values": sha(values),
        "says": {"shape": list(values.shape), "dtype": str(values.dtype), "means": means},
        "tolerance": "classes" if values.dtype.kind == "u" else tolerance,
    }


def lasting(value: Any, keep: tuple[str, ...] = ()) -> Any:
    """Return a document without what differs between runs; of hashes by output, and of paths, the names."""
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key not in LEFT_OUT or key in keep}
        return {key: sorted(item) if key == "outputs" else lasting(item, keep) for key, item in kept.items()}
    if isinstance(value, list):
        return [lasting(item, keep) for item in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def sha(*parts: Any) -> str:
    """Return the SHA-256 of texts, bytes and arrays, each with its length or shape."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str} {part.shape}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        else:
            data = part.encode() if isinstance(part, str) else part
            digest.update(f"{len(data)} ".encode() + data)
    return digest.hexdigest()


def machine() -> dict[str, str]:
    """Return on what the last bits of the numbers, and the bytes of the files, depend beside this package."""

    def short(name: str) -> str:
        return f"{name} {'.'.join(version(name).split('+')[0].split('.')[:2])}"

    where = (
        f"{platform.machine()} {processor_details()}"  # libraries choose kernels and sizes of blocks by it
    )
    numbers = [where, short("torch"), short("numpy"), short("scipy"), f"probe {probe()[:12]}"]
    formats = [f"{name} {version(name)}" for name in ("tifffile", "imagecodecs", "zarr")]
    return {"numbers": ", ".join(numbers), "files": ", ".join(formats)}


def probe() -> str:
    """Return a digest of what plain torch computes here: another one, so other bits in the package.

    The same one does not say that they are the same: two processors with the same digest trained with other
    last bits. So the kind of processor counts, too.
    """
    random = np.random.RandomState(0)
    parts = []
    for inside, outside, side in ((1, 2, 60), (4, 8, 28), (8, 3, 92), (64, 32, 40)):
        x = torch.from_numpy(random.normal(size=(2, inside, side, side)).astype(np.float32)).requires_grad_()
        w = torch.from_numpy(random.normal(size=(outside, inside, 3, 3)).astype(np.float32)).requires_grad_()
        y = torch.nn.functional.conv2d(x, w)
        up = torch.nn.functional.conv_transpose2d(y, w[:, :, :2, :2], stride=2)
        loss = torch.log_softmax(up, 1).exp().square().mean() + (up @ up.transpose(2, 3)).sigmoid().mean()
        loss.backward()
        low = torch.nn.functional.conv2d(x.bfloat16(), w.bfloat16()).float()
        parts += [item.detach().numpy() for item in (y, up, loss, x.grad, w.grad, low)]
    parts += [np.exp(parts[0]), np.sin(parts[0]), np.linalg.norm(parts[0], axis=-1)]
    return sha(*parts)


if __name__ == "__main__":
    found = run_all()
    Path(sys.argv[1]).write_text(json.dumps({"machine": machine(), "found": found}))
