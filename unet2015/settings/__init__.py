"""Frozen settings, read from TOML; a key that is not known is refused by name.

What the paper fixes is the default; what it leaves open says so. The file
``ronneberger2015.toml`` shipped with the package spells all of it out; ``quick.toml`` and ``gpu.toml``
name what they do otherwise.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    SerializeAsAny,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from unet2015.errors import SettingsError

Percent = Annotated[float, Field(ge=0, le=100)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Frozen(BaseModel):
    """What all settings share: they cannot change, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class AnyNetworkSettings(Frozen):
    """What the settings of every network have: their kind, whose default is the name in the table."""

    kind: str
    """Which network of the table :mod:`unet2015.networks`."""


NETWORK_KINDS: dict[str, type[AnyNetworkSettings]] = {}
"""The settings of each kind of network: what :mod:`unet2015.networks` has, without loading it."""

N = TypeVar("N", bound=AnyNetworkSettings)


def network_kind(settings: type[N]) -> type[N]:
    """Make a class of settings known by the default of its `kind`."""
    NETWORK_KINDS[settings.model_fields["kind"].default] = settings
    return settings


@network_kind
class NetworkSettings(AnyNetworkSettings):
    """The network of the paper (Fig. 1)."""

    kind: Literal["unet2015"] = "unet2015"
    """Which network of the table :mod:`unet2015.networks`; the paper's where it is absent."""

    width: int = Field(64, ge=1)
    """Channels of the first level; each level below has twice as many."""
    depth: int = Field(4, ge=0, le=8)
    """Number of poolings."""
    variant: Literal["paper", "release"] = "paper"
    """The release adds a ReLU after each up-convolution and keeps 128 channels in the last."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Rate of the drop-out at the end of the contracting path (open in the paper; release: 0.5)."""


def kind_of_network(values: Any) -> Any:
    """Return the `kind` that settings of a network declare: the paper's where they do not say."""
    default = NetworkSettings.model_fields["kind"].default
    return values.get("kind", default) if isinstance(values, dict) else getattr(values, "kind", default)


def parse_network(values: Any) -> AnyNetworkSettings:
    """Return settings of the kind that `values` declare; pydantic's errors name key, value and rule."""
    if isinstance(values, AnyNetworkSettings):
        return values
    kind = kind_of_network(values)
    if not isinstance(kind, str) or kind not in NETWORK_KINDS:
        words = "no such network; {near}"
        unknown = PydanticCustomError("unknown_network", words, {"near": nearest(kind, NETWORK_KINDS)})
        where = InitErrorDetails(type=unknown, loc=("kind",), input=kind)
        raise ValidationError.from_exception_data("network", [where])
    return NETWORK_KINDS[kind].model_validate(values)


def nearest(name: object, known: Iterable[str]) -> str:
    """Return words on what is known, for a name that is not; the one that looks most like it first."""
    names = list(known)
    close = difflib.get_close_matches(str(name), names, 1)
    return "".join(f"did you mean {match!r}? " for match in close) + f"known here: {', '.join(names)}"


Network = Annotated[SerializeAsAny[AnyNetworkSettings], PlainValidator(parse_network)]
"""Settings of any network of the table."""


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
        """Return the rule as a person reads it."""
        if self.method == "standardise":
            return "each image minus its mean, divided by its standard deviation"
        if self.method == "integer-range":
            return "the range of the pixels' type becomes 0 to 1"
        ends = [", ".join(f"{value:g}" for value in end) for end in (self.low, self.high)]
        what = "percentiles {} and {} of each image" if self.method == "image-percentiles" else "{} and {}"
        return what.format(*ends) + " become 0 and 1"


class LabelSettings(Frozen):
    """What the label images hold; never guessed."""

    kind: Literal["instances", "membrane", "classes"] = "instances"
    """``instances``: 0 is background, every other value a cell. ``membrane``: 0 is membrane, any
    other value cell interior; cells are its 4-connected components. ``classes``: the values are
    classes, 0 to ``classes - 1``."""
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
    """The last layer's first weights are multiplied by this (open); 0: all pixels begin alike."""


