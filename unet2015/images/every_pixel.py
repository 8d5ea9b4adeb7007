"""Every pixel of an image, read to see whether it can be."""

from unet2015.images.image import Image
from unet2015.images.mapping import bands


def check_pixels(image: Image) -> None:
    """Read every pixel, a band at a time; raise the errors for which the image could not be segmented.

    Raises
    ------
    ImageReadError
        Pixels are damaged or transparent.
    ImageValueError
        NaN or infinity is among them, or whole numbers that double precision does not tell apart.
    """
    for page in range(image.pages):
        for _ in bands(image, page):
            pass
