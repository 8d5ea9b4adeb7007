"""Where the comparison of networks keeps its files."""

from pathlib import Path

from pipelines.base.json_files import Files
from pipelines.successors.settings import Trial

PARTS = ("train", "train-labels", "test", "test-truth")


class SuccessorFiles(Files):
    """Where the files lie; one folder a training."""

    def stack(self, data: str, part: str) -> Path:
        """Return one of the stacks of a data set: `PARTS`."""
        return self.out / "data" / f"{data}-{part}.tif"

    def timing(self, network: str, recipe: str) -> Path:
        """Return how long a step of a network takes with a recipe."""
        return self.out / "timing" / f"{network}-{recipe}.json"

    def row(self, trial: Trial) -> Path:
        """Return what was measured of a training."""
        return self.part(trial.name) / "row.json"

    def clock(self, trial: Trial) -> Path:
        """Return the time of a training."""
        return self.part(trial.name) / "cpu.json"

    @property
    def facts(self) -> Path:
        """What each network is."""
        return self.out / "networks.json"
