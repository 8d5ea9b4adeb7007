"""Jobs: the input files, the paths of their results, and checks that no result replaces another file."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unet2015.arguments import no_file_name
from unet2015.errors import ImageWriteError, UsageError
from unet2015.images.beside_results import results_beside_images, without_results
from unet2015.images.pairs import labels_beside_images
from unet2015.images.reader import find_images
from unet2015.images.result_names import CLASSES_ZARR, is_ome_name, ome_ending, stem_of
from unet2015.images.zarr_group import is_inside_zarr, is_zarr
from unet2015.safe_files import RECORD, leftovers, longest_name, record_of
from unet2015.segmentation.flavours import ome_products
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.products import BESIDE_ZARR, MAIN, OBJECT_PRODUCTS, PRODUCTS
from unet2015.wording import counted

_log = logging.getLogger("unet2015")


@dataclass(frozen=True)
class Outputs:
    """Where the results of one input go.

    Attributes
    ----------
    products : dict of Path
        Path of each result by its name; maps have the same path if they lie in one OME-Zarr image.
    record : Path
        The record beside them, unless it is that of another result: r.tif and r.zarr have the same `record`.
    """

    products: dict[str, Path]
    record: Path

    @property
    def records(self) -> tuple[Path, Path]:
        """Where the record may be: `record`, or named after the whole name of the main product."""
        return self.record, self.main.with_name(self.main.name + RECORD)

    @property
    def main(self) -> Path:
        """The path of the class map, or of the OME-Zarr image."""
        return self.products[MAIN.name]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths of all products, each once."""
        return tuple(dict.fromkeys(self.products.values()))

    @property
    def zarr(self) -> bool:
        """Whether the results are an OME-Zarr image."""
        return self.main.suffix.lower() == ".zarr"

    @property
    def files(self) -> tuple[Path, ...]:
        """The paths of all products, and of the record."""
        return (*self.paths, *self.records)

    def recorded(self) -> dict[str, Any] | None:
        """Read the record that names the main product; None if there is none."""
        return record_of(self.records, self.main)


@dataclass(frozen=True)
class Job:
    """One input, its outputs and its options.

    Attributes
    ----------
    input : Path
        The image.
    outputs : Outputs
        Where its results go.
    options : SegmentOptions
        Its axes if the file does not tell them, what is written, and how.
    """

    input: Path
    outputs: Outputs
    options: SegmentOptions

    def absolute(self) -> "Job":
        """Return the same job for a process that runs in another folder."""
        products = {name: path.absolute() for name, path in self.outputs.products.items()}
        outputs = Outputs(products, self.outputs.record.absolute())
        return replace(self, input=self.input.absolute(), outputs=outputs)


def find_inputs(inputs: Sequence[str | Path]) -> list[Path]:
    """Return the files that the inputs name, without results of earlier segmentations."""
    found = without_results(find_images(inputs))
    labels = labels_beside_images(found)
    others = {path: image for path, image in results_beside_images(found).items() if path not in labels}
    for what, beside in (("labels", labels), ("a result", others)):
        if beside:
            path, image = next(iter(beside.items()))
            _log.warning(
                "%s is named as %s of %s beside it, but is segmented as an image%s; where only images are "
                "meant, give patterns that leave such files out, or move them",
                path,
                what,
                image.name,
                f", as {counted(len(beside) - 1, 'more file')}" if len(beside) > 1 else "",
            )
    return found


def plan_jobs(inputs: Sequence[Path], out: Path, options: SegmentOptions, classes: int = 2) -> list[Job]:
    """Return where the results of each input go.

    Parameters
    ----------
    inputs : sequence of Path
        As `find_inputs` returns them.
    out : Path
        A folder or, for one input, the class map's own path.
    options : SegmentOptions
        Which results each input gets.
    classes : int
        Of the model.

    Raises
    ------
    UsageError
        Two results would have the same path, or one would replace an input; or the name of `out` is too long.
    """
    if _bytes(out) > (most := longest_name(out.parent)):
        raise UsageError(f"{out}: a name of {_bytes(out)} bytes, but files have at most {most}; shorten it")
    if is_one_file(out):
        if len(inputs) > 1:
            raise UsageError(f"{out} is one file, but there are {len(inputs)} inputs; give a folder")
        jobs = [Job(inputs[0], _one_file(inputs[0], out, options, classes), options)]
    else:
        folder = no_file_name(out, "a folder, or a name that ends in .tif or .zarr")
        jobs = [Job(path, _in_folder(path, folder, options, classes), options) for path in inputs]
    nameless = [path for path in inputs if path.stem in (".", "..")]
    if nameless:  # their results would lie outside of the folder
        raise UsageError(f"{nameless[0]}: no result can be named after it; rename it")
    _check_collisions(inputs, jobs)
    return jobs


