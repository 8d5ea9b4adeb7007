"""The sections of the training settings. Defaults are the paper's; what the paper leaves open is marked."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from unet2015.settings.choices import Gaps, LabelKind, TrainingPrecision
from unet2015.settings.frozen import Frozen, NotNegative, Percent, Positive, Weight
from unet2015.settings.network import Network, NetworkSettings


class MappingSettings(Frozen):
    """How the mapping of intensities is chosen from the training images (open in the paper)."""

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

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        return self


class Mapping(Frozen):
    """How raw intensities become network input: one rule for the whole image, stored in the model."""

    method: Literal["integer-range", "image-percentiles", "fixed", "standardise"]
    """``fixed``: the same two intensities for every image, as percentiles of the training set.
    ``standardise``: by the image's own mean and standard deviation."""
    low: tuple[float, ...] = ()
    """``image-percentiles``: one percentile. ``fixed``: per channel, the intensity that becomes 0."""
    high: tuple[float, ...] = ()
    """The same for 1."""

    @property
    def of_each_image(self) -> bool:
        """Whether each image is read as a whole before the first of its tiles."""
        return self.method in ("standardise", "image-percentiles")

    def in_words(self) -> str:
        """Return the rule in words."""
        if self.method == "standardise":
            return "each image minus its mean, divided by its standard deviation"
        if self.method == "integer-range":
            return "the range of the pixels' type becomes 0 to 1"
        ends = [", ".join(f"{value:g}" for value in end) for end in (self.low, self.high)]
        what = "percentiles {} and {} of each image" if self.method == "image-percentiles" else "{} and {}"
        return what.format(*ends) + " become 0 and 1"


class LabelSettings(Frozen):
    """The meaning of the label images; it is never guessed."""

    kind: LabelKind = "instances"
    """``instances``: 0 is background, every other value a cell. ``mask``: 0 is background, any other value
    cell; cells are its 4-connected components. ``membrane``: 0 is membrane, any other value cell interior;
    cells are its 4-connected components. ``classes``: the values are classes, 0 to ``classes - 1``."""
    classes: int = Field(2, ge=2, le=255)
    """Number of classes; more than 2 only with ``kind = "classes"``."""
    ignore: int | None = None
    """Label value of pixels that are not annotated: weight 0, no gradient."""
    separation_border: bool = True
    """``instances``: draw background between touching cells (section 3.1)."""

    @model_validator(mode="after")
    def _two_classes(self) -> Self:
        if self.kind != "classes" and self.classes != 2:
            raise ValueError(f'kind = "{self.kind}" has 2 classes, not {self.classes}')
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


