"""Losses by name; the paper's is the pixel-wise softmax and the weighted cross-entropy (Eq. 1).

Pixels that are not annotated count nowhere, and all losses take the weights of Eq. 2. ``bce`` tells two
classes apart, the others any number. Half precision is raised to float32 before the first sum.

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
    return _divided(losses, classes == IGNORED, weights, divisor)


def total_weight(classes: Tensor, weights: Tensor) -> Tensor:
    """Return the sum of the weights of the annotated pixels: a scalar on the device, 0 if they teach nothing.

    Copied to the host together with the loss, it costs no additional wait::

        value, weight = torch.stack([loss.detach(), total_weight(classes, weights)]).tolist()
    """
    return weights.masked_fill(classes == IGNORED, 0).sum()


def binary_cross_entropy(
    scores: Tensor, classes: Tensor, weights: Tensor, divisor: Literal["pixels", "weights"] = "pixels"
) -> Tensor:
    """Return the binary cross-entropy of the logit ``scores[1] - scores[0]``, weighted and divided.

    A sigmoid of this difference is the softmax of both scores. So with two scores this is the number that
    `weighted_cross_entropy` gives; a network of one logit learns by the same formula.

    Parameters
    ----------
    scores : Tensor
        (N, 2, h, w), before the softmax; half precision is raised to float32.
    classes, weights, divisor
        As of `weighted_cross_entropy`.

    Returns
    -------
    Tensor
        A scalar; 0, with zero gradient, where no annotated pixel has a weight.
    """
    scores, ignored = _annotated(scores, classes)
    logits, truth = scores[:, 1] - scores[:, 0], (classes == 1).to(scores.dtype)
    losses = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return _divided(losses, ignored, weights, divisor)


def dice_loss(scores: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """Return 1 - the soft Dice score of V-Net, with squares in the divisor; mean over the classes from 1 on.

    For one class, with probabilities p, truth g and weights w:
    ``1 - (2 sum(w p g) + e) / (sum(w p^2) + sum(w g^2) + e)``, ``e`` = 1e-5. So a tile without the class
    costs nothing where its probability is 0 everywhere. All pixels of the call are one sum.

    Parameters
    ----------
    scores : Tensor
        (N, K, h, w), before the softmax, K from 2 on; half precision is raised to float32.
    classes : Tensor
        (N, h, w) int64, 0 to K - 1; 255 is not annotated and counts nowhere.
    weights : Tensor
        (N, h, w), not negative.

    Returns
    -------
    Tensor
        A scalar; 0, with zero gradient, where no annotated pixel has a weight.

    References
    ----------
    Milletari, Navab, Ahmadi 2016, doi:10.1109/3DV.2016.79, with one class. The mean over several classes,
    without the background, is that of MONAI's ``DiceLoss(softmax=True, squared_pred=True,
    include_background=False, batch=True)``.
    """
    scores, ignored = _annotated(scores, classes)
    weights = weights.masked_fill(ignored, 0)[:, None]
    found = scores.softmax(dim=1)[:, 1:]
    numbers = torch.arange(1, scores.shape[1], device=classes.device).view(1, -1, 1, 1)
    true = (classes[:, None] == numbers).to(found.dtype)
    both, squares = ((weights * value).sum(dim=(0, 2, 3)) for value in (found * true, found.square() + true))
    return (1 - (2 * both + _SMOOTH) / (squares + _SMOOTH)).mean()


def focal_loss(
    scores: Tensor,
    classes: Tensor,
    weights: Tensor,
    gamma: float = 2.0,
    divisor: Literal["pixels", "weights"] = "pixels",
) -> Tensor:
    """Return the sum of ``-w (1 - p)^gamma log(p)``, p the softmax of a pixel's own class, divided.

    Any number of classes. The paper's alpha is the weight w here: w_c of Eq. 2.

    Parameters
    ----------
    scores, classes, weights, divisor
        As of `weighted_cross_entropy`; with ``gamma = 0`` it is the same loss.
    gamma : float
        Not negative: how much less a pixel counts that is right already.

    Returns
    -------
    Tensor
        A scalar; 0, with zero gradient, where no annotated pixel has a weight.

    References
    ----------
    Lin et al. 2017, doi:10.1109/ICCV.2017.324; MONAI's ``FocalLoss(use_softmax=True)``.
    """
    scores, ignored = _annotated(scores, classes)
    losses = functional.cross_entropy(scores, classes, ignore_index=IGNORED, reduction="none")
    # 1 - p = -expm1(log p). Its power has no slope at 0 where gamma < 1, which torch gives as infinity.
    wrong = (-torch.expm1(-losses)).clamp_min(torch.finfo(losses.dtype).tiny)
    return _divided(wrong.pow(gamma) * losses, ignored, weights, divisor)


_SMOOTH = 1e-5


def _annotated(scores: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Return scores in at least float32, 0 where nothing is annotated, and where that is."""
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    ignored = classes == IGNORED
    return scores.masked_fill(ignored[:, None], 0), ignored


def _divided(losses: Tensor, ignored: Tensor, weights: Tensor, divisor: str) -> Tensor:
    weights = weights.masked_fill(ignored, 0)
    total = (~ignored).sum() if divisor == "pixels" else weights.sum()
    return (weights * losses).sum() / (total + (total == 0))


LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor, Rule], Tensor]] = {
    "cross-entropy": lambda scores, classes, weights, rule: weighted_cross_entropy(
        scores, classes, weights, rule.loss_divisor
    ),
    "bce": lambda scores, classes, weights, rule: binary_cross_entropy(
        scores, classes, weights, rule.loss_divisor
    ),
    "dice": lambda scores, classes, weights, rule: dice_loss(scores, classes, weights),
    "bce_dice": lambda scores, classes, weights, rule: (
        binary_cross_entropy(scores, classes, weights, rule.loss_divisor)
        + dice_loss(scores, classes, weights)
    ),
    "focal": lambda scores, classes, weights, rule: focal_loss(
        scores, classes, weights, rule.focal_gamma, rule.loss_divisor
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
