"""The settings of a network: one class for each kind of network, found by its `kind`."""

from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import Field, PlainValidator, SerializeAsAny, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from unet2015.settings.frozen import Frozen
from unet2015.settings.names import nearest


class AnyNetworkSettings(Frozen):
    """Common to the settings of every network: the kind, whose default is the name in the table."""

    kind: str
    """Which network of the table :mod:`unet2015.networks`."""
    needs_unit_range: ClassVar[bool] = False
    """Whether it reads pixels from 0 to 1 only, so that no mapping by mean and deviation fits it."""


MOST_CHANNELS = 1 << 16
"""Most channels of the first level; more is a mistake."""
NETWORK_KINDS: dict[str, type[AnyNetworkSettings]] = {}
"""The settings of each kind of network: what :mod:`unet2015.networks` has, without loading it."""

N = TypeVar("N", bound=AnyNetworkSettings)


def network_kind(settings: type[N]) -> type[N]:
    """Register a class of settings under the default of its `kind`."""
    NETWORK_KINDS[settings.model_fields["kind"].default] = settings
    return settings


@network_kind
class NetworkSettings(AnyNetworkSettings):
    """The network of the paper (Fig. 1)."""

    kind: Literal["unet2015"] = "unet2015"
    """Which network of the table :mod:`unet2015.networks`. Default: the paper's."""

    width: int = Field(64, ge=1)
    """Channels of the first level; each level below has twice as many."""
    depth: int = Field(4, ge=0, le=8)
    """Number of poolings."""
    variant: Literal["paper", "release"] = "paper"
    """The release adds a ReLU after each up-convolution and keeps 128 channels in the last."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Rate of the drop-out at the end of the contracting path (open in the paper; release: 0.5)."""


class PaddingSettings(AnyNetworkSettings):
    """Common to networks that pad, and so keep the size of the image."""

    width: int = Field(64, ge=1, le=MOST_CHANNELS)
    """Channels of the first level; each level below has twice as many."""
    depth: int = Field(4, ge=1, le=8)
    """How often the sides are halved."""
    border: Literal["exact", "padded"] = "exact"
    """Scores that padding reaches: ``exact``: cropped in inference, so that tiled equals whole; ``padded``:
    kept, as the sources do, so that tiles of an image differ from the whole at their borders."""


@network_kind
class PaddedSettings(PaddingSettings):
    """A U-Net of equal input and output size, with batch normalisation and ReLU6."""

    kind: Literal["padded"] = "padded"
    """Which network of the table :mod:`unet2015.networks`."""


@network_kind
class VGG19Settings(PaddingSettings):
    """A U-Net whose encoder is VGG-19 (64, 128, 256, 512 and 512 channels), for RGB."""

    kind: Literal["vgg19"] = "vgg19"
    """Which network of the table :mod:`unet2015.networks`."""
    needs_unit_range: ClassVar[bool] = True
    depth: int = Field(4, ge=1, le=4)
    """How often the sides are halved. VGG-19 up to conv5_4: 4."""
    dropout: float = Field(0.25, ge=0, lt=1)
    """Rate of the drop-out of channels after each ReLU of the decoder (its place is open)."""
    gray: Literal["refuse", "repeat"] = "refuse"
    """Images of one channel: refused, or shown as three equal channels."""


@network_kind
class BaseSettings(PaddingSettings):
    """The layers of ``vgg19`` without pretraining and without ImageNet's statistics."""

    kind: Literal["base"] = "base"
    """Which network of the table :mod:`unet2015.networks`."""
    depth: int = Field(4, ge=1, le=4)
    """How often the sides are halved."""
    dropout: float = Field(0.25, ge=0, lt=1)
    """Rate of the drop-out of channels after each ReLU of the decoder (its place is open)."""


@network_kind
class CompactSettings(PaddingSettings):
    """A small U-Net of equal input and output size, with batch normalisation and drop-out."""

    kind: Literal["compact"] = "compact"
    """Which network of the table :mod:`unet2015.networks`."""
    width: int = Field(16, ge=1, le=MOST_CHANNELS)
    """Channels of the first level; each level below has twice as many."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Rate of the drop-out at the end of each level (rate and place are open)."""


@network_kind
class NestedSettings(PaddingSettings):
    """U-Net++."""

    kind: Literal["nested"] = "nested"
    """Which network of the table :mod:`unet2015.networks`."""
    width: int = Field(32, ge=1, le=MOST_CHANNELS)
    """Channels of the first level; each level below has twice as many."""
    deep_supervision: bool = False
    """The loss sees the scores of each nested decoder; in inference they are averaged."""
    norm: Literal["batch", "instance"] = "batch"
    """Normalisation (open). ``instance`` takes mean and deviation of each tile: tiles then differ from the
    whole."""


@network_kind
class AttentionSettings(PaddingSettings):
    """Attention U-Net."""

    kind: Literal["attention"] = "attention"
    """Which network of the table :mod:`unet2015.networks`."""
    norm: Literal["batch", "instance"] = "batch"
    """Normalisation after the convolutions that merge skip and signal; ``instance`` as in MONAI, but then
    tiles differ from the whole."""


@network_kind
class VNetSettings(PaddingSettings):
    """V-Net in two dimensions."""

    kind: Literal["vnet"] = "vnet"
    """Which network of the table :mod:`unet2015.networks`."""
    width: int = Field(16, ge=1, le=MOST_CHANNELS)
    """Channels of the first level; each level below has twice as many."""
    depth: int = Field(4, ge=1, le=4)
    """How often the sides are halved."""


def kind_of_network(values: Any) -> Any:
    """Return the `kind` in the settings of a network. Default: the paper's."""
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


Network = Annotated[SerializeAsAny[AnyNetworkSettings], PlainValidator(parse_network)]
"""Settings of any network of the table."""
