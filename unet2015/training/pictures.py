"""What a training looks like: one held-out image over its validations, and four at the best one.

Pictures are small and few, and nothing depends on them: what goes wrong with them is said, and no more.
"""

import logging
from collections.abc import Callable, Sequence
from functools import wraps
from io import BytesIO
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import numpy as np
from numpy.typing import NDArray

from unet2015.images.display import stretched
from unet2015.images.figure_files import SOFTWARE, remove_figure, write_figure
from unet2015.safe_files import make_folder
from unet2015.tiling.classes import class_map
from unet2015.training.labels import IGNORED
from unet2015.training.pages import TrainingPage
from unet2015.training.run_folder import ANIMATION, FIGURE, PROGRESS, frames

SIDE = 192
"""Longest side of an image in a picture, in pixels."""
WINDOW = 1024
"""Of a page, the square of this side in its middle is shown."""
FRAMES = 60
"""Most frames; when there are more, every second one goes."""
EXAMPLES = 4
"""Held-out images in the figure."""

_GAP = 4
_log = logging.getLogger("unet2015")
Gray = NDArray[np.uint8]
P = ParamSpec("P")


def _harmless(
    draw: Callable[Concatenate["Pictures", P], None],
) -> Callable[Concatenate["Pictures", P], None]:
    """Let no error of a picture end a training; after the first, no more are drawn."""

    @wraps(draw)
    def tried(self: "Pictures", *words: P.args, **more: P.kwargs) -> None:
        if self.broken:
            return
        try:
            draw(self, *words, **more)
        except Exception as error:
            self.broken = True
            _log.warning("%s: no pictures of the training: %s", self.folder, error)

    return tried  # type: ignore[return-value]


