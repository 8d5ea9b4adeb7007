"""Frozen settings, read from TOML; a key that is not known is refused by name.

Defaults are the values of the paper; settings that the paper leaves open are marked. The shipped file
``ronneberger2015.toml`` lists all but those of fine-tuning; ``quick.toml`` and ``gpu.toml`` list what they
change.

The names below load when they are first used, so that the command line shows its help without pydantic.
"""

from typing import TYPE_CHECKING

from unet2015.lazy import lazy_names

if TYPE_CHECKING:
    from unet2015.settings.choices import Gaps, LabelKind, Precision, TrainingPrecision
    from unet2015.settings.frozen import Frozen
    from unet2015.settings.network import (
        NETWORK_KINDS,
        AnyNetworkSettings,
        Network,
        NetworkSettings,
        kind_of_network,
        network_kind,
    )
    from unet2015.settings.reading import parse_settings, read_toml
    from unet2015.settings.recipe import (
        AugmentationSettings,
        OptimisationSettings,
        PhaseSettings,
        ValidationSettings,
    )
    from unet2015.settings.sections import (
        FineTuningSettings,
        InitialisationSettings,
        LabelSettings,
        Mapping,
        MappingSettings,
        SamplingSettings,
        TrainingSettings,
        WeightMapSettings,
    )
    from unet2015.settings.shipped import PUBLISHED, SHIPPED, load_settings, merged

__all__ = [
    "NETWORK_KINDS",
    "PUBLISHED",
    "SHIPPED",
    "AnyNetworkSettings",
    "AugmentationSettings",
    "FineTuningSettings",
    "Frozen",
    "Gaps",
    "InitialisationSettings",
    "LabelKind",
    "LabelSettings",
    "Mapping",
    "MappingSettings",
    "Network",
    "NetworkSettings",
    "OptimisationSettings",
    "PhaseSettings",
    "Precision",
    "SamplingSettings",
    "TrainingPrecision",
    "TrainingSettings",
    "ValidationSettings",
    "WeightMapSettings",
    "kind_of_network",
    "load_settings",
    "merged",
    "network_kind",
    "parse_settings",
    "read_toml",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "choices": ["Gaps", "LabelKind", "Precision", "TrainingPrecision"],
        "frozen": ["Frozen"],
        "network": [
            "NETWORK_KINDS",
            "AnyNetworkSettings",
            "Network",
            "NetworkSettings",
            "kind_of_network",
            "network_kind",
        ],
        "reading": ["parse_settings", "read_toml"],
        "recipe": [
            "AugmentationSettings",
            "OptimisationSettings",
            "PhaseSettings",
            "ValidationSettings",
        ],
        "sections": [
            "FineTuningSettings",
            "InitialisationSettings",
            "LabelSettings",
            "Mapping",
            "MappingSettings",
            "SamplingSettings",
            "TrainingSettings",
            "WeightMapSettings",
        ],
        "shipped": ["PUBLISHED", "SHIPPED", "load_settings", "merged"],
    },
)
