"""Whether the images of a training set are like those of the model that the training starts from."""

from collections.abc import Iterator, Sequence

from unet2015.images.image import Image
from unet2015.models.model_file import ModelInfo
from unet2015.models.training_pages import ImageFile, names_files, trained_pages
from unet2015.models.unlike import notes_on_start
from unet2015.training.checks.problem import Problem
from unet2015.training.page_names import Files, page_names
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
    files: Files,
    images: Sequence[PooledImage],
    held_out: Sequence[int],
    start: ModelInfo,
    scene: str | None,
    digests: Sequence[str | None],
) -> list[str]:
    """Return the names of the held-out pages that the model to start from was trained on, by its record.

    So are those that a model was trained on which that one was started from.

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
    scene : str or None
        Of files with several images, the one that is used.
    digests : sequence of str or None
        Of the pixels of each page of the set; see `ImageFile`.
    """
    names, chosen, first, found = page_names(files), set(held_out), 0, []
    for (_, count), image in zip(files, images, strict=True):
        if chosen & {*range(first, first + count)}:  # a digest is made of the whole file
            file = ImageFile(image.sha256, count, scene, digests[first : first + count])
            trained = trained_pages(start.training, file)
            found += [names[first + page] for page in sorted(trained) if first + page in chosen]
        first += count
    return found


def leak_problems(seen: Sequence[str], held_out: Sequence[int], start: ModelInfo) -> Iterator[Problem]:
    """Say what `leaks` has found, or that the record of the model to start from cannot tell."""
    for name in seen:
        yield Problem(
            "warning",
            name,
            "held out, but the model to start from was trained on it, so what is measured on it is too "
            "good, and no step may seem better; hold out other pages (--validate)",
        )
    if held_out and not names_files(start.training):
        yield Problem(
            "warning",
            "",
            "the record of the model to start from does not name all files that it was trained on; if the "
            "held-out pages are among them, what is measured on them is too good, and nothing can tell",
        )
