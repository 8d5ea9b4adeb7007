"""LIF files of Leica as images: liffile finds the images in them, which are then mapped into memory.

Source: "Leica Microsystems: LIF file format", as described at https://github.com/cgohlke/liffile.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageReadError
from unet2015.images.axes import UNCALIBRATED, Calibration
from unet2015.images.declared import possible_bits
from unet2015.images.scenes import Scene, SceneImage, choose_scene, file_of, library_for

_LIBRARY = "liffile"
_LETTERS = {1: "X", 2: "Y", 3: "Z", 4: "T"}
"""What the numbers of dimensions mean; others are wavelengths, rotations, tiles of a mosaic, loops."""
_BLUE = "3"
_NOT_JOINED = "a mosaic or another series of planes: it is not put together, each is a page"
_EXPORT = "export the image as OME-TIFF with LAS X"
_ALIGNED = 4
"""Rows of pixels may begin at multiples of so many bytes."""


def begins_as_lif(start: bytes) -> bool:
    """Whether the first nine bytes of a file are those of a LIF file."""
    return start[:4] == b"p\0\0\0" and start[8:9] == b"*"


class LifImage(SceneImage):
    """One image of a LIF file.

    Parameters
    ----------
    path : Path
        The file.
    axes : str, optional
        What the axes are, if the image has others than time, depth and channels.
    labels : bool
        The pixels are labels.
    scene : str, optional
        Which image; see `choose_scene`.

    Raises
    ------
    ImageReadError
        The library is missing; or the file is damaged, cut short, or of a kind that is not supported.
    ImageValueError
        It has several images, and none is named.
    AxesError
        Its axes are of other kinds, or `axes` do not fit.
    """

    def __init__(
        self, path: Path, axes: str | None = None, *, labels: bool = False, scene: str | None = None
    ) -> None:
        liffile = library_for(_LIBRARY, _LIBRARY, path, "a LIF file of Leica")
        with file_of(path, "LIF"), liffile.LifFile(path) as file:
            kind, top = file.type.name, file.xml_element.iterfind("./Element")
            images = [found for element in top for found in _images(element)]
            number = choose_scene([name for name, _ in images], scene, path)
            _, element = images[number]
            block = file.memory_blocks[element.find("./Memory").get("MemoryBlockID")]
            offset, size = int(block.offset), int(block.size)
        if kind != "LIF" or offset < 0:
            raise ImageReadError(f"{path}: the pixels lie in other files, which is not supported; {_EXPORT}")
        described, strides, self._blue_first = _describe(element, path)
        shape = (*described.sizes, described.height, described.width, described.samples)
        item = np.dtype(described.dtype).newbyteorder("<")
        needed = sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) + item.itemsize
        there = min(size, path.stat().st_size - offset)
        if needed > there or min(strides) < 0:
            raise ImageReadError(
                f"{path}: the image needs {needed} bytes of pixels, but {max(0, there)} are there; the file "
                "was cut short: copy it again"
            )
        notes = (*described.notes, *_left_over(size, shape, strides, item.itemsize, path))
        super().__init__(path, replace(described, notes=notes), axes, labels=labels, library=_LIBRARY)
        self.scene = number
        self._bytes: npt.NDArray[np.uint8] | None = np.memmap(path, np.uint8, "r", offset, (needed,))
        self._layout = shape, item, strides

    def close(self) -> None:
        """Let go of the file."""
        self._bytes = None

    def _plane(self, place: tuple[int, ...], y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        assert self._bytes is not None
        shape, item, strides = self._layout
        pixels: npt.NDArray[Any] = np.ndarray(shape, item, self._bytes, 0, strides)
        region = np.array(pixels[place][y0:y1, x0:x1])
        return region[..., ::-1] if self._blue_first else region


def _images(element: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield all images in an element with their names; liffile itself keeps one of those of the same name."""
    if element.find("./Data/Image") is not None:
        yield name, element
    for child in element.iterfind("./Children/Element"):
        inner = child.get("Name", "")
        yield from _images(child, f"{name}/{inner}" if name else inner)


@dataclass(frozen=True)
class _Dimension:
    """One axis of an image, or its channels.

    Attributes
    ----------
    letter : str
        One of TZCYX, else "?".
    count, step : int
        Its length, and the bytes from one to the next.
    spacing : float or None
        The distance from one to the next in metres or seconds.
    """

    letter: str
    count: int
    step: int
    spacing: float | None = None


def _dimension(element: Any) -> _Dimension:
    """Return an axis; its length is that from the first to the last, so gaps count, not pixels."""
    count = int(element.get("NumberOfElements"))
    letter = _LETTERS.get(int(element.get("DimID")), "?")
    try:
        length = abs(float(element.get("Length")))
    except (TypeError, ValueError):
        length = 0.0
    known = count > 1 and element.get("Unit") == ("s" if letter == "T" else "m")
    return _Dimension(letter, count, int(element.get("BytesInc")), length / (count - 1) if known else None)


