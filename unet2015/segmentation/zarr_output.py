"""A segmentation that becomes an OME-Zarr image: each part is written directly to its place in the arrays.

When all rows of a part are in the arrays and on the disk, a small file (a note) marks the part as finished.
It has the SHA-256 of each file of the arrays that the part wrote, also of those that hold nothing but zeros;
parts share no file. The next run computes the parts whose note is missing or does not fit the files, so that
a lost or damaged file is never taken for zeros.
"""

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unet2015.errors import ImageWriteError
from unet2015.images.zarr_labels import ZarrLabels
from unet2015.images.zarr_layout import ZarrLayout, plan_layout
from unet2015.images.zarr_levels import Each
from unet2015.images.zarr_writer import ZarrSegmentation
from unet2015.safe_files import (
    digest_without,
    flush,
    flush_all,
    flush_below,
    read_text,
    remove,
    sha256,
    write_json,
)
from unet2015.segmentation.jobs import Job
from unet2015.segmentation.part_store import stamp
from unet2015.segmentation.parts import Computation, Elsewhere, compute_parts
from unet2015.segmentation.products import LABELS, MAIN, PRODUCTS, ProbabilityMap
from unet2015.segmentation.summary import Summary
from unet2015.tiling.plan import Part, TilePlan
from unet2015.tiling.progress import tile_bar
from unet2015.tiling.sinks import Band


