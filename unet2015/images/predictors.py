"""The tag Predictor of a TIFF: pixels that are stored as differences, and where programs disagree on that.

Sources: TIFF 6.0, section 14; ``tif_predict.c`` of libtiff, which knows predictors for `_PREDICTED` alone,
and differences of whole bytes; ImageJ and Pillow take other pixels as they are stored.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from unet2015.wording import listed

_PREDICTOR = 317
_DIFFERENCES = (2, 34892, 34893)
"""Values of the tag: differences to the pixel before, to the second and to the fourth before."""
_PREDICTED = {1, 5, 8, 32946, 34925, 50000}
"""Compressions that say no more here: none (its predictor is ignored), LZW, deflate, LZMA, ZSTD."""


def splits_bytes(page: Any) -> bool:
    """Whether pixels of a page are differences of numbers that do not fill bytes.

    tifffile adds them up as whole bytes, so that 4 bits become values up to 255. libtiff refuses them.
    """
    return page.predictor in _DIFFERENCES and page.bitspersample % 8 != 0


def predictor_notes(pages: Sequence[Any]) -> Iterator[str]:
    """Say where other programs may read other values, as they obey the tag or do not."""
    if pages[0].compression == 1 and pages[0].tags.valueof(_PREDICTOR, 1) != 1:
        yield "its tag Predictor is ignored, as the pixels are not compressed; some programs obey it"
    kinds = {page.compression for page in pages if page.predictor != 1}
    if odd := sorted(kind for kind in kinds if int(kind) not in _PREDICTED):
        names = listed([getattr(kind, "name", str(kind)) for kind in odd])
        yield (
            "its tag Predictor is obeyed, as by tifffile; other programs know none for pixels that are "
            f"compressed by {names}, and show other values: if those are right, save a copy with one of them"
        )
