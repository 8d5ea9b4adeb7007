"""Where the files of the EM experiment lie."""

from pathlib import Path

from pipelines.base.json_files import Files


class EMFiles(Files):
    """The files of each fold, of the model of all slices, and of the ablation; see `Files`."""

    def stacks(self, name: str, held_out: bool = True) -> list[Path]:
        """Return images and labels of one training's slices and, where there are, of those held out."""
        ends = ("train", "train-labels", *(("held-out", "held-out-labels") if held_out else ()))
        return [self.part(name) / f"{end}.tif" for end in ends]

    def probability(self, name: str, average: str, which: str) -> Path:
        """Return the probability map of ``held-out`` or ``train`` slices."""
        return self.part(name) / average / f"{which}.probability.tif"

    def measures(self, fold: int) -> Path:
        """Return what was measured of a fold."""
        return self.part(f"fold-{fold}") / "measures.json"

    @property
    def verified(self) -> Path:
        """The hashes of the data's pixels."""
        return self.out / "data.json"

    @property
    def ablation(self) -> Path:
        """What the open choices cost."""
        return self.out / "ablation.json"
