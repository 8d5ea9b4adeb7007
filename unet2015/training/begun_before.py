"""How a training that is resumed has divided its pages."""

from pathlib import Path
from typing import TypeGuard

from unet2015.models.training_pages import TOGETHER
from unet2015.training.log import read_log
from unet2015.training.run_folder import LOG, Before, held_out_before


def begun_before(folder: Path) -> Before | None:
    """Return which pages the training in a folder holds out, and which share pixels, as its log says.

    None where no checkpoint says it.

    Raises
    ------
    DataSetError
        The log cannot be read.
    """
    before = held_out_before(folder)
    if before is None:
        return None
    said: object = next((line[TOGETHER] for line in read_log(folder / LOG) if TOGETHER in line), None)
    return before._replace(together=said) if _are_groups(said) else before


def _are_groups(said: object) -> TypeGuard[list[list[str]]]:
    return isinstance(said, list) and all(
        isinstance(group, list) and all(isinstance(name, str) for name in group) for group in said
    )