class ZarrParts:
    """Takes finished parts of a plan; several processes may write different parts at the same time.

    Parameters
    ----------
    image : Path
        Where the image grows.
    folder : Path
        Where the notes lie.
    plan : TilePlan
        The plan.
    layout : ZarrLayout
        Of the arrays, with a band as high as a row of tiles.
    check : callable
        Called before a part is marked as finished; raises an error if it cannot be trusted.
    """

    def __init__(
        self,
        image: Path,
        folder: Path,
        plan: TilePlan,
        layout: ZarrLayout,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.image, self.folder = ZarrSegmentation(image, layout), folder
        self._plan, self._check = plan, check
        self._ends = {(part.pages[-1], part.rows[-1]): part for part in plan.parts}
        self._seen = Summary()
        self._sound: dict[int, Summary] = {}

    @property
    def opener(self) -> Callable[[TilePlan], "ZarrParts"]:
        """A function that opens the same arrays in another process, for the same plan."""
        return partial(ZarrParts, self.image.folder, self.folder, layout=self.image.layout)

    def finished(self) -> dict[int, Summary]:
        """Return the summary of each finished part; what there is of the others is removed.

        The files of a part are compared with its note when it is first met.
        """
        for part in self._plan.parts:
            if part.index in self._sound:
                continue
            seen = self._verified(part)
            if seen is None:
                # Writers read what they write a part of; what a killed run or damage left could not be read.
                for name in (self._note(part), *map(self.image.folder.joinpath, self._files(part))):
                    remove(name)
            else:
                self._sound[part.index] = seen
        return dict(self._sound)

    def take(self, band: Band) -> None:
        """Write a band; the bands of a part come one after the other, from top to bottom.

        Raises
        ------
        ImageWriteError
            It cannot be written.
        """
        pixels = {name: np.asarray(rows) for name, rows in band.pixels.items()}
        self.image.write(band.page, self._plan.rows[band.row].kept_start, pixels)
        self._seen.add(band)
        part = self._ends.get((band.page, band.row))
        if part is not None:
            self._check()
            self._mark(part)
            self._seen = Summary()

    @contextmanager
    def keeping(self, part: Part) -> Iterator[Callable[[Band], object]]:
        """Yield `take`, for the bands of a part."""
        yield self.take

    def finish(self, add: Callable[[], None] = lambda: None, each: Each | None = None) -> Summary:
        """Make the lower resolutions, and flush the image to the disk; every part is finished.

        Parameters
        ----------
        add : callable
            Called before the image is flushed; may add to it.
        each : callable, optional
            As for `ZarrSegmentation.make_levels`.

        Raises
        ------
        ImageWriteError
            It cannot be written, or a part is no longer what was written.
        """
        self._sound.clear()
        finished = self.finished()
        lost = [part.index for part in self._plan.parts if part.index not in finished]
        if lost:
            raise ImageWriteError(
                f"{self.image.folder}: part {lost[0]} was changed or removed after it was written; run again "
                "to compute it again"
            )
        self.image.make_levels(each)
        add()
        flushed = {self.image.folder / name for part in self._plan.parts for name in self._files(part)}
        try:
            _flush(self.image.folder, flushed)
        except OSError as error:
            raise self._failure(error) from error
        total = Summary()
        for seen in finished.values():
            total.add(seen)
        return total

    def _mark(self, part: Part) -> None:
        """Flush the files of a part, then write its note."""
        try:
            files = self._digests(part)
            flush_all(self.image.folder / name for name in files)
            above = {place for name in files for place in Path(name).parents}
            flush_all(self.image.folder / place for place in above)  # the names, when the bytes are there
            flush(self.image.folder.parent)
        except OSError as error:
            raise self._failure(error) from error
        note: dict[str, object] = {
            "stamp": stamp(self.folder, self._plan),
            "seen": asdict(self._seen),
            "files": files,
        }
        write_json(self._note(part), note | {"sha256": digest_without(note, "sha256")})

    def _verified(self, part: Part) -> Summary | None:
        """Return the summary of a part if its note and all files that it names are as they were written."""
        try:
            note = json.loads(read_text(self._note(part)))
            if note["sha256"] != digest_without(note, "sha256"):
                return None
            if note["stamp"] != stamp(self.folder, self._plan):
                return None
            return Summary(**note["seen"]) if note["files"] == self._digests(part) else None
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def _digests(self, part: Part) -> dict[str, str]:
        return {name: sha256(self.image.folder / name) for name in self._files(part)}

    def _files(self, part: Part) -> Iterator[str]:
        rows = self._plan.rows
        top, stop = rows[part.rows[0]].kept_start, rows[part.rows[-1]].kept_stop
        for page in part.pages:
            yield from self.image.layout.files(page, top, stop)

    def _note(self, part: Part) -> Path:
        return self.folder / f"{part.index:05d}.part"

    def _failure(self, error: OSError) -> ImageWriteError:
        return ImageWriteError(f"{self.image.folder}: cannot write the image: {error.strerror or error}")


def write_zarr(
    job: Job,
    computation: Computation,
    folder: Path,
    check: Callable[[], None],
    elsewhere: Elsewhere | None,
) -> tuple[Summary, dict[str, Any] | None]:
    """Segment an image into an OME-Zarr image; parts that are finished are not computed again.

    With objects, their labels become a label image of it. They belong to the probability map, which is then
    written in any case.

    Parameters
    ----------
    job : Job
        The path of the image, and what it holds.
    computation : Computation
        What its pixels are computed from.
    folder : Path
        An existing folder, for the notes of finished parts.
    check : callable
        Called before anything is kept; raises an error if the results cannot be trusted.
    elsewhere : Elsewhere or None
        Computes the missing parts. None: they are computed here.

    Returns
    -------
    Summary
        Of the probabilities.
    dict or None
        Of the objects, if they are among the results.

    Raises
    ------
    AxesError
        OME-Zarr cannot have the axes of the image.
    ImageWriteError
        It cannot be written.
    """
    plan, image, times = computation.plan, computation.source.image, computation.times
    info = computation.segmenter.info
    maps = [PRODUCTS[name].zarr_map(info) for name in job.options.computed]
    parts = ZarrParts(job.outputs.main, folder, plan, plan_layout(image, plan.rows[0].length, maps), check)
    with times.measure("write"):
        parts.image.create(image)
    if elsewhere is not None:
        elsewhere.compute(job, computation, parts)
    else:
        finished = parts.finished()
        missing = [part for part in plan.parts if part.index not in finished]
        with tile_bar(plan, image.name) as progress:
            progress(plan.tiles - sum(len(part.tiles) for part in missing))
            compute_parts(computation, missing, parts.take, progress)
    check()
    objects: dict[str, Any] = {}

    def add_objects() -> None:
        from unet2015.segmentation.object_output import write_objects  # SciPy and scikit-image with it

        main = job.outputs.main
        places = {MAIN.name: main / "labels" / MAIN.name, ProbabilityMap.name: main}
        write = partial(ZarrLabels, main, image, LABELS.name)
        objects.update(write_objects(job, computation, places, lambda labels: write(labels.dtype)))

    wanted = job.options.objects is not None
    each = None if elsewhere is None else elsewhere.each
    with times.measure("write"):
        found = parts.finish(add_objects, each) if wanted else parts.finish(each=each)
    return found, objects if wanted else None


def _flush(folder: Path, flushed: Collection[Path]) -> None:
    """Remove files that killed writers left, and flush the others to the disk that are not there yet."""
    for file in folder.rglob("*.partial"):
        file.unlink()
    flush_below(folder, flushed)
