"""The settings of a network: one class for each kind of network, found by its `kind`."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, PlainValidator, SerializeAsAny, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from unet2015.settings.frozen import Frozen
from unet2015.settings.names import nearest


class AnyNetworkSettings(Frozen):
    """Common to the settings of every network: the kind, whose default is the name in the table."""

    kind: str
    """Which network of the table :mod:`unet2015.networks`."""


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
