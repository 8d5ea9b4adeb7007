"""Checks before the first step of a training: it fits into memory, and its tiles cover the pages."""

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from unet2015.device import process_memory
from unet2015.errors import MemoryLimitError
from unet2015.geometry import inference_tile, smallest_tile
from unet2015.networks import build, geometry, training_geometry
from unet2015.settings import TrainingSettings
from unet2015.tiling.plan import TilePlan
from unet2015.training.encoder import freeze
from unet2015.training.pages import TrainingSet
from unet2015.training.shapes import Shapes


def activation_bytes(settings: TrainingSettings, channels: int, tile: int) -> int:
    """Return the bytes of the activations that a step keeps of one tile for the backward pass, in float32.

    Nothing is computed: the network runs forward without data. It is a lower bound, because gradients,
    workspaces and libraries are not counted.
    """
    with torch.device("meta"):
        network = build(settings.network, channels, settings.labels.classes)
        freeze(network, settings.fine_tuning)  # keeps less
        image = torch.empty(1, channels, tile, tile)
    own = {parameter.untyped_storage()._cdata for parameter in network.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        key = tensor.untyped_storage()._cdata
        if key not in own:
            kept[key] = tensor  # several views of a map are kept once
        return tensor

    with Shapes(), saved_tensors_hooks(keep, lambda tensor: tensor):
        scores = network.train().training_scores(image)
    del scores
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def check_memory(settings: TrainingSettings, data: TrainingSet, device: torch.device) -> None:
    """Check that a step fits into the free memory, and that tiles can cover the pages of the validation.

    Raises
    ------
    MemoryLimitError
        A step surely needs more than is free; the message says what fits.
    GeometryError
        Pages are larger than a tile's output, and such tiles cannot cover them in phase.
    """
    rule, shape = settings.optimisation, training_geometry(settings.network)
    inference = geometry(settings.network)
    tile = inference_tile(inference, shape, rule.tile)
    for page in data.validation or data.training:
        height, width = page.classes.shape
        TilePlan(1, height, width, (tile, tile), 1, inference)
    free = process_memory(device)
    share = 1.0 if rule.precision == "float32" else 0.5
    one = activation_bytes(settings, data.channels, rule.tile) * share
    if one * rule.batch <= free:
        return
    if one <= free:
        advice = f"a batch of {max(1, int(0.7 * free / one))} may fit (--batch)"
    else:
        # What is kept grows with the area.
        wanted = int(rule.tile * (0.7 * free / one) ** 0.5)
        side = shape.nearest_legal(max(smallest_tile(inference, shape), wanted))[0]
        narrower = "a narrower network (--width)"
        smaller = f"a tile of {side} px may fit (--tile), or {narrower}"
        advice = smaller if side < rule.tile else f"no smaller tile covers the pages; take {narrower}"
    raise MemoryLimitError(
        f"a step with batch = {rule.batch} and tile = {rule.tile} needs {_gib(one * rule.batch)} of memory "
        f"at least, but {device} has {_gib(free)} free; {advice}"
    )


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
