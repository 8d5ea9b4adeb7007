"""An image that shows another one in its way: which reads, and whose file it closes."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from unet2015.images.image import Image, ImageHeader


def header_of(image: Image) -> ImageHeader:
    """Return what is said about an image, as it is now, for one that differs in some of it.

    Its notes are left out: an `ImageView` adds them to its own.
    """
    return ImageHeader(
        image.name,
        image.axes,
        image.shape,
        image.dtype,
        axes_source=image.axes_source,
        path=image.path,
        kind=image.kind,
        calibration=image.calibration,
        companion=image.companion,
        labels=image.dtype.kind == "b",
        bits=image.bits,
        significant_bits=image.significant_bits,
        channel_names=image.channel_names,
    )


def header_without_channels(image: Image) -> ImageHeader:
    """Return what `header_of` does, of an image that has the pages of another one but one channel."""
    kept = [place for place, letter in enumerate(image.axes) if letter != "C"]
    return replace(
        header_of(image),
        axes="".join(image.axes[place] for place in kept),
        shape=tuple(image.shape[place] for place in kept),
    )


class ImageView(Image):
    """An image whose pixels are made from those of another one.

    Parameters
    ----------
    image : Image
        The other image; belongs to this one from now on.
    header : ImageHeader
        What is said about this one.
    """

    def __init__(self, image: Image, header: ImageHeader) -> None:
        self._image = image
        super().__init__(header)
        self.origin, self.stage, self.reader = image.origin, image.stage, image.reader
        self.stack_channels, self.title = image.stack_channels, image.title

    @property
    def band_rows(self) -> int:
        """How many rows to read at a time: as of the other image."""
        return self._image.band_rows

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on this image and on the other one."""
        return (*self._notes, *self._image.notes)

    def uncovered(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[np.bool_] | None:
        """Return which pixels of a region hold no image, as the other image says it."""
        return self._image.uncovered(page, y0, y1, x0, x1)

    @property
    def decoding_bytes(self) -> int:
        """Extra memory for reading a region: that of the other image."""
        return self._image.decoding_bytes

    @property
    def listed_bytes(self) -> int:
        """Memory of the lists of where the pixels lie."""
        return self._image.listed_bytes

    @property
    def kept_bytes(self) -> int:
        """Bytes of decoded pixels that are kept."""
        return self._image.kept_bytes

    def forget(self) -> None:
        """Free decoded pixels; the file stays open."""
        self._image.forget()

    def close(self) -> None:
        """Close the file."""
        self._image.close()
