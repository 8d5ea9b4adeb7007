"""Segments files: where results go, what is done already, and what failed and why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from json import JSONDecodeError, loads
from pathlib import Path
from typing import Any

from unet2015.errors import ImageReadError, ImageWriteError, UNet2015Error, UsageError
from unet2015.images.image import Image
from unet2015.images.mapping import MappedImage
from unet2015.images.reader import find_images, open_image
from unet2015.images.writer import Layout
from unet2015.images.zarr import is_zarr
from unet2015.images.zarr_writer import ZarrLayout
from unet2015.models import warn_unless_learned
from unet2015.models.model_file import Model
from unet2015.provenance import versions
from unet2015.safe_files import Unchanged, claim, make_folder, sha256, write_json
from unet2015.segmentation.estimate import Estimator, in_words
from unet2015.segmentation.failures import write_failures
from unet2015.segmentation.parts import PartStore
from unet2015.segmentation.segmenter import Segmenter, SegmentOptions
from unet2015.segmentation.work_folder import WorkFolder, clean
from unet2015.segmentation.zarr_output import ZarrParts, write_zarr
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.times import Times

ENDINGS = CLASSES, PROBABILITY, ZARR = ".classes.tif", ".probability.tif", ".classes.zarr"
RECORD = ".record.json"
"""What the names of a result's files end in."""

_log = logging.getLogger("unet2015")

Compute = Callable[[MappedImage, TilePlan, "Outputs", Times, PartStore | ZarrParts, ZarrLayout | None], None]
"""Has the parts computed that a store lacks, and kept there."""


@dataclass(frozen=True)
class Outputs:
    """Where the results of one file go; both maps in one OME-Zarr image, or each in its own TIFF."""

    classes: Path
    probability: Path | None
    record: Path

    @property
    def images(self) -> tuple[Path, ...]:
        """The class map and, where asked for, the probability map."""
        found = (self.classes,) if self.probability is None else (self.classes, self.probability)
        return tuple(dict.fromkeys(found))

    @property
    def zarr(self) -> bool:
        """Whether the results are an OME-Zarr image."""
        return self.classes.suffix.lower() == ".zarr"

    @property
    def files(self) -> tuple[Path, ...]:
        """The images and the record."""
        return (*self.images, self.record)


@dataclass(frozen=True)
class FileResult:
    """What became of one file: its outputs, or the error."""

    input: Path
    outputs: tuple[Path, ...]
    error: UNet2015Error | None = None