class Pictures:
    """The pictures of a training, in its folder.

    ``progress/`` gets a frame at each validation: the first held-out image, and beside it the probability
    of everything but class 0. `finish` makes ``progress.gif`` of them. ``examples.png``, drawn whenever a
    validation is the best so far, has a row for each of the first held-out images: image, true classes
    (not annotated: middle gray), found classes.

    Parameters
    ----------
    folder : Path
        Of the training.
    pages : sequence of TrainingPage
        The held-out pages.
    step : int
        Steps done so far; frames of later ones, which a killed run left, are removed.
    """

    def __init__(self, folder: Path, pages: Sequence[TrainingPage], step: int = 0) -> None:
        self.folder, self.pages, self.broken = folder, pages[:EXAMPLES], False
        self._images: dict[int, Gray] = {}
        self._found: dict[int, NDArray[np.float32]] = {}
        self._remove_after(step)

    @_harmless
    def _remove_after(self, step: int) -> None:
        for path in self._frames():
            if int(path.stem) > step:
                remove_figure(path)

    @_harmless
    def see(self, number: int, probabilities: NDArray[np.float32]) -> None:
        """Take in the probabilities (classes, H, W) of a held-out page, by its number."""
        if number < len(self.pages):
            self._found[number] = np.stack([small(plane) for plane in probabilities])

    @_harmless
    def after(self, step: int, threshold: float | None, best: bool) -> None:
        """Draw what was seen in the validation after a step; `best` says that it is the best so far."""
        if 0 in self._found:
            shown = beside([self._image(0), _levels(1 - self._found[0][0])])
            make_folder(self.folder / PROGRESS)
            _write_png(self.folder / PROGRESS / f"{step:08d}.png", shown)
            drawn = self._frames()
            for path in drawn[-2::-2] if len(drawn) > FRAMES else ():
                remove_figure(path)
        if best and self._found:
            rows = [self._row(number, found, threshold) for number, found in sorted(self._found.items())]
            _write_png(self.folder / FIGURE, below(rows))
        self._found.clear()

    @_harmless
    def finish(self) -> None:
        """Make the animation of all frames."""
        from PIL import Image, ImageDraw

        shown = []
        for path in self._frames():
            with Image.open(path) as opened:
                frame = opened.convert("L")
            drawn = ImageDraw.Draw(frame)
            text = f"step {int(path.stem)}"
            drawn.rectangle((0, frame.height - 13, 6 * len(text) + 5, frame.height), fill=0)
            drawn.text((3, frame.height - 12), text, fill=255)
            shown.append(frame)
        if not shown:
            return
        times = [200] * (len(shown) - 1) + [2000]
        buffer = BytesIO()
        shown[0].save(buffer, "GIF", save_all=True, append_images=shown[1:], duration=times, loop=0)
        write_figure(self.folder / ANIMATION, buffer.getvalue())

    def _frames(self) -> list[Path]:
        return frames(self.folder)

    def _row(self, number: int, found: NDArray[np.float32], threshold: float | None) -> Gray:
        classes = len(found)
        true = _window(self.pages[number].classes)
        step = _step(true.shape)
        true = true[::step, ::step][: found.shape[1], : found.shape[2]]
        shown = np.where(true == IGNORED, 128, _of_class(np.minimum(true, classes - 1), classes))
        return beside(
            [self._image(number), shown.astype(np.uint8), _of_class(class_map(found, threshold), classes)]
        )

    def _image(self, number: int) -> Gray:
        """Return a page as it is shown, from black at its percentile 1 to white at 99."""
        if number not in self._images:
            page = self.pages[number]
            height, width = page.classes.shape
            top, left = (max(0, (length - WINDOW) // 2) for length in (height, width))
            box = (top, min(height, top + WINDOW), left, min(width, left + WINDOW))
            pixels = small(page.source.read(0, *box).mean(axis=0))
            self._images[number] = _levels(stretched(pixels, (1, 99)))
        return self._images[number]


def small(plane: NDArray[Any]) -> NDArray[np.float32]:
    """Return the middle of a plane (H, W), its longest side at most `SIDE`: by means over squares."""
    window = _window(plane)
    step = _step(window.shape)
    height, width = (max(1, length // step) for length in window.shape)
    part = window[: height * step, : width * step].astype(np.float32)
    if part.shape != (height * step, width * step):  # one side is shorter than a square
        return np.asarray(window[::step, ::step], np.float32)
    means: NDArray[np.float32] = part.reshape(height, step, width, step).mean(axis=(1, 3), dtype=np.float32)
    return means


def _window(plane: NDArray[Any]) -> NDArray[Any]:
    top, left = (max(0, (length - WINDOW) // 2) for length in plane.shape)
    return plane[top : top + WINDOW, left : left + WINDOW]


def _step(shape: tuple[int, ...]) -> int:
    return max(1, -(-max(shape) // SIDE))


def _levels(plane: NDArray[np.floating]) -> Gray:
    levels: Gray = (plane.clip(0, 1) * 255).round().astype(np.uint8)
    return levels


def _of_class(classes: NDArray[Any], count: int) -> Gray:
    levels: Gray = (classes.astype(np.int64) * 255 // (count - 1)).astype(np.uint8)
    return levels


def beside(pictures: Sequence[Gray]) -> Gray:
    """Return gray pictures side by side."""
    height = max(len(picture) for picture in pictures)
    width = sum(picture.shape[1] for picture in pictures) + _GAP * (len(pictures) - 1)
    joined, at = np.full((height, width), 255, np.uint8), 0
    for picture in pictures:
        joined[: len(picture), at : at + picture.shape[1]] = picture
        at += picture.shape[1] + _GAP
    return joined


def below(pictures: Sequence[Gray]) -> Gray:
    """Return gray pictures one below the other."""
    return beside([picture.T for picture in pictures]).T


def _write_png(path: Path, pixels: Gray) -> None:
    from PIL import Image, PngImagePlugin

    about = PngImagePlugin.PngInfo()
    about.add_text("Software", SOFTWARE)
    buffer = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", pnginfo=about)
    write_figure(path, buffer.getvalue())
