"""Whether a file looks like those that a model was trained on.

The numbers are those of `unet2015.images.appearance`. The margins are wide, as of good images nothing must be
said; docs/files.md has what was measured.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from unet2015.images.appearance import Appearance
from unet2015.models.model_file import ModelInfo

APPEARANCE = "appearance"
"""Key of the record of a training: of some numbers the least and the largest of its pages."""

_Range = tuple[float, float]

_NOISE_ALONE = 9.0
"""How many deviations of noise nearly all pixels span where there is little besides; 6.2 in pure noise."""
_LOST = 2 / 3
"""Of the contrast in training: what most pixels must keep beside a few extreme ones."""
_SIGN, _SIGN_OF_FEW = 0.1, 0.6
"""How skewed all training pages must be to one side, and how much more, divided by how many they are."""
_STRONG = 1.0
"""Of so skewed intensities the sign is clear without that of the relief."""


def appearance_record(files: Iterable[tuple[Appearance, float | None]]) -> dict[str, Any]:
    """Return, for the record of a training, what the pages of its files look like; empty for none.

    Parameters
    ----------
    files : iterable of (Appearance, float or None)
        Each with the gain of its mapping, where that is by the deviation of all pixels.
    """
    files = list(files)
    pages = [page for found, _ in files for page in found.pages]
    if not pages:
        return {}
    spreads = [found.deviation * gain for found, gain in files if gain is not None]
    values = {
        "noise": [noise for found, _ in files for noise in found.noises()],
        "skewness": [page.skewness for page in pages],
        "relief": [page.relief for page in pages],
    } | ({"spread": spreads} if spreads else {})
    ranges = {name: [round(end, 4) for end in (min(of), max(of))] for name, of in values.items()}
    return {"pages": len(pages)} | ranges


def notes_on_appearance(found: Appearance, gain: float | None, info: ModelInfo) -> Iterator[str]:
    """Say in what a file is far from all that a model was trained on; nothing where that is not known.

    Parameters
    ----------
    found : Appearance
        What the file looks like.
    gain : float or None
        Of its mapping, where that is by the deviation of all pixels.
    info : ModelInfo
        Of the model.
    """
    record = info.training.get(APPEARANCE)
    if not isinstance(record, dict):
        return
    noise = () if (trained := _range(record, "noise")) is None else tuple(_noise(found, trained[1]))
    yield from noise
    if gain is not None and (spread := _range(record, "spread")) is not None:
        yield from _specks(found.deviation * gain, spread[0])
    if not noise:
        yield from _inverted(found, record)


def _noise(found: Appearance, trained: float) -> Iterator[str]:
    noise, reach = (float(np.median(each)) for each in (found.noises(), found.reaches()))
    if noise > (1 + trained) / 2 and reach < _NOISE_ALONE:
        yield (
            f"{_percent(noise)} of the contrast is noise from pixel to pixel, but at most "
            f"{_percent(trained)} on the pages that the model was trained on: a field without cells, out of "
            "focus, or exposed for too short a time? The noise is stretched to the contrast of a picture, so "
            "that cells may be found where none are: see the result (--overlay) before you count, and leave "
            "out files without cells"
        )


def _specks(spread: float, trained: float) -> Iterator[str]:
    if spread < _LOST * trained:
        yield (
            "a few pixels (hot pixels, debris?) are so much brighter or darker than all others that these "
            f"have {_percent(spread)} of the contrast, but at least {_percent(trained)} on the pages that "
            "the model was trained on; cells may be lost. Replace them, in a copy of the image, by the "
            'pixels around, or train with [mapping] method = "image-percentiles", which so few pixels hardly '
            "move"
        )


def _inverted(found: Appearance, record: Mapping[str, Any]) -> Iterator[str]:
    """Say where light and dark seem to be exchanged: what has a clear sign in training has the other here."""
    pages, skewness, relief = record.get("pages"), _range(record, "skewness"), _range(record, "relief")
    if not isinstance(pages, int) or pages < 1 or skewness is None or relief is None:
        return
    least = _SIGN + _SIGN_OF_FEW / pages
    strong = _of_one_side(skewness) >= max(least, _STRONG)
    skewed = float(np.median([page.skewness for page in found.pages]))
    pairs = [(skewed, skewness), (float(np.median([page.relief for page in found.pages])), relief)]
    clear = [pair for pair in pairs if _of_one_side(pair[1]) >= least]
    if len(clear) < 2 and not strong:
        return
    if not all(_mirrored(value, trained, least) for value, trained in clear):
        return
    darker = "darker" if skewness[0] > 0 else "brighter"
    yield (
        f"light and dark seem to be exchanged: what stands out here is {darker} than what is around "
        f"(skewness {skewed:.2g}), and not so on the pages that the model was trained on "
        f"({skewness[0]:.2g} to {skewness[1]:.2g}). If they are, the result means little: invert a copy of "
        "the image (the largest possible value minus each)"
    )


def _of_one_side(trained: _Range) -> float:
    """Return how skewed all training pages are at least to one side; 0 where they are to both."""
    return max(trained[0], -trained[1], 0.0)


def _mirrored(value: float, trained: _Range, least: float) -> bool:
    """Whether a value is on the other side than those of all training pages, and clearly."""
    other = value if trained[0] > 0 else -value
    return other <= -max(least, _of_one_side(trained) / 2)


def _range(record: Mapping[str, Any], name: str) -> _Range | None:
    """Return the least and the largest value of the training pages; None where the record has none."""
    found: object = record.get(name)
    if not isinstance(found, Sequence) or len(found) != 2:
        return None
    if not all(isinstance(end, int | float) and np.isfinite(end) for end in found):
        return None
    return float(found[0]), float(found[1])


def _percent(share: float) -> str:
    return f"{100 * share:.2g}%" if share < 0.1 else f"{share:.0%}"
