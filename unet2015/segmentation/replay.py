"""Repeats the segmentation that a record describes, and tells whether its outputs are still the same."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unet2015.arguments import file_path
from unet2015.device import usual_torch
from unet2015.errors import ImageReadError, MemoryLimitError, ModelError, UsageError
from unet2015.file_names import on_one_line
from unet2015.images.image import Image
from unet2015.models import load_model
from unet2015.models.model_file import Model
from unet2015.models.shipped import FOLDER
from unet2015.provenance import versions
from unet2015.safe_files import UNSIGNED, Unchanged, digest_of, sha256
from unet2015.segmentation.jobs import Job, Outputs
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.parts import computation_of
from unet2015.segmentation.products import BESIDE_ZARR
from unet2015.segmentation.recorded import is_zarr, read_recorded
from unet2015.segmentation.run import write_products
from unet2015.segmentation.segmenter import Segmenter
from unet2015.tiling.memory import mib
from unet2015.tiling.plan import TilePlan

_SAY_IMAGE = "say where that is now: --input FILE (in Python image=)"
_SAY_MODEL = "say where that is now: --model MODEL (in Python model=)"


@dataclass(frozen=True)
class Replay:
    """The result of repeating the segmentation of a record.

    Attributes
    ----------
    outputs : dict
        For each output whether the bytes that were made now are those that the record tells of.
    differences : dict
        What else has changed: versions, device; each then and now.
    signed : bool
        Whether the record has a digest of itself, so that nobody can have changed it unseen.
    beside : dict
        For each output what lies beside the record by its name: ``recorded``, ``changed`` or ``missing``.
    """

    record: Path
    outputs: dict[str, bool]
    differences: dict[str, tuple[str, str]]
    signed: bool = True
    beside: dict[str, str] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """Whether all bytes are the same, also those of the outputs that lie beside the record."""
        return all(self.outputs.values()) and "changed" not in self.beside.values()

    def as_dict(self) -> dict[str, Any]:
        """Return the answer for JSON."""
        return {
            "record": str(self.record),
            "same": self.same,
            "signed": self.signed,
            "outputs": self.outputs,
            "beside": self.beside,
            "differences": {name: list(pair) for name, pair in self.differences.items()},
        }

    def describe(self) -> str:
        """Return the answer for a reader."""
        lines = [self._line(name, same) for name, same in self.outputs.items()]
        lines += [
            on_one_line(f"  {name} was {then}, is {now}") for name, (then, now) in self.differences.items()
        ]
        if not self.signed:
            lines.append(f"  the record {UNSIGNED}")
        return "\n".join(lines)

    def _line(self, name: str, same: bool) -> str:
        found = self.beside.get(name)
        word = "different" if not same else "changed" if found == "changed" else "same"
        made = "what was made now is as recorded, but " if same else ""
        more = {
            "changed": f": {made}the file beside the record was changed after it was written",
            "missing": ": there is none beside the record",
        }
        return f"{word:<9}  {on_one_line(name)}{more.get(found or '', '')}"


@usual_torch()
def replay(record: str | Path, image: str | Path | None = None, model: str | Path | None = None) -> Replay:
    """Repeat the segmentation of a record, in a temporary folder, with the same tiles and batches.

    Parameters
    ----------
    record : path
        A record, as :func:`unet2015.segmentation.batch.segment_files` writes it beside its outputs.
    image, model : path, optional
        Where input and model are now. Default: the paths in the record.

    Returns
    -------
    Replay
        Whether the bytes of each output are the same, whether those beside the record still are, and what
        else has changed.

    Raises
    ------
    ImageReadError
        The file is not a record, somebody has changed it, or the input is missing or has changed.
    ModelError
        The model is missing or has changed; the message says how to name another place.
    """
    path = file_path(record, "record")
    image = None if image is None else file_path(image, "image")
    model = None if model is None else file_path(model, "model")
    said, options = read_recorded(path)
    source = Path(image or said["input"])
    if image is None and not os.path.lexists(source):
        raise ImageReadError(f"{source}: No such file; it is the input of {path}; {_SAY_IMAGE}")
    loaded = load_model(model or _recorded_model(said["model"], path))
    if loaded.sha256 != said["model_sha256"]:
        raise ModelError(f"{loaded.path}: is not the model of {path}: its SHA-256 differs; {_SAY_MODEL}")
    watched = Unchanged(source)
    segmenter = _segmenter(loaded, options, said["convolutions"], path)
    with (
        options.open(source) as opened,
        tempfile.TemporaryDirectory() as folder,
    ):
        if watched.sha256 != said["input_sha256"]:
            raise ImageReadError(f"{source}: is not the input of {path}: its SHA-256 differs; {_SAY_IMAGE}")
        # Tables have the name that the image had then.
        opened.title = said["input_name"] or Path(said["input"]).name
        segmenter.check(opened)
        companion = opened.companion
        plan = _plan(said["plan"], opened, loaded, path)
        if not segmenter.admits(opened, plan):
            raise MemoryLimitError(
                f"{path}: its plan, tiles of {plan.tile[0]} x {plan.tile[1]} px in batches of {plan.batch}, "
                f"needs {mib(segmenter.memory(opened, plan))}, more than its memory cap or than is free; "
                "replay it where there is as much"
            )
        job = Job(source, _outputs(said, options, Path(folder)), options)
        work = None
        if job.outputs.zarr or options.objects is not None:
            work = Path(folder, "work")
            work.mkdir()
        write_products(job, computation_of(segmenter, opened, plan), work, watched.check)
        outputs = {
            name: sha256(target) == said["outputs"][name]
            for name, target in zip(said["outputs"], job.outputs.paths, strict=True)
        }
    beside = {
        name: _beside(path.parent / Path(name).name, digest) for name, digest in said["outputs"].items()
    }
    others = _differences(said, segmenter) | _other_companion(said["companion_sha256"], companion)
    return Replay(path, outputs, others, said["signed"], beside)


def _beside(path: Path, digest: str) -> str:
    """Return what lies at the path of an output: ``recorded`` by its digest, ``changed`` or ``missing``."""
    if not os.path.lexists(path):
        return "missing"
    try:
        return "recorded" if digest_of(path) == digest else "changed"
    except OSError:  # not a file any more, or not to be read
        return "changed"


def _recorded_model(name: str, record: Path) -> Path:
    """Return the model file that a record names; one that comes with the package is found wherever that is.

    Raises
    ------
    ModelError
        It is not there.
    """
    if not name:
        raise ModelError(f"{record}: its model was not in a file, so it cannot be repeated")
    if os.path.lexists(name):
        return Path(name)
    if (shipped := FOLDER / Path(name).name).is_file():
        return shipped
    raise ModelError(f"{name}: No such file; it is the model of {record}; {_SAY_MODEL}")


def _outputs(said: dict[str, Any], options: SegmentOptions, folder: Path) -> Outputs:
    """Return where the products of a record go in a folder."""
    paths = [folder / Path(name).name for name in said["outputs"]]
    if is_zarr(said):
        inside = [name for name in options.results if name not in BESIDE_ZARR]
        paths = paths[:1] * len(inside) + paths[1:]
    return Outputs(dict(zip(options.results, paths, strict=True)), folder / "record.json")


def _segmenter(model: Model, options: SegmentOptions, convolutions: str | None, path: Path) -> Segmenter:
    """Return a segmenter that computes convolutions as the record says, if it says it."""
    try:
        return Segmenter(model, options, convolutions)
    except UsageError as error:
        raise ImageReadError(f"{path}: cannot be repeated here: {error}") from error


def _differences(said: dict[str, Any], segmenter: Segmenter) -> dict[str, tuple[str, str]]:
    """Return which versions, and whether device and convolutions, are not those of the record."""
    now = versions() | {"device": segmenter.device_name(), "convolutions": segmenter.convolutions}
    then = said["versions"] | {"device": said["device"], "convolutions": said["convolutions"]}
    names = sorted(now.keys() | then.keys())
    return {
        name: (str(then.get(name)), str(now.get(name))) for name in names if then.get(name) != now.get(name)
    }


def _other_companion(then: object, now: str | None) -> dict[str, tuple[str, str]]:
    """Return whether the companion file of an OME-TIFF is another one, or has come or gone since."""
    return {} if then == now else {"companion file": (str(then), str(now))}


def _plan(said: dict[str, Any], image: Image, model: Model, path: Path) -> TilePlan:
    try:
        geometry = model.network.geometry
        return TilePlan(image.pages, image.height, image.width, said["tile"], said["batch"], geometry)
    except UsageError as error:
        raise ImageReadError(f"{path}: the plan in the record is not possible: {error}") from error
