"""JPEG files as images: 8 bit, gray or RGB.

Source: ITU-T T.81, annex B, https://www.w3.org/Graphics/JPEG/itu-t81.pdf; for the orientation, Exif 2.32.
"""

import re
import struct
from pathlib import Path
from typing import IO, Any, NamedTuple

import imagecodecs
import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageReadError, LossyLabelsError
from unet2015.images.exif import describe_turned, orientation_of
from unet2015.images.jpeg_damage import MARKER, Scan, check_restarts, ends_early, has_more, restarts_due
from unet2015.images.jpeg_markers import SCAN, begins_frame, is_alone
from unet2015.images.whole import WholeImage, header_of_page
from unet2015.safe_files import open_regular, read_bytes

START = b"\xff\xd8\xff"
SUFFIXES = (".jpg", ".jpeg")
"""What the names of JPEG files end in."""

_SOI, _EOI, _DRI, _EXIF = 0xD8, 0xD9, 0xDD, 0xE1
_USUAL = (0xC0, 0xC1, 0xC2)
"""Frames that are decoded: baseline, extended, progressive; all with Huffman codes."""
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_BLOCK = 2**20
_MOST_LOOKED_AT = 2**28
"""Samples of a picture that is decoded only to see whether it is damaged."""


class _Frame(NamedTuple):
    """The first frame header, the orientation that Exif declares (1: as stored), and the coded pixels."""

    marker: int
    bits: int
    height: int
    width: int
    samples: int
    orientation: int
    sampling: dict[int, tuple[int, int]]
    scans: tuple[Scan, ...] = ()
    further: bool = False
    """Whether another JPEG follows."""


