"""The losses beside the paper's: their published formulas, weighted, and blind to what is not annotated."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from unet2015.errors import SettingsError
from unet2015.settings import OptimisationSettings, load_settings
from unet2015.training.labels import IGNORED
from unet2015.training.losses import (
    LOSSES,
    binary_cross_entropy,
    dice_loss,
    focal_loss,
    weighted_cross_entropy,
)

OTHERS = ("bce", "dice", "bce_dice", "focal")


def example(seed: int, classes: int = 2, ignored: float = 0.3) -> tuple[Tensor, Tensor, Tensor]:
    """Scores (2, K, 4, 5), classes, some not annotated, and weights; float64."""
    random = torch.Generator().manual_seed(seed)
    scores = 3 * torch.randn((2, classes, 4, 5), generator=random, dtype=torch.float64)
    truth = torch.randint(classes, (2, 4, 5), generator=random)
    truth[torch.rand((2, 4, 5), generator=random) < ignored] = IGNORED
    return scores, truth, 10 * torch.rand((2, 4, 5), generator=random, dtype=torch.float64)


def pixels(scores: Tensor, classes: Tensor, weights: Tensor):
    """Yield probabilities, class and weight of each annotated pixel."""
    for n, y, x in np.ndindex(*classes.shape):
        if (label := int(classes[n, y, x])) != IGNORED:
            e = np.exp(scores[n, :, y, x].numpy())
            yield e / e.sum(), label, float(weights[n, y, x])


def dice_by_hand(data) -> float:
    """Milletari et al. 2016, of each class from 1 on."""
    found = []
    for k in range(1, data[0].shape[1]):
        both = squares = 0.0
        for p, label, w in pixels(*data):
            g = float(label == k)
            both += w * p[k] * g
            squares += w * p[k] ** 2 + w * g**2
        found.append(1 - (2 * both + 1e-5) / (squares + 1e-5))
    return float(np.mean(found))


def focal_by_hand(data, gamma: float) -> float:
    """Lin et al. 2017, with the weight as alpha; the mean over the annotated pixels."""
    return float(np.mean([-w * (1 - p[k]) ** gamma * np.log(p[k]) for p, k, w in pixels(*data)]))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("classes", [2, 4])
def test_dice_and_focal_equal_the_formulas_pixel_by_pixel(seed, classes):
    data = example(seed, classes)
    assert dice_loss(*data).item() == pytest.approx(dice_by_hand(data), rel=1e-12)
    for gamma in (0.5, 2.0):
        assert focal_loss(*data, gamma).item() == pytest.approx(focal_by_hand(data, gamma), rel=1e-12)
    for divisor in ("pixels", "weights"):
        torch.testing.assert_close(
            focal_loss(*data, 0.0, divisor), weighted_cross_entropy(*data, divisor), rtol=1e-13, atol=0
        )


@pytest.mark.parametrize("divisor", ["pixels", "weights"])
def test_bce_is_torch_s_of_the_difference_and_so_eq_1_of_two_classes(divisor):
    scores, classes, weights = example(3)
    known = classes != IGNORED
    each = functional.binary_cross_entropy_with_logits(
        (scores[:, 1] - scores[:, 0])[known], (classes[known] == 1).double(), weights[known], reduction="sum"
    )
    expected = each / (known.sum() if divisor == "pixels" else weights[known].sum())
    found = binary_cross_entropy(scores, classes, weights, divisor)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=0)
    torch.testing.assert_close(
        found, weighted_cross_entropy(scores, classes, weights, divisor), rtol=1e-12, atol=0
    )


def rule(loss: str) -> OptimisationSettings:
    return OptimisationSettings(loss=loss)


def test_bce_dice_is_the_sum():
    data = example(4)
    parts = [LOSSES[name](*data, rule("bce_dice")) for name in ("bce", "dice")]
    assert LOSSES["bce_dice"](*data, rule("bce_dice")) == sum(parts)


@pytest.mark.parametrize("name", OTHERS)
def test_the_gradient_is_that_of_the_formula(name):
    scores, classes, weights = example(5)
    scores.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: LOSSES[name](s, classes, weights, rule(name)), [scores])


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("weight", [1.0, float("inf"), float("nan")])
def test_pixels_that_are_not_annotated_count_nowhere(name, weight):
    scores, classes, weights = example(6)
    ignored = classes == IGNORED
    weights[ignored] = weight
    scores.requires_grad_()
    loss = LOSSES[name](scores, classes, weights, rule(name))
    (gradient,) = torch.autograd.grad(loss, scores)
    assert (gradient.movedim(1, -1)[ignored] == 0).all()
    assert (gradient.movedim(1, -1)[~ignored] != 0).all()
    other = torch.where(ignored[:, None], torch.full_like(scores, torch.nan), scores)
    assert LOSSES[name](other, classes, weights, rule(name)) == loss


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("nothing", ["not annotated", "no weight"])
def test_nothing_to_learn_from_gives_no_loss_and_no_gradient(name, nothing):
    scores, classes, weights = example(7)
    if nothing == "not annotated":
        classes = torch.full_like(classes, IGNORED)
    scores.requires_grad_()
    loss = LOSSES[name](scores, classes, weights * (nothing == "not annotated"), rule(name))
    (gradient,) = torch.autograd.grad(loss, scores)
    assert loss.item() == 0
    assert (gradient == 0).all()


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("autocast", [False, True])
def test_half_precision_is_raised_to_float32_and_scores_of_any_size_stay_finite(name, autocast):
    scores, classes, weights = example(8)
    half, weights = scores.bfloat16(), weights.float()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        loss = LOSSES[name](half, classes, weights, rule(name))
    assert loss.dtype == torch.float32
    assert loss == LOSSES[name](half.float(), classes, weights, rule(name))
    sure = (200 * half).requires_grad_()
    LOSSES[name](sure, classes, weights, rule(name)).backward()
    assert sure.grad.isfinite().all()


def test_a_tile_without_the_class_costs_nothing_where_none_is_found():
    classes, weights = torch.zeros((1, 4, 4), dtype=torch.int64), torch.ones((1, 4, 4))
    sure = torch.tensor([20.0, -20.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    assert dice_loss(sure, classes, weights).item() == pytest.approx(0, abs=1e-6)
    assert dice_loss(-sure, classes, weights).item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("classes", "weights"), [(3, [1, 1]), (2, [1, 1, 1]), (3, [])])
def test_other_class_weights_than_classes_are_refused_when_settings_are_read(classes, weights):
    given = {"labels": {"kind": "classes", "classes": classes}, "weight_map": {"class_weights": weights}}
    with pytest.raises(SettingsError, match=f"class_weights has {len(weights)} numbers, but labels.classes"):
        load_settings(None, given)
    given["weight_map"]["class_weights"] = [1.0] * classes
    assert len(load_settings(None, given).weight_map.class_weights) == classes


def test_bce_is_refused_for_more_classes_than_two():
    more = {"labels": {"kind": "classes", "classes": 3}}
    for loss in ("bce", "bce_dice"):
        with pytest.raises(SettingsError, match=f'loss = "{loss}" tells two classes apart'):
            load_settings(None, more | {"optimisation": {"loss": loss}})
    for loss in ("dice", "focal"):
        assert load_settings(None, more | {"optimisation": {"loss": loss}}).optimisation.loss == loss
