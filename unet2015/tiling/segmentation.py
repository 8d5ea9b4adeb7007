"""Segments images with a model: arrays and files in, class maps and probability maps out."""

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unet2015.checkpoint import Model
from unet2015.errors import ImageValueError, ModelError, UsageError
from unet2015.images.image import ArrayImage, Image
from unet2015.images.mapping import MappedImage
from unet2015.images.reader import open_image
from unet2015.images.writer import ImageWriter
from unet2015.models import load_model
from unet2015.tiling.averaging import Averaging
from unet2015.tiling.engine import Precision, Predictor, Times, choose_device, run
from unet2015.tiling.memory import choose_plan
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.progress import tile_bar
from unet2015.tiling.sinks import ArraySink, BandSink


@dataclass(frozen=True, kw_only=True)
class SegmentOptions:
    """How images are segmented; see :func:`segment`."""

    tile: int | None = None
    batch: int | None = None
    max_memory: int | None = None
    device: str = "auto"
    precision: Precision = "float32"
    average: Averaging = "none"
    threshold: float | None = None


def segment(
    image: str | Path | NDArray[Any],
    model: Model | str | Path,
    *,
    axes: str | None = None,
    probabilities: bool = False,
    threshold: float | None = None,
    tile: int | None = None,
    batch: int | None = None,
    max_memory: int | None = None,
    device: str = "auto",
    precision: Precision = "float32",
    average: Averaging = "none",
) -> NDArray[Any]:
    """Segment an image with the overlap-tile strategy (paper, Fig. 2; doi:10.1007/978-3-319-24574-4_28).

    The result does not depend on tile size, batch or memory cap, up to rounding (1e-6).

    Parameters
    ----------
    image : path or ndarray
        A TIFF or PNG file, or pixels: two axes are YX, three are pages of YX unless `axes` says more.
    model : Model, path or str
        What to segment with: a model file, or the name of a model that comes with the package.
    axes : str, optional
        One letter of TZCYXI for each axis of the image, slowest first, where it does not say.
    probabilities : bool
        Return probabilities rather than classes.
    threshold : float, optional
        Two classes: a pixel is of class 1 where its probability is above. The model's, unless given.
    tile : int, optional
        Side of the tiles, in pixels; by memory, unless given.
    batch : int, optional
        Tiles that go through the network together; by memory, unless given.
    max_memory : int, optional
        Bytes of memory to stay under: of the process on a CPU, else of the device. Half of what is
        free, at most 4 GiB on a CPU, unless given.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    precision : {"float32", "bfloat16"}
        What the network computes in; the scores and all that follows are float32.
    average : {"none", "flips", "symmetries", "rotations"}
        Average the scores over the release's 4 flips, the 8 symmetries of the square, or 7 rotated
        versions (see :mod:`unet2015.tiling.averaging`).

    Returns
    -------
    ndarray
        The axes of the image without C. Classes as uint8. Probabilities as float32: of class 1 where
        there are two classes, else with an axis C before YX.

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
        max_memory=max_memory,
        device=device,
        precision=precision,
        average=average,
        threshold=threshold,
    )
    segmenter = Segmenter(model, options)
    opened = ArrayImage(image, axes) if isinstance(image, np.ndarray) else open_image(image, axes)
    with opened:
        return segmenter.to_array(opened, probabilities)


class Segmenter:
    """A model on its device, ready for many images.

    Parameters
    ----------
    model : Model or path
        What to segment with.
    options : SegmentOptions
        Checked here, as far as they do not depend on an image.
    """

    def __init__(self, model: Model | str | Path, options: SegmentOptions) -> None:
        self.model = model if isinstance(model, Model) else load_model(model)
        self.options, self.info = options, self.model.info
        if options.threshold is not None and not 0 <= options.threshold <= 1:
            raise UsageError(f"a threshold is a probability, 0 to 1, not {options.threshold:g}")
        if options.threshold is not None and self.info.classes > 2:
            raise UsageError(f"a threshold needs a model of two classes; this one has {self.info.classes}")
        self.device = choose_device(options.device)
        # What no image could meet is said before any is read.
        self._choose((1, 1, 1))
        self._predict = Predictor(self.model.network, self.device, options.precision, options.average)

    @property
    def threshold(self) -> float | None:
        """Probability of class 1 above which a pixel is of class 1; None with more than two classes."""
        if self.info.classes > 2:
            return None
        given = (self.options.threshold, self.info.threshold, 0.5)
        return next(value for value in given if value is not None)

    def plan(self, image: Image) -> TilePlan:
        """Return the tile plan of an image; raise `ImageValueError` where its channels do not fit."""
        if image.channels != self.info.in_channels:
            raise ImageValueError(
                f"{image.name}: the model takes {self.info.in_channels} channel(s), the image has "
                f"{image.channels} (axes {image.axes}, from {image.axes_source}); give --axes if an axis of "
                "the file is meant as C, or was taken for it"
            )
        mapping, dtype = self.info.mapping.method, self.info.dtype
        if mapping == "integer-range" and dtype not in (None, image.dtype.name):
            raise ImageValueError(
                f"{image.name}: the model was trained on {dtype} pixels, mapped by the range of that type, "
                f"but the image has {image.dtype}; convert it to {dtype}, or train with percentiles"
            )
        return self._choose((image.pages, image.height, image.width))

    def _choose(self, shape: tuple[int, int, int]) -> TilePlan:
        return choose_plan(
            self.model.network,
            shape,
            self.device,
            tile=self.options.tile,
            batch=self.options.batch,
            cap=self.options.max_memory,
        )

    def to_array(self, image: Image, probabilities: bool = False) -> NDArray[Any]:
        """Return the class map or the probabilities of an image, in memory."""
        plan = self.plan(image)
        source = MappedImage(image, self.info.mapping)
        sink = ArraySink(plan, self.info.classes)
        with tile_bar(plan, image.name) as progress:
            run(plan, source, self._predict, sink, progress=progress)
        _check_finite(sink.array, image.name)
        bands = (sink.array[page] for page in range(plan.pages))
        shown = self.shown if probabilities else self.classify
        pages = np.stack([shown(band) for band in bands])
        return pages.reshape(*image.page_shape, *pages.shape[1:])

    def to_files(
        self, image: Image, plan: TilePlan, class_map: Path, probability_map: Path | None = None
    ) -> tuple[Times, MappedImage, bool]:
        """Write the class map and, asked for, the probability map of an image, in bounded memory.

        Returns
        -------
        times : Times
            Seconds of each stage.
        mapped : MappedImage
            The image with the mapping that was used.
        constant : bool
            Whether all probabilities were alike, which no useful model gives.
        """
        mapped = MappedImage(image, self.info.mapping)
        planes = None if self.info.classes == 2 else self.info.classes
        low, high = np.inf, -np.inf
        with ExitStack() as stack:
            classes = stack.enter_context(ImageWriter(class_map, image, np.uint8))
            shown = None
            if probability_map is not None:
                shown = stack.enter_context(ImageWriter(probability_map, image, np.float32, planes))

            def emit(band: NDArray[np.float32]) -> None:
                nonlocal low, high
                _check_finite(band, image.name)
                low, high = min(low, float(band[1].min())), max(high, float(band[1].max()))
                classes.write(self.classify(band))
                if shown is not None:
                    shown.write(self.shown(band))

            with tile_bar(plan, image.name) as progress:
                sink = BandSink(plan, self.info.classes, emit)
                times = run(plan, mapped, self._predict, sink, progress=progress)
        return times, mapped, high - low < 1e-3

    def classify(self, probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Turn probabilities (classes, h, w) into classes (h, w)."""
        if self.threshold is None:
            found = probabilities.argmax(axis=0)
        else:
            found = probabilities[1] > np.float32(self.threshold)
        classes: NDArray[np.uint8] = found.astype(np.uint8)
        return classes

    def shown(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return of probabilities (classes, h, w) what a probability map shows."""
        return probabilities[1] if self.info.classes == 2 else probabilities

    def settings(self) -> dict[str, Any]:
        """Return the options for a record."""
        return asdict(self.options) | {"threshold": self.threshold}

    def device_name(self) -> str:
        """Return the device for a record: its kind and, for a GPU, its name."""
        if self.device.type == "cuda":
            return f"{self.device} ({torch.cuda.get_device_name(self.device)})"
        return str(self.device)


def _check_finite(probabilities: NDArray[np.float32], name: str) -> None:
    if not np.isfinite(probabilities).all():
        raise ModelError(
            f"{name}: the network's output is not finite; the model has diverged in training, or the image's "
            "intensities are far from those that it was trained on"
        )