@dataclass(frozen=True)
class FilePlan:
    """What segmenting one file would take.

    Attributes
    ----------
    plan : TilePlan or None
        None where the file was refused.
    memory, disk : int
        Bytes: the peak of the process (on a GPU: of the device), and the results uncompressed with
        what is kept to go on from while they are made.
    seconds : float
        About how long it will take, from a short measurement.
    """

    input: Path
    outputs: Outputs
    axes: str = ""
    shape: tuple[int, ...] = ()
    plan: TilePlan | None = None
    memory: int = 0
    disk: int = 0
    seconds: float = 0.0
    error: UNet2015Error | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the plan for JSON."""
        return {
            "input": str(self.input),
            "outputs": [str(path) for path in self.outputs.images],
            "axes": self.axes,
            "shape": list(self.shape),
            "plan": None if self.plan is None else self.plan.as_dict(),
            "memory_bytes": self.memory,
            "disk_bytes": self.disk,
            "seconds": round(self.seconds, 1),
            "error": None if self.error is None else str(self.error),
        }

    def describe(self) -> str:
        """Return the plan for a reader."""
        if self.plan is None:
            return f"{self.input}\n  refused      {self.error}"
        rows, columns = self.plan.rows, self.plan.columns
        return "\n".join(
            [
                str(self.input),
                f"  axes         {self.axes} ({' x '.join(map(str, self.shape))})",
                f"  tiles        {self.plan.tiles} of {self.plan.tile[0]} x {self.plan.tile[1]} px "
                f"({self.plan.pages} pages of {len(rows)} x {len(columns)}), "
                f"kept {rows[0].length} x {columns[0].length} px, batches of {self.plan.batch}",
                f"  peak memory  {self.memory / 2**20:.0f} MiB",
                f"  disk         up to {self.disk / 2**20:.1f} MiB",
                f"  time         {in_words(self.seconds)}, by a short measurement",
                *(f"  output       {path}" for path in self.outputs.images),
            ]
        )


def segment_files(
    inputs: Sequence[str | Path],
    out: str | Path,
    model: Model | str | Path,
    options: SegmentOptions | None = None,
    axes: str | None = None,
    probability: bool = False,
    layout: Layout = Layout(),  # noqa: B008 - frozen
    dask: str | None = None,
) -> list[FileResult]:
    """Segment files, folders and patterns into `out`; what fails does not stop the rest.

    Parameters
    ----------
    inputs : sequence of path
        TIFF or PNG files, OME-Zarr images, folders of them, patterns.
    out : path
        A folder; or, for one input, the class map's own path, ending in .tif, .tiff or .zarr. In a
        folder, OME-Zarr in gives OME-Zarr out, ``NAME.classes.zarr``, and all else TIFF; an OME-Zarr
        image holds the class map as labels and, asked for, the probability map (see
        :mod:`unet2015.images.zarr_writer`).
    model : Model or path
        What to segment with.
    options : SegmentOptions, optional
        See :func:`unet2015.segment`.
    axes : str, optional
        Axes of the files where they do not say.
    probability : bool
        Write the probability map as well.
    layout : Layout
        Of TIFF: strips or tiles, with or without smaller copies.
    dask : str, optional
        Compute on the workers of a Dask scheduler at this address, or ``local:N`` for N processes
        here; the results are the same bytes.

    Returns
    -------
    list of FileResult
        One a file. A file whose outputs are there, made from the same bytes by the same model with
        the same options, is not done again; one that was begun goes on from its last finished part.
        In a folder, ``failures.csv`` lists the files that failed this time, if any.

    Raises
    ------
    UsageError
        No input, colliding outputs, or options that no image can meet: before anything is written.
    """
    segmenter = Segmenter(model, options or SegmentOptions())
    if isinstance(model, Model):  # else loading it has said so
        warn_unless_learned(model)
    out = Path(out)
    jobs = plan_outputs(find_inputs(inputs), out, probability)
    results: list[FileResult] = []
    try:
        if dask is not None:
            from unet2015.segmentation.cluster import segment_on

            results.extend(segment_on(dask, segmenter, jobs, axes, layout))
        else:
            for path, outputs in jobs:
                results.append(segment_file(segmenter, path, outputs, axes, layout))
    finally:
        failures = [(result.input, result.error) for result in results if result.error]
        # A run that was interrupted has not seen all files, and keeps what is known of the others.
        if not _is_file(out) and (failures or len(results) == len(jobs)):
            write_failures(out, failures)
    return results


def segment_file(
    segmenter: Segmenter,
    path: Path,
    outputs: Outputs,
    axes: str | None,
    layout: Layout,
    *,
    plan: TilePlan | None = None,
    compute: Compute | None = None,
) -> FileResult:
    """Segment one file; an error becomes part of the result.

    Parameters
    ----------
    segmenter, path, outputs, axes, layout
        What to segment with, the file, where its results go, its axes where it does not say, and how
        TIFF is laid out.
    plan : TilePlan, optional
        Chosen here, unless given.
    compute : callable, optional
        Computes the parts that are missing elsewhere; here, unless given.
    """
    try:
        _segment_file(segmenter, path, outputs, axes, layout, plan, compute)
    except UNet2015Error as error:
        return FileResult(path, (), error)
    except (OSError, MemoryError) as error:
        return FileResult(path, (), ImageReadError(f"{path}: {error or 'out of memory'}"))
    return FileResult(path, outputs.images)


def plan_files(
    inputs: Sequence[str | Path],
    out: str | Path,
    model: Model | str | Path,
    options: SegmentOptions | None = None,
    axes: str | None = None,
    probability: bool = False,
    layout: Layout = Layout(),  # noqa: B008 - frozen
) -> list[FilePlan]:
    """Say what :func:`segment_files` would take, and do nothing."""
    segmenter = Segmenter(model, options or SegmentOptions())
    estimator, plans = Estimator(segmenter), []
    for path, outputs in plan_outputs(find_inputs(inputs), Path(out), probability):
        try:
            with open_image(path, axes) as image:
                plan = segmenter.plan(image)
                plans.append(
                    FilePlan(
                        path,
                        outputs,
                        image.axes,
                        image.shape,
                        plan,
                        segmenter.memory(image, plan),
                        _disk(image, segmenter, outputs, plan, layout),
                        estimator.seconds(image, plan),
                    )
                )
        except UNet2015Error as error:
            plans.append(FilePlan(path, outputs, error=error))
    return plans


def find_inputs(inputs: Sequence[str | Path]) -> list[Path]:
    """Return the files that the inputs name, without results of a segmentation that lie among them."""
    found = find_images(inputs)
    results = [path for path in found if _is_result(path)]
    if results and len(results) < len(found):
        _log.info("%d results of segmentations among the inputs are left out", len(results))
        return [path for path in found if path not in results]
    return found


def _is_result(path: Path) -> bool:
    name = next((path.name.removesuffix(end) for end in ENDINGS if path.name.endswith(end)), None)
    return name is not None and path.with_name(name + RECORD).exists()


def plan_outputs(inputs: Sequence[Path], out: Path, probability: bool) -> list[tuple[Path, Outputs]]:
    """Say where the results of each input go; raise `UsageError` where two would collide."""
    if out.suffix.lower() in (".png", ".jpg", ".jpeg") and not out.is_dir():
        raise UsageError(f"{out}: results are TIFF files; give a folder, or a name that ends in .tif")
    if _is_file(out):
        if len(inputs) > 1:
            raise UsageError(f"{out} is one file, but there are {len(inputs)} inputs; give a folder")
        jobs = [(inputs[0], _outputs(out, out.with_suffix(""), probability))]
    else:
        jobs = [(path, _in_folder(path, out, probability)) for path in inputs]
    nameless = [path for path in inputs if path.stem in (".", "..")]
    if nameless:  # their results would lie outside of the folder
        raise UsageError(f"{nameless[0]}: a file of this name gives its results none; rename it")
    owners: dict[Path, Path] = {_real(path): path for path in inputs}
    for path, outputs in jobs:
        for target in outputs.files:
            other = owners.setdefault(_real(target), path)
            if other is not path or _real(target) == _real(path):
                raise UsageError(
                    f"the result of {path} would be {target}, which is also "
                    + (
                        "an input"
                        if _real(other) == _real(target) or _real(target) == _real(path)
                        else f"that of {other}"
                    )
                    + "; choose another output folder"
                )
            inside = next((one for one in inputs if _real(one) in _real(target).parents), None)
            if inside is not None:
                raise UsageError(f"{target}: lies in the input {inside}; choose another output folder")
    return jobs


def _real(path: Path) -> Path:
    """Return a path without links; one whose links go round in a circle as it is: reading it says so."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path.absolute()


