"""A model on its device, ready to segment images."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.arguments import file_path
from unet2015.device import choose_device, process_memory, record_name
from unet2015.images.appearance import Appearance, Gain
from unet2015.images.image import Image
from unet2015.images.tiles import TILE
from unet2015.memory import process_free, process_resident, system_total
from unet2015.models import load_model
from unet2015.models.appearance import notes_on_appearance
from unet2015.models.as_it_is import checked_model
from unet2015.models.model_file import Model
from unet2015.networks import inexact
from unet2015.networks.architecture import FASTEST
from unet2015.objects.strips import Room, Strips
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.products import PRODUCTS, check_finite
from unet2015.segmentation.refusals import (
    cap_too_small,
    cap_too_small_for_objects,
    check_image,
    mapping_with,
    too_little,
)
from unet2015.segmentation.threshold import choose_settings_of_objects, choose_threshold
from unet2015.segmentation.view_libraries import check_libraries
from unet2015.tiling.memory import (
    LIBRARIES,
    PlanMemoryError,
    Stored,
    choose_plan,
    default_cap,
    image_bytes,
    job_bytes,
    network_bytes,
    warn_over,
)
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.predictor import Predictor
from unet2015.tiling.sinks import Render

Predict = Callable[[NDArray[Any]], NDArray[Any]]
"""Tiles (N, channels, H, W) to probabilities (N, classes, h, w)."""
_log = logging.getLogger("unet2015")

_SEGMENT, _SEGMENT_BYTES, _PAGE_BYTES = 2**16, 96, 512
"""Bytes of pixels in a segment that is written, at least; what its place takes in a list, and what a page."""


class Segmenter:
    """A model on its device, ready for many images.

    Parameters
    ----------
    model : Model or path
        What to segment with.
    options : SegmentOptions
        They are checked here, as far as they do not depend on an image.
    convolutions : str or None
        How the network's convolutions are computed, as another segmenter says it, so that both round alike.
        Default: as this machine does it fastest.

    Attributes
    ----------
    options : SegmentOptions
        With the model's own settings of objects where the caller gave none.
    threshold : float or None
        Probability of class 1 above which a pixel is of class 1; None with more than two classes.
    threshold_name : str or None
        What it was chosen for, ``f1`` or ``rand``; ``given`` if the caller gave a number, ``model`` if the
        model does not tell, ``default`` if the model has no threshold.
    convolutions : str or None
        How convolutions are computed, which decides how results are rounded; None where there is one way.
    mapping : Mapping
        The model's, with the fill value of the options, and what they map by itself, where they say so.
    """

    def __init__(
        self, model: Model | str | Path, options: SegmentOptions, convolutions: str | None = FASTEST
    ) -> None:
        self.model = (
            checked_model(model) if isinstance(model, Model) else load_model(file_path(model, "model"))
        )
        self.info = self.model.info
        if options.objects is not None:
            objects = choose_settings_of_objects(self.info, options.objects, options.threshold)
            check_libraries(options.views)
            options = replace(options, objects=objects)
        self.options = options
        self.threshold, self.threshold_name = choose_threshold(self.model, options.threshold)
        self.mapping = mapping_with(self.info, options.fill_value, options.map_each)
        self.device = choose_device(options.device)
        pixel_bytes = sum(PRODUCTS[name].pixel_bytes(self.info.classes) for name in options.computed)
        self._maps = Stored(TILE, pixel_bytes)
        self._said = False
        self._chosen: tuple[object, TilePlan] | None = None
        # Options that no image can meet are an error before any image is read.
        self._choose((1, 1, 1), self._maps)
        self._own = self._predictor(convolutions)
        self.predict: Predict = self._own
        self.convolutions = self._own.convolutions

    def __repr__(self) -> str:
        """Say which model, where and how, in one line."""
        given = {field.name: getattr(self.options, field.name) for field in fields(self.options)}
        default = SegmentOptions()
        changed = [f"{name}={value!r}" for name, value in given.items() if value != getattr(default, name)]
        return " ".join([f"<Segmenter {self.model!r} on {self.device}", *changed]) + ">"

    def rounding_as(self, convolutions: str | None) -> Segmenter:
        """Return a segmenter whose convolutions are computed so; this one, if they are already.

        Raises
        ------
        UsageError
            The words are not known.
        """
        if convolutions == self.convolutions:
            return self
        other, own = copy.copy(self), self._predictor(convolutions)
        other._own, other.predict, other.convolutions = own, own, own.convolutions
        return other

    def _predictor(self, convolutions: str | None) -> Predictor:
        given = self.options
        return Predictor(self.model.network, self.device, given.precision, given.average, convolutions)

    def judge(self, found: Appearance, gain: Gain) -> Iterator[str]:
        """Say in what an image is far from all that the model was trained on (see `MappedImage`)."""
        return notes_on_appearance(found, gain, self.info)

    def check(self, image: Image) -> None:
        """Raise `ImageValueError` if channels or type of an image do not fit the model."""
        check_image(image, self.info)

    def plan(self, image: Image) -> TilePlan:
        """Return the tile plan of an image.

        Raises
        ------
        ImageValueError
            The image does not fit the model.
        MemoryLimitError
            No plan fits into the memory cap or, without one, not even what must be in memory besides the
            tiles fits into what is free.
        """
        self.check(image)
        shape, besides = _shape(image), self._besides(image)
        free = LIBRARIES + process_free()
        cap = free if self._cap is None else self._cap
        if besides > cap:
            raise too_little(image, besides, free, self._cap)
        try:
            plan = self._choose(shape, self._stored(image), besides)
        except PlanMemoryError as error:
            raise cap_too_small(image, besides, cap, error, self._for_objects(image)) from error
        if self._cap is not None and self._for_objects(image) > self._cap:
            raise cap_too_small_for_objects(image, self._cap, self._for_objects(image))
        if not (plan.exact or self._said):
            _log.warning(
                "with this network, tiles differ from the whole image: %s", inexact(self.info.network)
            )
            self._said = True
        return plan

    def memory(self, image: Image, plan: TilePlan) -> int:
        """Return the peak memory of a plan in bytes, on a CPU that of the whole process."""
        besides = self._besides(image) if self.device.type == "cpu" else 0
        return job_bytes(self.model.network, plan, self.device, self._stored(image)) + besides

    def object_memory(self, image: Image) -> int:
        """Return the bytes of the process while objects are found, beside those for each of them."""
        return self._around_objects(image) + self.strips(image).size

    def _for_objects(self, image: Image) -> int:
        """Return the bytes of `object_memory`, at least as a tight cap has it; 0 where none are wanted."""
        return 0 if self.options.objects is None else self.object_memory(image)

    def strips(self, image: Image) -> Strips:
        """Return how much of an image is worked on at a time while its objects are found."""
        room = None if self._cap is None else self._cap - self._around_objects(image)
        return Strips.within(_shape(image), image.channels + 1, room)

    def room(self, image: Image) -> Room | None:
        """Return what the memory cap leaves for parts and objects of an image now; None without a cap."""
        if self._cap is None:
            return None
        now = process_resident()
        around = self._around_objects(image) if now is None else now + image.decoding_bytes
        size, channels = self.strips(image).size, image.channels + 1
        growth = Strips.within(_shape(image), channels).size - size
        free = self._cap - around - size
        return Room(image.name, self._cap, free, channels, image.pages, growth)

    def _around_objects(self, image: Image) -> int:
        return LIBRARIES + network_bytes(self.model.network) + image.decoding_bytes + image.listed_bytes

    def release(self) -> None:
        """Free what the network keeps for its next tile."""
        self._own.release()

    def own_memory(self, image: Image, plan: TilePlan) -> int:
        """Return the bytes of main memory of a plan that another image at the same time takes again."""
        return image_bytes(self.model.network, plan, self._stored(image)) + self._besides(image)

    def admits(self, image: Image, plan: TilePlan) -> bool:
        """Whether a plan that was made elsewhere fits into the memory cap or, without one, what is free."""
        cap = self.options.max_memory
        return self.memory(image, plan) <= (LIBRARIES + process_memory(self.device) if cap is None else cap)

    @property
    def _cap(self) -> int | None:
        """The memory cap of this process; that of a GPU does not bind it."""
        return self.options.max_memory if self.device.type == "cpu" else None

    def _besides(self, image: Image) -> int:
        """Return the bytes that do not depend on the tiles: for reading, and to list what is written."""
        pixels = image.height * image.width
        written = 0
        for name in self.options.products:
            product = PRODUCTS[name]
            planes = image.pages * (product.planes(self.info.classes) or 1)
            segments = 1 + pixels * np.dtype(product.dtype).itemsize // _SEGMENT
            written += planes * (_PAGE_BYTES + segments * _SEGMENT_BYTES)
        return image.decoding_bytes + image.listed_bytes + written

    def _stored(self, image: Image) -> Stored:
        return replace(self._maps, value_bytes=image.dtype.itemsize)

    def _choose(self, shape: tuple[int, int, int], stored: Stored, besides: int = 0) -> TilePlan:
        """Return a plan that fits beside what does not depend on the tiles."""
        if self.options.max_memory is not None or self.device.type != "cpu":
            cap = self.options.max_memory if self._cap is None else self._cap - besides
            return self._within(shape, stored, cap)
        try:
            return self._within(shape, stored, default_cap(self.device) - besides)
        except PlanMemoryError as error:
            if error.smaller and error.needed + besides > system_total():
                raise
            least = error.needed
        # The default is only half of what is free: the plan that needs least may still fit.
        try:
            plan = self._within(shape, stored, least)
        except PlanMemoryError:  # not even its tiles could be listed
            return self._within(shape, stored, None)
        warn_over(job_bytes(self.model.network, plan, self.device, stored) + besides)
        return plan

    def _within(self, shape: tuple[int, int, int], stored: Stored, cap: int | None) -> TilePlan:
        key = (shape, stored, cap)
        if self._chosen is None or self._chosen[0] != key:  # images of a folder are mostly of one size
            plan = choose_plan(
                self.model.network,
                shape,
                self.device,
                tile=self.options.tile,
                batch=self.options.batch,
                cap=cap,
                stored=stored,
            )
            self._chosen = key, plan
        return self._chosen[1]

    def renderer(self, name: str) -> Render:
        """Return a function that makes the pixels of all products from probabilities (classes, h, w).

        It raises `ModelError`, with the `name` of the image, if they are not finite.
        """

        def render(probabilities: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
            check_finite(probabilities, name)
            return {
                name: PRODUCTS[name].render(probabilities, self.threshold) for name in self.options.computed
            }

        return render

    def device_name(self) -> str:
        """Return the device for a record: its kind and, for a GPU, its name.

        For a CPU the number of threads: with another number a convolution may sum in another order.
        """
        return record_name(self.device)


def _shape(image: Image) -> tuple[int, int, int]:
    return image.pages, image.height, image.width
