"""The names of the channels that a graph takes, in their order, as far as the model knows them."""

from unet2015.file_names import on_one_line
from unet2015.models.model_file import ModelInfo

_LONGEST = 99


def channel_names(info: ModelInfo) -> list[str]:
    """Return a name for each channel of the images that a model takes; empty where none is known.

    Of images of which one channel alone was used, it is the name of that one.
    """
    names, one = info.training.get("channel_names"), info.training.get("channel")
    if isinstance(names, list) and len(names) == info.in_channels:
        found = [on_one_line(str(name))[:_LONGEST].strip() for name in names]
        if all(found):
            return found
    if one is None or info.in_channels != 1:
        return []
    number, _, name = on_one_line(str(one)).partition(":")
    return [(name or number)[:_LONGEST]] if not number.isdecimal() or name else [f"channel {number}"]


def unique_names(info: ModelInfo) -> list[str]:
    """Return a name for each channel, no two alike; ``channel0`` and so on where none is known."""
    names = channel_names(info)
    if len({*names}) < info.in_channels:
        return [f"channel{number}" for number in range(info.in_channels)]
    return names
