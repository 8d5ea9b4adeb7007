"""A folder of photographs with masks, such as the 290 of floods: VGG-19's encoder against a plain one.

DIR has the folders Image and Mask, JPEG and PNG, paired by name. Images are resized to 224 x 224 and divided
80 to 20 by the seed 42. Two networks are trained as published (vgg19 and base). Measured on the fifth that
was held out, at the size of the files: Dice, IoU, accuracy. Masks that JPEG has blurred are cut at half.

Open in the source: which generator the seed drives, by what early stopping judges, what 0.4 of brightness
is, whether measures are means over images (both are given), and how images are resized.
"""

import sys
from collections.abc import Sequence

from pipelines.photographs.command import run


def main(words: Sequence[str] | None = None) -> int:
    """Run the pipeline and return the exit status."""
    return run(words, "flood", __doc__, lambda truth, maps: {})


if __name__ == "__main__":
    sys.exit(main())
