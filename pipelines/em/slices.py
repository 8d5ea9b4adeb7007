"""The 30 labelled slices of the EM challenge, and which of them a fold holds out."""

SLICES = 30
FOLDS = 5
"""Folds of the cross-validation, each of so many slices that follow each other."""
SIZE = SLICES // FOLDS
"""Slices of a fold."""


def held_out(fold: int) -> list[int]:
    """Return the slices of a fold: neighbours, because neighbours look alike."""
    return list(range(fold * SIZE, (fold + 1) * SIZE))


def trained_on(fold: int) -> list[int]:
    """Return the slices that are not in a fold."""
    return [page for page in range(SLICES) if page not in held_out(fold)]
