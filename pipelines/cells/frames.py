"""Frames of the Cell Tracking Challenge: their data sets, what labels leave out, a split in time."""

DATA_SETS = {"dic": "DIC-C2DH-HeLa", "phc": "PhC-C2DH-U373"}
"""The challenge's names of the paper's two sets."""
IGNORE = 65535
"""Label of pixels that nobody annotated."""
FIRST = 0.6
"""Share of the gold frames, the first in time, that train where there is a single sequence."""


def first_frames(count: int, share: float = FIRST) -> int:
    """Return how many of the gold frames of a single sequence train: some, and not all."""
    return min(max(1, round(share * count)), count - 1)
