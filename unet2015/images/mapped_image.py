"""An image as the network sees it: its intensities mapped, region by region."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageValueError
from unet2015.images.appearance import Judge
from unet2015.images.checked_bands import check_values
from unet2015.images.image import Image
from unet2015.images.looks import Looks
from unet2015.images.mapping import Scale, intensity_scale
from unet2015.settings import Mapping

_ADVICE = ("--fill-value {0} (fill_value={0} in Python)", '--map-each page (map_each="page" in Python)')
"""What leaves a value out of a segmentation's mapping, and what maps each page by itself."""
_FINE = 1e-3
"""Of what becomes 1 in the network's input: steps of double precision as large are said."""


class MappedImage:
    """An image as the network sees it.

    Parameters
    ----------
    image : Image
        The image.
    mapping : Mapping
        The rule; for ``standardise`` and ``image-percentiles`` the image is read as a whole here.
    scale : tuple of ndarray, optional
        Offset and gain, where they are known from before.
    judge : callable, optional
        Adds to the notes, where something is known of what the image looks like.
    advice : tuple of str
        For the notes: what leaves a value out, with a place for it, and what maps each page by itself.

    Attributes
    ----------
    image : Image
    offset, gain : numpy.ndarray of float64, shape (channels,) or (pages, channels)
        As `intensity_scale` returns them.
    appearance : (Appearance, ndarray or None) or None
        What the image looks like, if that was measured here; the gain if it is by the deviation.
    notes : tuple of str
        What may spoil the mapping: see `Looks`; nothing where `scale` is given.

    Raises
    ------
    ImageValueError
        As `intensity_scale`.
    """

    def __init__(
        self,
        image: Image,
        mapping: Mapping,
        scale: Scale | None = None,
        judge: Judge | None = None,
        advice: tuple[str, str] = _ADVICE,
    ) -> None:
        self.image = image
        measured = scale is None and mapping.of_each_image
        looks = Looks(image, mapping.fill_value, mapping.each) if measured else None
        self.offset, self.gain = intensity_scale(mapping, image, looks) if scale is None else scale
        self.notes = () if looks is None else (*looks.notes(*advice), *_coarse(self.offset, self.gain))
        found = None if looks is None else looks.appearance()
        gain = self.gain if mapping.method == "standardise" else None
        self.appearance = (found, gain) if found else None
        self.notes += tuple(judge(found, gain)) if judge and found else ()
        # Float32 holds integers of 8 and 16 bits exactly, but not their small differences from a mean.
        exact = image.dtype.kind != "f" and image.dtype.itemsize <= 2 and mapping.method != "standardise"
        self._work = np.float32 if exact else np.float64
        # No difference of quarters of float64 is infinite. Only a range as large has so small a gain.
        huge = (self.gain < 2.0**-900) & (image.dtype == np.float64)
        self._factor = np.where(huge, 4.0, 1.0) if huge.any() else None

    def read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[np.float32]:
        """Read a region of one page as network input.

        Parameters
        ----------
        page, y0, y1, x0, x1 : int
            As for `Image.read`.

        Returns
        -------
        numpy.ndarray of float32, shape (channels, y1 - y0, x1 - x0)

        Raises
        ------
        ImageReadError
            The pixels cannot be read.
        ImageValueError
            NaN or infinity is among them, or a value so far from the others that the network cannot take it.
        """
        return self.map(self.raw(page, y0, y1, x0, x1), page)

    def raw(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        """Read a region of one page as it is in the file: the first half of `read`."""
        return self.image.read(page, y0, y1, x0, x1)

    def map(self, raw: npt.NDArray[Any], page: int) -> npt.NDArray[np.float32]:
        """Make network input of pixels of a page: the second half of `read`."""
        check_values(raw, self.image, page)
        values: npt.NDArray[Any] = raw.astype(self._work)
        offset = self._of(page, self.offset).astype(self._work)
        gain = self._of(page, self.gain).astype(self._work)
        if self._factor is not None:
            factor = self._of(page, self._factor)
            values /= factor
            offset, gain = offset / factor, gain * factor
        np.subtract(values, offset, out=values)
        np.multiply(values, gain, out=values)
        if values.dtype == np.float32:
            return values
        with np.errstate(over="ignore"):
            mapped = values.astype(np.float32)
        if raw.dtype.kind == "f" and not np.isfinite(mapped).all():
            raise ImageValueError(
                f"{self.image.name}: page {page}: {float(np.abs(raw).max()):g} is among the pixels, so far "
                "from the others that single precision does not hold it next to them; replace it"
            )
        return mapped

    @staticmethod
    def _of(page: int, values: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        """Return those of a page, (channels, 1, 1), of values of the image or of each page."""
        return (values if values.ndim == 1 else values[page])[:, None, None]


def _coarse(offset: npt.NDArray[np.float64], gain: npt.NDArray[np.float64]) -> Iterator[str]:
    """Say that double precision has no number near enough to what is subtracted from large values."""
    steps = np.spacing(np.abs(offset)) * np.abs(gain)
    worst = int(steps.argmax())
    if (step := float(steps.flat[worst])) > _FINE:
        yield (
            f"the values lie near {offset.flat[worst]:.6g}, so large next to their differences that double "
            f"precision maps them in steps of {step:.2g}, where 1 is {1 / abs(gain.flat[worst]):.3g} of the "
            "image; subtract a constant, such as the lowest value, from the image"
        )
