"""The files of the EM measures: ground truth, prediction and, under the figure, an image."""

import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from unet2015.images.counterpart import check_counterpart
from unet2015.images.image import Image
from unet2015.images.label_colours import Meaning, used_colours
from unet2015.images.notes import Repeated, Say, say_notes
from unet2015.images.reader import open_image, pages_of
from unet2015.metrics.em import read_proposal
from unet2015.metrics.masks import touching
from unet2015.metrics.palettes import check_sides
from unet2015.safe_files import Unchanged

_log = logging.getLogger("unet2015")


class EMFiles(NamedTuple):
    """Truth, prediction and image, (pages, height, width) each, and what was said of the files."""

    truth: NDArray[Any]
    proposal: NDArray[Any]
    image: NDArray[Any] | None
    notes: list[str]


def read_em_files(labels: Path, prediction: Path, image: Path | None, axes: str | None) -> EMFiles:
    """Read truth, prediction and image; notes on the files are said.

    Raises
    ------
    ImageError
        One cannot be read.
    ImageValueError
        The prediction holds no probabilities; see `read_proposal`.
    DataSetError
        Their pages are in another order, or their palettes contradict each other.
    """
    notes = Repeated()
    with ExitStack() as stack:
        for path in (labels, prediction, image):
            if path is not None:
                stack.callback(Unchanged(path).check)
        truth = stack.enter_context(open_image(labels, axes, labels=True))
        # A prediction is no intensity: its numbers stay as they are stored.
        others = [stack.enter_context(open_image(prediction, axes, labels=True))]
        others += [] if image is None else [stack.enter_context(open_image(image, axes))]
        say_notes(truth, *others, say=notes.say)
        for other in others:
            check_counterpart(truth, other, say=notes.say)
        found = pages_of(others[0], labels=False)
        proposal = read_proposal(found, str(prediction))
        under = None if image is None else pages_of(others[1], labels=False)
        true = pages_of(truth)
        on_colours = _check_colours((truth, true), (others[0], found))
        for note in on_colours:
            _log.warning("%s", note)
        _say_touching(labels, true, notes.say)
    notes.finish()
    return EMFiles(true, proposal, under, [*notes.warnings(), *on_colours])


def _check_colours(truth: tuple[Image, NDArray[Any]], found: tuple[Image, NDArray[Any]]) -> list[str]:
    """Compare palettes, if there are some; what has more than two values is a probability, no class map."""
    true, result = used_colours(*truth), used_colours(*found)
    if any(len(one.numbers) > 2 for one in result):
        result = []
    return check_sides((true, result), [Meaning(least=1)] * 2)


def _say_touching(path: Path, labels: NDArray[Any], say: Say) -> None:
    """Say where the truth has cells without membrane between them, as instance labels have."""
    if found := sum(touching(page) for page in labels):
        say(
            path,
            f"at {found} places different values that are not 0 touch; all but 0 is the inside of cells, "
            "so such cells are one. Draw the membrane as 0; numbered cells (instance labels) are measured by "
            "`unet2015 evaluate objects`",
        )
