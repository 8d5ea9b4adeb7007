"""The options of a segmentation in one place: for the command, functions, workers and records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Self, cast, get_args

from unet2015.arguments import device_name, flag, integer, items, memory, number, number_or_name, text
from unet2015.errors import ArgumentError, UsageError
from unet2015.images.image import Image
from unet2015.images.pixel_size import GivenSize
from unet2015.images.reader import open_image
from unet2015.images.writer import Layout
from unet2015.segmentation.products import MAIN, OBJECT_PRODUCTS, PRODUCTS, ProbabilityMap, views_in_order
from unet2015.settings.choices import Averaging, LabelType, MapEach, Precision, ThresholdName
from unet2015.settings.objects import ObjectSettings
from unet2015.settings.reading import checked_again, parse_settings

_MAY_BE_ABSENT = (
    *("objects", "views", "channel", "scene"),
    *("pixel_size", "replace_pixel_size", "label_type", "fill_value", "map_each"),
)
"""Not in a record where they are not given, as in records from before there were any."""

_LARGEST = 1.7976931348623157e308
"""The largest float64: a fill value is finite."""


@dataclass(frozen=True, kw_only=True)
class SegmentOptions:
    """How images are segmented, and what is written.

    Attributes
    ----------
    tile, batch, max_memory, device, precision, average, threshold, skip_empty, fill_value, map_each, axes
    channel, scene
        As for :func:`unet2015.segment`; a text for `max_memory` becomes bytes.
    pixel_size : float or tuple of float, optional
        Side of a pixel in micrometres, or height and width, for files that do not say it. A file that says
        another one is refused. It stands in the record, and the results have it.
    replace_pixel_size : bool
        It takes the place of another one in the file, too.
    products : tuple of str
        Names of :data:`unet2015.segmentation.products.PRODUCTS`; ``classes`` is always among them.
    objects : ObjectSettings, optional
        Also find and measure objects, in this way. Default: no objects.
    views : tuple of str
        What else is made of the objects: ``parquet`` (their table as Parquet), ``imagej`` and ``geojson``
        (their outlines as regions), ``overlay`` (a preview).
    label_type : {"uint16", "uint32"}, optional
        Of instance labels; an image with more objects than it can number is refused. Default: the smaller
        one that holds them.
    tiled, pyramid
        Of TIFF: see :class:`unet2015.images.writer.Layout`.

    Raises
    ------
    UsageError
        A product does not exist, there are views or a type of labels without objects, or a pyramid is to be
        written in strips.
    """

    tile: int | None = None
    batch: int | None = None
    max_memory: int | None = None
    device: str = "auto"
    precision: Precision = "float32"
    average: Averaging = "none"
    threshold: float | ThresholdName | None = None
    skip_empty: bool = False
    axes: str | None = None
    channel: int | str | None = None
    scene: int | str | None = None
    fill_value: float | None = None
    map_each: MapEach | None = None
    pixel_size: float | tuple[float, float] | None = None
    replace_pixel_size: bool = False
    products: tuple[str, ...] = (MAIN.name,)
    objects: ObjectSettings | None = None
    views: tuple[str, ...] = ()
    label_type: LabelType | None = None
    tiled: bool | None = None
    pyramid: bool = False

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            if (value := getattr(self, name)) is not None or name in _NEEDED:
                object.__setattr__(self, name, check(value))
        given = self._given_size
        object.__setattr__(self, "pixel_size", given.size)
        object.__setattr__(self, "replace_pixel_size", given.replaces)
        unknown = [name for name in self.products if name not in PRODUCTS]
        if unknown:
            raise UsageError(f"products are {', '.join(PRODUCTS)}, not {unknown[0]!r}")
        ordered = tuple(name for name in PRODUCTS if name == MAIN.name or name in self.products)
        object.__setattr__(self, "products", ordered)
        object.__setattr__(self, "views", views_in_order(self.views))
        if self.views and self.objects is None:
            raise UsageError(f"{self.views[0]} shows objects, but none are wanted; ask for objects, too")
        if self.label_type is not None and self.objects is None:
            raise UsageError("a type of labels is given, but no objects are wanted; ask for objects, too")
        _ = self.layout  # this raises an error if they contradict each other

    def open(self, path: Path) -> Image:
        """Open an image with the axes, the channel, the scene and the pixel size of these options."""
        opened = open_image(path, self.axes, channel=self.channel, scene=self.scene)
        return self._given_size.applied(opened)

    @property
    def _given_size(self) -> GivenSize:
        return GivenSize.of(self.pixel_size, self.replace_pixel_size)

    @property
    def layout(self) -> Layout:
        """How TIFF files are laid out."""
        return Layout(tiled=self.tiled, pyramid=self.pyramid)

    @property
    def results(self) -> tuple[str, ...]:
        """The names of all results: the maps and, with objects, what is made of them."""
        made = [name for name, one in OBJECT_PRODUCTS.items() if one.always or name in self.views]
        return self.products if self.objects is None else (*self.products, *made)

    @property
    def computed(self) -> tuple[str, ...]:
        """The names of all maps that are computed; objects need the probability map, written or not."""
        wanted = self.products if self.objects is None else (*self.products, ProbabilityMap.name)
        return tuple(dict.fromkeys(wanted))

    def as_record(self, threshold: float | None) -> dict[str, Any]:
        """Return the options for a record.

        Parameters
        ----------
        threshold : float or None
            The number that is used, also if a name was given; None with more than two classes.
        """
        said: dict[str, Any] = {}
        for name, value in asdict(self).items():
            if name in _MAY_BE_ABSENT and (value is None or value is False or value == ()):
                continue
            if name == "objects" and self.objects is not None:
                said[name] = self.objects.model_dump(mode="json")
            elif name in ("views", "pixel_size"):
                said[name] = list(value)
            elif name == "products":
                said |= {other: other in self.products for other in PRODUCTS if other != MAIN.name}
            else:
                said[name] = value
        return said | {"threshold": threshold}

    @classmethod
    def from_record(cls, said: Mapping[str, Any]) -> Self:
        """Return the options that `as_record` wrote; raise `KeyError` where one is missing."""
        names = [field.name for field in fields(cls) if field.name not in ("products", *_MAY_BE_ABSENT)]
        products = [name for name in PRODUCTS if name == MAIN.name or said[name]]
        objects = parse_settings(ObjectSettings, said["objects"], "objects") if "objects" in said else None
        given = {name: said[name] for name in names}
        later = ("channel", "scene", "pixel_size", "label_type", "fill_value", "map_each")
        given |= {name: said.get(name) for name in later}
        given |= {"replace_pixel_size": said.get("replace_pixel_size", False)}
        given |= {"views": said.get("views", ())}
        return cls(products=tuple(products), objects=objects, **given)


def checked_options(options: object) -> SegmentOptions:
    """Return options, the default ones for None; raise `ArgumentError` for anything else."""
    if options is None or isinstance(options, SegmentOptions):
        return options or SegmentOptions()
    raise ArgumentError(f"options: expected SegmentOptions(...) or None, got {type(options).__name__}")


def checked_objects(value: Any) -> ObjectSettings:
    """Return settings of objects, checked again; raise `ArgumentError` for anything else."""
    if not isinstance(value, ObjectSettings):
        raise ArgumentError(f"objects: expected ObjectSettings(...) or None, got {type(value).__name__}")
    return checked_again(value, "objects")


def checked_label_type(value: Any) -> LabelType:
    """Return a type of labels; raise `ArgumentError` for anything else."""
    return cast(LabelType, _one_of(get_args(LabelType), value, "label_type"))


def checked_map_each(value: Any) -> MapEach:
    """Return what is mapped by itself; raise `ArgumentError` for anything else."""
    return cast(MapEach, _one_of(get_args(MapEach), value, "map_each"))


def _one_of(words: tuple[str, ...], value: Any, name: str) -> str:
    found = text(value, name)
    if found not in words:
        raise ArgumentError(f"{name}: expected {' or '.join(words)}, got {found!r}")
    return found


def checked_names(value: Any, name: str) -> tuple[str, ...]:
    """Return names from one name or several; raise `ArgumentError` for anything else."""
    names = [value] if isinstance(value, str) else items(value, name, "a list of names")
    return tuple(text(one, name) for one in names)


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "tile": partial(integer, name="tile"),
    "batch": partial(integer, name="batch", low=1),
    "max_memory": partial(memory, name="max_memory"),
    "device": device_name,
    "precision": partial(text, name="precision"),
    "average": partial(text, name="average"),
    "threshold": lambda value: value if isinstance(value, str) else number(value, "threshold", nan=True),
    "skip_empty": partial(flag, name="skip_empty"),
    "fill_value": partial(number, name="fill_value", low=-_LARGEST, high=_LARGEST),
    "map_each": checked_map_each,
    "axes": partial(text, name="axes", wanted="letters of TZCYXI"),
    "products": partial(checked_names, name="products"),
    "views": partial(checked_names, name="views"),
    "tiled": partial(flag, name="tiled"),
    "pyramid": partial(flag, name="pyramid"),
    "objects": checked_objects,
    "label_type": checked_label_type,
    "channel": partial(number_or_name, name="channel"),
    "scene": partial(number_or_name, name="scene"),
}
_NEEDED = {"device", "precision", "average", "skip_empty", "products", "views", "pyramid"}
"""Options for which None means nothing."""
RECORDED = tuple(SegmentOptions().as_record(None))
"""The names of all options in a record."""
