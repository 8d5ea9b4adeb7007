"""The files of the ISBI 2012 challenge: fetched, seen to be those of the challenge, parted into folds."""

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path

from pipelines.base.stage import Stage
from pipelines.base.stages import Pages, fetch_stage, find_stage, stacks_stage
from pipelines.em.em_files import EMFiles
from pipelines.em.slices import SLICES, held_out, trained_on
from pipelines.fetch import unpack
from unet2015.errors import DataSetError
from unet2015.images.axes import Calibration
from unet2015.images.reader import read_pages

URL = "https://downloads.imagej.net/ISBI-2012-challenge.zip"
PIXEL = Calibration(pixel_size_x=4.0, pixel_size_y=4.0, unit="nm")
PIXELS = {
    "train-volume": "200da3d452d726e6c9ca1ce04b869d4edb727320d23b516d01cce707dc8c4760",
    "train-labels": "a7cb64000a1a7e542682927e19c91339f58f9f178e0bcce4e207371116f0ca36",
    "test-volume": "1b58fa7ec1d0ff9d39a855622db3ff66a97863036339b0d04be51b2f5a99b0e9",
}
"""SHA-256 of the raw pixels, uint8 in C order; headers differ between copies."""


class EMData:
    """The challenge's three files.

    Parameters
    ----------
    folder : Path
        Where they lie, or shall lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = [folder / f"{name}.tif" for name in PIXELS]
        self.volume, self.labels, self.test = self.files

    def check(self) -> None:
        """Raise `DataSetError` where one of the files is missing."""
        if missing := [path.name for path in self.files if not path.exists()]:
            raise DataSetError(
                f"{self.folder}: expected train-volume.tif, train-labels.tif and test-volume.tif, but there "
                f"is no {' and no '.join(missing)}; without --data they are downloaded"
            )

    def fetch_stage(self) -> Stage:
        """Return the stage that downloads them."""

        def unpack_files(archive: Path) -> None:
            unpack(archive, [path.name for path in self.files], self.folder)

        return fetch_stage("fetch", "download the challenge's archive", URL, unpack_files, self.files)

    def verify_stage(self, files: EMFiles) -> Stage:
        """Return the stage that compares their pixels with the challenge's."""

        def hashes() -> dict[str, str]:
            found = {}
            for path, (name, expected) in zip(self.files, PIXELS.items(), strict=True):
                found[name] = hashlib.sha256(read_pages(path).tobytes()).hexdigest()
                if found[name] != expected:
                    raise DataSetError(
                        f"{path}: its pixels are not those of the challenge's file (SHA-256 {found[name]}, "
                        f"expected {expected}); fetch the file again"
                    )
            return found

        does = "see that the pixels are the challenge's"
        return find_stage("verify", does, hashes, self.files, files.verified)

    def split_stage(self, files: EMFiles, folds: Collection[int]) -> Stage:
        """Return the stage that writes the stacks of each of `folds`, and of all slices."""
        parts = {f"fold-{fold}": (trained_on(fold), held_out(fold)) for fold in sorted(folds)}
        parts["all"] = (list(range(SLICES)), [])

        def divide() -> Iterator[Pages]:
            images, labels = read_pages(self.volume), read_pages(self.labels)
            for name, pages in parts.items():
                for which, chosen in zip(("train", "held-out"), pages, strict=True):
                    if chosen:
                        yield files.part(name) / f"{which}.tif", images[chosen]
                        yield files.part(name) / f"{which}-labels.tif", labels[chosen]

        made = [path for name, pages in parts.items() for path in files.stacks(name, bool(pages[1]))]
        given, does = [self.volume, self.labels, files.verified], "part the slices into folds"
        return stacks_stage("split", does, divide, PIXEL, given, made, {"parts": parts})
