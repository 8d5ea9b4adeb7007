"""Whether a file looks like those that a model was trained on.

The numbers are those of `unet2015.images.appearance`. The margins are wide, as of good images nothing must be
said; docs/files.md has what was measured.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from unet2015.images.appearance import Appearance, Gain, Part
from unet2015.models.model_file import ModelInfo
from unet2015.wording import pages_listed

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


def appearance_record(files: Iterable[tuple[Appearance, Gain]]) -> dict[str, Any]:
    """Return, for the record of a training, what the pages of its files look like; empty for none.

    Parameters
    ----------
    files : iterable of (Appearance, float or ndarray or None)
        Each with the gain of its mapping, where that is by the deviation of all pixels.
    """
    files = list(files)
    pages = [page for found, _ in files for page in found.pages]
    if not pages:
        return {}
    parts = [part for found, gain in files for part in found.parts(gain)]
    spreads = [part.spread for part in parts if part.spread is not None]
    values = {
        "noise": [noise for found, _ in files for noise in found.noises()],
        "skewness": [page.skewness for page in pages],
        "relief": [page.relief for page in pages],
    } | ({"spread": spreads} if spreads else {})
    ranges = {name: [round(end, 4) for end in (min(of), max(of))] for name, of in values.items()}
    return {"pages": len(pages)} | ranges


def notes_on_appearance(found: Appearance, gain: Gain, info: ModelInfo) -> Iterator[str]:
    """Say in what a file is far from all that a model was trained on; nothing where that is not known.

    Where each page is mapped by itself, each is compared, and what is odd is said once, with the pages.

    Parameters
    ----------
    found : Appearance
        What the file looks like.
    gain : float or ndarray or None
        Of its mapping, where that is by the deviation of all pixels.
    info : ModelInfo
        Of the model.
    """
    record = info.training.get(APPEARANCE)
    if not isinstance(record, dict):
        return
    parts = found.parts(gain)
    noisy = [] if (trained := _range(record, "noise")) is None else _noisy(parts, trained[1])
    if noisy and trained is not None:
        yield _noise(noisy, trained[1])
    if (spread := _range(record, "spread")) is not None:
        yield from _specks(parts, spread[0])
    yield from _inverted([part for part in parts if part not in noisy], record)


def _noisy(parts: Sequence[Part], trained: float) -> list[Part]:
    return [part for part in parts if part.noise > (1 + trained) / 2 and part.reach < _NOISE_ALONE]


def _noise(parts: Sequence[Part], trained: float) -> str:
    what, fields = ("files" if parts[0].page is None else "pages"), ("fields" if parts[1:] else "a field")
    return (
        f"{_on(parts)}{_percents(part.noise for part in parts)} of the contrast is noise from pixel to "
        f"pixel, but at most {_percent(trained)} on the pages that the model was trained on: {fields} "
        "without cells, out of focus, or exposed for too short a time? The noise is stretched to the "
        "contrast of a picture, so that cells may be found where none are: see the result (--overlay) "
        f"before you count, and leave out {what} without cells"
    )


def _specks(parts: Sequence[Part], trained: float) -> Iterator[str]:
    spoilt = [part for part in parts if part.spread is not None and part.spread < _LOST * trained]
    if spoilt:
        left = _percents(part.spread for part in spoilt if part.spread is not None)
        yield (
            f"{_on(spoilt)}a few pixels (hot pixels, debris?) are so much brighter or darker than all "
            f"others that these have {left} of the contrast, but at least {_percent(trained)} on the pages "
            "that the model was trained on; cells may be lost. Replace them, in a copy of the image, by the "
            'pixels around, or train with [mapping] method = "image-percentiles", which so few pixels hardly '
            "move"
        )


def _inverted(parts: Sequence[Part], record: Mapping[str, Any]) -> Iterator[str]:
    """Say where light and dark seem to be exchanged: what has a clear sign in training has the other here."""
    pages, skewness, relief = record.get("pages"), _range(record, "skewness"), _range(record, "relief")
    if not isinstance(pages, int) or pages < 1 or skewness is None or relief is None:
        return
    least = _SIGN + _SIGN_OF_FEW / pages
    strong = _of_one_side(skewness) >= max(least, _STRONG)
    clear = [
        (name, trained)
        for name, trained in (("skewness", skewness), ("relief", relief))
        if _of_one_side(trained) >= least
    ]
    if len(clear) < 2 and not strong:
        return
    other = [
        part
        for part in parts
        if all(_mirrored(getattr(part, name), trained, least) for name, trained in clear)
    ]
    if not other:
        return
    darker = "darker" if skewness[0] > 0 else "brighter"
    found = _span([f"{part.skewness:.2g}" for part in sorted(other, key=lambda part: part.skewness)])
    yield (
        f"{_on(other)}light and dark seem to be exchanged: what stands out here is {darker} than "
        f"what is around (skewness {found}), and not so on the pages that the model was trained on "
        f"({skewness[0]:.2g} to {skewness[1]:.2g}). If they are, the result means little: invert a copy of "
        "the image (the largest possible value minus each)"
    )


def _on(parts: Sequence[Part]) -> str:
    """Return the pages that are meant, with a colon; nothing where it is the file."""
    numbers = [part.page for part in parts if part.page is not None]
    return f"on {pages_listed(numbers)}: " if numbers else ""


def _percents(shares: Iterable[float]) -> str:
    return _span([_percent(share) for share in sorted(shares)])


def _span(texts: Sequence[str]) -> str:
    """Return the first and the last text, or one if they are the same."""
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]} to {texts[-1]}"


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
