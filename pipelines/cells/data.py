"""The data sets of the Cell Tracking Challenge: fetched, looked at, parted into stacks."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.base.stage import Stage
from pipelines.base.stages import Pages, fetch_stage, find_stage, stacks_stage
from pipelines.cells import sequences
from pipelines.cells.cell_files import CellFiles
from pipelines.cells.frames import IGNORE
from pipelines.cells.splits import Split
from pipelines.fetch import unpack_folder
from unet2015.errors import DataSetError
from unet2015.images.axes import Calibration

_log = logging.getLogger("unet2015")
URL = "https://data.celltrackingchallenge.net/training-datasets/{name}.zip"
PIXEL_SIZES = {"PhC-C2DH-U373": 0.65, "DIC-C2DH-HeLa": 0.19}
"""In micrometres, by the files' own tags."""
KNOWN = {
    "PhC-C2DH-U373/01": "abde67017c664ee71d5594cd335ee75fb3e14f15919e991895c6b1a0eb9d33ec",
    "DIC-C2DH-HeLa/01": "16b6c561fda0bcb046552d47cc921059ceff8506de2fa3c71a1e7d78bc0aa7ed",
    "DIC-C2DH-HeLa/02": "4aed3d5fa84235e67041c59bfe5b62ce977c43e7a398dd4e5a7f071635b2fa41",
}
"""SHA-256 of the gold frames' pixels, image then truth, uint8 and uint16 in C order."""


def calibration_of(data_set: str) -> Calibration:
    """Return the size of a data set's pixels, as far as it is known."""
    size = PIXEL_SIZES.get(data_set)
    return Calibration(pixel_size_x=size, pixel_size_y=size, unit="um")


class CellData:
    """One data set.

    Parameters
    ----------
    above : Path
        Folder of all data sets.
    name : str
        Of its own folder there.
    download : bool
        Whether this experiment downloads it; other files than those known are then an error.
    """

    def __init__(self, above: Path, name: str, download: bool) -> None:
        self.above, self.name, self.download, self.folder = above, name, download, above / name
        self.mark = above / f"{name}.fetched"

    def names(self) -> list[str]:
        """Return the names of its sequences; one that is still to be downloaded has both."""
        if self.download:
            return ["01", "02"]
        return [sequence.name for sequence in sequences.find_sequences(self.folder)]

    def fetch_stage(self) -> Stage:
        """Return the stage that downloads it; a file says that all of it is there."""
        url = URL.format(name=self.name)

        def unpack(archive: Path) -> None:
            unpack_folder(archive, self.name, self.above)
            self.mark.write_text(url + "\n", encoding="utf-8")

        return fetch_stage(f"fetch-{self.name}", f"download {self.name}", url, unpack, [self.mark])

    def verify_stage(self, files: CellFiles) -> Stage:
        """Return the stage that counts and hashes.

        Files still to be downloaded are too many, and not known, so the mark is declared in their place.
        """

        def look() -> dict[str, Any]:
            return {one.name: self._facts(one) for one in sequences.find_sequences(self.folder)}

        given = [self.mark] if self.download else sequences.files(self.folder)
        does = f"see what {self.name} has: gold frames, and what they leave out"
        return find_stage(f"verify-{self.name}", does, look, given, files.facts(self.name))

    def _facts(self, sequence: sequences.Sequence) -> dict[str, Any]:
        gold, pixels, ignored = sequence.gold(), hashlib.sha256(), {}
        for frame in gold:
            image, labels = sequence.image(frame), sequence.labels(frame)
            pixels.update(image.tobytes() + sequence.truth(frame).tobytes())
            ignored[frame] = round(float((labels == IGNORE).mean()), 4)
        self._compare(sequence.name, pixels.hexdigest())
        return {
            "gold_frames": gold,
            "silver_frames": len(sequence.silver()),
            "share_ignored": {frame: share for frame, share in ignored.items() if share},
            "sha256_of_gold_frames": pixels.hexdigest(),
        }

    def _compare(self, sequence: str, found: str) -> None:
        known = KNOWN.get(f"{self.name}/{sequence}")
        if known in (None, found):
            return
        message = (
            f"{self.folder / sequence}: the pixels of the gold frames are not those that this "
            f"project's figures are of (SHA-256 {found}, expected {known})"
        )
        if self.download:
            raise DataSetError(
                f"{message}; the archive may be damaged, or a newer one: move it away, "
                "or unpack it by hand and give --data"
            )
        _log.warning("%s", message)

    def prepare_stage(self, split: Split, files: CellFiles, silver: bool) -> Stage:
        """Return the stage that writes the stacks of a split; with `silver` that truth trains too."""

        def divide() -> Iterator[Pages]:
            names = (split.train, split.test)
            for which, name, frames in zip(("train", "test"), names, split.frames(self.folder), strict=True):
                more = self._silver(split, frames) if silver and which == "train" else []
                images, labels = self._pages(name, frames, more)
                yield files.stack(split.name, which), images
                yield files.stack(split.name, which, "-labels"), labels

        made = [files.stack(split.name, which, end) for end in ("", "-labels") for which in ("train", "test")]
        given = [files.facts(self.name), *([] if self.download else sequences.files(self.folder, silver))]
        does, settings = f"stacks of {self.name} {split.title}", {"silver": silver, "first": split.first}
        pixel = calibration_of(self.name)
        return stacks_stage(f"prepare-{split.name}", does, divide, pixel, given, made, settings)

    def _silver(self, split: Split, gold: Sequence[int]) -> list[int]:
        """Return the frames whose silver truth may be trained on: none of the time that is measured."""
        frames = sequences.Sequence(self.folder, split.train).silver()
        last = max(gold) if split.train == split.test else max(frames, default=0)
        return [frame for frame in frames if frame not in gold and frame <= last]

    def _pages(self, name: str, gold: Sequence[int], silver: Sequence[int]) -> tuple[Any, Any]:
        """Return images and labels of frames, those with gold truth first."""
        source = sequences.Sequence(self.folder, name)
        images = [source.image(frame) for frame in (*gold, *silver)]
        labels = [source.labels(frame, frame not in gold) for frame in (*gold, *silver)]
        if len(sizes := {page.shape for page in (*images, *labels)}) > 1:
            raise DataSetError(f"{self.folder / name}: frames and truth of different sizes: {sorted(sizes)}")
        return np.stack(images), np.stack(labels)
