"""The intensity mapping: one rule for a whole image, chosen once and stored in the model.

The network's input is ``(raw - offset) * gain``, with one offset and gain for each channel of the
image, so that a result does not depend on the tiling. The paper leaves the mapping open. Mappings that depend
on the image (``standardise``, ``image-percentiles``) are measured over all pages of the file together. So a
page of a stack is mapped differently from the same page in its own file.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageValueError, UsageError
from unet2015.images.border_areas import left_out
from unet2015.images.checked_bands import bands, check_values
from unet2015.images.image import Image
from unet2015.images.looks import Looks
from unet2015.images.moments import mean_and_deviation
from unet2015.images.percentiles import exact_percentiles
from unet2015.settings import Mapping, MappingSettings

_ADVICE = "--fill-value {0} (fill_value={0} in Python)"
Scale = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Offset and gain of each channel."""


def choose_mapping(
    settings: MappingSettings, images: Sequence[Image], pages: Sequence[Sequence[int]] | None = None
) -> Mapping:
    """Return the mapping for a model that is trained on these images.

    Parameters
    ----------
    settings : MappingSettings
        ``auto`` becomes ``integer-range`` if all images have 8 bits, else ``image-percentiles``.
        ``training-percentiles`` are those of all pixels of the training pages, for each channel.
    images : sequence of Image
        All images of the training set, also those held out.
    pages : sequence of sequences of int, optional
        For each image the pages to train on, perhaps none. Default: all.

    Raises
    ------
    ImageValueError
        NaN or infinity among the pixels; or, for percentiles over all images, different numbers of channels
        or types of pixels.
    UsageError
        There is no image, or no page to train on; or `pages` are not those of the images.
    """
    if not images:
        raise UsageError("the intensity mapping needs at least one training image")
    chosen = [range(image.pages) for image in images] if pages is None else pages
    if len(chosen) != len(images) or not any(map(len, chosen)):
        raise UsageError(
            "the intensity mapping needs the training pages of each image, and at least one page; got "
            f"{sum(map(len, chosen))} pages of {len(chosen)} images, for {len(images)} images"
        )
    method = settings.method
    if method == "auto":
        bytes_only = all(image.dtype == np.uint8 for image in images)
        method = "integer-range" if bytes_only else "image-percentiles"
    if method == "integer-range":
        for image in images:
            _integer_range(image)
        return Mapping(method="integer-range")
    if method == "standardise":
        return Mapping(method="standardise", fill_value=settings.fill_value)
    if method == "image-percentiles":
        ends = {"low": (settings.low,), "high": (settings.high,)}
        return Mapping(method="image-percentiles", fill_value=settings.fill_value, **ends)
    first = images[0]
    for image in images:
        if (image.channels, image.dtype) != (first.channels, first.dtype):
            raise ImageValueError(
                f"{image.name}: expected {first.channels} channels of {first.dtype} as in {first.name}, but "
                f"it has {image.channels} of {image.dtype}; percentiles over all images need the same"
            )
    low, high = _percentiles(list(zip(images, chosen, strict=True)), (settings.low, settings.high))
    return Mapping(method="fixed", low=tuple(low.tolist()), high=tuple(high.tolist()))


def intensity_scale(mapping: Mapping, image: Image, looks: Looks | None = None) -> Scale:
    """Return offset and gain that make network input of an image: ``(raw - offset) * gain``.

    Percentiles, mean and standard deviation are over all pages; memory is bounded by a band of rows.
    Percentiles are exact, and so are the sums of integers. If the two intensities are equal, or the standard
    deviation is 0 (a constant image), the gain is 0, so that the input is 0 everywhere. Pixels of which all
    channels have the mapping's fill value do not count.

    Parameters
    ----------
    mapping : Mapping
        The rule.
    image : Image
        The image; read as a whole for ``standardise`` (once) and ``image-percentiles``.
    looks : Looks, optional
        Looks, where the image is read, for what may spoil a mapping.

    Returns
    -------
    offset, gain : numpy.ndarray of float64, shape (channels,)

    Raises
    ------
    ImageValueError
        The mapping does not fit the image's type or channels, or NaN or infinity is among its pixels.
    """
    if mapping.method == "standardise":
        mean, deviations = _moments(mapping, image, looks)
        return mean, _inverse(deviations, image)
    if mapping.method == "integer-range":
        low, high = (np.full(image.channels, value, np.float64) for value in _integer_range(image))
    elif mapping.method == "image-percentiles":
        both = (mapping.low[0], mapping.high[0])
        low, high = _percentiles([(image, range(image.pages))], both, mapping.fill_value, looks)
    else:
        low, high = np.array(mapping.low, np.float64), np.array(mapping.high, np.float64)
        if len(low) != image.channels or len(high) != image.channels:
            raise ImageValueError(
                f"{image.name}: expected {len(low)} channels, as the model's intensity mapping has, but "
                f"the image has {image.channels} (axes {image.axes})"
            )
    return low, _inverse(high - low, image)


