"""Sequences of the Cell Tracking Challenge: frames, gold and silver truth, and what is not annotated."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.cells.frames import IGNORE
from unet2015.errors import DataSetError
from unet2015.images.reader import read_pages
from unet2015.metrics.seg_frames import numbered_files


@dataclass(frozen=True)
class Sequence:
    """One sequence, such as ``DIC-C2DH-HeLa/01``, in the challenge's layout.

    Attributes
    ----------
    folder : Path
        The data set's folder: ``NN/tTTT.tif``, ``NN_GT/SEG/man_segTTT.tif`` (gold truth),
        ``NN_GT/TRA/man_trackTTT.tif`` (a marker in every cell), ``NN_ST/SEG`` (silver truth).
    name : str
        ``01`` or ``02``.
    """

    folder: Path
    name: str

    def gold(self) -> list[int]:
        """Return the frames with gold truth, in order of time."""
        return list(numbered_files(self.folder / f"{self.name}_GT/SEG", "man_seg"))

    def silver(self) -> list[int]:
        """Return the frames with silver truth."""
        return list(numbered_files(self.folder / f"{self.name}_ST/SEG", "man_seg"))

    def image(self, frame: int) -> NDArray[Any]:
        """Return a frame, (height, width)."""
        return self._read(self.name, "t", frame)

    def truth(self, frame: int, silver: bool = False) -> NDArray[Any]:
        """Return the gold (or silver) objects of a frame, (height, width), 0 where there is none."""
        return self._read(f"{self.name}_{'ST' if silver else 'GT'}/SEG", "man_seg", frame)

    def markers(self, frame: int) -> NDArray[Any] | None:
        """Return the markers of a frame; None where there are none."""
        if frame not in numbered_files(self.folder / f"{self.name}_GT/TRA", "man_track"):
            return None
        return self._read(f"{self.name}_GT/TRA", "man_track", frame)

    def labels(self, frame: int, silver: bool = False) -> NDArray[np.uint16]:
        """Return a frame's objects with `IGNORE` where a cell is that was not annotated."""
        return with_ignored(self.truth(frame, silver), self.markers(frame))

    def _read(self, folder: str, stem: str, frame: int) -> NDArray[Any]:
        path = numbered_files(self.folder / folder, stem).get(frame)
        if path is None:
            raise DataSetError(f"{self.folder / folder}: expected {stem}{frame:03d}.tif, which is not there")
        pages = read_pages(path)
        if len(pages) != 1:
            raise DataSetError(f"{path}: expected one page, got {len(pages)}")
        page: NDArray[Any] = pages[0]
        return page


def find_sequences(folder: Path) -> list[Sequence]:
    """Return the sequences of a data set that have images and gold truth.

    Raises
    ------
    DataSetError
        There is none.
    """
    found = [Sequence(folder, name) for name in ("01", "02") if (folder / name).is_dir()]
    if with_gold := [sequence for sequence in found if sequence.gold()]:
        return with_gold
    raise DataSetError(f"{folder}: expected 01/tTTT.tif with 01_GT/SEG/man_segTTT.tif (or 02), found none")


def files(folder: Path, silver: bool = False) -> list[Path]:
    """Return all files of a data set that labels or frames are made from."""
    patterns = ["??/t*.tif*", "??_GT/SEG/man_seg*.tif*", "??_GT/TRA/man_track*.tif*"]
    patterns += ["??_ST/SEG/man_seg*.tif*"] if silver else []
    return sorted(path for pattern in patterns for path in folder.glob(pattern))


def with_ignored(truth: NDArray[Any], markers: NDArray[Any] | None) -> NDArray[np.uint16]:
    """Return objects with `IGNORE` around every cell that has a marker and no object.

    Some gold frames annotate only part of the cells: an unlabelled cell there is not background. How far
    such a cell reaches is not known, so all background is ignored that lies nearer to its marker than to any
    object.

    Parameters
    ----------
    truth : ndarray of whole numbers, shape (height, width)
        Objects; 0 where there is none.
    markers : ndarray of whole numbers, shape (height, width), or None
        A marker a cell; a cell is annotated where at least half of its marker lies on objects.
    """
    labels = truth.astype(np.uint16)
    if markers is None:
        return labels
    sizes = np.bincount(markers.ravel())
    covered = np.bincount(markers[truth > 0].ravel(), minlength=len(sizes))
    missing = np.flatnonzero((2 * covered < sizes) & (np.arange(len(sizes)) > 0))
    if not missing.size:
        return labels
    unlabelled = np.isin(markers, missing) & (truth == 0)
    if not (truth > 0).any():
        return np.full_like(labels, IGNORE)
    nearer = ndimage.distance_transform_edt(~unlabelled) < ndimage.distance_transform_edt(truth == 0)
    labels[nearer & (truth == 0)] = IGNORE
    return labels
