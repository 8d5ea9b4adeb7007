"""Whether the colours of label files go together with the classes that the training reads."""

from collections.abc import Iterator, Sequence

from unet2015.images.label_colours import Meaning, UsedColours, contradictions
from unet2015.settings import LabelSettings
from unet2015.training.checks.problem import Problem


def palette_problems(labels: Sequence[UsedColours], settings: LabelSettings) -> Iterator[Problem]:
    """Say where the palettes of label files give a class two colours, or a colour two classes.

    Numbers of instances tell cells apart: of them it is said only where what is background in one file is a
    cell in another.
    """
    least = None if settings.kind == "classes" else settings.threshold or 1
    meaning = Meaning(settings.ignore, least)
    for found in contradictions((one, meaning) for one in labels):
        if found.certain or settings.kind != "instances":
            yield Problem("error" if found.certain else "warning", "", found.message)
