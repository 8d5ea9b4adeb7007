"""Where the files of the cell experiment lie."""

from pathlib import Path

from pipelines.base.json_files import Files


class CellFiles(Files):
    """The files of each split, by its name; see `Files`."""

    def stack(self, name: str, which: str, end: str = "") -> Path:
        """Return a stack of ``train`` or ``test`` frames: images, or what `end` says."""
        return self.part(name) / f"{which}{end}.tif"

    def objects(self, name: str) -> Path:
        """Return the objects found in the frames measured."""
        return self.part(name) / "objects.tif"

    def measures(self, name: str) -> Path:
        """Return what was measured of a split."""
        return self.part(name) / "seg.json"

    def facts(self, data_set: str) -> Path:
        """Return what was seen of a data set."""
        return self.out / f"{data_set}.json"
