"""An image that shows another one in its way: which reads, and whose file it closes."""

from unet2015.images.image import Image, ImageHeader


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
        self.origin, self.reader = image.origin, image.reader

    @property
    def band_rows(self) -> int:
        """How many rows to read at a time: as of the other image."""
        return self._image.band_rows

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on this image and on the other one."""
        return (*self._notes, *self._image.notes)

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
