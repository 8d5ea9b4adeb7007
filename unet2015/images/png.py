"""PNG files as images: 8 or 16 bit, gray or RGB, indices of a palette; as labels also fewer bits."""

import struct
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageReadError
from unet2015.images.exif import describe_turned, orientation_of
from unet2015.images.image import Colours
from unet2015.images.samples import MASK, NO_ALPHA, is_gray_ramp, is_stretched_ramp
from unet2015.images.whole import WholeImage, header_of_page
from unet2015.safe_files import open_regular, read_bytes

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type: gray, RGB, palette, gray and alpha, RGB and alpha
_GRAY, _PALETTE, _ALPHA = 0, 3, 4
_OPAQUE = 255
_EXPANSION = 1032  # what deflate can make of one byte
_PIECE = 2**20
_EXIF = 2**16
"""Bytes of Exif data that are looked at."""
_ADAM7 = (
    *((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)),
    *((2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)),
)
"""First row and column of the passes of an interlaced image, and their steps."""


class PngImage(WholeImage):
    """A PNG file; decoded as a whole when first read, as PNG has no regions.

    Alpha must be opaque everywhere, and is dropped: pixels that are transparent have no defined
    intensity.

    Parameters
    ----------
    path : Path
        The file.
    axes : str, optional
        YX or YXC, as the file has it, with I, Z or T of length 1 before them.
    labels : bool
        The pixels are labels: the indices of a palette are the labels whatever its colours, and one bit
        is a mask, of type bool.

    Attributes
    ----------
    palette : ndarray of uint8, shape (N, 3), or None
        The colours of the pixels, if these are indices of them and no labels.

    Raises
    ------
    ImageReadError
        The file is damaged, cut short, or of a kind that is refused.
    AxesError
        `axes` do not fit.
    """

    def __init__(self, path: Path, axes: str | None = None, *, labels: bool = False) -> None:
        name = str(path)
        width, height, bits, colour, palette, alphas, notes = _header(path)
        self.palette = _colours(palette, bits, name) if colour == _PALETTE and not labels else None
        self._label_palette = _label_colours(palette) if colour == _PALETTE and labels else None
        few = bits in (1, 2, 4) and (colour == _PALETTE or (labels and colour == _GRAY))
        if colour not in _SAMPLES or not (few or bits in (8, 16)):
            what = (
                MASK
                if bits == 1
                else "as labels their numbers are read; as an image, save a copy with 8 bits"
            )
            raise ImageReadError(f"{name}: an image of {bits} bit pixels in PNG is not supported; {what}")
        self._stored = colour, bits
        # The alpha of each index; indices that are labels have none, as they have no colours.
        self._clear = np.flatnonzero(alphas != _OPAQUE) if colour == _PALETTE and not labels else np.empty(0)
        shape = (height, width, _SAMPLES[colour] - bool(colour & _ALPHA))
        dtype = np.bool_ if bits == 1 and labels else np.uint8 if bits <= 8 else np.uint16
        header = header_of_page(path, axes, shape, dtype, labels=labels, notes=notes)
        super().__init__(header, _SAMPLES[colour], path.stat().st_size)

    def label_colours(self, page: int) -> Colours | None:
        """Return the palette of labels."""
        return self._label_palette

    def _decode(self) -> npt.NDArray[Any]:
        assert self.path is not None
        try:
            colour, bits = self._stored
            data = read_bytes(self.path)
            _check_length(data)
            decoded = np.asarray(imagecodecs.png_decode(_as_gray(data) if colour == _PALETTE else data))
            if bits < 8:  # spread over 0 to 255 by the decoder
                decoded //= 255 // (2**bits - 1)
            pixels = decoded.reshape(self.height, self.width, -1)
        except Exception as error:  # imagecodecs has errors of its own
            raise ImageReadError(f"{self.name}: cannot decode the PNG: {error}; copy it again") from error
        alpha = pixels.shape[-1] > self.channels
        if (alpha and (pixels[..., -1] != np.iinfo(pixels.dtype).max).any()) or (
            len(self._clear) and np.isin(pixels, self._clear).any()
        ):
            raise ImageReadError(
                f"{self.name}: the PNG has transparent pixels, whose intensity is not defined; {NO_ALPHA}"
            )
        return pixels[..., : self.channels]


