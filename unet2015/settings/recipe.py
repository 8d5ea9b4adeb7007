"""The recipe: how tiles are changed, how weights are, and when the training looks at the held-out pages."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from unet2015.settings.choices import TrainingPrecision
from unet2015.settings.frozen import Growing, NotNegative, Positive

Optimizer = Literal["sgd", "adam", "adamw", "muon"]
"""Names in the table :mod:`unet2015.training.optimizers`."""
Schedule = Literal["constant", "cosine", "linear", "polynomial", "plateau"]
"""Names in the table :mod:`unet2015.training.schedules`."""


class AugmentationSettings(Growing):
    """Random deformation of every training tile (section 3.1). Ranges are open, except the 10 px."""

    later: ClassVar[tuple[str, ...]] = ("flips",)

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
    flips: float | None = Field(None, ge=0, le=1)
    """In place of `flip`: this share of the tiles is mirrored along x, along y or along both, each as often
    (not in the paper). 0.75: all four versions are equally frequent."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """Interpolation of the image between pixels (open)."""
    gray_scale: float = Field(0.05, ge=0, lt=1)
    """The contrast about the mean is multiplied by 1 + u, u even in +-gray_scale..."""
    gray_shift: NotNegative = 0.2
    """...and u is added, even in +-gray_shift, in standard deviations of the image."""
    blur: float = Field(0.0, ge=0, le=20)
    """The image is blurred by a Gaussian whose deviation is drawn evenly from 0 to this, in pixels (not in
    the paper)."""


class OptimisationSettings(Growing):
    """The recipe: optimizer, loss, schedule and what belongs to them (section 3)."""

    later: ClassVar[tuple[str, ...]] = ("epochs", "plateau_looks", "plateau_factor", "focal_gamma")

    steps: int = Field(20_000, ge=1)
    """Steps of gradient descent (open in the paper)."""
    epochs: int | None = Field(None, ge=1)
    """In place of `steps`: so many rounds through the training pages, each of as many tiles as there are
    pages, in an order drawn anew."""
    batch: int = Field(1, ge=1)
    """Tiles a step. Paper: 1."""
    tile: int = Field(572, ge=1)
    """Side of the tile that the network reads, in pixels."""
    optimizer: Optimizer = "sgd"
    """Paper: sgd."""
    learning_rate: Positive = 3e-3
    """Learning rate after the warm-up (open in the paper). While the momentum of sgd rises, the rate is
    multiplied by (1 - present momentum) / (1 - final momentum), which keeps the length of the steps."""
    warmup: int = Field(100, ge=0)
    """Steps over which the rate rises linearly to its peak."""
    schedule: Schedule = "cosine"
    """What follows the warm-up: to zero at the last step, or constant (open in the paper). ``plateau``:
    constant, and divided where the validation's cross-entropy no longer falls (not in the paper)."""
    plateau_looks: int = Field(5, ge=1)
    """``plateau``: validations without a lower cross-entropy after which the rate is divided..."""
    plateau_factor: float = Field(10.0, gt=1, allow_inf_nan=False)
    """...by this."""
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
    loss: Literal["cross-entropy", "bce", "dice", "bce_dice", "focal"] = "cross-entropy"
    """The paper's: pixel-wise softmax and weighted cross-entropy (Eq. 1). ``bce``: binary cross-entropy of
    the difference of both scores. ``dice``: 1 - Dice as in V-Net. ``bce_dice``: their sum. ``focal``: Eq. 1
    in which pixels that are right already count less. All with the weights of Eq. 2."""
    focal_gamma: NotNegative = 2.0
    """``focal``: the cross-entropy of a pixel is multiplied by (1 - probability of its class) to this."""
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
        if self.average and self.epochs is None and 1 / (1 - self.average) > self.steps:
            raise ValueError(
                f"average = {self.average} looks back over {1 / (1 - self.average):.0f} steps, but there are "
                f"{self.steps}; give a smaller average, 0, or more steps"
            )
        return self


class ValidationSettings(Growing):
    """Held-out images, segmented with the overlap-tile engine at intervals."""

    later: ClassVar[tuple[str, ...]] = ("epochs", "at_least", "best")

    pages: str | None = None
    """Which images (pages counted from 0 over the whole set, or files by name): ``"24-29"``,
    ``"3,7,20-22"`` or ``"t3.tif,t9.tif"``."""
    fraction: float = Field(0.2, ge=0, lt=1)
    """If `pages` is absent: the share held out. It is taken from the end, because neighbours look alike."""
    interval: int = Field(500, ge=1)
    """Steps between two validations."""
    epochs: int | None = Field(None, ge=1)
    """Rounds through the training pages between two validations, in place of `interval`."""
    patience: int = Field(0, ge=0)
    """The training ends after so many validations without a better one; 0: it runs to the last step."""
    at_least: int = Field(0, ge=0)
    """Before so many validations `patience` ends no training."""
    best: Literal["f1", "cross-entropy"] = "f1"
    """What makes a validation better than another, and so which weights are kept."""
    attempts: int = Field(3, ge=1)
    """Most seeds to try: if the first validation shows that nothing is learned, the training begins again
    with the next seed."""


class PhaseSettings(Growing):
    """One of several parts of a training, one after the other: what differs from the training's settings.

    A phase begins with the best weights so far and an optimizer without memory; warm-up and schedule begin
    anew.
    """

    later: ClassVar[tuple[str, ...]] = (
        *("steps", "epochs", "freeze", "release", "optimizer", "learning_rate", "schedule", "warmup"),
        *("weight_decay", "patience", "at_least", "augmentation"),
    )

    steps: int | None = Field(None, ge=1)
    """Steps of the phase..."""
    epochs: int | None = Field(None, ge=1)
    """...or its rounds through the training pages: one of both is needed."""
    freeze: tuple[str, ...] = ()
    """Modules that keep their weights, by name (``encoder``, ``encoder.*``): ``*`` stands for any text, and
    what lies below a module belongs to it."""
    release: tuple[str, ...] = ()
    """Modules that learn although `freeze` names them."""
    optimizer: Optimizer | None = None
    """None, here and below: as in the training's settings."""
    learning_rate: Positive | None = None
    """Learning rate after the warm-up."""
    schedule: Schedule | None = None
    """What follows the warm-up."""
    warmup: int | None = Field(None, ge=0)
    """Steps over which the rate rises."""
    weight_decay: NotNegative | None = None
    """Weight decay."""
    patience: int | None = Field(None, ge=0)
    """Validations without a better one after which the phase ends."""
    at_least: int | None = Field(None, ge=0)
    """Before so many validations of the phase `patience` does not end it."""
    augmentation: AugmentationSettings | None = None
    """In place of the training's, as a whole: what it does not name has its default."""

    @model_validator(mode="after")
    def _has_steps(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            both = "no steps" if self.steps is None else "steps and epochs"
            raise ValueError(f"a phase needs steps or epochs, one of both, but this one has {both}")
        if self.release and not self.freeze:
            raise ValueError("release names modules that freeze would freeze, but freeze names none")
        return self
