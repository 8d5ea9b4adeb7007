"""Whether an image can be compared with another one, page by page; what only may be wrong is said."""

from pathlib import Path

from unet2015.errors import DataSetError
from unet2015.images.image import Image
from unet2015.images.notes import Say, say
from unet2015.images.own_image import describe_other_images
from unet2015.images.page_order import other_names, other_order
from unet2015.images.places import other_place
from unet2015.images.recorded_size import other_size


def check_counterpart(one: Image, other: Image, called: str | None = None, *, say: Say = say) -> None:
    """Check that the pages of two images go together, and say where their axes, pixel sizes or places differ.

    So is said where both are known to be labels of other images.

    Parameters
    ----------
    one : Image
        Such as the truth.
    other : Image
        What is compared with it; errors and notes name its file.
    called : str, optional
        What notes call `one`, so that they are the same for all pairs of two folders. Default: its name.
    say : callable
        Takes the notes. Default: they are logged.

    Raises
    ------
    DataSetError
        Pages are in another order.
    """
    if order := other_order(one, other):
        raise DataSetError(f"{other.name}: {order}; save both with their axes in the same order")
    differences = [
        other_names(one, other, called),
        other_size(other, one, called),
        other_place(other, one, called),
    ]
    if one.path is not None and other.path is not None:
        differences.append(describe_other_images(other.path, one.path))
    for note in differences:
        if note:
            say(other.path or Path(other.name), note)
