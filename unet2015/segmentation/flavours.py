"""Which results of an image will be OME-TIFF: their names say so."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unet2015.images.image import Image, MetadataKind
from unet2015.images.layout import flavour_of, what_fits
from unet2015.images.result_names import is_ome_name
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.products import LABELS, MAIN, PRODUCTS


def ome_products(path: Path, options: SegmentOptions, classes: int) -> Sequence[str]:
    """Return the names of those results of an image that are OME-TIFF, if they are TIFF.

    What the file says of itself decides, not its name; so it is opened. Labels are taken for 16 bits: how
    many objects there are is not known before they are found.

    Parameters
    ----------
    path : Path
        The image. If it cannot be opened its name decides, as segmenting it fails anyway.
    options : SegmentOptions
        Which results there are, and how they are laid out.
    classes : int
        Of the model.
    """
    names = [name for name in options.results if name in PRODUCTS or name == LABELS.name]
    try:
        with options.open(path) as image:
            return [
                name for name in names if flavour_of(image, *_pixels(name, classes), options.layout) == "ome"
            ]
    except Exception:  # whatever it is: opening the image to segment it raises it again
        return names if is_ome_name(path) else []


def left_out(image: Image, main: Path, options: SegmentOptions) -> tuple[str, ...]:
    """Return notes on what an image says of its place and time that the TIFFs made of it cannot.

    Parameters
    ----------
    image : Image
        The image.
    main : Path
        Of the class map; the others are of its flavour.
    options : SegmentOptions
        How TIFF files are laid out.
    """
    wanted: MetadataKind | None = "ome" if is_ome_name(main) else None
    return what_fits(image, flavour_of(image, MAIN.dtype, None, options.layout, wanted))[1]


def _pixels(name: str, classes: int) -> tuple[np.dtype, int | None]:
    """Return type and number of channels of a result."""
    if name in PRODUCTS:
        return np.dtype(PRODUCTS[name].dtype), PRODUCTS[name].planes(classes)
    return np.dtype(np.uint16), None