class JpegImage(WholeImage):
    """A JPEG file; decoded as a whole when first read.

    It must end with its end marker: decoders fill what is missing of a file with gray, and say nothing. What
    else shows of damage is looked for when it is first read, or when its notes are asked for.

    Parameters
    ----------
    path : Path
        The file.
    axes : str, optional
        YX or YXC, as the file has it, with I, Z or T of length 1 before them.
    labels : bool
        Refused: the compression changes values, so what was drawn is lost.

    Raises
    ------
    ImageReadError
        The file is damaged, cut short, or of a kind that is refused.
    AxesError
        `axes` do not fit.
    """

    def __init__(self, path: Path, axes: str | None = None, *, labels: bool = False) -> None:
        name = str(path)
        if labels:
            raise LossyLabelsError(
                f"{name}: labels in a JPEG are not those that were drawn, as its compression changes values; "
                "export them again as PNG or TIFF; to train on a mask that there is as JPEG alone, cut it "
                "at half with --label-threshold 128"
            )
        self._frame = frame = _walk(path)
        if frame.bits != 8 or frame.samples not in (1, 3) or frame.marker not in _USUAL:
            raise ImageReadError(
                f"{name}: this kind of JPEG is not supported ({frame.samples} samples of {frame.bits} bits, "
                f"frame {frame.marker:X}); save it as 8 bit gray or RGB, or as PNG or TIFF"
            )
        further = "behind its end the file has another picture (MPO): left out"
        shape = frame.height, frame.width, frame.samples
        notes = describe_turned(frame.orientation) + (further,) * frame.further
        header = header_of_page(path, axes, shape, np.uint8, notes=notes)
        super().__init__(header, frame.samples, path.stat().st_size)
        self._more: bool | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Whether the image is to be turned, and may be damaged inside: for this, all of it is decoded."""
        if self._more is None and self.height * self.width * self._samples <= _MOST_LOOKED_AT:
            self._decode()
        if not self._more:
            return self._notes
        return (*self._notes, "its data go on behind its last pixel, so it may be damaged inside; look at it")

    @property
    def decoding_bytes(self) -> int:
        """Memory for the whole image, encoded and decoded twice, beyond what small images take."""
        decoded = self.height * self.width * self._samples
        return max(0, super().decoding_bytes + decoded + self._size if super().decoding_bytes else 0)

    def _decode(self) -> npt.NDArray[Any]:
        assert self.path is not None
        expected = (self.height, self.width, self._samples)
        data = read_bytes(self.path)

        def decode(coded: bytes) -> npt.NDArray[Any]:
            return np.asarray(imagecodecs.jpeg8_decode(coded)).reshape(self.height, self.width, -1)

        scans = self._frame.scans
        try:
            check_restarts(scans)
            pixels = decode(data)
            if self._more is None and ends_early(data, scans, pixels, decode):
                raise ValueError("its data end before its last pixel")
            self._more = has_more(data, scans, pixels, decode) if self._more is None else self._more
        except Exception as error:  # imagecodecs has errors of its own
            raise ImageReadError(
                f"{self.name}: cannot decode the JPEG: {error}; it is damaged: copy it again"
            ) from error
        if pixels.shape != expected or pixels.dtype != self.dtype:
            raise ImageReadError(
                f"{self.name}: expected a picture of shape {expected}, but {pixels.shape} of {pixels.dtype} "
                "came; the JPEG is damaged: copy it again"
            )
        return pixels


def _walk(path: Path) -> _Frame:
    """Return the header of a JPEG, having gone from marker to marker to its end."""
    with open_regular(path) as file:
        size = file.seek(0, 2)
        position, frame, orientation, interval = 2, None, 1, 0
        scans: list[Scan] = []
        while True:
            file.seek(position)
            head = file.read(4)
            if len(head) < 2:
                raise _cut(path, size)
            marker = head[1]
            if head[0] != 0xFF or marker in (0, _SOI):
                raise ImageReadError(
                    f"{path}: expected a marker of the JPEG at byte {position}; it is damaged: copy it again"
                )
            if marker == _EOI:
                file.seek(position + 2)
                further = file.read(_BLOCK).lstrip(b"\0").startswith(b"\xff\xd8\xff")
                break
            if marker == 0xFF or is_alone(marker):  # fill bytes, and markers alone
                position += 1 if marker == 0xFF else 2
                continue
            length = int.from_bytes(head[2:], "big")
            body = file.read(max(0, length - 2))
            if len(head) < 4 or len(body) < length - 2:
                raise _cut(path, size)
            position += 2 + length
            if begins_frame(marker) and frame is None:
                frame = _frame(marker, body, path)
            elif marker == _EXIF and body[:6] == b"Exif\0\0":
                orientation = orientation_of(body[6:])
            elif marker == _DRI and len(body) == 2:
                interval = int.from_bytes(body, "big")
            elif marker == SCAN and frame is not None:
                scans.append(_scan(file, position, path, size, _due(frame, body, interval)))
                position = scans[-1].end
    if frame is None or not scans:
        raise ImageReadError(f"{path}: the JPEG holds no picture; it is damaged: copy it again")
    return frame._replace(orientation=orientation, scans=tuple(scans), further=further)


def _frame(marker: int, body: bytes, path: Path) -> _Frame:
    if len(body) < 6:
        raise ImageReadError(f"{path}: the header of the JPEG is damaged; copy it again")
    bits, height, width, samples = struct.unpack_from(">BHHB", body)
    if not height or not width:
        raise ImageReadError(
            f"{path}: the JPEG declares {height} x {width} pixels; copy it again, or save it as PNG"
        )
    parts = [body[6 + 3 * part : 9 + 3 * part] for part in range(samples)]
    if any(len(part) < 3 or not part[1] >> 4 or not part[1] & 15 for part in parts):
        raise ImageReadError(f"{path}: the header of the JPEG is damaged; copy it again")
    sampling = {part[0]: (part[1] & 15, part[1] >> 4) for part in parts}
    return _Frame(marker, bits, height, width, samples, 1, sampling)


def _due(frame: _Frame, body: bytes, interval: int) -> int:
    """Return how many restart markers the scan of a header has."""
    parts = [part for part in body[1 : 1 + 2 * body[0] : 2] if part in frame.sampling]
    return restarts_due((frame.height, frame.width), frame.sampling, parts, interval) if parts else 0


def _scan(file: IO[bytes], start: int, path: Path, size: int, due: int) -> Scan:
    """Return where coded pixels end, and their restart markers; memory is that of a block."""
    position, restarts, ordered = start, 0, True
    while True:
        file.seek(position)
        block = file.read(_BLOCK)
        found = MARKER.search(block)
        for marker in _RESTART.finditer(block, 0, found.start() if found else len(block)):
            ordered = ordered and marker[0][1] == 0xD0 + restarts % 8
            restarts += 1
        if found:
            return Scan(start, position + found.start(), restarts, due, ordered)
        if len(block) < 2:
            raise _cut(path, size)
        position += len(block) - 1  # its last byte may be the first of a marker


def _cut(path: Path, size: int) -> ImageReadError:
    return ImageReadError(
        f"{path}: the JPEG ends at byte {size} without its end marker; it was cut short: copy it again"
    )
