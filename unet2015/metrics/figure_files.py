"""Figures on disk: they say that this program drew them, so that no other picture is replaced."""

from pathlib import Path
from typing import Any

from unet2015.safe_files import only_over, open_regular

SOFTWARE = "unet2015"
"""What a PNG says of the program that wrote it."""

GIF_COMMENT = b"a training by unet2015"
"""What an animation says of itself."""

_ENDS = 2**14
_MARKS = (b"tEXtSoftware\0unet2015", b">unet2015<", b"(unet2015)", b"%%Creator: unet2015")


def marks(kind: str) -> dict[str, Any]:
    """Return how matplotlib is told to name this program in a figure; empty for kinds that cannot say it."""
    if kind == "png":
        return {"metadata": {"Software": SOFTWARE}}
    return {"metadata": {"Creator": SOFTWARE}} if kind in ("svg", "pdf", "ps", "eps") else {}


def _is_ours(path: Path) -> bool:
    with open_regular(path) as file:
        size = file.seek(0, 2)
        file.seek(0)
        text = file.read(_ENDS)
        file.seek(max(0, size - _ENDS))
        text += file.read()
    return any(mark in text for mark in _MARKS)


def _is_our_gif(path: Path) -> bool:
    with open_regular(path) as file:
        return GIF_COMMENT in file.read(2**12)


figure_guard = only_over(_is_ours, "a figure by this program")
gif_guard = only_over(_is_our_gif, "an animation by this program")
