"""Whether the images of a training set are like those of the model that the training starts from."""

from collections.abc import Iterator, Sequence

from unet2015.images.image import Image
from unet2015.models.model_file import ModelInfo
from unet2015.models.trained_on import notes_on_start
from unet2015.training.checks.problem import Problem


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
