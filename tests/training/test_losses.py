"""The loss is Eq. 1, weighted, normalised, and blind to what is not annotated."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from unet2015.training.labels import IGNORED
from unet2015.training.losses import total_weight, weighted_cross_entropy

DIVISORS = ("pixels", "weights")


def example(
    seed: int, images: int = 2, channels: int = 3, height: int = 5, width: int = 7, ignored: float = 0.3
) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, classes (some not annotated) and weights in float64."""
    random = torch.Generator().manual_seed(seed)
    shape = (images, height, width)
    scores = 3 * torch.randn((images, channels, height, width), generator=random, dtype=torch.float64)
    classes = torch.randint(channels, shape, generator=random)
    classes[torch.rand(shape, generator=random) < ignored] = IGNORED
    weights = 10 * torch.rand(shape, generator=random, dtype=torch.float64)
    return scores, classes, weights


def by_hand(scores: Tensor, classes: Tensor, weights: Tensor, divisor: str) -> float:
    """Eq. 1, pixel by pixel."""
    loss = pixels = total = 0.0
    for n, y, x in np.ndindex(*classes.shape):
        label = int(classes[n, y, x])
        if label != 255:
            e = np.exp(scores[n, :, y, x].numpy())
            loss -= float(weights[n, y, x]) * float(np.log(e[label] / e.sum()))
            total += float(weights[n, y, x])
            pixels += 1
    return loss / (pixels if divisor == "pixels" else total)


@settings(deadline=None)
@given(
    seed=st.integers(0, 10**6),
    images=st.integers(1, 3),
    channels=st.integers(2, 4),
    divisor=st.sampled_from(DIVISORS),
)
def test_equals_the_formula(seed: int, images: int, channels: int, divisor: str) -> None:
    scores, classes, weights = example(seed, images, channels)
    expected = by_hand(scores, classes, weights, divisor)
    loss = weighted_cross_entropy(scores, classes, weights, divisor)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    single = weighted_cross_entropy(scores.float(), classes, weights.float(), divisor)
    assert single.dtype == torch.float32
    assert single.shape == ()
    assert single.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("divisor", DIVISORS)
def test_equals_torch_where_the_weights_are_one(divisor: str) -> None:
    scores, classes, weights = example(1)
    expected = functional.cross_entropy(scores, classes, ignore_index=255)
    loss = weighted_cross_entropy(scores, classes, torch.ones_like(weights), divisor)
    torch.testing.assert_close(loss, expected, rtol=1e-13, atol=0)


def test_annotated_pixels_without_weight_are_divided_by_too() -> None:
    scores, classes, weights = example(11)
    zero = (classes == 0) | (classes == IGNORED)
    losses = functional.cross_entropy(scores, classes, ignore_index=IGNORED, reduction="none")
    loss = (weights * losses)[~zero].sum()
    weights[classes == 0] = 0
    for divisor, total in (("pixels", (classes != IGNORED).sum()), ("weights", weights[~zero].sum())):
        torch.testing.assert_close(weighted_cross_entropy(scores, classes, weights, divisor), loss / total)


def test_divides_by_the_pixels_unless_told_otherwise() -> None:
    data = example(9)
    assert weighted_cross_entropy(*data) == weighted_cross_entropy(*data, "pixels")
    assert weighted_cross_entropy(*data) != weighted_cross_entropy(*data, "weights")


def test_equals_torch_where_the_weights_are_those_of_the_classes() -> None:
    scores, classes, _ = example(2, ignored=0)
    of_class = torch.tensor([0.5, 2.0, 7.0], dtype=torch.float64)
    expected = functional.cross_entropy(scores, classes, weight=of_class)
    torch.testing.assert_close(
        weighted_cross_entropy(scores, classes, of_class[classes], "weights"), expected, rtol=1e-13, atol=0
    )


def test_is_a_minimum_not_a_maximum() -> None:
    scores, classes, weights = example(3, channels=2, ignored=0)
    right = functional.one_hot(classes, 2).movedim(-1, 1).double() * 50
    for divisor, mean in (("pixels", weights.mean().item()), ("weights", 1)):
        values = [
            weighted_cross_entropy(s, classes, weights, divisor).item() for s in (right, -right, 0 * scores)
        ]
        assert values[0] < 1e-11
        assert values[1:] == pytest.approx([50 * mean, np.log(2) * mean])


