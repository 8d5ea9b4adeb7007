"""The sections of the training settings. Defaults are the paper's; what the paper leaves open is marked."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError, model_validator

from unet2015.settings.choices import Gaps, LabelKind, MapEach
from unet2015.settings.frozen import Frozen, Growing, NotNegative, Percent, Positive, Weight
from unet2015.settings.lengths import that_count
from unet2015.settings.network import Network, NetworkSettings
from unet2015.settings.recipe import (
    AugmentationSettings,
    OptimisationSettings,
    PhaseSettings,
    ValidationSettings,
)


class MappingSettings(Growing):
    """How the mapping of intensities is chosen from the training images (open in the paper)."""

    later: ClassVar[tuple[str, ...]] = ("fill_value", "each")

    method: Literal["standardise", "auto", "integer-range", "image-percentiles", "training-percentiles"] = (
        "standardise"
    )
    """``standardise``: each image minus its own mean, divided by its own standard deviation, both over
    the whole image. ``auto``: ``integer-range`` for 8-bit images (the release's way), else
    ``image-percentiles``."""
    low: Percent = 1.0
    """Percentile that becomes 0; not for ``standardise``."""
    high: Percent = 99.8
    """Percentile that becomes 1; not for ``standardise``."""
    fill_value: float | None = Field(None, allow_inf_nan=False)
    """``standardise`` and ``image-percentiles``: the value of pixels where there is no image, as after
    registration; they do not count. Default: all pixels count."""
    each: MapEach = "file"
    """``standardise`` and ``image-percentiles``: what is measured over all pages of a ``file`` together, or
    over every ``page`` alone, as for films that bleach."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        given = {"fill_value": self.fill_value is not None, 'each = "page"': self.each == "page"}
        unfit = [name for name, is_given in given.items() if is_given]
        if unfit and self.method not in ("standardise", "image-percentiles"):
            raise ValueError(
                f'{unfit[0]} is for method = "standardise" and "image-percentiles", not for "{self.method}"'
            )
        return self


class Mapping(Growing):
    """How raw intensities become network input: one rule for all images, stored in the model."""

    later: ClassVar[tuple[str, ...]] = ("fill_value", "each")

    method: Literal["integer-range", "image-percentiles", "fixed", "standardise"]
    """``fixed``: the same two intensities for every image, as percentiles of the training set.
    ``standardise``: by the image's own mean and standard deviation."""
    low: tuple[float, ...] = ()
    """``image-percentiles``: one percentile. ``fixed``: per channel, the intensity that becomes 0."""
    high: tuple[float, ...] = ()
    """The same for 1."""
    fill_value: float | None = Field(None, allow_inf_nan=False)
    """The value of pixels that do not count in what is measured of each image, as there is no image."""
    each: MapEach = "file"
    """Whether all pages of a ``file`` are measured together, or every ``page`` alone."""

    @model_validator(mode="after")
    def _measures(self) -> Self:
        if self.each == "page" and not self.of_each_image:
            raise ValueError(f'each = "page" goes with what is measured, not with the mapping {self.method}')
        return self

    @property
    def of_each_image(self) -> bool:
        """Whether each image is read as a whole before the first of its tiles."""
        return self.method in ("standardise", "image-percentiles")

    @property
    def of_each_page(self) -> bool:
        """Whether every page is mapped as if it were an image of its own."""
        return self.each == "page"

    def in_words(self) -> str:
        """Return the rule in words."""
        without = "" if self.fill_value is None else f", without its pixels of value {self.fill_value:g}"
        one = "page" if self.of_each_page else "image"
        if self.method == "standardise":
            return f"each {one} minus its mean, divided by its standard deviation{without}"
        if self.method == "integer-range":
            return "the range of the pixels' type becomes 0 to 1"
        ends = [", ".join(f"{value:.9g}" for value in end) for end in (self.low, self.high)]
        percentiles = self.method == "image-percentiles"
        said = "percentiles {} and {} of each " + one if percentiles else "{} and {}"
        return said.format(*ends) + without + " become 0 and 1"


class LabelSettings(Growing):
    """The meaning of the label images; it is never guessed."""

    later: ClassVar[tuple[str, ...]] = ("threshold",)

    kind: LabelKind = "instances"
    """``instances``: 0 is background, every other value a cell. ``mask``: 0 is background, any other value
    cell; cells are its 4-connected components. ``membrane``: 0 is membrane, any other value cell interior;
    cells are its 4-connected components. ``classes``: the values are classes, 0 to ``classes - 1``."""
    classes: int = Field(2, ge=2, le=255)
    """Number of classes; more than 2 only with ``kind = "classes"``."""
    ignore: int | None = None
    """Label value of pixels that are not annotated: weight 0, no gradient."""
    threshold: int | None = Field(None, ge=1)
    """``mask`` and ``membrane``: the lowest value that is a cell, for masks that are blurred, as by JPEG: 128
    is half of 8 bits. None: any value but 0."""
    separation_border: bool = True
    """``instances``: draw background between touching cells (section 3.1)."""

    @model_validator(mode="after")
    def _two_classes(self) -> Self:
        if self.kind != "classes" and self.classes != 2:
            raise ValueError(f'kind = "{self.kind}" has 2 classes, not {self.classes}')
        if self.threshold is not None and self.kind not in ("mask", "membrane"):
            raise ValueError(f'threshold is for kind = "mask" and "membrane", not for "{self.kind}"')
        return self


class InitialisationSettings(Frozen):
    """The first weights: N(0, 2/N), N the incoming nodes of one neuron (section 3)."""

    up_convolutions: Literal["release", "incoming"] = "release"
    """N of an up-convolution (open: no ReLU follows it). ``incoming``: its input channels. ``release``: 4
    times its output channels, as Caffe's filler counts; half that variance."""
    head: NotNegative = 1.0
    """Factor of the last layer's initial weights (open); 0: all pixels begin with equal scores."""


class WeightMapSettings(Frozen):
    """The weight map, Eq. 2: w(x) = w_c(x) + w0 exp(-(d1 + d2)^2 / (2 sigma^2))."""

    w0: Weight = 10.0
    """Weight of the gaps between cells."""
    sigma: Positive = 5.0
    """Width of the gaps that matter, in pixels."""
    gaps: Gaps = "background"
    """Where the second term is added (open): on background only, as in the authors' later plugin, or also
    inside cells, where d1 is 0."""
    class_weights: Literal["balanced"] | tuple[Weight, ...] = "balanced"
    """w_c. ``balanced``: N / (C N_c) over the training set (the formula is open in the paper)."""


class SamplingSettings(Frozen):
    """Which tiles are shown (open in the paper)."""

    pages: Literal["area", "alike"] = "area"
    """How often a page is drawn: in proportion to its area, so that every pixel has the same influence, or
    all pages equally often."""
    centres: Literal["annotated", "anywhere"] = "annotated"
    """Where a tile's centre may fall: on annotated pixels, or on every pixel."""
    mirrored: float = Field(0.0, ge=0, le=1)
    """Largest share of a tile's output that may lie outside the image, mirrored (before it is turned)."""


class FineTuningSettings(Frozen):
    """What stays near the model that a training starts from (``--from``; not in the paper)."""

    freeze: Literal["none", "encoder"] = "none"
    """``encoder``: the contracting path, with the lowest level, keeps its weights."""
    encoder_rate: float = Field(1.0, gt=0, le=1)
    """The learning rate of the contracting path is the other weights' times this."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.freeze == "encoder" and self.encoder_rate != 1:
            raise ValueError(
                f'freeze = "encoder" has no rate, but encoder_rate is {self.encoder_rate}; give one of both'
            )
        return self


class TrainingSettings(Growing):
    """Everything that a training depends on, except its images."""

    later: ClassVar[tuple[str, ...]] = ("fine_tuning", "phase")

    seed: int = Field(0, ge=0)
    """Determines all random draws."""
    checkpoint_interval: int = Field(250, ge=1)
    """Steps between two checkpoints; the last two are kept."""
    network: Network = NetworkSettings()
    initialisation: InitialisationSettings = InitialisationSettings()
    mapping: MappingSettings = MappingSettings()
    labels: LabelSettings = LabelSettings()
    weight_map: WeightMapSettings = WeightMapSettings()
    sampling: SamplingSettings = SamplingSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    optimisation: OptimisationSettings = OptimisationSettings()
    validation: ValidationSettings = ValidationSettings()
    fine_tuning: FineTuningSettings = FineTuningSettings()
    phase: tuple[PhaseSettings, ...] = ()
    """Parts of the training, one after the other (``[[phase]]``); none: the whole is one."""

    @model_validator(mode="after")
    def _two_classes(self) -> Self:
        if self.labels.classes > 2 and (loss := self.optimisation.loss).startswith("bce"):
            raise ValueError(
                f'loss = "{loss}" tells two classes apart, but labels.classes = {self.labels.classes}; take '
                '"cross-entropy", "dice" or "focal"'
            )
        return self

    def _written(self, values: dict[str, Any]) -> dict[str, Any]:
        return that_count(values)

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        weights, classes = self.weight_map.class_weights, self.labels.classes
        if not isinstance(weights, str) and len(weights) != classes:
            raise ValueError(
                f"weight_map.class_weights has {len(weights)} numbers, but labels.classes = {classes}; give "
                "one for each class, or set the number of classes"
            )
        return self

    @model_validator(mode="after")
    def _mapping_fits(self) -> Self:
        if self.network.needs_unit_range and self.mapping.method == "standardise":
            raise ValueError(
                f"the network {self.network.kind} reads pixels from 0 to 1, which [mapping] method = "
                '"standardise" does not give; set it to "integer-range" (photographs of 8 bits) or "auto"'
            )
        return self

    @model_validator(mode="after")
    def _phases_fit(self) -> Self:
        for number in range(len(self.phase)):
            try:
                self.in_phase(number)
            except ValidationError as error:
                why = "; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors())
                raise ValueError(f"phase {number + 1}: {why}") from error
        return self

    def in_phase(self, number: int) -> Self:
        """Return the settings of a phase, counted from 0, as those of a training without phases."""
        if not self.phase:
            return self
        part = self.phase[number].model_dump(exclude_none=True)
        rule = {"epochs": None} | {k: v for k, v in part.items() if k in OptimisationSettings.model_fields}
        looks = {k: v for k, v in part.items() if k in ("patience", "at_least")}
        changes = {
            "optimisation": OptimisationSettings.model_validate(self.optimisation.model_dump() | rule),
            "validation": self.validation.model_copy(update=looks),
            "augmentation": self.phase[number].augmentation or self.augmentation,
            "phase": (),
        }
        return self.model_copy(update=changes)
