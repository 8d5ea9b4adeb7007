"""The intensity mapping: one rule for all images, chosen once and stored in the model.

The network's input is ``(raw - offset) * gain``, with one offset and gain for each channel of the
image, so that a result does not depend on the tiling. The paper leaves the mapping open. Mappings that depend
on the image (``standardise``, ``image-percentiles``) are measured over all pages of the file together. So a
page of a stack is mapped differently from the same page in its own file; unless the mapping is of each page,
which then has an offset and a gain of its own, as its own file would have.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageValueError, UsageError
from unet2015.images.image import Image
from unet2015.images.looks import Looks
from unet2015.images.measured import measured_moments, measured_percentiles
from unet2015.settings import Mapping, MappingSettings

Scale = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Offset and gain of each channel, (channels,); of a mapping of each page (pages, channels)."""


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
        return Mapping(method="standardise", fill_value=settings.fill_value, each=settings.each)
    if method == "image-percentiles":
        return Mapping(
            method="image-percentiles",
            low=(settings.low,),
            high=(settings.high,),
            fill_value=settings.fill_value,
            each=settings.each,
        )
    first = images[0]
    for image in images:
        if (image.channels, image.dtype) != (first.channels, first.dtype):
            raise ImageValueError(
                f"{image.name}: expected {first.channels} channels of {first.dtype} as in {first.name}, but "
                f"it has {image.channels} of {image.dtype}; percentiles over all images need the same"
            )
    low, high = measured_percentiles(list(zip(images, chosen, strict=True)), (settings.low, settings.high))
    return Mapping(method="fixed", low=tuple(low.tolist()), high=tuple(high.tolist()))


def intensity_scale(mapping: Mapping, image: Image, looks: Looks | None = None) -> Scale:
    """Return offset and gain that make network input of an image: ``(raw - offset) * gain``.

    Percentiles, mean and standard deviation are over all pages or, of a mapping of each page, over every page
    alone, with the numbers that it would have as an image; memory is bounded by a band of rows.
    Percentiles are exact, and so are the sums of integers. If the two intensities are equal, or the standard
    deviation is 0 (a constant image or page), the gain is 0, so that the input is 0 everywhere. Pixels of
    which all channels have the mapping's fill value do not count.

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
    offset, gain : numpy.ndarray of float64, shape (channels,) or (pages, channels)
        The latter of a mapping of each page.

    Raises
    ------
    ImageValueError
        The mapping does not fit the image's type or channels, or NaN or infinity is among its pixels.
    """
    if not mapping.of_each_page:
        return _scale_over(mapping, image, range(image.pages), looks)
    found = [_scale_over(mapping, image, [page], looks) for page in range(image.pages)]
    return np.array([offset for offset, _ in found]), np.array([gain for _, gain in found])


def _scale_over(mapping: Mapping, image: Image, pages: Sequence[int], looks: Looks | None) -> Scale:
    """Return offset and gain of each channel, measured over the given pages."""
    if mapping.method == "standardise":
        mean, deviations = measured_moments(image, pages, mapping.fill_value, looks)
        return mean, _inverse(deviations, image)
    if mapping.method == "integer-range":
        low, high = (np.full(image.channels, value, np.float64) for value in _integer_range(image))
    elif mapping.method == "image-percentiles":
        both = (mapping.low[0], mapping.high[0])
        low, high = measured_percentiles([(image, pages)], both, mapping.fill_value, looks)
    else:
        low, high = np.array(mapping.low, np.float64), np.array(mapping.high, np.float64)
        if len(low) != image.channels or len(high) != image.channels:
            raise ImageValueError(
                f"{image.name}: expected {len(low)} channels, as the model's intensity mapping has, but "
                f"the image has {image.channels} (axes {image.axes})"
            )
    return low, _inverse(high - low, image)


def deviation(image: Image, mapping: Mapping, scale: Scale | None = None) -> npt.NDArray[np.float64]:
    """Return the standard deviation of an image as the network sees it, over all pages that are mapped alike.

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
    numpy.ndarray of float64, shape (channels,) or (pages, channels)
        1 for ``standardise``, also for a constant image; otherwise 0 if the network sees only one value. Of
        each page, if the mapping is.

    Raises
    ------
    ImageValueError
        As `intensity_scale`.
    """
    if mapping.method == "standardise":
        return np.ones(image.channels)
    _, gain = intensity_scale(mapping, image) if scale is None else scale
    together = [[page] for page in range(image.pages)] if mapping.of_each_page else [range(image.pages)]
    raw = np.array([measured_moments(image, pages, mapping.fill_value)[1] for pages in together])
    mapped: npt.NDArray[np.float64] = raw.reshape(gain.shape) * gain
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