def deviation(image: Image, mapping: Mapping, scale: Scale | None = None) -> npt.NDArray[np.float64]:
    """Return the standard deviation of an image as the network sees it, over all of its pages.

    With it, a change of intensity can be given in deviations of the image, whatever the mapping.

    Parameters
    ----------
    image : Image
        The image; read as a whole unless the mapping is ``standardise``, which makes it 1.
    mapping : Mapping
        The rule.
    scale : tuple of ndarray, optional
        Offset and gain, where they are known from before.

    Returns
    -------
    numpy.ndarray of float64, shape (channels,)
        1 for ``standardise``, also for a constant image; otherwise 0 if the network sees only one value.

    Raises
    ------
    ImageValueError
        As `intensity_scale`.
    """
    if mapping.method == "standardise":
        return np.ones(image.channels)
    _, gain = intensity_scale(mapping, image) if scale is None else scale
    _, raw = _moments(mapping, image)
    mapped: npt.NDArray[np.float64] = raw * gain
    return mapped


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

    Attributes
    ----------
    image : Image
    offset, gain : numpy.ndarray of float64, shape (channels,)
        As `intensity_scale` returns them.
    notes : tuple of str
        What may spoil the mapping: see `Looks`; nothing where `scale` is given.

    Raises
    ------
    ImageValueError
        As `intensity_scale`.
    """

    def __init__(self, image: Image, mapping: Mapping, scale: Scale | None = None) -> None:
        self.image = image
        looks = Looks(image, mapping.fill_value) if scale is None and mapping.of_each_image else None
        self.offset, self.gain = intensity_scale(mapping, image, looks) if scale is None else scale
        self.notes = () if looks is None else tuple(looks.notes(_ADVICE))
        # Float32 holds integers of 8 and 16 bits exactly, but not the small differences from a mean: all else
        # is mapped in float64.
        exact = image.dtype.kind != "f" and image.dtype.itemsize <= 2 and mapping.method != "standardise"
        self._work = np.float32 if exact else np.float64
        # The difference of the largest float64 and its negative is infinite, that of their quarters is not.
        # Only such a large range has so small a gain.
        huge = (self.gain < 2.0**-900) & (image.dtype == np.float64)
        self._factor = np.where(huge, 4.0, 1.0)[:, None, None] if huge.any() else None

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
        offset, gain = (one.astype(self._work)[:, None, None] for one in (self.offset, self.gain))
        if self._factor is not None:
            values /= self._factor
            offset, gain = offset / self._factor, gain * self._factor
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


def _integer_range(image: Image) -> tuple[int, int]:
    if image.dtype.kind == "f":
        raise ImageValueError(
            f"{image.name}: the intensity mapping integer-range needs integer pixels, but they are "
            f"{image.dtype}; train with the mapping standardise or percentiles, or take a model that has one"
        )
    limits = np.iinfo(image.dtype)
    return int(limits.min), int(limits.max) if limits.min else 2**image.bits - 1


def _inverse(span: npt.NDArray[np.float64], image: Image) -> npt.NDArray[np.float64]:
    """Return 1 / span, 0 where it is 0; raise `ImageValueError` where the inverse would be infinite."""
    small = span[(span > 0) & (span < np.finfo(np.float64).tiny)]
    if small.size:
        raise ImageValueError(
            f"{image.name}: its pixels differ by about {small[0]:.1e}, too little for numbers of double "
            "precision; multiply all of them by 1e300"
        )
    gain: npt.NDArray[np.float64] = np.divide(1.0, span, out=np.zeros_like(span), where=span > 0)
    return gain


def _percentiles(
    images: Sequence[tuple[Image, Sequence[int]]],
    percents: tuple[float, float],
    fill_value: float | None = None,
    looks: Looks | None = None,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return two percentiles of each channel over the given pages of all images."""
    dtype, channels = images[0][0].dtype, images[0][0].channels

    def blocks(channel: int) -> Iterator[npt.NDArray[Any]]:
        for image, pages in images:
            for page in pages:
                for number, band in enumerate(bands(image, page, looks)):
                    out = left_out(image, fill_value, page, number * image.band_rows, band)
                    yield band[channel] if out is None else band[channel][~out[channel]]

    found = [exact_percentiles(partial(blocks, channel), dtype, percents) for channel in range(channels)]
    both = np.stack(found, axis=1)
    return both[0], both[1]


def _moments(
    mapping: Mapping, image: Image, looks: Looks | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return mean and standard deviation of each channel, without what the mapping leaves out."""
    pages = (bands(image, page, looks) for page in range(image.pages))
    without = partial(left_out, image, mapping.fill_value)
    return mean_and_deviation(pages, image.dtype, image.channels, without)
