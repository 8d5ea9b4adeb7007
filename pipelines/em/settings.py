"""The settings of the EM experiment."""

from typing import Any

from pydantic import Field, field_validator

from pipelines.base.settings import Changes, ExperimentSettings, all_different
from pipelines.em.slices import FOLDS
from unet2015.settings import Frozen
from unet2015.settings.choices import Averaging


class AblationSettings(Frozen):
    """What a choice that the paper leaves open costs: one training a row, alike but for that choice."""

    fold: int = Field(4, ge=0, lt=FOLDS)
    """Whose held-out slices are measured."""
    base: dict[str, Any] = Field(default_factory=dict)
    """Training settings that all rows share and that differ from the experiment's; fewer steps."""
    rows: dict[str, dict[str, Any]] = Field(min_length=1)
    """By title, the training settings that make the row."""
    tiling: bool = True
    """Compare mirrored with zero-filled borders, and a stride of 384 with 388, too."""


class EMSettings(ExperimentSettings):
    """The experiment of the paper's Table 1."""

    folds: tuple[int, ...] = tuple(range(FOLDS))
    """Folds to hold out, each of 6 consecutive slices: fold k is slices 6 k to 6 k + 5."""
    averages: tuple[Averaging, ...] = Field(("none", "rotations"), min_length=1)
    """Ways to segment, each a row of the table; the last one's is in the pictures."""
    ship: str | None = Field(None, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    """Name under which the model of all slices is written as one to ship: half precision, described."""
    chosen_on: str = ""
    """What settings were tried on, in words for the report; empty where none was tried."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Training settings that differ from the paper's (`unet2015/settings/ronneberger2015.toml`)."""
    ablation: AblationSettings | None = None
    """Left out where absent."""

    @field_validator("folds")
    @classmethod
    def _known(cls, folds: tuple[int, ...]) -> tuple[int, ...]:
        if not folds or len(set(folds)) < len(folds) or not set(folds) <= set(range(FOLDS)):
            raise ValueError(f"folds are different numbers from 0 to {FOLDS - 1}")
        return folds

    _different = field_validator("averages")(all_different)

    def trainings(self) -> list[tuple[Changes, ...]]:
        """Return what each training changes, the experiment's own first, then the rows of the ablation."""
        rows = self.ablation.rows.values() if self.ablation else ()
        base = self.ablation.base if self.ablation else {}
        return [(self.training,), *((self.training, base, row) for row in rows)]
