"""Files of microscopes, which may hold several images (scenes); libraries of an extra read their planes."""

import threading
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageReadError, ImageValueError, UNet2015Error
from unet2015.images.axes import UNCALIBRATED, Calibration, plain_names
from unet2015.images.declared import Declared
from unet2015.images.image import Image, ImageHeader
from unet2015.images.resolution import believed
from unet2015.wording import listed

_NAMED = 40


@dataclass(frozen=True)
class Scene:
    """One image of a file, as its library describes it.

    Attributes
    ----------
    letters : str
        For each axis along which planes lie, one of TZC; "?" for another kind of axis. C is among them.
    sizes : tuple of int
        Their lengths.
    height, width : int
        Of a plane.
    samples : int
        Values of a pixel of a plane: 1, or 3 for red, green and blue.
    dtype : dtype_like
        Type of the pixels.
    calibration, channel_names, notes, significant_bits
        As in `ImageHeader`.
    """

    letters: str
    sizes: tuple[int, ...]
    height: int
    width: int
    samples: int
    dtype: npt.DTypeLike
    calibration: Calibration = UNCALIBRATED
    channel_names: Sequence[object] = ()
    notes: tuple[str, ...] = ()
    significant_bits: int | None = None


class SceneImage(Image):
    """An image whose planes a library reads.

    Parameters
    ----------
    path : Path
        The file.
    scene : Scene
        Which image of it.
    axes : str or None
        What the user says the axes are.
    labels : bool
        The pixels are labels.
    library : str
        The package that reads it; its version goes into records.

    Raises
    ------
    AxesError
        The file does not say what its axes are, or `axes` do not fit.
    """

    def __init__(self, path: Path, scene: Scene, axes: str | None, *, labels: bool, library: str) -> None:
        name, sizes, of_planes = str(path), list(scene.sizes), scene.letters.index("C")
        self._samples, self._of_planes = scene.samples, of_planes
        # Colours are an axis of each plane; where there are channels besides, their numbers multiply.
        self._coloured = scene.samples > 1 and sizes[of_planes] == 1
        if not self._coloured:
            sizes[of_planes] *= scene.samples
        within = "YXC" if self._coloured else "YX"
        there = [axis for axis in range(len(sizes)) if not (self._coloured and axis == of_planes)]
        letters = "".join(scene.letters[axis] for axis in there)
        named = Declared("ome", letters, tuple(sizes[axis] for axis in there)).named(within, axes, name)
        long = [axis for axis in there if sizes[axis] > 1]
        kept = next((some for some in (there, long) if len(some) == len(named.lead)), ())
        self._axis_of = dict(zip(named.lead, kept, strict=False))
        calibration, doubts = believed(scene.calibration, screens=False, by="the file")
        tail = {"Y": scene.height, "X": scene.width, "C": scene.samples}
        super().__init__(
            ImageHeader(
                name,
                named.lead + within,
                named.sizes + tuple(tail[letter] for letter in within),
                scene.dtype,
                axes_source="--axes" if axes else "file",
                path=path,
                kind="ome",
                calibration=calibration,
                notes=(*scene.notes, *named.notes, *doubts),
                labels=labels,
                significant_bits=scene.significant_bits,
                channel_names=() if axes else scene.channel_names,
            )
        )
        self._lock = threading.Lock()
        self._number_of_axes = len(sizes)
        self.reader = f"{library} {version(library)}"

    def _read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        return self._channels(range(self.channels), page, (y0, y1, x0, x1))

    def read_channel(self, channel: int, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        """Return one channel of a page; planes of the others are not read."""
        return self._channels([channel], page, (y0, y1, x0, x1))

    def _channels(
        self, channels: Sequence[int], page: int, region: tuple[int, int, int, int]
    ) -> npt.NDArray[Any]:
        y0, y1, x0, x1 = region
        out = np.empty((len(channels), y1 - y0, x1 - x0), self.dtype)
        before: tuple[int, ...] | None = None
        for number, channel in enumerate(channels):
            place, sample = self._place(channel, page)
            if before != (before := place):  # colours come together
                pixels = self._checked_plane(before, region)
            out[number] = pixels[..., sample]
        return out

    def _place(self, channel: int, page: int) -> tuple[tuple[int, ...], int]:
        """Return where the plane of a channel lies along the scene's axes, and which sample of it that is."""
        index = self.place_of(page)
        place, sample = [0] * self._number_of_axes, channel
        for letter, axis in self._axis_of.items():
            place[axis] = channel if letter == "C" else index[letter]
        if not self._coloured:
            place[self._of_planes], sample = divmod(place[self._of_planes], self._samples)
        return tuple(place), sample

    def _checked_plane(self, place: tuple[int, ...], region: tuple[int, int, int, int]) -> npt.NDArray[Any]:
        try:
            with self._lock:
                return self._plane(place, *region)
        except (UNet2015Error, MemoryError):
            raise
        except Exception as error:  # whatever the library stumbles over
            raise ImageReadError(
                f"{self.name}: cannot read the pixels: {error}; the file is damaged: copy it again"
            ) from error

    @abstractmethod
    def _plane(self, place: tuple[int, ...], y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        """Return a region of the plane at this place of the scene's axes, (y1 - y0, x1 - x0, samples)."""


@contextmanager
def file_of(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a library stumbles over in a file into an `ImageReadError`; our own errors pass."""
    try:
        yield
    except (UNet2015Error, MemoryError):
        raise
    except Exception as error:  # a library may raise what C++ throws
        raise ImageReadError(
            f"{path}: cannot read the {kind} file: {str(error) or repr(error)}; if it was cut short, copy it "
            "again"
        ) from error


def library_for(module: str, package: str, path: Path, kind: str) -> Any:
    """Return a module that reads files of a kind; raise `ImageReadError` if it is missing or broken."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ImageReadError(
            f"{path}: {kind} is read with {package}, which cannot be loaded ({error}); pip install "
            "'unet2015[microscopes]', or export the file as OME-TIFF"
        ) from error


def choose_scene(names: Sequence[object], scene: str | None, path: Path) -> int:
    """Return the number of the scene that is meant.

    Parameters
    ----------
    names : sequence
        Of all scenes of the file; what is no text counts as no name.
    scene : str or None
        Its number, counted from 0; its name; or both, as ``1:A2``. None if the file is to have only one.
    path : Path
        The file.

    Raises
    ------
    ImageReadError
        The file holds no image.
    ImageValueError
        It holds several and none is named, or another number than one is meant; the message lists them.
    """
    known = plain_names(names) or ("",) * len(names)
    if not known:
        raise ImageReadError(f"{path}: the file holds no image; copy it again, or export it as OME-TIFF")
    if scene is None and len(known) == 1:
        return 0
    every = [f"{k}:{name}" if name else str(k) for k, name in enumerate(known)]
    meant = [k for k, name in enumerate(known) if scene in (str(k), name or None, every[k])]
    if len(meant) == 1:
        return meant[0]
    count = "one image" if len(known) == 1 else f"{len(known)} images (scenes)"
    there = f"it holds {count}: {listed(every, _NAMED)}"
    if scene is None:
        raise ImageValueError(
            f"{path}: {there}; segment, label, measure, check, train and inspect take one with --scene, "
            "Python with scene=; for other commands save it as OME-TIFF"
        )
    shown = repr(scene[:99])
    said = f"{len(meant)} are meant by {shown}: give number and name" if meant else f"none is {shown}"
    raise ImageValueError(f"{path}: --scene: {said}; {there}")