def _inflated(width: int, height: int, bits: int, interlaced: bool) -> int:
    """Return how many bytes the pixels are before they are compressed; `bits` are those of a pixel."""
    total = 0
    for top, first, down, across in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        rows, columns = -(-(height - top) // down), -(-(width - first) // across)
        if rows > 0 and columns > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total


def _check_length(data: bytes) -> None:
    """Raise `ValueError` if there are more pixels than the header declares, or bytes behind them.

    Decoders only print a warning; what is missing is an error of theirs.
    """
    width, height, bits, colour, *_, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    due = _inflated(width, height, bits * _SAMPLES[colour], bool(interlaced))
    stream, left, inflate = 0, 0, zlib.decompressobj()
    position = len(SIGNATURE)
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        rest = data[position + 8 : position + 8 + length] if kind == b"IDAT" else b""
        while rest and not inflate.eof and stream <= due:
            stream += len(inflate.decompress(rest, _PIECE))
            rest = inflate.unconsumed_tail
        left += len(inflate.unused_data or rest) if kind == b"IDAT" else 0
        position += 12 + length
    if stream > due or (left and inflate.eof):
        what = f"more than the {due} bytes of its pixels" if stream > due else "bytes behind its last pixel"
        raise ValueError(f"there are {what}")


def _colours(palette: bytes, bits: int, name: str) -> npt.NDArray[np.uint8] | None:
    """Return the colours of a palette; None if it shows each index as itself."""
    found = np.frombuffer(palette[: len(palette) // 3 * 3], np.uint8).reshape(-1, 3)
    if not len(found):
        raise ImageReadError(f"{name}: the PNG has no colours in its palette; it is damaged: copy it again")
    return None if bits == 8 and is_gray_ramp(found.T) else found


def _label_colours(palette: bytes) -> Colours | None:
    """Return the colours of labels; None for a gray ramp, or where there are none, as labels are indices."""
    found = np.frombuffer(palette[: len(palette) // 3 * 3], np.uint8).reshape(-1, 3)
    return None if not len(found) or is_gray_ramp(found.T) or is_stretched_ramp(found) else found


def _as_gray(data: bytes) -> bytes:
    """Return a PNG with a palette as one of the same pixels that are gray: the indices.

    Only these three kinds of chunks are needed; the palette would be applied, and so would its transparency.
    """
    out, position = [SIGNATURE], len(SIGNATURE)
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        if kind == b"IHDR":
            body = body[:9] + bytes([_GRAY]) + body[10:]
        if kind in (b"IHDR", b"IDAT", b"IEND"):
            out.append(struct.pack(">I4s", length, kind) + body + struct.pack(">I", zlib.crc32(kind + body)))
        position += 12 + length
    return b"".join(out)


def _header(path: Path) -> tuple[int, int, int, int, bytes, npt.NDArray[np.uint8], tuple[str, ...]]:
    """Return width, height, bits, colour type, palette, alpha of its first colours, and notes.

    The file is known to be whole.
    """
    with open_regular(path) as file:
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
        position, kind, palette, alphas, pictures, orientation = 33, b"", b"", b"", 1, 1
        while kind != b"IEND":
            file.seek(position)
            chunk = file.read(8)
            length, kind = struct.unpack(">I4s", chunk) if len(chunk) == 8 else (0, b"")
            if kind == b"PLTE":
                palette = file.read(min(length, 3 * 256))
            if kind == b"tRNS":
                alphas = file.read(min(length, 256))
            if kind == b"eXIf":
                orientation = orientation_of(file.read(min(length, _EXIF)))
            if kind == b"acTL":
                pictures = int.from_bytes(file.read(min(length, 4)), "big")
            position += 12 + length
            if position > size or not kind:
                raise ImageReadError(
                    f"{path}: expected the PNG to go on to byte {position}, but it ends at byte {size}; it "
                    "was cut short: copy it again"
                )
    animated = f"it is animated, with {pictures} pictures: only the one that still viewers show is read"
    notes = (animated,) * (pictures > 1) + describe_turned(orientation)
    return width, height, bits, colour, palette, np.frombuffer(alphas, np.uint8), notes
