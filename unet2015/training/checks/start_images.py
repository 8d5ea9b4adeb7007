"""Whether the images of a training set are like those of the model that the training starts from."""

from collections.abc import Iterator, Sequence

from unet2015.images.image import Image
from unet2015.models.model_file import ModelInfo
from unet2015.models.trained_on import notes_on_start
from unet2015.training.checks.problem import Problem
from unet2015.training.dataset import Files, page_names
from unet2015.training.pool import PooledImage


def start_problems(images: Sequence[Image], start: ModelInfo) -> Iterator[Problem]:
    """Say in what images are unlike those that the model to start from was trained on.

    Parameters
    ----------
    images : sequence of Image
        Of the set.
    start : ModelInfo
        Of the model.
    """
    for image in images:
        if image.channels != start.in_channels:
            yield Problem(
                "error",
                image.name,
                f"the model to start from reads {start.in_channels} channel(s), but this image has "
                f"{image.channels}; give images of as many, or choose one channel (--channel)",
            )
            continue
        for note in notes_on_start(image, start):
            yield Problem("warning", image.name, f"to start from: {note}")


def leaks(
    files: Files, images: Sequence[PooledImage], held_out: Sequence[int], start: ModelInfo
) -> Iterator[Problem]:
    """Say which held-out pages the model to start from was trained on, by its record.

    Parameters
    ----------
    files : sequence of (path, pages)
        The images of the set.
    images : sequence of PooledImage
        The same, opened when they are read.
    held_out : sequence of int
        Numbers of the held-out pages, counted over the whole set.
    start : ModelInfo
        Of the model.
    """
    record = start.training
    trained, before = record.get("files"), record.get("held_out")
    if not isinstance(trained, list) or not isinstance(before, list):
        return
    known = {one.get("image_sha256"): one.get("image") for one in trained if isinstance(one, dict)}
    pages = [(place, number) for place, (_, count) in enumerate(files) for number in range(count)]
    names = page_names(files)
    for page in held_out:
        place, number = pages[page]
        name = known.get(images[place].sha256)
        if name is not None and name not in before and f"{name} page {number}" not in before:
            yield Problem(
                "warning",
                names[page],
                "held out, but the model to start from was trained on it, so what is measured on it is too "
                "good, and no step may seem better; hold out other pages (--validate)",
            )
