"""A folder of seismic images with masks of salt, such as the 4,000 of the TGS competition: the compact U-Net.

DIR has the folders train/images and train/masks: PNGs of 101 x 101 px, many masks of which are empty. Images
are resized to 128 x 128, divided 80 to 20 by a seed, and trained on as published (compact). The measure is
the competition's: the mean precision at an IoU of 0.5 to 0.95, at a threshold that is searched for.

Open in the source: the division and its seed, the length of the training, the rate and by how much it is
divided, and how images become 128 x 128 (resized here).
"""

import sys
from collections.abc import Sequence

from pipelines.photographs.command import run
from pipelines.photographs.measures import search


def main(words: Sequence[str] | None = None) -> int:
    """Run the pipeline and return the exit status."""
    return run(words, "salt", __doc__, search)


if __name__ == "__main__":
    sys.exit(main())