def _in_folder(path: Path, out: Path, probability: bool) -> Outputs:
    if is_zarr(path):
        name = out / (path.stem if path.suffix.lower() == ".zarr" else path.name)
        return _outputs(_with(name, ZARR), name, probability)
    return _outputs(_with(out / path.stem, CLASSES), out / path.stem, probability)


def _is_file(out: Path) -> bool:
    """Whether `out` names the class map of one input rather than a folder."""
    if out.suffix.lower() == ".zarr":
        return is_zarr(out) or not out.is_dir()
    return out.suffix.lower() in (".tif", ".tiff") and not out.is_dir()


def is_done(outputs: Outputs, expected: dict[str, Any]) -> bool:
    """Whether the outputs are whole and their record says that they were made as `expected`."""
    try:
        record = loads(outputs.record.read_text(encoding="utf-8"))
        return all(record[key] == value for key, value in expected.items()) and all(
            record["outputs"][path.name] == sha256(path) for path in outputs.images
        )
    except (OSError, JSONDecodeError, KeyError, TypeError):
        return False


def _segment_file(
    segmenter: Segmenter,
    path: Path,
    outputs: Outputs,
    axes: str | None,
    layout: Layout,
    plan: TilePlan | None,
    compute: Compute | None,
) -> None:
    watched = Unchanged(path)
    with open_image(path, axes) as image:
        plan = segmenter.plan(image) if plan is None else plan
        identity = {
            "input_sha256": watched.sha256,
            "model_sha256": segmenter.model.sha256,
            "settings": segmenter.settings()
            | {"axes": axes, "probability": outputs.probability is not None}
            | asdict(layout),
        }
        _check_free(outputs, path)
        for note in image.notes:
            _log.warning("%s: %s", path, note)
        make_folder(outputs.classes.parent)
        with claim(outputs.classes):
            if is_done(outputs, identity):
                _log.info("%s: done before, with the same model and settings", path)
                clean(outputs.files)
                return
            work = WorkFolder(outputs.classes, identity, segmenter.device_name())
            clean(outputs.files, keep=work.path)
            with work:
                record = identity | _segment(segmenter, image, plan, outputs, layout, work, watched, compute)
                write_json(outputs.record, record)
                work.remove()


