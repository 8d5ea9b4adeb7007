"""A segmentation that becomes an OME-Zarr image: each part is written directly to its place in the arrays.

The image grows in the work folder beside its final path. When all rows of a part are in the arrays, a small
file (a note) marks the part as finished; the next run goes on with the other parts.
"""

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

from unet2015.errors import ImageWriteError
from unet2015.images.zarr_layout import ZarrLayout, plan_layout
from unet2015.images.zarr_writer import ZarrSegmentation
from unet2015.safe_files import write_json
from unet2015.segmentation.jobs import Job
from unet2015.segmentation.parts import Computation, Elsewhere, compute_parts
from unet2015.segmentation.products import PRODUCTS
from unet2015.segmentation.summary import Summary
from unet2015.tiling.plan import Part, TilePlan
from unet2015.tiling.progress import tile_bar
from unet2015.tiling.sinks import Band

_IMAGE = "image.zarr"


class ZarrParts:
    """Takes finished parts of a plan; several processes may write different parts at the same time.

    Parameters
    ----------
    folder : Path
        The work folder.
    plan : TilePlan
        The plan.
    layout : ZarrLayout
        Of the arrays, with a band as high as a row of tiles.
    check : callable
        Called before a part is marked as finished; raises an error if it cannot be trusted.
    """

    def __init__(
        self, folder: Path, plan: TilePlan, layout: ZarrLayout, check: Callable[[], None] = lambda: None
    ) -> None:
        self.folder, self._plan, self._check = folder, plan, check
        self.image = ZarrSegmentation(folder / _IMAGE, layout)
        self._ends = {(part.pages[-1], part.rows[-1]): part for part in plan.parts}
        self._seen = Summary()

    @property
    def opener(self) -> Callable[[TilePlan], "ZarrParts"]:
        """A function that opens the same arrays in another process, for the same plan."""
        return partial(ZarrParts, self.folder, layout=self.image.layout)

    def finished(self) -> dict[int, Summary]:
        """Return the summary of each finished part."""
        found = {}
        for part in self._plan.parts:
            with suppress(OSError, ValueError, TypeError):
                found[part.index] = Summary(**json.loads(self._note(part).read_text(encoding="utf-8")))
        return found

    def take(self, band: Band) -> None:
        """Write a band; the bands of a part come one after the other, from top to bottom.

        Raises
        ------
        ImageWriteError
            It cannot be written.
        """
        self.image.write(band.page, self._plan.rows[band.row].kept_start, band.pixels)
        self._seen.add(band)
        part = self._ends.get((band.page, band.row))
        if part is not None:
            self._check()
            write_json(self._note(part), asdict(self._seen))
            self._seen = Summary()

    def save(self, part: Part, bands: Sequence[Band]) -> None:
        """Write a part."""
        assert len(bands) == len(part.pages) * len(part.rows)
        for band in bands:
            self.take(band)

    def publish(self, path: Path) -> Summary:
        """Make the lower resolutions, and move the image to its path; every part is finished.

        Raises
        ------
        ImageWriteError
            It cannot be written or moved.
        """
        finished = self.finished()
        assert len(finished) == len(self._plan.parts)
        self.image.make_levels()
        try:
            _flush(self.image.folder)
            old = self.folder / "replaced"
            if path.exists():
                path.rename(old)
            self.image.folder.rename(path)
        except OSError as error:
            raise ImageWriteError(f"{path}: cannot write the image: {error.strerror or error}") from error
        total = Summary()
        for seen in finished.values():
            total.add(seen)
        return total

    def _note(self, part: Part) -> Path:
        return self.folder / f"{part.index:05d}.part"


def write_zarr(
    job: Job,
    computation: Computation,
    folder: Path,
    check: Callable[[], None] = lambda: None,
    elsewhere: Elsewhere | None = None,
) -> Summary:
    """Segment an image into an OME-Zarr image; parts that are finished are not computed again.

    Parameters
    ----------
    job : Job
        The path of the image, and what it holds.
    computation : Computation
        What its pixels are computed from.
    folder : Path
        Where the image grows: an existing folder on the same disk.
    check : callable
        Called before anything is kept; raises an error if the results cannot be trusted.
    elsewhere : callable, optional
        Computes the missing parts. Default: they are computed here.

    Raises
    ------
    AxesError
        OME-Zarr cannot have the axes of the image.
    ImageWriteError
        It cannot be written.
    """
    plan, image, times = computation.plan, computation.source.image, computation.times
    info = computation.segmenter.info
    maps = [PRODUCTS[name].zarr_map(info) for name in job.options.products]
    parts = ZarrParts(folder, plan, plan_layout(image, plan.rows[0].length, maps), check)
    with times.measure("write"):
        parts.image.create(image)
    if elsewhere is not None:
        elsewhere(job, computation, parts)
    else:
        finished = parts.finished()
        missing = [part for part in plan.parts if part.index not in finished]
        with tile_bar(plan, image.name) as progress:
            progress(plan.tiles - sum(len(part.tiles) for part in missing))
            compute_parts(computation, missing, parts.take, progress)
    check()
    with times.measure("write"):
        return parts.publish(job.outputs.main)


def _flush(folder: Path) -> None:
    """Remove files that killed writers left, and flush the others to the disk."""
    for place, _, files in os.walk(folder, topdown=False):
        for name in files:
            file = Path(place, name)
            if name.endswith(".partial"):
                file.unlink()
                continue
            _sync(file)
        _sync(Path(place))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
