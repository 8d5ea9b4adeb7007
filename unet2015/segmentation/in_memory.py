"""The Python call that segments an image in memory, and the products of one as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.arguments import callback, device_name, flag, memory
from unet2015.device import usual_torch
from unet2015.images.constant import constant_pages, notes_on_constant
from unet2015.images.image import Image
from unet2015.images.mapped_image import MappedImage
from unet2015.images.notes import say
from unet2015.models import warn_of_doubts
from unet2015.models.model_file import Model
from unet2015.segmentation.given_image import opened_for
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.products import MAIN, PRODUCTS, ProbabilityMap, check_finite
from unet2015.segmentation.segmenter import Segmenter
from unet2015.segmentation.summary import Summary
from unet2015.settings.choices import Averaging, MapEach, Precision, ThresholdName
from unet2015.tiling.engine import RunOptions, run
from unet2015.tiling.progress import reporting, tile_bar, unnamed
from unet2015.tiling.sinks import ArraySink


@usual_torch()
def segment(
    image: str | Path | NDArray[Any],
    model: Model | str | Path,
    *,
    axes: str | None = None,
    channel: int | str | None = None,
    scene: int | str | None = None,
    probabilities: bool = False,
    threshold: float | ThresholdName | None = None,
    tile: int | None = None,
    batch: int | None = None,
    max_memory: int | str | None = None,
    device: str = "auto",
    precision: Precision = "float32",
    average: Averaging = "none",
    skip_empty: bool = False,
    fill_value: float | None = None,
    map_each: MapEach | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[Any]:
    """Segment an image with the overlap-tile strategy (paper, Fig. 2; doi:10.1007/978-3-319-24574-4_28).

    The result does not depend on tile size, batch or memory cap, up to rounding: in single precision about
    1e-6 of the largest score, a few millionths of a probability.

    Parameters
    ----------
    image : path or ndarray
        A TIFF, PNG, JPEG, CZI, ND2 or LIF file, or pixels (an array, a list, a tensor): two axes are YX,
        three are pages of YX unless `axes` says more.
    model : Model, path or str
        What to segment with: a model file, the folder of a training, or the name of a model that comes with
        the package.
    axes : str, optional
        One letter of TZCYXI for each axis of the image, slowest first, if the file does not tell them.
    channel : int or str, optional
        Use this channel alone, as an image of one channel: its number from 0, its name, if the file declares
        names, or both as ``1:GFP``.
    scene : int or str, optional
        Of a CZI, ND2 or LIF file with several images, this one, named in the same ways.
    probabilities : bool
        Return probabilities rather than classes.
    threshold : float or {"f1", "rand"}, optional
        With two classes, a pixel is of class 1 if its probability is above the threshold. ``f1`` is the
        best one for the F1 of pixels in the training, ``rand`` (for membranes) the best for the Rand score
        of cells. Default: the model's own.
    tile : int, optional
        Side of the tiles, in pixels. Default: chosen by memory.
    batch : int, optional
        Tiles that go through the network together. Default: chosen by memory.
    max_memory : int or str, optional
        Bytes of memory to stay under, or a text such as 2G: of the process on a CPU, else of the device.
        Default: half of what is free, at most 4 GiB on a CPU.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``, or a device of torch.
    precision : {"float32", "bfloat16"}
        What the network computes in; the scores and all that follows are float32.
    average : {"none", "flips", "symmetries", "rotations"}
        Average the scores over the release's 4 flips, the 8 symmetries of the square, or 7 rotated
        versions (see :mod:`unet2015.tiling.averaging`).
    skip_empty : bool
        Do not run the network on empty tiles. A tile is empty if all pixels that the network would read,
        margin included, have the same raw value in each channel. It becomes class 0; the probability of
        class 1 is 0 (with more than two classes: that of class 0 is 1). Which areas these are depends on
        the size of the tiles; without `tile` it follows from the memory.
    fill_value : float, optional
        The value of pixels where there is no image, as after registration or stitching: pixels of which all
        channels have it do not count in the mean and deviation, or the percentiles, by which the model maps
        the intensities of the image. Default: the model's own, which is mostly none.
    map_each : {"file", "page"}, optional
        Measure the mean and deviation, or the percentiles, over all pages together, or over each page alone,
        as for films that bleach: then each page is segmented as if it were an image of its own. Default: as
        the model does, which is mostly ``file``; an array counts as a file.
    progress : callable, optional
        Called with the number of tiles that are done, and of all; the work waits for it.

    Returns
    -------
    ndarray
        With the axes of the image in their order, without C. Classes are uint8. Probabilities are float32: of
        class 1 if there are two classes, otherwise of all classes, with an axis C before Y and X.

    Raises
    ------
    ImageError
        The image cannot be read, has NaN or the wrong number of channels, or needs `axes`.
    ModelError
        The model cannot be read.
    UsageError
        The options cannot be met; `GeometryError` and `MemoryLimitError` say what can.
    """
    options = SegmentOptions(
        tile=tile,
        batch=batch,
        max_memory=None if max_memory is None else memory(max_memory, "max_memory"),
        device=device_name(device),
        precision=precision,
        average=average,
        threshold=threshold,
        skip_empty=skip_empty,
        fill_value=fill_value,
        map_each=map_each,
        axes=axes,
        channel=channel,
        scene=scene,
    )
    segmenter = Segmenter(model, options)
    if isinstance(model, Model):  # else loading it has said so
        warn_of_doubts(model)
    probabilities = flag(probabilities, "probabilities")
    report = unnamed(callback(progress, "progress"))
    with opened_for(image, options, segmenter.info) as opened, reporting(report):
        product = ProbabilityMap.name if probabilities else MAIN.name
        return _in_given_order(to_arrays(segmenter, opened, (product,))[product], opened)


def _in_given_order(made: NDArray[Any], image: Image) -> NDArray[Any]:
    """Return a product, whose pages come first, with the axes in the order of the image's."""
    wanted = image.axes.replace("C", "")
    several = "C" * (made.ndim > len(wanted))
    at = min(wanted.index("Y"), wanted.index("X"))
    wanted = wanted[:at] + several + wanted[at:]
    return made.transpose([f"{image.page_axes}{several}YX".index(letter) for letter in wanted])


