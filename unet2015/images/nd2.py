"""ND2 files of Nikon as images, read with the library nd2, which maps them into memory."""

import math
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageReadError
from unet2015.images.axes import UNCALIBRATED, Calibration
from unet2015.images.declared import possible_bits
from unet2015.images.decoded import beyond_kept
from unet2015.images.scenes import Scene, SceneImage, choose_scene, file_of, library_for
from unet2015.safe_files import open_regular

MAGIC = b"\xda\xce\xbe\x0a"
_LIBRARY = "nd2"
_END = b"ND2 CHUNK MAP SIGNATURE 0000001!"
_FRAME = re.compile(rb"ImageDataSeq\|(\d+)!(.{16})", re.DOTALL)

_COLOURS = (
    "its three colours are taken as they are stored, which may be blue first; compare with NIS-Elements, and "
    "save it as TIFF where red and blue are exchanged"
)
"""The library takes them for red, green and blue; Bio-Formats turns them (its pull request 4321)."""


class Nd2Image(SceneImage):
    """One position of an ND2 file.

    Parameters
    ----------
    path : Path
        The file.
    axes : str, optional
        What the axes are, if the file has others than time, depth and channels.
    labels : bool
        The pixels are labels.
    scene : str, optional
        Which position; see `choose_scene`.

    Raises
    ------
    ImageReadError
        The library is missing; or the file is damaged, cut short, or of a kind that is not supported.
    ImageValueError
        It has several positions, and none is named.
    AxesError
        Its axes are of other kinds, or `axes` do not fit.
    """

    def __init__(
        self, path: Path, axes: str | None = None, *, labels: bool = False, scene: str | None = None
    ) -> None:
        nd2 = library_for(_LIBRARY, _LIBRARY, path, "an ND2 file of Nikon")
        there = _frames(path)
        with ExitStack() as stack:
            with file_of(path, "ND2"):
                self._file = stack.enter_context(nd2.ND2File(path))
                loops = [(loop.type, int(loop.count)) for loop in self._file.experiment]
                names = _positions(self._file.experiment)
                said = _describe(self._file, loops)
                self._encoded = self._file.attributes.compressionType is not None
            number = choose_scene(names, scene, path)
            # The number of a frame counts along all loops; the position is fixed.
            self._fixed = [number if kind == "XYPosLoop" else None for kind, _ in loops]
            self._counts = tuple(count for _, count in loops)
            shape = [1 if kind == "XYPosLoop" else count for kind, count in loops]
            wanted = {self._frame((*place, 0)) for place in np.ndindex(*self._loops_only(shape))}
            if not self._encoded:
                _check_whole({n: there[n] for n in wanted & there.keys()}, self._file.attributes, path)
            missing = len(wanted - there.keys())
            if missing == len(wanted):
                raise ImageReadError(f"{path}: none of the planes that it declares is there; copy it again")
            note = f"{missing} of {len(wanted)} planes are not in the file and read as 0"
            notes = (
                *((note,) if missing else ()),
                *_beyond(there, self._counts),
                *_row_notes(self._file.attributes, path),
                *said.notes,
            )
            said = replace(said, notes=notes)
            super().__init__(path, said, axes, labels=labels, library=_LIBRARY)
            self.scene = number
            self._open = stack.pop_all()
        self._last: tuple[int, npt.NDArray[Any]] | None = None

    @property
    def decoding_bytes(self) -> int:
        """Memory for a compressed frame, which is decoded whole, beyond what small ones take."""
        frame = self.height * self.width * self.channels * self.dtype.itemsize
        return beyond_kept(3 * frame) if self._encoded else 0

    @property
    def kept_bytes(self) -> int:
        """Bytes of the last frame, where it had to be decoded."""
        return 0 if self._last is None else self._last[1].nbytes

    def forget(self) -> None:
        """Forget the last frame."""
        self._last = None

    def close(self) -> None:
        """Close the file."""
        self.forget()
        self._open.close()

    def _loops_only(self, sizes: Sequence[int]) -> list[int]:
        return [size for size, fixed in zip(sizes, self._fixed, strict=True) if fixed is None]

    def _frame(self, place: tuple[int, ...]) -> int:
        """Return the number of the frame at a place of the scene's axes, of which the last is the channel."""
        along = iter(place)
        index = [next(along) if fixed is None else fixed for fixed in self._fixed]
        return int(np.ravel_multi_index(index, self._counts)) if index else 0

    def _plane(self, place: tuple[int, ...], y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        number, last = self._frame(place), self._last
        if last is None or last[0] != number:
            # A frame that is not compressed is a view of the file.
            last = number, np.asarray(self._file.read_frame(number))
            if self._encoded:
                _check_whole({number: _decoded_bytes(last[1])}, self._file.attributes, Path(self.name))
                self._last = last
        frame = last[1].reshape(-1, self.height, self.width, self._samples)
        return frame[place[-1], y0:y1, x0:x1]


def _describe(file: Any, loops: Sequence[tuple[str, int]]) -> Scene:
    """Return what all positions are like."""
    kinds = {"TimeLoop": "T", "NETimeLoop": "T", "ZStackLoop": "Z"}
    planes = [(kinds.get(kind, "?"), count) for kind, count in loops if kind != "XYPosLoop"]
    attributes = file.attributes
    samples = 3 if file.components_per_channel == 3 else 1
    volume = file.metadata.channels[0].volume if file.metadata.channels else None
    calibration = UNCALIBRATED
    if volume is not None and all(volume.axesCalibrated[:2]):
        x, y, z = volume.axesCalibration
        calibration = Calibration(
            pixel_size_y=y,
            pixel_size_x=x,
            z_spacing=z if volume.axesCalibrated[2] else None,
            time_interval=_interval(file.experiment),
            unit="µm",
            time_unit="s",
        )
    names = [one.channel.name for one in file.metadata.channels or ()]
    return Scene(
        letters="".join(letter for letter, _ in planes) + "C",
        sizes=(*(count for _, count in planes), int(attributes.componentCount) // samples),
        height=int(attributes.heightPx),
        width=int(attributes.widthPx),
        samples=samples,
        dtype=file.dtype,
        calibration=calibration,
        channel_names=names if samples == 1 else (),
        notes=(_COLOURS,) if samples == 3 else (),
        significant_bits=possible_bits(attributes.bitsPerComponentSignificant, file.dtype),
    )


def _interval(experiment: Sequence[Any]) -> float | None:
    """Return the seconds between times, where there is one loop of times with one period."""
    periods = [loop.parameters.periodMs / 1000 for loop in experiment if loop.type == "TimeLoop"]
    return periods[0] if len(periods) == 1 else None


def _positions(experiment: Sequence[Any]) -> list[object]:
    """Return the names of all positions; one without a name where there is no loop of positions."""
    for loop in experiment:
        if loop.type == "XYPosLoop":
            return [point.name for point in loop.parameters.points]
    return [None]


def _beyond(there: Iterable[int], counts: Sequence[int]) -> tuple[str, ...]:
    """Return the note on frames that no loop of the experiment counts, such as those of a JOBS recording."""
    declared = math.prod(counts)
    more = sum(number >= declared for number in there)
    if not more:
        return ()
    return (
        f"it declares {declared} frame{'s' * (declared > 1)}, but the file holds {more} more, which are left "
        "out; export it as TIFF with NIS-Elements to have all",
    )


def _rows(attributes: Any) -> tuple[int, int]:
    """Return the bytes of a row of pixels, and those from one row to the next."""
    row = int(attributes.widthPx or 0) * attributes.componentCount * attributes.bitsPerComponentInMemory // 8
    return row, max(row, int(attributes.widthBytes or 0))


def _row_notes(attributes: Any, path: Path) -> tuple[str, ...]:
    """Return the note on rows with more bytes than bring them to a multiple of four.

    Raises `ImageReadError` if a row has the bytes of two: its pixels have another type or number.
    """
    row, step = _rows(attributes)
    if step - row < 4:
        return ()
    if step >= 2 * row:
        raise ImageReadError(
            f"{path}: each row has {step} bytes, but its pixels take {row}; the file is damaged: copy it "
            "again, or save it again with NIS-Elements"
        )
    return (
        f"each row has {step} bytes, of which its pixels take {row}; the others are left out: compare with "
        "NIS-Elements, and save it as TIFF where it shows wider images",
    )


def _check_whole(frames: Mapping[int, int], attributes: Any, path: Path) -> None:
    """Raise `ImageReadError` if a frame has fewer bytes than its time and its pixels, or those of more rows.

    The library reads on beyond the one, and takes the first bytes of the other.
    """
    row, step = _rows(attributes)
    least = 8 + step * (attributes.heightPx - 1) + row  # rows may be padded, after the last one or not
    beyond = 8 + step * (attributes.heightPx + 1)
    for number, size in sorted(frames.items()):
        if 0 < size < least or size >= beyond > 8:
            raise ImageReadError(
                f"{path}: frame {number} has {size} bytes, but its pixels take {least}; the file is damaged: "
                "copy it again, or save it again with NIS-Elements"
            )


def _decoded_bytes(frame: npt.NDArray[Any]) -> int:
    """Return to how many bytes a frame was decoded, with those of its time; 0 where it was not."""
    held: Any = frame  # a view of them
    while isinstance(held, np.ndarray):
        held = held.base
    return 8 + len(held) if isinstance(held, bytes) else 0


def _frames(path: Path) -> dict[int, int]:
    """Return the frames that are there, with their bytes; the library reads others as 0 and says nothing.

    The file ends with a map of its parts, which names each frame, its place and its size.
    """
    with open_regular(path) as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 40))
        end = file.read(40)
        if not end.startswith(_END):
            raise ImageReadError(
                f"{path}: the ND2 file ends at byte {size} without its map of parts; it was cut short, or "
                "its recording did not end: copy it again, or save it again with NIS-Elements"
            )
        file.seek(min(struct.unpack("<Q", end[32:])[0], size))
        found = _FRAME.findall(file.read())
    places = {int(number): struct.unpack("<QQ", place) for number, place in found}
    # Some programs write the place twice, so that the size is not known.
    known = {number: (start, 0 if start == length else length) for number, (start, length) in places.items()}
    return {number: length for number, (start, length) in known.items() if start + length <= size}