class AugmentationSettings(Frozen):
    """Random deformation of every training tile (section 3.1). Ranges are open, except the 10 px."""

    elastic_std: NotNegative = 10.0
    """Standard deviation of the displacement vectors, in pixels."""
    elastic_grid: int = Field(3, ge=2)
    """Displacement vectors along each axis of the coarse grid."""
    rotation: float = Field(180.0, ge=0, le=180)
    """Rotation by an angle drawn evenly from +-rotation, in degrees."""
    shift: bool = True
    """Draw the tile's position evenly over the image; otherwise it is the centre of the image."""
    scale: float = Field(0.0, ge=0, le=1)
    """Distances on the tile are multiplied by exp(u), u even in +-scale (not in the paper)."""
    flip: bool = True
    """Mirror every other tile."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """Interpolation of the image between pixels (open)."""
    gray_scale: float = Field(0.05, ge=0, lt=1)
    """The contrast about the mean is multiplied by 1 + u, u even in +-gray_scale..."""
    gray_shift: NotNegative = 0.2
    """...and u is added, even in +-gray_shift, in standard deviations of the image."""
    blur: float = Field(0.0, ge=0, le=20)
    """The image is blurred by a Gaussian whose deviation is drawn evenly from 0 to this, in pixels (not in
    the paper)."""


class OptimisationSettings(Frozen):
    """The recipe: optimizer, loss, schedule and what belongs to them (section 3)."""

    steps: int = Field(20_000, ge=1)
    """Steps of gradient descent (open in the paper)."""
    batch: int = Field(1, ge=1)
    """Tiles a step. Paper: 1."""
    tile: int = Field(572, ge=1)
    """Side of the tile that the network reads, in pixels."""
    optimizer: Literal["sgd", "adam", "adamw", "muon"] = "sgd"
    """Paper: sgd."""
    learning_rate: Positive = 3e-3
    """Learning rate after the warm-up (open in the paper). While the momentum of sgd rises, the rate is
    multiplied by (1 - present momentum) / (1 - final momentum), which keeps the length of the steps."""
    warmup: int = Field(100, ge=0)
    """Steps over which the rate rises linearly to its peak."""
    schedule: Literal["constant", "cosine", "linear", "polynomial"] = "cosine"
    """What follows the warm-up: to zero at the last step, or constant (open in the paper)."""
    power: Positive = 0.9
    """Exponent of ``polynomial``."""
    momentum: float = Field(0.99, ge=0, lt=1)
    """Momentum of sgd and muon. Paper: 0.99; for muon 0.95 is usual."""
    momentum_ramp: int = Field(400, ge=0)
    """Steps over which the momentum rises from 0.9 to its value; for sgd, rate / (1 - momentum) is constant
    meanwhile. 0: it does not rise (open)."""
    nesterov: bool = False
    """Nesterov's momentum, for sgd; muon always has it."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    """For adam, adamw and the weights that muon leaves to adam: how slowly the means of the gradient and of
    its square change."""
    weight_decay: NotNegative = 0.0
    """Weight decay (open in the paper); with adamw and muon it is decoupled from the gradient."""
    clip: NotNegative = 1.0
    """Largest norm of a step's gradient; a longer one is shortened to it. 0: none (open)."""
    average: float = Field(0.0, ge=0, lt=1)
    """The model is the exponential moving average of the weights with this decay a step; 0: none."""
    loss: Literal["cross-entropy"] = "cross-entropy"
    """The paper's: pixel-wise softmax and weighted cross-entropy (Eq. 1)."""
    loss_divisor: Literal["pixels", "weights"] = "pixels"
    """The sum of Eq. 1 is divided by the annotated pixels, or by the sum of their weights (open)."""
    precision: TrainingPrecision = "float32"
    """``bfloat16``: the network runs under autocast; head, weights and loss stay float32. ``auto``:
    the one that the machine computes faster, timed at the start."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.optimizer != "sgd" and self.nesterov:
            raise ValueError(f"nesterov belongs to sgd, but optimizer is {self.optimizer}")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        if self.average and 1 / (1 - self.average) > self.steps:
            raise ValueError(
                f"average = {self.average} looks back over {1 / (1 - self.average):.0f} steps, but there are "
                f"{self.steps}; give a smaller average, 0, or more steps"
            )
        return self


class ValidationSettings(Frozen):
    """Held-out images, segmented with the overlap-tile engine at intervals."""

    pages: str | None = None
    """Which images (pages counted from 0 over the whole set, or files by name): ``"24-29"``,
    ``"3,7,20-22"`` or ``"t3.tif,t9.tif"``."""
    fraction: float = Field(0.2, ge=0, lt=1)
    """If `pages` is absent: the share held out. It is taken from the end, because neighbours look alike."""
    interval: int = Field(500, ge=1)
    """Steps between two validations."""
    patience: int = Field(0, ge=0)
    """The training ends after so many validations without a better one; 0: it runs to the last step."""
    attempts: int = Field(3, ge=1)
    """Most seeds to try: if the first validation shows that nothing is learned, the training begins again
    with the next seed."""


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


class TrainingSettings(Frozen):
    """Everything that a training depends on, except its images."""

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

    @model_serializer(mode="wrap")
    def _without_unused(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave fine-tuning out where it changes nothing: older versions read the rest."""
        values: dict[str, Any] = dump(self)
        if self.fine_tuning == FineTuningSettings():
            values.pop("fine_tuning", None)
        return values