@pytest.mark.parametrize("divisor", DIVISORS)
@pytest.mark.parametrize("weight", [1.0, float("inf"), float("nan")])
def test_pixels_that_are_not_annotated_have_exactly_no_gradient(weight: float, divisor: str) -> None:
    """Whatever the scores and the weights there."""
    scores, classes, weights = example(4)
    ignored = classes == IGNORED
    weights[ignored] = weight
    scores.requires_grad_()
    loss = weighted_cross_entropy(scores, classes, weights, divisor)
    (gradient,) = torch.autograd.grad(loss, scores)
    assert (gradient.movedim(1, -1)[ignored] == 0).all()
    assert (gradient.movedim(1, -1)[~ignored] != 0).all()
    other = torch.where(ignored[:, None], 100 * torch.randn_like(scores), scores)
    assert weighted_cross_entropy(other, classes, weights, divisor) == loss


@pytest.mark.parametrize("divisor", DIVISORS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("nothing", ["not annotated", "no weight", "no pixel"])
def test_no_annotated_pixel_gives_no_loss_and_no_gradient(
    nothing: str, dtype: torch.dtype, divisor: str
) -> None:
    scores, classes, weights = example(5)
    if nothing == "not annotated":
        classes = torch.full_like(classes, IGNORED)
    elif nothing == "no weight":
        weights = torch.zeros_like(weights)
    else:
        scores, classes, weights = scores[..., :0], classes[..., :0], weights[..., :0]
    scores = scores.to(dtype).requires_grad_()
    loss = weighted_cross_entropy(scores, classes, weights.float(), divisor)
    (gradient,) = torch.autograd.grad(loss, scores)
    assert loss.item() == 0
    assert (gradient == 0).all()
    assert total_weight(classes, weights.float()).item() == 0


@pytest.mark.parametrize("weight", [0.0, 1.0, float("inf"), float("nan")])
def test_the_total_weight_is_that_of_the_annotated_pixels(weight: float) -> None:
    """So 0 where nothing teaches, whatever stands where nothing is annotated."""
    _, classes, weights = example(10)
    ignored = classes == IGNORED
    expected = weights[~ignored].sum()
    weights[ignored] = weight
    torch.testing.assert_close(total_weight(classes, weights), expected)
    assert total_weight(torch.full_like(classes, IGNORED), weights) == 0


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.sampled_from([1e-6, 0.1, 3.0, 1e6]))
def test_the_scale_of_the_weights_matters_by_the_pixels_alone(seed: int, factor: float) -> None:
    scores, classes, weights = example(seed)
    for divisor, expected in (("pixels", factor), ("weights", 1)):
        torch.testing.assert_close(
            weighted_cross_entropy(scores, classes, factor * weights, divisor),
            expected * weighted_cross_entropy(scores, classes, weights, divisor),
            rtol=1e-12,
            atol=0,
        )


@pytest.mark.parametrize("divisor", DIVISORS)
def test_the_size_of_the_tile_does_not_matter(divisor: str) -> None:
    """A tile repeated 2 x 2 gives the same loss and moves the parameters as far."""
    _, classes, weights = example(6)
    image = torch.randn((2, 4, 5, 7), generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    convolve = nn.Conv2d(4, 3, 1, dtype=torch.float64)
    results = []
    for times in (1, 2):
        scores = convolve(image.repeat(1, 1, times, times))
        loss = weighted_cross_entropy(
            scores, classes.repeat(1, times, times), weights.repeat(1, times, times), divisor
        )
        results.append((loss, *torch.autograd.grad(loss, list(convolve.parameters()))))
    torch.testing.assert_close(results[0], results[1], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("autocast", [False, True])
def test_half_precision_is_raised_to_float32(autocast: bool) -> None:
    """As in training: the network under autocast, the loss outside or inside."""
    scores, classes, weights = example(7)
    scores = scores.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        loss = weighted_cross_entropy(scores, classes, weights.float())
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(by_hand(scores.double(), classes, weights, "pixels"), rel=1e-5)
    assert loss == weighted_cross_entropy(scores.float(), classes, weights.float())


@pytest.mark.parametrize("divisor", DIVISORS)
def test_the_gradient_is_that_of_the_formula(divisor: str) -> None:
    scores, classes, weights = example(8, height=2, width=3)
    scores.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: weighted_cross_entropy(s, classes, weights, divisor), [scores])
