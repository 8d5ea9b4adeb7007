"""Every pixel of an image, read to see whether it can be."""

from unet2015.images.checked_bands import bands
from unet2015.images.image import Image


def check_pixels(image: Image) -> tuple[float, float]:
    """Read every pixel, a band at a time; raise the errors for which the image could not be segmented.

    Returns
    -------
    float, float
        The lowest value and the highest; whole numbers where the pixels are.

    Raises
    ------
    ImageReadError
        Pixels are damaged or transparent.
    ImageValueError
        NaN or infinity is among them, or whole numbers that double precision does not tell apart.
    """
    ends = [
        end.item()
        for page in range(image.pages)
        for band in bands(image, page)
        for end in (band.min(), band.max())
    ]
    return min(ends), max(ends)
