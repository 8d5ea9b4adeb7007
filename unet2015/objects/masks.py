"""Labels that look like a mask: one value, in several pieces, which counts as one object a page."""

from collections.abc import Sequence

import numpy as np

from unet2015.images.image import Image
from unet2015.objects.labelling import Maps, number_image
from unet2015.objects.table import Table
from unet2015.settings.objects import ObjectSettings

_TOUCHING = ObjectSettings(connectivity=2, fill_holes=False)


def describe_mask(image: Image, tables: Sequence[Table]) -> str | None:
    """Return a note where all objects of a file have one number and lie in several pieces, else None.

    Parameters
    ----------
    image : Image
        The labels.
    tables : sequence of Table
        What was measured, for each page.
    """
    values = np.unique(np.concatenate([np.asarray(table["label"], np.int64) for table in tables]))
    if len(values) != 1:
        return None
    found = number_image(Maps(classes=image, wanted=int(values[0])), _TOUCHING)
    pieces = sum(len(found.names(page)) for page in range(image.pages))
    objects = sum(len(table["label"]) for table in tables)
    if pieces == objects:
        return None
    return (
        f"all objects have the number {values[0]}, in {pieces} separate pieces, which count as {objects} "
        "(one a page); if this is a mask or a class map, number its objects first, with unet2015 label"
    )
