"""Where the objects of a map that is there are: its threshold, or its class."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import ImageValueError, SettingsError, UsageError
from unet2015.images.image import Image
from unet2015.images.notes import Repeated
from unet2015.objects.labelling import Maps
from unet2015.objects.progress import Progress
from unet2015.objects.runs import runs_of_values
from unet2015.objects.strips import strip_rows
from unet2015.safe_files import UNSIGNED, is_signed
from unet2015.segmentation.class_image import ClassImage
from unet2015.segmentation.record_beside import record_of_others
from unet2015.settings.objects import ObjectSettings
from unet2015.settings.reading import parse_settings

_MOST_CLASSES = 16
_LAST = 254
"""The largest class that can be chosen."""
_PLAIN: tuple[list[int], ...] = ([], [1], [255])
"""Values beside 0 of maps that need no choice: of one class, and masks."""
_ROUNDING = 1e-3
_LOOKED_AT = 2**20
"""Pixels of a page at most."""
_SCALED = (
    "a probability map of whole numbers, 0 to 255 or 65535, must be divided by these and saved as floats"
)


_NUMBERED = (
    "if these number the objects (instance labels, as of Cellpose or StarDist), give the file to unet2015 "
    "measure: made to a mask, objects that touch would be one"
)
"""What else maps of several values may be."""


class StoredMap(NamedTuple):
    """A map that is there.

    Attributes
    ----------
    image : Image
        A probability map (floats), or a class map (whole numbers).
    path : Path
        Its file.
    record : dict
        The record beside it, as `record_beside`.
    """

    image: Image
    path: Path
    record: dict[str, Any]


def maps_of(stored: StoredMap, settings: ObjectSettings, notes: Repeated, progress: Progress) -> Maps:
    """Return where the objects of a map are.

    Parameters
    ----------
    stored : StoredMap
        The map; its record may say the threshold and the classes.
    settings : ObjectSettings
        Threshold and class, if they are given.
    notes : Repeated
        Takes what is said about the map.
    progress : callable
        Is told of the rows whose values were looked at: all rows of the map.

    Raises
    ------
    ImageValueError
        It is no such map: values are no probabilities, or there are too many classes.
    UsageError
        A class must be chosen, or does not exist; a threshold is given for a class map.
    """
    image, path, _ = stored
    if image.dtype.kind == "f":
        channel = settings.of_class or 0
        if image.channels > 1 and settings.of_class is None:
            raise UsageError(
                f"{path}: a map of {image.channels} classes; say which one objects are (--class)"
            )
        if image.channels > 1 and channel >= image.channels:
            raise UsageError(
                f"{path}: objects of class {channel} are wanted; the map has 0 to {image.channels - 1}"
            )
        if image.channels == 1 and channel > 1:
            raise UsageError(
                f"{path}: objects of class {channel} are wanted, but the map has one channel, the "
                "probability of class 1; if its pages are classes, name its axes: --axes CYX"
            )
        highest = _check_probabilities(image, path, notes, progress)
        if image.channels > 1 and settings.threshold is None:  # the highest decides, as in segment
            return Maps(image, channel, None, ClassImage(image), channel)
        given = settings.threshold
        threshold = _recorded_threshold(stored, notes) if given is None else given
        if highest <= threshold:
            notes.say(
                path,
                f"no probability is above the threshold, {threshold:g}: the highest is {highest:.3g}; is the "
                "map from 0 to 1, as it was computed?",
            )
        return Maps(image, channel if image.channels > 1 else 0, threshold)
    if settings.threshold is not None:
        raise UsageError(
            f"{path}: a threshold needs a probability map, floats from 0 to 1, but this map has "
            f"{image.dtype}; {_SCALED}"
        )
    return Maps(classes=image, wanted=_class_of(stored, settings.of_class, notes, progress))


def with_recorded(settings: ObjectSettings, stored: StoredMap, notes: Repeated) -> ObjectSettings:
    """Return settings of objects over those of the segmentation that made a map, or of its model.

    Parameters
    ----------
    settings : ObjectSettings
        What is given; it goes before the others.
    stored : StoredMap
        The map. Of a class map objects have no threshold, and cannot be divided.
    notes : Repeated
        Takes what is said about the map.
    """
    image, path, record = stored
    if record and not is_signed(record):
        notes.say(path, f"the record beside it {UNSIGNED}")
    options = record.get("settings")
    said = options.get("objects") if isinstance(options, dict) and "objects" in options else None
    said = record.get("model_objects") if said is None else said
    if not isinstance(said, dict):
        return settings
    try:
        recorded = parse_settings(ObjectSettings, said, f"{path}: its record")
    except SettingsError as error:
        raise ImageValueError(f"{error}; the record was changed: make the map again") from error
    if image.dtype.kind != "f":
        if recorded.markers is not None and "markers" not in settings.model_fields_set:
            notes.say(
                path,
                "the segmentation's settings divide objects that touch, which a class map does not allow; "
                "give the probability map (segment --probability writes it)",
            )
        cut = record.get("threshold")
        of_map = cut.get("value") if isinstance(cut, dict) else None
        if recorded.threshold not in (None, of_map):
            notes.say(
                path,
                f"the segmentation's objects have a threshold of their own, {recorded.threshold:g}, and this "
                "class map another; give the probability map for the same ones (segment --probability)",
            )
        recorded = recorded.model_copy(update={"markers": None, "threshold": None})
    found = settings.over(recorded)
    if found != settings:
        told = {name: getattr(found, name) for name in ObjectSettings.model_fields}
        changed = [f"{name} {value}" for name, value in told.items() if value != getattr(settings, name)]
        notes.tell(path, f"objects as in its record: {', '.join(changed)}")
    return found


def _check_probabilities(image: Image, path: Path, notes: Repeated, progress: Progress) -> float:
    """Return the highest value; raise `ImageValueError` unless all are from 0 to 1, up to rounding.

    Pages that add up to 1 everywhere are the classes of one map: refused where no axis says what pages are,
    else said.
    """
    highest, sums = 0.0, _SumOfPages(image)
    for page, row, strip in _strips(image, progress):
        low, high = float(strip.min()), float(strip.max())
        if not -_ROUNDING <= low <= high <= 1 + _ROUNDING:  # also where one is not a number
            raise ImageValueError(
                f"{path}: page {page}: expected probabilities, from 0 to 1, but it has {low:g} to "
                f"{high:g}; give the probability map as it was computed, not scores or a scaled image"
            )
        highest = max(highest, high)
        sums.add(row, strip)
    if sums.are_one():
        said = f"its {image.pages} pages add up to 1 at each pixel, so they look like the classes of one map"
        advice = "if they are, name the axes (--axes CYX), and with --class the one that objects are"
        if image.page_axes == "I":
            raise ImageValueError(f"{path}: {said}; {advice}; if they are pages, name those (--axes ZYX)")
        notes.say(path, f"{said}, and each was taken for a page of objects; {advice}")
    return highest


class _SumOfPages:
    """Adds up the pages of a map of one channel in some rows, if there are not too many pages."""

    def __init__(self, image: Image) -> None:
        self._wanted = image.channels == 1 and 2 <= image.pages <= _MOST_CLASSES
        self._step = -(-image.height * image.width // _LOOKED_AT)
        self._sums: dict[int, NDArray[np.float64]] = {}
        self._soft = False  # pages of 0 and 1 alone may be anything

    def add(self, row: int, strip: NDArray[Any]) -> None:
        """Take the next strip (1, rows, width) of a page, which begins at `row`."""
        if not self._wanted:
            return
        for at in range(-(-row // self._step) * self._step, row + strip.shape[1], self._step):
            line = strip[0, at - row].astype(np.float64)
            self._soft = self._soft or bool(((line > _ROUNDING) & (line < 1 - _ROUNDING)).any())
            self._sums[at] = self._sums.get(at, 0.0) + line

    def are_one(self) -> bool:
        """Whether all sums are 1, up to rounding."""
        return self._soft and all(bool((np.abs(sums - 1) <= _ROUNDING).all()) for sums in self._sums.values())


def _strips(image: Image, progress: Progress) -> Iterator[tuple[int, int, NDArray[Any]]]:
    """Yield all strips of an image, each with its page and its first row."""
    rows = strip_rows(image.height, image.width)
    for page in range(image.pages):
        for row in range(0, image.height, rows):
            stop = min(row + rows, image.height)
            yield page, row, image.read(page, row, stop, 0, image.width)
            progress(stop - row)


def _recorded_threshold(stored: StoredMap, notes: Repeated) -> float:
    """Return the threshold of the segmentation that made a map, else 0.5."""
    _, path, record = stored
    said = record.get("threshold")
    value = said.get("value") if isinstance(said, dict) else None
    settings = record.get("settings")
    used = settings.get("threshold") if isinstance(settings, dict) else None
    if isinstance(value, int | float) and 0 <= value <= 1:
        if used is not None and used != value:
            raise ImageValueError(
                f"{path}: the record beside it contradicts itself: its threshold is {value} and, among the "
                f"settings, {used}; give --threshold, or segment again"
            )
        return float(value)
    if other := record_of_others(path):
        notes.say(
            path, f"{other}, not of this map; 0.5 is taken, and the settings of its objects are not known"
        )
    else:
        notes.say(path, "no record beside it says the model's threshold; 0.5 is taken")
    return 0.5


def _class_of(stored: StoredMap, wanted: int | None, notes: Repeated, progress: Progress) -> int:
    """Return which value of a class map objects have."""
    image, path, record = stored
    if image.channels != 1:
        raise ImageValueError(
            f"{path}: expected a class map, one channel of integers, but it has {image.channels}"
        )
    values: set[int] = set()
    for _, _, strip in _strips(image, progress):
        values |= set(np.unique(runs_of_values(strip)[1]).tolist())
        if len(values) > _MOST_CLASSES:
            raise ImageValueError(
                f"{path}: has more than {_MOST_CLASSES} different values, so it is no class map; "
                f"{_SCALED}; label images are for unet2015 measure"
            )
    others = sorted(values - {0})
    if wanted is not None:
        if wanted not in values:
            has = ", ".join(map(str, sorted(values)))
            notes.say(path, f"no pixel is of class {wanted}; its values are {has}")
        return wanted
    if len(others) > 1 or others not in _PLAIN:
        odd = [value for value in others if not 1 <= value <= _LAST]
        if odd and len(others) > 1:
            raise ImageValueError(
                f"{path}: has the values {others}, but classes are 1 to {_LAST}; {_NUMBERED}; {_SCALED}"
            )
        if odd:
            raise ImageValueError(
                f"{path}: has the values {others}, but classes are 1 to {_LAST}; save it as 0 and 1 where "
                f"objects are, without a sign; {_SCALED}"
            )
    names = record.get("class_names")
    if isinstance(names, list) and len(names) > 2:  # a class that does not occur here may be the one
        raise UsageError(
            f"{path}: a map of the classes {names}; say by number which one objects are (--class)"
        )
    if len(others) > 1 or others not in _PLAIN:
        raise UsageError(
            f"{path}: has the values {others}; say which one objects are (--class); {_NUMBERED}; {_SCALED}"
        )
    return (others or [1])[0]