class WeightMapSettings(Frozen):
    """The weight map, Eq. 2: w(x) = w_c(x) + w0 exp(-(d1 + d2)^2 / (2 sigma^2))."""

    w0: NotNegative = 10.0
    """Weight of the gaps between cells."""
    sigma: Positive = 5.0
    """Width of the gaps that matter, in pixels."""
    gaps: Literal["background", "everywhere"] = "background"
    """Where the second term lands (open): on background alone, as in the authors' later plugin, or inside
    cells too, where d1 is 0."""
    class_weights: Literal["balanced"] | tuple[NotNegative, ...] = "balanced"
    """w_c. ``balanced``: N / (C N_c) over the training set (the formula is open in the paper)."""


class SamplingSettings(Frozen):
    """Which tiles are shown (open in the paper)."""

    pages: Literal["area", "alike"] = "area"
    """How often a page is drawn: in proportion to its area, so that every pixel teaches alike, or all
    pages alike."""
    centres: Literal["annotated", "anywhere"] = "annotated"
    """Where a tile's centre may fall: on annotated pixels, or on every pixel."""
    mirrored: float = Field(0.0, ge=0, le=1)
    """Largest share of a tile's output that may lie outside the image, mirrored (before it is turned)."""


class AugmentationSettings(Frozen):
    """Random deformation of every training tile (section 3.1); ranges other than 10 px are open."""

    elastic_std: NotNegative = 10.0
    """Standard deviation of the displacement vectors, in pixels."""
    elastic_grid: int = Field(3, ge=2)
    """Displacement vectors along each axis of the coarse grid."""
    rotation: float = Field(180.0, ge=0, le=180)
    """Rotation by an angle drawn evenly from +-rotation, in degrees."""
    shift: bool = True
    """Draw the tile's position evenly over the image, rather than stay on its centre."""
    scale: float = Field(0.0, ge=0, le=1)
    """Distances on the tile are multiplied by exp(u), u even in +-scale (not in the paper)."""
    flip: bool = True
    """Mirror every other tile."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """Of the image between pixels (open)."""
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
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    """Paper: sgd."""
    learning_rate: Positive = 3e-3
    """Learning rate after the warm-up (open in the paper). While the momentum of sgd rises it is multiplied
    by (1 - momentum then) / (1 - momentum), so that a step carries as far."""
    warmup: int = Field(100, ge=0)
    """Steps over which the rate rises linearly to its peak."""
    schedule: Literal["constant", "cosine", "linear", "polynomial"] = "cosine"
    """What follows the warm-up: to zero at the last step, or constant (open in the paper)."""
    power: Positive = 0.9
    """Exponent of ``polynomial``."""
    momentum: float = Field(0.99, ge=0, lt=1)
    """Of sgd; the paper's."""
    momentum_ramp: int = Field(400, ge=0)
    """Steps over which the momentum of sgd rises from 0.9 to its value, the rate over (1 - momentum) held
    constant; 0: none (open)."""
    nesterov: bool = False
    """Nesterov's momentum, for sgd."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    """Of adam and adamw: how slowly the means of the gradient and of its square change."""
    weight_decay: NotNegative = 0.0
    """Weight decay (open in the paper); of adamw decoupled from the gradient."""
    clip: NotNegative = 1.0
    """Largest norm of a step's gradient; a longer one is shortened to it. 0: none (open)."""
    average: float = Field(0.0, ge=0, lt=1)
    """The model is the exponential moving average of the weights with this decay a step; 0: none."""
    loss: Literal["cross-entropy"] = "cross-entropy"
    """The paper's: pixel-wise softmax and weighted cross-entropy (Eq. 1)."""
    loss_divisor: Literal["pixels", "weights"] = "pixels"
    """The sum of Eq. 1 is divided by the annotated pixels, or by the sum of their weights (open)."""
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    """``bfloat16``: the network runs under autocast; head, weights and loss stay float32. ``auto``:
    whichever the machine computes faster, timed at the start."""

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
    """Where `pages` is absent: the share held out, taken from the end, as neighbours look alike."""
    interval: int = Field(500, ge=1)
    """Steps between two validations."""
    patience: int = Field(0, ge=0)
    """Validations without a better one after which the training ends; 0: it goes on to the last step."""
    attempts: int = Field(3, ge=1)
    """Seeds to begin with: where the first validation shows that nothing is learned, the training begins
    again with the next."""


class TrainingSettings(Frozen):
    """All that a training depends on beside its images."""

    seed: int = Field(0, ge=0)
    """From which every random draw follows."""
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


