"""CZI files of Zeiss as images, read with Zeiss's own library: regions, scenes, mosaics put together.

Source: "ZISRAW (CZI) File Format", Carl Zeiss Microscopy; https://github.com/ZEISS/pylibczirw.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageReadError
from unet2015.images.axes import UNCALIBRATED, Calibration
from unet2015.images.czi_directory import check_directory
from unet2015.images.declared import possible_bits
from unet2015.images.decoded import KEPT_BYTES, beyond_kept
from unet2015.images.scenes import Scene, SceneImage, choose_scene, file_of, library_for

MAGIC = b"ZISRAWFI"
_LIBRARY = "pylibCZIrw"
_SPARSE = 2**16
"""Times that there are more places than planes, or more room than pixels, in no file that is whole."""
_MOST_TILES = 10_000
"""Of one plane, for which it is asked what they cover: at most about 2 s."""
_LEFT_OUT = "the mean and deviation, or percentiles, of the image are those of the other pixels"
_AXES = "HIVRBTZC"
"""Axes of planes: phase, illumination, view, rotation, block, time, depth, channel."""
_IMAGE = "./Metadata/Information/Image"
_PIXELS: dict[str, tuple[str, int]] = {
    "Gray8": ("uint8", 1),
    "Gray16": ("uint16", 1),
    "Gray32Float": ("float32", 1),
    "Bgr24": ("uint8", 3),
    "Bgr48": ("uint16", 3),
    "Bgr96Float": ("float32", 3),
}
"""For each type of pixels its NumPy type and its samples, which are stored blue first."""


@dataclass
class _Blocks:
    """What the directory of blocks tells of one scene, without its pixels.

    Attributes
    ----------
    count : int
        How many blocks there are.
    planes : dict
        By where planes are along `_AXES`, the rectangles of their blocks: x, y, width, height.
    kinds : set of str
        The types of their pixels.
    pixels, largest : int
        Pixels of all blocks, and of the largest one.
    """

    count: int = 0
    kinds: set[str] = field(default_factory=set)
    pixels: int = 0
    planes: dict[tuple[int, ...], list[tuple[int, int, int, int]]] = field(default_factory=dict)
    largest: int = 0


class CziImage(SceneImage):
    """One scene of a CZI file; what lies in tiles is put together by the places that the file gives them.

    Parameters
    ----------
    path : Path
        The file.
    axes : str, optional
        What the axes are, if the file has others than time, depth and channels.
    labels : bool
        The pixels are labels.
    scene : str, optional
        Which scene; see `choose_scene`.

    Raises
    ------
    ImageReadError
        The library is missing; or the file is damaged, cut short, or of a kind that is not supported.
    ImageValueError
        It has several scenes, and none is named.
    AxesError
        Its axes are of other kinds, or `axes` do not fit.
    """

    def __init__(
        self, path: Path, axes: str | None = None, *, labels: bool = False, scene: str | None = None
    ) -> None:
        czi = library_for(f"{_LIBRARY}.czi", _LIBRARY, path, "a CZI file of Zeiss")
        check_directory(path)
        with ExitStack() as stack:
            with file_of(path, "CZI"):
                cache = czi.CacheOptions(max_memory_usage=KEPT_BYTES)
                self._document = stack.enter_context(czi.open_czi(str(path), cache_options=cache))
                blocks = _scenes(self._document)
                bounds = self._document.scenes_bounding_rectangle_no_pyramid
                total = self._document.total_bounding_rectangle_no_pyramid
                metadata = self._document.raw_metadata
            root, notes = _parsed(metadata)
            names = [_scene_name(root, number) for number in blocks]
            number = choose_scene(names, scene, path)
            self._scene = list(blocks)[number]
            self._bounds = bounds.get(self._scene, total)
            said, self._first, self._gaps = _describe(blocks[self._scene], self._bounds, root, path)
            self._tiles = blocks[self._scene].planes
            self._largest = blocks[self._scene].largest
            self._filter: dict[str, Any] = {"scene": self._scene} if self._scene in bounds else {}
            # Unless it is told, the library asks for the type of channel 0, which need not be there.
            self._filter["pixel_type"] = next(iter(blocks[self._scene].kinds))
            said = replace(said, notes=notes + said.notes)
            super().__init__(path, said, axes, labels=labels, library=_LIBRARY)
            self.scene = number
            self._open = stack.pop_all()

    @property
    def decoding_bytes(self) -> int:
        """Memory for the largest block of pixels, encoded and decoded, beyond what small ones take."""
        return beyond_kept(2 * self._largest * self._samples * self.dtype.itemsize)

    def uncovered(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[np.bool_] | None:
        """Return which pixels of a region lie in no tile."""
        if not self._gaps:
            return None
        out = np.ones((self.channels, y1 - y0, x1 - x0), np.bool_)
        for channel, bare in enumerate(out):
            place, _ = self._place(channel, page)
            plane = tuple(at + self._first[letter] for letter, at in zip(self._first, place, strict=True))
            tiles = self._tiles.get(plane, [])
            if len(tiles) > _MOST_TILES:
                bare[:] = False
                continue
            top, left = self._bounds.y + y0, self._bounds.x + x0
            for x, y, w, h in tiles:
                bare[max(0, y - top) : max(0, y + h - top), max(0, x - left) : max(0, x + w - left)] = False
        return out if out.any() else None

    def close(self) -> None:
        """Close the file."""
        self._open.close()

    def _plane(self, place: tuple[int, ...], y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        where = {letter: self._first[letter] + at for letter, at in zip(self._first, place, strict=True)}
        region = (self._bounds.x + x0, self._bounds.y + y0, x1 - x0, y1 - y0)
        pixels: npt.NDArray[Any] = self._document.read(roi=region, plane=where, **self._filter)
        return np.asarray(pixels)[..., ::-1]  # red first


def _scenes(document: Any) -> dict[int, _Blocks]:
    """Return what blocks there are, by the number of their scene; 0 where there are no scenes."""
    found: dict[int, _Blocks] = {}

    def note(number: int, block: Any) -> bool:
        where = block.coordinate.to_dict()
        scene = found.setdefault(int(where.get("S", 0)), _Blocks())
        scene.count += 1
        at, size = block.logicalRect, block.physicalSize
        plane = tuple(int(where.get(letter, 0)) for letter in _AXES)
        scene.planes.setdefault(plane, []).append((int(at.x), int(at.y), int(at.w), int(at.h)))
        scene.kinds.add(block.pixelType.name)
        pixels = size.w * size.h
        scene.pixels, scene.largest = scene.pixels + pixels, max(scene.largest, pixels)
        return True

    document.enumerate_subblocks_subset(note, only_layer0=True)
    return dict(sorted(found.items()))


def _describe(
    blocks: _Blocks, bounds: Any, root: ElementTree.Element | None, path: Path
) -> tuple[Scene, dict[str, int], bool]:
    """Return a scene, for each of its axes the first number that is there, and whether pixels are missing."""
    if len(blocks.kinds) != 1 or not blocks.kinds <= set(_PIXELS):
        raise ImageReadError(
            f"{path}: its planes have pixels of the kinds {', '.join(sorted(blocks.kinds))}; expected one of "
            f"{', '.join(_PIXELS)}, the same for all; export it as OME-TIFF"
        )
    (dtype, samples), area = _PIXELS[next(iter(blocks.kinds))], int(bounds.w) * int(bounds.h)
    places = np.array(sorted(blocks.planes))
    low, sizes = places.min(axis=0), np.ptp(places, axis=0) + 1
    first = {letter: int(low[axis]) for axis, letter in enumerate(_AXES)}
    expected = math.prod(map(int, sizes))
    if expected > _SPARSE * len(blocks.planes) or area > _SPARSE * blocks.pixels:
        raise ImageReadError(
            f"{path}: its directory has {len(blocks.planes)} planes of {blocks.pixels} pixels in all, for "
            f"{expected} places of {bounds.h} x {bounds.w} pixels; it is damaged: copy it again"
        )
    missing = expected - len(blocks.planes)
    bare = [_bare(tuple(sorted(tiles)), bounds) for tiles in blocks.planes.values()]
    channels = range(first["C"], first["C"] + int(sizes[_AXES.index("C")]))
    scene = Scene(
        letters="".join(letter if letter in "TZC" else "?" for letter in _AXES),
        sizes=tuple(int(size) for size in sizes),
        height=int(bounds.h),
        width=int(bounds.w),
        samples=samples,
        dtype=dtype,
        calibration=_calibration(root),
        channel_names=[_channel_name(root, number) for number in channels] if samples == 1 else (),
        notes=tuple(_gaps(blocks, missing, bare, bounds)),
        significant_bits=_significant_bits(root, channels, dtype),
    )
    return scene, first, bool(missing or any(bare))


def _gaps(blocks: _Blocks, missing: int, bare: Sequence[float], bounds: Any) -> Iterator[str]:
    """Say where a scene has no pixels: `missing` planes, and a share of each; or several for one place."""
    if missing:
        expected = missing + len(blocks.planes)
        yield f"{missing} of {expected} planes are not in the file and read as 0; {_LEFT_OUT}"
    if blocks.count > len(blocks.planes):
        yield (
            f"a mosaic: {blocks.count} tiles for {len(blocks.planes)} planes, put together as the file says; "
            "where tiles overlap one is shown, where there is none the pixels are 0"
        )
    if partly := [share for share in bare if share]:
        yield (
            f"in {len(partly)} of {len(bare)} planes a part of the {bounds.h} x {bounds.w} pixels is not in "
            f"the file and reads as 0, up to {max(partly):.2%} of a plane; {_LEFT_OUT}"
        )


@lru_cache(maxsize=16)  # planes mostly have the same tiles
def _bare_of(tiles: tuple[tuple[int, int, int, int], ...], left: int, top: int, w: int, h: int) -> float:
    x, y, widths, heights = np.array(tiles, np.int64).T
    first, last = np.clip(x, left, left + w), np.clip(x + widths, left, left + w)
    start, stop = np.clip(y, top, top + h), np.clip(y + heights, top, top + h)
    edges, covered = np.unique(np.concatenate([start, stop])), 0
    for above, below in pairwise(edges):  # in a strip between two edges a tile is there from side to side
        here = (start <= above) & (stop >= below)  # in the order of x, as the tiles are
        reached = np.maximum.accumulate(np.concatenate([[left], last[here]]))
        seen = last[here] - np.maximum(first[here], reached[:-1])
        covered += int(seen.clip(0).sum()) * int(below - above)
    return 1 - covered / (w * h)


def _bare(tiles: tuple[tuple[int, int, int, int], ...], bounds: Any) -> float:
    """Return which part of a scene no tile of a plane covers; 0 where there are too many tiles to ask."""
    if len(tiles) > _MOST_TILES:
        return 0.0
    return _bare_of(tiles, int(bounds.x), int(bounds.y), int(bounds.w), int(bounds.h))


def _parsed(metadata: str) -> tuple[ElementTree.Element | None, tuple[str, ...]]:
    """Return the root of the metadata; None, with a remark, where they cannot be read or are not safe to."""
    try:
        if "<!DOCTYPE" in metadata:
            raise ElementTree.ParseError("they declare a document type, which CZI never has")
        return ElementTree.fromstring(metadata), ()
    except ElementTree.ParseError as error:
        return None, (f"the metadata are left out, and with them the pixel size: {error}",)


def _calibration(root: ElementTree.Element | None) -> Calibration:
    sizes: dict[str, float] = {}
    for item in [] if root is None else root.iterfind("./Metadata/Scaling/Items/Distance"):
        try:
            sizes[item.get("Id", "")] = float(item.findtext("Value", "")) * 1e6  # from metres
        except ValueError:
            continue
    if not sizes.get("X") or not sizes.get("Y"):
        return UNCALIBRATED
    return Calibration(pixel_size_y=sizes["Y"], pixel_size_x=sizes["X"], z_spacing=sizes.get("Z"), unit="µm")


def _scene_name(root: ElementTree.Element | None, number: int) -> str | None:
    found = None if root is None else root.find(f".//Dimensions/S/Scenes/Scene[@Index='{number}']")
    return None if found is None else found.get("Name")


def _channel(root: ElementTree.Element | None, number: int) -> ElementTree.Element | None:
    channels = [] if root is None else root.findall(f"{_IMAGE}/Dimensions/Channels/Channel")
    return channels[number] if number < len(channels) else None


def _channel_name(root: ElementTree.Element | None, number: int) -> str | None:
    channel = _channel(root, number)
    return None if channel is None else channel.get("Name")


def _significant_bits(
    root: ElementTree.Element | None, channels: Iterable[int], dtype: npt.DTypeLike
) -> int | None:
    """Return how many bits of a pixel the channels use, if all use the same; 0 says nothing."""
    whole = None if root is None else root.findtext(f"{_IMAGE}/ComponentBitCount")
    own = [
        None if (one := _channel(root, k)) is None else one.findtext("ComponentBitCount") for k in channels
    ]
    used = {possible_bits(said or whole, dtype) for said in own}
    return used.pop() if len(used) == 1 else None
