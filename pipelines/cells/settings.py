"""The settings of the cell experiment."""

from typing import Any

from pydantic import Field, field_validator

from pipelines.base.settings import Changes, ExperimentSettings, all_different
from pipelines.cells.frames import FIRST
from unet2015.settings.choices import Averaging


class CellSettings(ExperimentSettings):
    """The experiment of the paper's Table 2."""

    data_sets: tuple[str, ...] = Field(("PhC-C2DH-U373", "DIC-C2DH-HeLa"), min_length=1)
    """Folders of the Cell Tracking Challenge; one that is not there is an error."""
    silver: bool = False
    """Train on frames with silver truth, too (made by the challenge's best methods; the paper had none)."""
    first: float = Field(FIRST, gt=0, lt=1)
    """Where there is a single sequence: the share of its gold frames, the first in time, to train on."""
    average: Averaging = "flips"
    """How frames are segmented; the release averages four flips."""
    connectivity: int = Field(1, ge=1, le=2)
    """Of objects: neighbours that share an edge (1), or a corner too (2); see `label_objects`."""
    fill_holes: bool = True
    """Whether an object's holes become part of it."""
    smallest: int = Field(0, ge=0)
    """Area in pixels below which an object is left out; to SEG an invented object costs nothing."""
    frame: int = Field(50, ge=0)
    """Objects wholly within so many pixels of the border are left out, as by the release."""
    chosen_on: str = ""
    """What settings were tried on, in words for the report; empty where none was tried."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Training settings that differ from the paper's."""

    _different = field_validator("data_sets")(all_different)

    def trainings(self) -> list[tuple[Changes, ...]]:
        """Return what each training changes: all are alike."""
        return [(self.training,)]
