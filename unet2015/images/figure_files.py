"""Figures on disk: they say that this program drew them, and whether somebody has changed them since.

Near its end each has the SHA-256 of all its other bytes, where its format takes a remark. A picture without
it, or with another one, is somebody's own work, and is never replaced.
"""

import hashlib
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from unet2015.safe_files import atomic_path, only_over, open_regular

SOFTWARE = "unet2015"
"""What a figure says of the program that wrote it."""

_BLOCK = 2**20


def marks(kind: str) -> dict[str, Any]:
    """Return how matplotlib is told to name this program in a figure; empty for kinds that cannot say it."""
    if kind == "png":
        return {"metadata": {"Software": SOFTWARE}}
    return {"metadata": {"Creator": SOFTWARE}} if kind in ("svg", "pdf", "ps", "eps") else {}


def write_figure(path: str | Path, content: bytes) -> None:
    """Write a figure, whole or not at all, with the digest of itself; one that is there already stays.

    Parameters
    ----------
    path : path
        The file.
    content : bytes
        A PNG, GIF, SVG, PDF or PostScript. Other kinds are written as they are, and never replaced.

    Raises
    ------
    ImageWriteError
        It cannot be written, or would replace what is no figure by this program, or was changed since.
    """
    sealed = _sealed(content)
    if _holds(Path(path), sealed):
        return
    with atomic_path(path, figure_guard) as temporary:
        temporary.write_bytes(sealed)


def _holds(path: Path, content: bytes) -> bool:
    """Whether a file has these bytes."""
    try:
        return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False  # writing it will say why


def remove_figure(path: Path) -> None:
    """Remove a figure by this program; any other file stays."""
    if _is_ours(path):
        path.unlink(missing_ok=True)


def is_figure(path: Path) -> bool:
    """Whether this program drew a picture, and nobody changed it since; one that cannot be read is none."""
    try:
        return path.is_file() and _is_ours(path)
    except OSError:
        return False  # opening it will say why


def _png(digest: bytes) -> bytes:
    chunk = b"tEXtSHA-256\0" + digest
    return (len(chunk) - 4).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4)


def _gif(digest: bytes) -> bytes:
    said = b"a training by unet2015, SHA-256 " + digest
    return b"\x21\xfe" + bytes([len(said)]) + said + b"\0"


def _svg(digest: bytes) -> bytes:
    return b"<!-- unet2015 SHA-256 " + digest + b" -->\n"


def _post_script(digest: bytes) -> bytes:  # PDF as well
    return b"% unet2015 SHA-256 " + digest + b"\n"


_SEALS: tuple[tuple[bytes, int, Callable[[bytes], bytes]], ...] = (
    (b"\x89PNG", 12, _png),  # before the chunk IEND
    (b"GIF8", 1, _gif),  # before the trailer
    (b"<?xml", 0, _svg),
    (b"%PDF", 0, _post_script),
    (b"%!PS", 0, _post_script),
)
"""How a file of a kind begins, how many bytes of it come after the remark, and the remark."""


def _sealed(content: bytes) -> bytes:
    for start, tail, seal in _SEALS:
        if content.startswith(start):
            place = len(content) - tail
            return content[:place] + seal(hashlib.sha256(content).hexdigest().encode()) + content[place:]
    return content


def _is_ours(path: Path) -> bool:
    with open_regular(path) as file:
        first = file.read(8)
        for start, tail, seal in _SEALS:
            if first.startswith(start):
                return _has_seal(file, tail, seal)
    return False


def _has_seal(file: BinaryIO, tail: int, seal: Callable[[bytes], bytes]) -> bool:
    size, length = file.seek(0, 2), len(seal(b"0" * 64))
    place = size - tail - length
    if place < 0:
        return False
    file.seek(place)
    said, end = file.read(length), file.read(tail)
    if said[:16] != seal(b"0" * 64)[:16]:
        return False  # a large file of somebody is not read
    digest = hashlib.sha256()
    file.seek(0)
    while place > 0 and (block := file.read(min(_BLOCK, place))):
        digest.update(block)
        place -= len(block)
    digest.update(end)
    return said == seal(digest.hexdigest().encode())


figure_guard = only_over(_is_ours, "a figure by this program, or was changed since")