S = TypeVar("S", bound=Frozen)


SHIPPED = ("ronneberger2015", "quick", "gpu")
"""Names of the settings files that come with the package."""


def load_settings(
    path: str | Path | None = None, overrides: dict[str, Any] | None = None
) -> TrainingSettings:
    """Read training settings from a TOML file.

    Parameters
    ----------
    path : str, Path or None
        The file, or the bare name of one shipped with the package: ``ronneberger2015`` (the same as
        None), ``quick`` or ``gpu``. A file of that name in the current folder wins. Of the settings of an
        experiment under ``pipelines/`` the table ``training`` is taken.
    overrides : dict, optional
        Values that win over the file's, in the same nesting: ``{"labels": {"kind": "membrane"}}``.

    Returns
    -------
    TrainingSettings
        Frozen; `unet2015.train` takes them as `settings`.

    Raises
    ------
    SettingsError
        The file cannot be read, is not TOML, or has a key or value that is not allowed; or no shipped
        settings have the name.
    """
    short = SHIPPED[0] if path is None else str(path).removesuffix(".toml")
    if path is None or (short in SHIPPED and not Path(path).is_file()):
        name = f"{short}.toml"
        values = read_toml(files("unet2015.settings") / name, name)
    elif Path(path).name == str(path) and short == Path(path).stem and not Path(path).exists():
        raise SettingsError(
            f"{path}: there is no settings file of this name, and none is shipped; {nearest(short, SHIPPED)}"
        )
    else:
        name = str(path)
        values = _training_part(read_toml(Path(path), name))
    given = _without_empty(overrides or {})
    if given:
        name += " and the options given"
    return parse_settings(TrainingSettings, _overridden(values, given), name)


def _without_empty(overrides: dict[str, Any]) -> dict[str, Any]:
    """Leave out sections that change nothing: they must neither be blamed nor replace a wrong value."""
    pruned = {
        key: _without_empty(value) if isinstance(value, dict) else value for key, value in overrides.items()
    }
    return {key: value for key, value in pruned.items() if value != {}}


def _training_part(values: dict[str, Any]) -> dict[str, Any]:
    """Return the training settings among those of an experiment, and others as they are."""
    part = values.get("training")
    return part if isinstance(part, dict) and not values.keys() & TrainingSettings.model_fields else values


def read_toml(path: Path | Traversable, name: str) -> dict[str, Any]:
    """Return the values of a TOML file; a `SettingsError` names `name`."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{name}: cannot read the settings: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}: not a TOML file: {error}") from error


def parse_settings(kind: type[S], values: dict[str, Any], name: str) -> S:
    """Return `values` as settings of one kind; a `SettingsError` names `name`, key, value and rule."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems = "; ".join(_problem(kind, values, detail) for detail in details)
        raise SettingsError(f"{name}: {problems}") from error


def merged(values: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Return nested settings in which `overrides` win."""
    both = dict(values)
    for key, value in overrides.items():
        below = both.get(key)
        both[key] = merged(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return both


def _overridden(values: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Return settings in which `overrides` win; another network takes nothing from the one before."""
    before, after = values.get("network", {}), overrides.get("network")
    if isinstance(after, dict) and "kind" in after and kind_of_network(after) != kind_of_network(before):
        values = values | {"network": {}}
    return merged(values, overrides)


def _problem(kind: type[Frozen], values: Any, detail: Any) -> str:
    place = ".".join(str(part) for part in detail["loc"])
    if detail["type"] != "extra_forbidden":
        words = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "literal_error":
            words += _closest(detail["input"], re.findall("'([^']*)'", detail["ctx"]["expected"]))
        return f"{place} = {detail['input']!r}: {words}" if place else str(words)
    known: Any = kind
    for part in detail["loc"][:-1]:
        known, values = known.model_fields[part].annotation, values[part]
        if known is AnyNetworkSettings:
            known = NETWORK_KINDS[kind_of_network(values)]
    names = list(known.model_fields)
    return f"{place}: no such setting; known here: {', '.join(names)}{_closest(detail['loc'][-1], names)}"


def _closest(name: object, known: Iterable[str]) -> str:
    """Return words on what was probably meant; none where nothing known looks like it."""
    return "".join(f"; did you mean {match!r}?" for match in difflib.get_close_matches(str(name), known, 1))