def _segment(
    segmenter: Segmenter,
    image: Image,
    plan: TilePlan,
    outputs: Outputs,
    layout: Layout,
    work: WorkFolder,
    watched: Unchanged,
    compute: Compute | None,
) -> dict[str, Any]:
    """Write the outputs of an image; return what its record says beside its identity."""
    times = Times()
    plan, store, scale = work.resume(plan)
    with times.measure("map"):
        source = MappedImage(image, segmenter.info.mapping, scale)
    if store is None:
        store = work.start(plan, source, single=outputs.zarr or compute is not None)
    if outputs.zarr:
        elsewhere = None if compute is None else partial(compute, source, plan, outputs, times)
        found = write_zarr(
            segmenter,
            source,
            plan,
            work.path,
            outputs.classes,
            outputs.probability is not None,
            check=watched.check,
            times=times,
            compute=elsewhere,
        )
    else:
        if compute is not None and store is not None:
            compute(source, plan, outputs, times, store, None)
        found = segmenter.to_files(
            source,
            plan,
            outputs.classes,
            outputs.probability,
            layout=layout,
            store=store,
            check=watched.check,
            times=times,
        )
    if found.constant:
        _log.warning("%s: all pixels got the same probability; does the model suit the image?", image.path)
    return {
        "input": str(watched.path.resolve()),
        "axes": image.axes,
        "axes_source": image.axes_source,
        "shape": list(image.shape),
        "dtype": str(image.dtype),
        "model": str(segmenter.model.path),
        "learned": segmenter.info.learned,
        "threshold": {"name": segmenter.threshold_name, "value": segmenter.threshold},
        "mapping": segmenter.info.mapping.model_dump(mode="json")
        | {"offset": source.offset.tolist(), "gain": source.gain.tolist()},
        "class_names": list(segmenter.info.class_names),
        "plan": plan.as_dict(),
        "skipped_tiles": found.skipped,
        "device": segmenter.device_name(),
        "seconds": times.as_dict(),
        "versions": versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "outputs": {path.name: sha256(path) for path in outputs.images},
    }


def _check_free(outputs: Outputs, path: Path) -> None:
    """See that nothing but an earlier result of this file is about to be replaced."""
    if outputs.zarr and outputs.classes.exists() and not outputs.record.exists():
        raise ImageWriteError(
            f"{outputs.classes}: exists and is no result of this program (it has no "
            f"{outputs.record.name} beside it); remove it, or choose another name"
        )
    try:
        other = Path(loads(outputs.record.read_text(encoding="utf-8"))["input"])
    except (OSError, JSONDecodeError, KeyError, TypeError):
        return
    if other != path.resolve() and other.exists():
        raise ImageWriteError(
            f"{outputs.classes}: is the result of {other}, and would be replaced by that of {path}; "
            "choose another output folder"
        )


def _outputs(classes: Path, name: Path, probability: bool) -> Outputs:
    inside = classes.suffix.lower() == ".zarr"
    shown = (classes if inside else _with(name, PROBABILITY)) if probability else None
    return Outputs(classes, shown, _with(name, RECORD))


def _with(name: Path, ending: str) -> Path:
    return name.with_name(name.name + ending)


def _disk(image: Image, segmenter: Segmenter, outputs: Outputs, plan: TilePlan, layout: Layout) -> int:
    planes = 1 if segmenter.info.classes == 2 else segmenter.info.classes
    maps = image.pages * image.height * image.width * (1 + (4 * planes if outputs.probability else 0))
    smaller = maps // 3 if layout.pyramid else 0
    return maps + smaller + (maps if len(plan.parts) > 1 else 0)