def _describe(element: Any, path: Path) -> tuple[Scene, tuple[int, ...], bool]:
    """Return an image; the bytes from one to the next along its axes; and whether pixels begin with blue."""
    about = "./Data/Image/ImageDescription"
    try:
        found = [_dimension(one) for one in element.iterfind(f"{about}/Dimensions/DimensionDescription")]
        channels = element.findall(f"{about}/Channels/ChannelDescription")
        channels.sort(key=lambda one: int(one.get("BytesInc")))
        places = [int(one.get("BytesInc")) for one in channels]
        (kind, bits), *others = {(int(one.get("DataType")), int(one.get("Resolution"))) for one in channels}
    except (TypeError, ValueError) as error:
        raise ImageReadError(f"{path}: the image's description is damaged: {error}; {_EXPORT}") from error
    itemsize = next((size for size in (1, 2, 4, 8) if bits <= 8 * size), 0)
    if others or kind not in (0, 1) or not itemsize or (kind == 1 and itemsize < 4):
        raise ImageReadError(f"{path}: pixels of {bits} bits of kind {kind} are not supported; {_EXPORT}")
    known = {one.letter: one for one in found if one.letter != "?"}
    lead = sorted((one for one in found if one.letter not in "YX"), key=lambda one: -one.step)
    if not {"Y", "X"} <= set(known) or len(known) + sum(one.letter == "?" for one in found) != len(found):
        raise ImageReadError(f"{path}: the image has no planes of rows and columns (x, y); {_EXPORT}")
    y, x = known["Y"], known["X"]
    samples, step = _channel_steps(places, x.step, itemsize, path)
    tiles = max((one.count for one in found if one.letter == "?"), default=1)
    dtype = f"{'uf'[kind]}{itemsize}"
    scene = Scene(
        letters="".join(one.letter for one in lead) + "C",
        sizes=(*(one.count for one in lead), len(channels) // samples),
        height=y.count,
        width=x.count,
        samples=samples,
        dtype=dtype,
        calibration=_calibration(known),
        channel_names=[one.get("LUTName") for one in channels] if samples == 1 else (),
        notes=(_NOT_JOINED,) if tiles > 1 else (),
        significant_bits=possible_bits(bits, dtype),
    )
    inner = places[1] - places[0] if samples > 1 else itemsize
    blue = samples > 1 and channels[0].get("ChannelTag") == _BLUE
    return scene, (*(one.step for one in lead), step, y.step, x.step, inner), blue


def _left_over(
    size: int, shape: Sequence[int], strides: Sequence[int], itemsize: int, path: Path
) -> tuple[str, ...]:
    """Return the note on bytes between the pixels that the description does not use.

    Raises `ImageReadError` if a row of pixels or more comes after all that it describes.
    """
    rows = len(shape) - 3
    apart, extent = False, itemsize
    for step, axis in sorted((step, axis) for axis, step in enumerate(strides) if shape[axis] > 1):
        apart |= step - extent >= (_ALIGNED if axis == rows else 1)
        extent = max(extent, step * shape[axis])
    if size - extent >= max(strides[rows], prod(shape[rows + 1 :]) * itemsize):
        raise ImageReadError(
            f"{path}: the image has {size} bytes of pixels, but its description tells of {extent}; the file "
            f"is damaged: copy it again, or {_EXPORT}"
        )
    if not apart:
        return ()
    return (
        f"of {size} bytes of pixels, its description uses {prod(shape) * itemsize}; those between them are "
        f"left out: compare with LAS X, and {_EXPORT} where it shows more",
    )


def _channel_steps(places: list[int], pixel: int, itemsize: int, path: Path) -> tuple[int, int]:
    """Return how many channels lie side by side in a pixel, and the bytes between channels that do not."""
    gaps = {after - before for before, after in pairwise(places)}
    if len(gaps) > 1 or (gaps and min(gaps) < itemsize):
        raise ImageReadError(f"{path}: channels lie at uneven places, {places}; {_EXPORT}")
    step = gaps.pop() if gaps else 0
    inside = len(places) == 3 and step == itemsize and pixel == 3 * itemsize
    return (3, 0) if inside else (1, step)


def _calibration(known: dict[str, _Dimension]) -> Calibration:
    spacing = {letter: one.spacing for letter, one in known.items()}
    height, width, depth = spacing["Y"], spacing["X"], spacing.get("Z")
    if not height or not width:
        return UNCALIBRATED
    return Calibration(
        pixel_size_y=height * 1e6,
        pixel_size_x=width * 1e6,
        z_spacing=depth * 1e6 if depth else None,
        time_interval=spacing.get("T"),
        unit="µm",
        time_unit="s",
    )