def to_arrays(segmenter: Segmenter, image: Image, products: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return products of an image, by their names, in memory; the network runs once.

    Parameters
    ----------
    segmenter : Segmenter
        The model, and how it is used.
    image : Image
        The image.
    products : sequence of str
        Names of :data:`unet2015.segmentation.products.PRODUCTS`.

    Returns
    -------
    dict of ndarray
        The pages along the axes of the image but C, Y and X; then the axes of the product, (C) Y X.

    Raises
    ------
    ImageValueError
        The image does not fit the model.
    MemoryLimitError
        No plan fits into the memory.
    """
    plan = segmenter.plan(image)
    source = MappedImage(image, segmenter.mapping, judge=segmenter.judge)
    sink = ArraySink(plan, segmenter.info.classes, threads=segmenter.device.type == "cuda")
    with tile_bar(plan, image.name) as progress:
        options = RunOptions(skip_empty=segmenter.options.skip_empty)
        run(plan, source, segmenter.predict, sink, options, progress=progress)
    check_finite(sink.array, image.name)
    constant = notes_on_constant(constant_pages(image, segmenter.mapping.fill_value), image.pages)
    for note in (
        *source.notes,
        *constant,
        *Summary(sink.low, sink.high, sink.skipped).notes(segmenter.options.tile),
    ):
        say(image.path or Path(image.name), note)
    made = {}
    for name in products:
        pages = np.stack([PRODUCTS[name].render(page, segmenter.threshold) for page in sink.array])
        made[name] = pages.reshape(*image.page_shape, *pages.shape[1:])
    return made
