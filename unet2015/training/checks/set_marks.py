"""What may not be annotated in a set: numbers and values that no file shows alone, but all files together."""

from collections.abc import Iterator, Sequence

from unet2015.metrics.far_numbers import far_numbers
from unet2015.metrics.unannotated import ClassMark
from unet2015.settings import LabelSettings
from unet2015.training.checks.pair import Pair
from unet2015.training.checks.problem import Problem, grouped, problem_of
from unet2015.wording import counted, listed


def marks_of_set(pairs: Sequence[Pair], settings: LabelSettings) -> Iterator[Problem]:
    """Ask about what the checks of each file cannot know; what they have asked is not asked again."""
    yield from _far_numbers(pairs)
    files = [pair for pair in pairs if pair.values]
    for mark in ClassMark.of([pair.values for pair in files]):
        holding = [pair for pair in files if mark.value in pair.values]
        if not mark.beside:  # else the check of a file has asked
            more = f" (and so in {counted(len(holding) - 1, 'more file')})" * (len(holding) > 1)
            cells = "cells" if settings.kind == "mask" else "cell interior"
            yield problem_of(
                "warning",
                holding[0].label_file,
                f"holds {listed(sorted(holding[0].values))}, but other files {listed(sorted(mark.classes))}"
                f"{more}, all read as {cells}; if {mark.value} marks what nobody annotated, give --ignore "
                f"{mark.value}",
            )


def _far_numbers(pairs: Sequence[Pair]) -> Iterator[Problem]:
    every = [page for pair in pairs for page in pair.cells]
    found = iter(far_numbers(every))
    for pair in pairs:
        number_of_page = [next(found) for _ in pair.cells]
        learned = "are learned as one cell"
        texts = [
            f"{pair.label_file}, page {page}: {far.describe(learned)}"
            for page, (far, own) in enumerate(zip(number_of_page, pair.far, strict=True))
            if far is not None and own is None
        ]
        yield from (problem_of("warning", pair.label_file, text) for text in grouped(texts))
