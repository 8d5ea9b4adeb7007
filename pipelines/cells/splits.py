"""What of a data set is trained on and what is measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.cells import sequences
from pipelines.cells.frames import first_frames
from unet2015.errors import DataSetError


@dataclass(frozen=True)
class Split:
    """What is trained on and what is measured.

    Attributes
    ----------
    data_set : str
        Folder of the data set.
    train, test : str
        Names of the sequences; the same where there is only one.
    first : float
        Share of the gold frames, from the start, to train on where there is only one sequence.
    """

    data_set: str
    train: str
    test: str
    first: float

    @property
    def name(self) -> str:
        """Folder of its files, and the end of its stages' names."""
        return f"{self.data_set}-{self.train}-to-{self.test}"

    @property
    def title(self) -> str:
        """What a reader is told."""
        if self.train != self.test:
            return f"{self.train} -> {self.test}"
        return f"{self.train}: first {self.first:.0%} of the gold frames -> the rest"

    def frames(self, folder: Path) -> tuple[list[int], list[int]]:
        """Return the gold frames to train on and to measure.

        Raises
        ------
        DataSetError
            A single sequence has fewer than two.
        """
        train, test = (sequences.Sequence(folder, name).gold() for name in (self.train, self.test))
        if self.train != self.test:
            return train, test
        if len(train) < 2:
            raise DataSetError(
                f"{folder / self.train}: a split in time needs 2 gold frames, there is {len(train)}"
            )
        count = first_frames(len(train), self.first)
        return train[:count], train[count:]


def splits_of(data_set: str, names: Sequence[str], first: float) -> list[Split]:
    """Return 01 -> 02 and the reverse, or a split in time where there is only one sequence."""
    if len(names) == 1:
        return [Split(data_set, names[0], names[0], first)]
    return [Split(data_set, *pair, first) for pair in (("01", "02"), ("02", "01"))]
