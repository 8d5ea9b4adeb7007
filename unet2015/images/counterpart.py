"""Whether an image can be compared with another one, page by page; what only may be wrong is said."""

from pathlib import Path

from unet2015.errors import DataSetError
from unet2015.images.image import Image
from unet2015.images.notes import Say, say
from unet2015.images.page_order import other_names, other_order
from unet2015.images.pixel_size import other_size


def check_counterpart(one: Image, other: Image, called: str | None = None, *, say: Say = say) -> None:
    """Check that the pages of two images go together, and say where their axes or pixel sizes differ.

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
    for note in (other_names(one, other, called), other_size(other, one, called)):
        if note:
            say(other.path or Path(other.name), note)