def check_names(job: Job) -> None:
    """Raise `ImageWriteError` if a result or its record would have a name that is too long for a file."""
    longest = max((*job.outputs.paths, job.outputs.record), key=_bytes)
    if _bytes(longest) <= (most := longest_name(longest.parent)):
        return
    advice = "choose a shorter name for the result"
    if job.outputs.main.name.startswith(stem_of(job.input)):
        suffix = job.outputs.main.suffix
        advice = f"give the input a shorter name, or segment it alone into a shorter one, -o NAME{suffix}"
    raise ImageWriteError(
        f"{job.input}: its result {longest.name} would have a name of {_bytes(longest)} bytes, but files "
        f"have at most {most}; {advice}"
    )


def _bytes(path: Path) -> int:
    """Return the length of a file name in bytes."""
    return len(os.fsencode(path.name))


def is_one_file(out: Path) -> bool:
    """Whether `out` names the class map of one input rather than a folder."""
    if out.suffix.lower() == ".zarr":
        return is_zarr(out) or not out.is_dir()
    return out.suffix.lower() in (".tif", ".tiff") and not out.is_dir()


def _check_collisions(inputs: Sequence[Path], jobs: Sequence[Job]) -> None:
    owners = {_real(path): path for path in inputs}
    files = frozenset(owners)
    for job in jobs:
        for target in job.outputs.files:
            real = _real(target)
            if target in job.outputs.records and real not in files | {*real.parents} & files:
                continue  # each result finds a place of its own for its record
            other = owners.setdefault(real, job.input)
            if other is not job.input or real == _real(job.input):
                if real in (_real(other), _real(job.input)):
                    also, advice = "an input", "choose another output folder"
                else:  # another folder does not help: results are named after the input, without its ending
                    also = f"that of {other}"
                    advice = f"{_renaming(other, job.input)}segment each to its own folder"
                raise UsageError(
                    f"the result of {job.input} would be {target}, which is also {also}; {advice}"
                )
            if inside := files & {*real.parents}:
                raise UsageError(
                    f"{target}: lies in the input {owners[min(inside)]}; choose another output folder"
                )


def _renaming(*paths: Path) -> str:
    """Return which of two inputs may be renamed; not what lies in a Zarr, whose metadata have its name."""
    free = [path for path in paths if not is_inside_zarr(_real(path))]
    return f"rename {'one of them' if len(free) > 1 else free[0]}, or " if free else ""


def _real(path: Path) -> Path:
    """Return a path without links. If the links form a circle, return it unchanged: reading it fails."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path.absolute()


def _one_file(path: Path, out: Path, options: SegmentOptions, classes: int) -> Outputs:
    """Return the outputs beside a class map, or the OME-Zarr image, whose name is given."""
    before = _outputs(out, out.with_suffix(""), options)
    if before.zarr or (len(options.results) == 1 and not is_ome_name(out)):
        return before
    now = _outputs(out, out.with_name(stem_of(out)), options, ome_products(path, options, classes))
    return _known(before, now, path)


def _in_folder(path: Path, out: Path, options: SegmentOptions, classes: int) -> Outputs:
    """Return the outputs of an image among those of others, named after it."""
    if is_zarr(path):
        name = out / (path.stem if path.suffix.lower() == ".zarr" else path.name)
        return _outputs(_extended(name, CLASSES_ZARR), name, options)
    before = _outputs(_extended(out / path.stem, MAIN.ending), out / path.stem, options)
    ome, name = ome_products(path, options, classes), out / stem_of(path)
    ending = ome_ending(MAIN.ending) if MAIN.name in ome else MAIN.ending
    return _known(before, _outputs(_extended(name, ending), name, options, ome), path)


def _known(before: Outputs, now: Outputs, path: Path) -> Outputs:
    """Return `now`; or `before`, their former names, where results or a begun run have these."""
    if before == now or now.recorded() is not None:
        return now
    if before.recorded() is None and not any(leftovers(before.main)):
        return now
    _log.info("%s: goes on with its earlier results under their former names: %s", path, before.main.name)
    return before


def _outputs(main: Path, name: Path, options: SegmentOptions, ome: Sequence[str] = ()) -> Outputs:
    """Return the outputs with `main` as the first; the names of the others are `name` and their ending.

    `ome` has the names of those that are OME-TIFF.
    """
    table = PRODUCTS | OBJECT_PRODUCTS
    endings = {other: table[other].ending for other in options.results}
    endings |= {other: ome_ending(ending) for other, ending in endings.items() if other in ome}
    products = {other: _extended(name, ending) for other, ending in endings.items()}
    products[MAIN.name] = main
    if main.suffix.lower() == ".zarr":  # which holds maps and labels
        products |= dict.fromkeys((other for other in options.results if other not in BESIDE_ZARR), main)
    return Outputs(products, _extended(name, RECORD))


def _extended(name: Path, ending: str) -> Path:
    return name.with_name(name.name + ending)
