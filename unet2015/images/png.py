"""PNG files as images: 8 or 16 bit, gray or RGB."""

import struct
import threading
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageReadError
from unet2015.images.declared import Declared
from unet2015.images.image import Image, ImageHeader

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_SAMPLES = {0: 1, 2: 3, 4: 2, 6: 4}  # by colour type: gray, RGB, gray and alpha, RGB and alpha
_PALETTE, _ALPHA = 3, 4
_EXPANSION = 1032  # what deflate can make of one byte


class PngImage(Image):
    """A PNG file; decoded as a whole when first read, as PNG has no regions.

    Alpha must be opaque everywhere, and is dropped: pixels that are transparent have no defined
    intensity. Palettes and less than 8 bits are refused.

    Parameters
    ----------
    path : Path
        The file.
    axes : str, optional
        YX or YXC, as the file has it, with I, Z or T of length 1 before them.

    Raises
    ------
    ImageReadError
        The file is damaged, cut short, or of a kind that is refused.
    AxesError
        `axes` do not fit.
    """

    def __init__(self, path: Path, axes: str | None = None) -> None:
        name = str(path)
        width, height, bits, colour = _header(path)
        if colour == _PALETTE or colour not in _SAMPLES or bits not in (8, 16):
            what = "a colour palette" if colour == _PALETTE else f"{bits} bit pixels"
            raise ImageReadError(
                f"{name}: PNG with {what} is not supported; save it as 8 or 16 bit gray or RGB"
            )
        self._alpha = bool(colour & _ALPHA)
        channels = _SAMPLES[colour] - self._alpha
        shape = (height, width) if channels == 1 else (height, width, channels)
        within = "YXC"[: len(shape)]
        named = Declared("plain", "", ()).named(within, axes, name)
        super().__init__(
            ImageHeader(
                name,
                named.lead + within,
                named.sizes + shape,
                np.uint8 if bits == 8 else np.uint16,
                axes_source="--axes" if axes else "file",
                path=path,
            )
        )
        self._pixels: npt.NDArray[Any] | None = None
        self._lock = threading.Lock()

    def _read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        with self._lock:
            if self._pixels is None:
                self._pixels = self._decode()
        return np.array(np.moveaxis(self._pixels[y0:y1, x0:x1], -1, 0), self.dtype)

    @property
    def kept_bytes(self) -> int:
        """Bytes of the decoded image, once it was read."""
        pixels = self._pixels
        return 0 if pixels is None else pixels.nbytes

    def forget(self) -> None:
        """Forget the pixels."""
        self._pixels = None

    def close(self) -> None:
        """Forget the pixels."""
        self.forget()

    def _decode(self) -> npt.NDArray[Any]:
        assert self.path is not None
        try:
            decoded = np.asarray(imagecodecs.png_decode(self.path.read_bytes()))
            pixels = decoded.reshape(self.height, self.width, -1)
        except Exception as error:  # imagecodecs has errors of its own
            raise ImageReadError(f"{self.name}: cannot decode the PNG: {error}; copy it again") from error
        if self._alpha and (pixels[..., -1] != np.iinfo(self.dtype).max).any():
            raise ImageReadError(
                f"{self.name}: the PNG has transparent pixels, whose intensity is not defined; remove alpha"
            )
        return pixels[..., : self.channels]


def _header(path: Path) -> tuple[int, int, int, int]:
    """Return width, height, bits and colour type, having checked that the file is whole."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        start = file.read(33)
        if len(start) < 33 or start[12:16] != b"IHDR":
            raise ImageReadError(f"{path}: the PNG ends within its header, after {size} bytes; copy it again")
        width, height, bits, colour, *methods = struct.unpack(">IIBBBBB", start[16:29])
        if methods[:2] != [0, 0] or methods[2] > 1:
            raise ImageReadError(f"{path}: the header of the PNG is damaged; copy it again")
        bits_each = bits * _SAMPLES.get(colour, 1)
        if height * (1 + width * bits_each // 8) > _EXPANSION * size:
            raise ImageReadError(
                f"{path}: the PNG declares {height} x {width} pixels, more than its {size} bytes can become; "
                "it is damaged: copy it again"
            )
        position, kind = 33, b""
        while kind != b"IEND":
            file.seek(position)
            chunk = file.read(8)
            length, kind = struct.unpack(">I4s", chunk) if len(chunk) == 8 else (0, b"")
            position += 12 + length
            if position > size or not kind:
                raise ImageReadError(
                    f"{path}: expected the PNG to go on to byte {position}, but it ends at byte {size}; it "
                    "was cut short: copy it again"
                )
    return width, height, bits, colour
