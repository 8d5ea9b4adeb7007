"""The loss: pixel-wise softmax and weighted cross-entropy (Eq. 1)."""

import torch
from torch import Tensor
from torch.nn import functional

from unet2015.training.labels import IGNORED


def weighted_cross_entropy(scores: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean of ``-log(softmax(scores)[class])`` over the annotated pixels.

    Eq. 1 of doi:10.1007/978-3-319-24574-4_28 (printed there without the minus), divided by the sum
    of the weights, so that the learning rate depends neither on the size of the tile nor on the
    scale of the weights.

    Parameters
    ----------
    scores : Tensor
        (N, K, h, w), before the softmax; half precision is raised to float32.
    classes : Tensor
        (N, h, w) int64, 0 to K - 1; 255 is not annotated.
    weights : Tensor
        (N, h, w), not negative (Eq. 2).

    Returns
    -------
    Tensor
        A scalar; 0, with zero gradient, where no annotated pixel has a weight.
    """
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    losses = functional.cross_entropy(scores, classes, ignore_index=IGNORED, reduction="none")
    weights = weights.masked_fill(classes == IGNORED, 0)
    total = weights.sum()
    return (weights * losses).sum() / (total + (total == 0))
