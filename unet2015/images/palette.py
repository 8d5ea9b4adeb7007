"""Images whose pixels are indices of a colour palette, read as the colours that the palette gives them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageReadError
from unet2015.images.directories import Plane
from unet2015.images.image import Colours, Image
from unet2015.images.planes import unlike
from unet2015.images.repeated import first_of
from unet2015.images.samples import PALETTE, is_stretched_ramp, shows_its_indices
from unet2015.images.view import ImageView, header_of

_EIGHT_BITS = 256
_SAVE = "save it as RGB, for example with Fiji: Image > Type > RGB Color"


class PaletteImage(ImageView):
    """The colours of an image with a palette: gray where all are gray, else red, green and blue; 8 bits.

    Parameters
    ----------
    image : Image
        Its pixels are the indices. It belongs to this one from now on, also if an error is raised.
    colours : ndarray of uint8, shape (N, 3)
        The palette.

    Raises
    ------
    ImageReadError
        The indices are several numbers a pixel.
    """

    def __init__(self, image: Image, colours: Colours) -> None:
        gray = bool((colours == colours[:, :1]).all())
        what = "gray" if gray else "red, green and blue"
        try:
            if "C" in image.axes:
                raise ImageReadError(f"{image.name}: has several channels, and a colour palette; {_SAVE}")
            self._colours = colours[:, :1] if gray else colours
            super().__init__(
                image,
                replace(
                    header_of(image),
                    axes=image.axes if gray else f"{image.axes}C",
                    shape=image.shape if gray else (*image.shape, 3),
                    dtype=np.uint8,
                    bits=None,
                    significant_bits=None,
                    labels=False,
                    notes=(f"the colours of its palette are read, as {what}; as labels, the indices are",),
                ),
            )
        except Exception:
            image.close()
            raise

    def _read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        indices = self._image.read(page, y0, y1, x0, x1)[0]
        if (most := int(indices.max())) >= len(self._colours):
            raise ImageReadError(
                f"{self.name}: page {page}: a pixel has the index {most}, but the palette has "
                f"{len(self._colours)} colours; the file is damaged: copy it again"
            )
        return np.ascontiguousarray(np.moveaxis(self._colours[indices], -1, 0))


def palette_of(planes: Sequence[Plane], name: str) -> Colours | None:
    """Return the palette of the planes of a TIFF; None if there is none, or it shows each index as itself.

    Raises
    ------
    ImageReadError
        Pages have different palettes.
    """
    tables = [_colours_of(page) for page in unlike([plane.page for plane in planes])]
    first = tables[0]
    for table in tables[1:]:
        same = first is table is None or (
            first is not None and table is not None and np.array_equal(first, table)
        )
        if not same:
            raise ImageReadError(f"{name}: its pages have different colour palettes; {_SAVE}")
    return first


def label_palettes(planes: Sequence[Plane]) -> list[Colours | None]:
    """Return the palette of each plane of labels in a TIFF; None where it has none, or a gray ramp.

    Labels are their indices, so a palette that is missing or damaged is none.
    """
    firsts = [first_of(plane.page) for plane in planes]
    tables = {id(page): _label_colours_of(page) for page in {id(page): page for page in firsts}.values()}
    return [tables[id(page)] for page in firsts]


def _label_colours_of(page: Any) -> Colours | None:
    table = np.asarray(page.colormap)
    if table.ndim != 2 or len(table) != 3 or not table.size or table.dtype.kind != "u":
        return None
    colours = _colours_of(page)
    return None if colours is None or is_stretched_ramp(colours) else colours


def _colours_of(page: Any) -> Colours | None:
    if page.photometric != PALETTE or shows_its_indices(page):
        return None
    table = np.asarray(page.colormap)
    if table.max() >= _EIGHT_BITS:  # 16 bits, as TIFF has it; some programs write 8
        table = table >> 8
    colours: Colours = table.T.astype(np.uint8)
    return colours
