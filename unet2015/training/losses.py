"""Losses by name; the paper's is the pixel-wise softmax and the weighted cross-entropy (Eq. 1).

A new one needs a line in `LOSSES`, and its name in :class:`unet2015.settings.OptimisationSettings`.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from unet2015.settings import OptimisationSettings
from unet2015.training.augment import Sample
from unet2015.training.labels import IGNORED

Rule = OptimisationSettings


def weighted_cross_entropy(
    scores: Tensor, classes: Tensor, weights: Tensor, divisor: Literal["pixels", "weights"] = "pixels"
) -> Tensor:
    """Return the sum of ``-w log(softmax(scores)[class])`` over the annotated pixels, divided.

    Eq. 1 of doi:10.1007/978-3-319-24574-4_28, which is printed without the minus and without a divisor. With
    a divisor, the learning rate does not depend on the size of the tile.

    Parameters
    ----------
    scores : Tensor
        (N, K, h, w), before the softmax; half precision is raised to float32.
    classes : Tensor
        (N, h, w) int64, 0 to K - 1; 255 is not annotated.
    weights : Tensor
        (N, h, w), not negative (Eq. 2).
    divisor : {"pixels", "weights"}
        ``pixels``: the number of annotated pixels, whatever their weights. A pixel then has the same
        influence in every tile, so balanced class weights do balance the classes over all tiles.
        ``weights``: the sum of the weights. Each tile then counts the same, with large or with small
        weights, and the scale of the weights does not matter.

    Returns
    -------
    Tensor
        A scalar; 0, with zero gradient, where no annotated pixel has a weight.
    """
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    losses = functional.cross_entropy(scores, classes, ignore_index=IGNORED, reduction="none")
    ignored = classes == IGNORED
    weights = weights.masked_fill(ignored, 0)
    total = (~ignored).sum() if divisor == "pixels" else weights.sum()
    return (weights * losses).sum() / (total + (total == 0))


def total_weight(classes: Tensor, weights: Tensor) -> Tensor:
    """Return the sum of the weights of the annotated pixels: a scalar on the device, 0 if they teach nothing.

    Copied to the host together with the loss, it costs no additional wait::

        value, weight = torch.stack([loss.detach(), total_weight(classes, weights)]).tolist()
    """
    return weights.masked_fill(classes == IGNORED, 0).sum()


LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor, Rule], Tensor]] = {
    "cross-entropy": lambda scores, classes, weights, rule: weighted_cross_entropy(
        scores, classes, weights, rule.loss_divisor
    ),
}
"""Scores (N, K, h, w), classes (N, h, w), weights (N, h, w) and rule to a scalar."""


def tile_losses(rule: OptimisationSettings, maps: Sequence[Tensor], sample: Sample) -> list[Tensor]:
    """Return the loss of each tile of a batch, so that each tile counts the same, whatever its weights.

    Of several maps of scores (N, classes, h, w) of a tile, it is the mean of the losses.
    """
    loss = LOSSES[rule.loss]
    tiles = [slice(k, k + 1) for k in range(len(sample.classes))]
    losses = [[loss(one[k], sample.classes[k], sample.weights[k], rule) for k in tiles] for one in maps]
    return losses[0] if len(losses) == 1 else [torch.stack(each).mean() for each in zip(*losses, strict=True)]
