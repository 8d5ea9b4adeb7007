"""Deformed tiles: exact where nothing moves, SciPy's numbers where something does, never misaligned."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage, stats

from unet2015.settings import AugmentationSettings
from unet2015.tiling.plan import mirror
from unet2015.training.augment import Sample, augment
from unet2015.training.draw import Draw, draw
from unet2015.training.losses import total_weight, weighted_cross_entropy
from unet2015.training.tile_source import TileSource, mirrored, sample_coordinates
from unet2015.training.warp import (
    blurred,
    cubic_weights,
    narrow_product,
    spline_basis,
    warp,
    warp_nearest,
)

DEFAULT = AugmentationSettings()
NOTHING = AugmentationSettings(elastic_std=0, rotation=0, shift=False, flip=False, gray_scale=0, gray_shift=0)
SPATIAL = AugmentationSettings(gray_scale=0, gray_shift=0)
Planes = tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32]]


def still(y: int, x: int) -> Draw:
    """The draw that only places the tile."""
    return Draw(
        centre=(y, x), angle=0.0, flip=False, vectors=np.zeros((2, 3, 3)), gray_scale=0.0, gray_shift=0.0
    )


def planes(height: int, width: int, channels: int = 1, seed: int = 0) -> Planes:
    """An image, classes (a tenth not annotated) and weights (0 there) of random pixels."""
    random = np.random.default_rng((seed, height, width))
    classes = random.integers(0, 3, (height, width), dtype=np.uint8)
    classes[random.random((height, width)) < 0.1] = 255
    weights = random.random((height, width), dtype=np.float32) + 1
    weights[classes == 255] = 0
    return random.random((channels, height, width), dtype=np.float32), classes, weights


def deform(given_planes: Planes, drawn: Draw, tile: int, output: int, deviation: Any = 1.0) -> Sample:
    """Cut the source and augment it: the way of the training loop."""
    source = TileSource.of(drawn, tile, *given_planes[1].shape)
    image, classes, weights = (torch.from_numpy(source.cut(plane).copy()) for plane in given_planes)
    return augment(image, classes, weights, source, output, deviation=deviation)


def absolute(drawn: Draw, tile: int) -> NDArray[np.float64]:
    """Image coordinates (2, tile, tile) in float64, written down from the definition.

    Tile pixel `tile // 2` lies on `centre`; mirror, turn and scale about the middle of the tile, displace.
    """
    middle = (tile - 1) / 2
    y, x = np.mgrid[:tile, :tile] - middle
    x = -x if drawn.flip else x
    angle = np.deg2rad(drawn.angle)
    points = np.linspace(0, drawn.vectors.shape[-1] - 1, tile)
    moved = [
        ndimage.map_coordinates(v, np.meshgrid(points, points, indexing="ij"), order=3, mode="mirror")
        for v in drawn.vectors
    ]
    turned = [np.cos(angle) * y - np.sin(angle) * x, np.sin(angle) * y + np.cos(angle) * x]
    turned = [drawn.scale * axis for axis in turned]
    return np.stack(
        [c + middle - tile // 2 + t + m for c, t, m in zip(drawn.centre, turned, moved, strict=True)]
    )


# Drawing


def test_seed_and_step_alone_decide() -> None:
    def numbers(seed: int, step: int) -> tuple[object, ...]:
        d = draw(DEFAULT, seed, step, 512, 700)
        return (d.centre, d.angle, d.flip, d.vectors.tobytes(), d.gray_scale, d.gray_shift)

    first = {(seed, step): numbers(seed, step) for seed in (0, 1, 2**70) for step in (0, 1, 2, 10**9)}
    assert len(set(first.values())) == len(first)
    assert all(numbers(*key) == value for key, value in reversed(first.items()))


def test_neither_global_state_nor_the_order_of_calls_matters() -> None:
    alone = draw(DEFAULT, 3, 7, 100, 100)
    torch.manual_seed(1)
    for step in range(5):
        draw(DEFAULT, 3, step, 100, 100)
    again = draw(DEFAULT, 3, 7, 100, 100)
    assert (alone.centre, alone.angle) == (again.centre, again.angle)
    np.testing.assert_array_equal(alone.vectors, again.vectors)


def test_switching_one_kind_off_leaves_the_others_as_they_were() -> None:
    full, no_turn = (
        draw(settings, 5, 9, 300, 400) for settings in (DEFAULT, DEFAULT.model_copy(update={"rotation": 0}))
    )
    assert full.angle != 0
    assert no_turn.angle == 0
    assert full.centre == no_turn.centre
    assert full.gray_shift == no_turn.gray_shift
    np.testing.assert_array_equal(full.vectors, no_turn.vectors)


def test_displacement_vectors_are_gaussian_with_10_pixels() -> None:
    vectors = np.stack([draw(DEFAULT, 0, step, 9, 9).vectors for step in range(1000)])
    assert vectors.shape == (1000, 2, 3, 3)
    assert abs(vectors.mean()) < 4 * 10 / np.sqrt(vectors.size)
    assert abs(vectors.std() - 10) < 4 * 10 / np.sqrt(2 * vectors.size)
    assert stats.kstest(vectors.ravel() / 10, "norm").pvalue > 0.001
    correlation = np.corrcoef(vectors.reshape(1000, 18).T)
    assert np.abs(correlation - np.eye(18)).max() < 5 / np.sqrt(1000)


def test_other_numbers_are_even_over_their_ranges() -> None:
    settings = AugmentationSettings(rotation=30, gray_scale=0.2, gray_shift=0.05)
    draws = [draw(settings, 1, step, 3, 5) for step in range(1500)]
    places = np.zeros((3, 5))
    for d in draws:
        places[d.centre] += 1
    assert stats.chisquare(places.ravel()).pvalue > 0.001
    assert abs(np.mean([d.flip for d in draws]) - 0.5) < 4 * 0.5 / np.sqrt(1500)
    for name, limit in (("angle", 30), ("gray_scale", 0.2), ("gray_shift", 0.05)):
        values = np.array([getattr(d, name) for d in draws])
        assert stats.kstest(values, "uniform", args=(-limit, 2 * limit)).pvalue > 0.001


def test_without_shift_the_tile_stays_on_the_centre_of_the_image() -> None:
    assert draw(NOTHING, 0, 0, 572, 572).centre == (286, 286)
    assert TileSource.of(draw(NOTHING, 0, 0, 572, 572), 572, 572, 572).box == (0, 572, 0, 572)
    image, classes, weights = planes(20, 30)
    sample = deform((image, classes, weights), draw(NOTHING, 0, 4, 20, 30), 12, 4)
    np.testing.assert_array_equal(sample.image[0], image[:, 4:16, 9:21])
    np.testing.assert_array_equal(sample.classes[0], classes[8:12, 13:17])


# Displacement


def displacement(vectors: np.ndarray, size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Spread displacement vectors (2, n, n) over a tile (2, size, size) by bicubic interpolation."""
    basis = spline_basis(size, vectors.shape[-1])
    right = np.broadcast_to(basis.T, (2, *basis.T.shape))
    return narrow_product(basis @ vectors, right, "cpu", dtype)


@settings(deadline=None)
@given(size=st.integers(2, 60), grid=st.integers(2, 6), seed=st.integers(0, 99))
def test_displacement_is_scipys_bicubic(size: int, grid: int, seed: int) -> None:
    vectors = 10 * np.random.default_rng(seed).standard_normal((2, grid, grid))
    points = np.linspace(0, grid - 1, size)
    places = np.meshgrid(points, points, indexing="ij")
    expected = [ndimage.map_coordinates(v, places, order=3, mode="mirror") for v in vectors]
    np.testing.assert_allclose(displacement(vectors, size, dtype=torch.float64), expected, atol=1e-9)
    np.testing.assert_allclose(displacement(vectors, size), expected, atol=1e-5)


def test_displacement_of_the_papers_tile_is_scipys_zoom() -> None:
    vectors = draw(DEFAULT, 0, 1, 1, 1).vectors
    expected = [ndimage.zoom(v, 572 / 3, order=3, mode="mirror") for v in vectors]
    assert expected[0].shape == (572, 572)
    np.testing.assert_allclose(displacement(vectors, 572, dtype=torch.float64), expected, atol=1e-9)
    np.testing.assert_allclose(displacement(vectors, 572), expected, atol=1e-5)


def test_displacement_vectors_lie_on_the_corners_and_in_the_middle_of_the_tile() -> None:
    vectors = draw(DEFAULT, 0, 2, 1, 1).vectors
    field = displacement(vectors, 41, dtype=torch.float64)
    np.testing.assert_allclose(field[:, ::20, ::20], vectors, atol=1e-12)


def test_a_constant_displacement_is_a_shift() -> None:
    """Whole pixels along y and x, each in its own direction of the image."""
    image, classes, weights = planes(60, 60)
    moved = replace(still(30, 30), vectors=np.stack([np.full((3, 3), 4.0), np.full((3, 3), -7.0)]))
    sample = deform((image, classes, weights), moved, 20, 8)
    np.testing.assert_allclose(sample.image[0], image[:, 24:44, 13:33], atol=1e-5)
    np.testing.assert_array_equal(sample.classes[0], classes[30:38, 19:27])


def test_the_basis_is_shared_and_cannot_be_changed() -> None:
    assert spline_basis(20, 3) is spline_basis(20, 3)
    with pytest.raises(ValueError, match="read-only"):
        spline_basis(20, 3)[0, 0] = 1


# Nothing, flips and turns


@settings(deadline=None)
@given(
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    y=st.floats(0, 1, exclude_max=True),
    x=st.floats(0, 1, exclude_max=True),
    output=st.integers(1, 12),
    margin=st.integers(0, 8),
    channels=st.integers(1, 3),
)
def test_without_displacement_every_bit_stays(
    height: int, width: int, y: float, x: float, output: int, margin: int, channels: int
) -> None:
    """For images of any size: beyond the border they go on as NumPy's ``reflect``."""
    image, classes, weights = planes(height, width, channels)
    centre = (int(y * height), int(x * width))
    tile = output + 2 * margin
    sample = deform((image, classes, weights), still(*centre), tile, output)
    padding = [(tile, tile), (tile, tile)]
    wide = [np.pad(plane, padding, mode="reflect") for plane in (classes, weights)]
    image = np.pad(image, [(0, 0), *padding], mode="reflect")
    top, left = (c + tile - tile // 2 for c in centre)
    inner = (slice(top + margin, top + margin + output), slice(left + margin, left + margin + output))
    np.testing.assert_array_equal(sample.image[0], image[:, top : top + tile, left : left + tile])
    np.testing.assert_array_equal(sample.classes[0], wide[0][inner])
    np.testing.assert_array_equal(sample.weights[0], wide[1][inner])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2), (2, 3), (3, 1)])
def test_tiny_images_are_mirrored_over_and_over(height: int, width: int) -> None:
    image, classes, weights = planes(height, width)
    sample = deform((image, classes, weights), still(0, 0), 40, 20)
    wide = np.pad(image[0], 20, mode="reflect")
    np.testing.assert_array_equal(sample.image[0, 0], wide[:40, :40])


@pytest.mark.parametrize("tile", [20, 21])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("quarters", [-2, -1, 0, 1, 2])
def test_quarter_turns_and_flips_are_exact(tile: int, flip: bool, quarters: int) -> None:
    data = planes(64, 50, channels=2)
    output = tile - 8
    plain = deform(data, still(30, 21), tile, output)
    turned = deform(data, replace(still(30, 21), angle=90.0 * quarters, flip=flip), tile, output)
    for before, after in zip(plain, turned, strict=True):
        expected = np.rot90(before.numpy(), -quarters, axes=(-2, -1))
        np.testing.assert_array_equal(after, np.flip(expected, -1) if flip else expected)


# All together


@settings(deadline=None)
@given(
    seed=st.integers(0, 10**6),
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    tile=st.integers(2, 50),
    scale=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_coordinates_are_those_of_the_definition(
    seed: int, height: int, width: int, tile: int, scale: float
) -> None:
    drawn = draw(DEFAULT.model_copy(update={"scale": scale}), seed, 0, height, width)
    assert np.exp(-scale) <= drawn.scale <= np.exp(scale)
    centre = np.array(drawn.centre)[:, None, None]
    expected = absolute(drawn, tile)
    exact = sample_coordinates(drawn, tile, dtype=torch.float64)
    np.testing.assert_allclose(exact.numpy() + centre, expected, atol=1e-9)
    single = sample_coordinates(drawn, tile)
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.double().numpy() + centre, expected, atol=5e-5)


@settings(deadline=None)
@given(
    seed=st.integers(0, 10**6),
    height=st.integers(2, 90),
    width=st.integers(2, 90),
    output=st.integers(1, 30),
    margin=st.integers(0, 10),
    scale=st.sampled_from([0.0, 0.5]),
)
def test_tile_equals_scipys(
    seed: int, height: int, width: int, output: int, margin: int, scale: float
) -> None:
    """Bilinear image and weights, nearest classes, at the same places."""
    image, classes, weights = planes(height, width, 2)
    drawn = draw(SPATIAL.model_copy(update={"scale": scale}), seed, 0, height, width)
    tile = output + 2 * margin
    sample = deform((image, classes, weights), drawn, tile, output)
    assert [part.dtype for part in sample] == [torch.float32, torch.int64, torch.float32]
    assert sample.image.shape == (1, 2, tile, tile)
    assert sample.classes.shape == sample.weights.shape == (1, output, output)
    at = absolute(drawn, tile)
    inner = at[:, margin : margin + output, margin : margin + output]
    for channel in range(2):
        expected = ndimage.map_coordinates(image[channel].astype(float), at, order=1, mode="mirror")
        np.testing.assert_allclose(sample.image[0, channel], expected, atol=2e-4)
    # Where rounding decides between two pixels, either is right.
    clear = np.all(np.abs(inner % 1 - 0.5) > 1e-4, axis=0)
    expected_classes = ndimage.map_coordinates(classes, inner, order=0, mode="mirror")
    np.testing.assert_array_equal(sample.classes[0].numpy()[clear], expected_classes[clear])
    expected = ndimage.map_coordinates(weights.astype(float), inner, order=1, mode="mirror")
    expected[expected_classes == 255] = 0
    np.testing.assert_allclose(sample.weights[0].numpy()[clear], expected[clear], atol=1e-3)


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), height=st.integers(1, 300), width=st.integers(1, 300))
def test_the_box_gives_the_same_bits_as_the_whole_image(seed: int, height: int, width: int) -> None:
    image, classes, weights = planes(height, width)
    drawn = draw(SPATIAL, seed, 0, height, width)
    sample = deform((image, classes, weights), drawn, 28, 12)
    beyond = 200
    origin = (drawn.centre[0] + beyond, drawn.centre[1] + beyond)
    at = sample_coordinates(drawn, 28)
    inner = at[:, 8:20, 8:20]
    around = [(beyond, beyond)] * 2
    whole = torch.from_numpy(np.pad(image, [(0, 0), *around], mode="reflect"))
    np.testing.assert_array_equal(sample.image[0], warp(whole, at, origin))
    labels = torch.from_numpy(np.pad(classes, around, mode="reflect"))
    np.testing.assert_array_equal(sample.classes[0], warp_nearest(labels, inner, origin))


@settings(deadline=None)
@given(
    seed=st.integers(0, 10**6),
    tile=st.integers(2, 60),
    elastic_std=st.sampled_from([0.0, 10.0]),
    grid=st.integers(2, 5),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
    scale=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_the_window_holds_every_sample_and_the_pixels_about_it(
    seed: int, tile: int, elastic_std: float, grid: int, interpolation: str, scale: float
) -> None:
    """Beyond it, interpolation would read the wrong row without a word."""
    rule = AugmentationSettings(
        elastic_std=elastic_std, elastic_grid=grid, interpolation=interpolation, scale=scale
    )
    drawn = draw(rule, seed, 0, 500, 500)
    beyond = 1 if interpolation == "bicubic" else 0
    source = TileSource.of(drawn, tile, 500, 500)
    first = sample_coordinates(drawn, tile).floor().long() + torch.tensor(source.origin)[:, None, None]
    assert first.min() >= beyond
    assert first[0].max() + 1 + beyond < len(source.rows)
    assert first[1].max() + 1 + beyond < len(source.columns)


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), height=st.integers(1, 400), width=st.integers(1, 400))
def test_the_box_lies_in_the_image_and_is_no_larger_than_the_tile_needs(
    seed: int, height: int, width: int
) -> None:
    drawn = draw(SPATIAL, seed, 0, height, width)
    y0, y1, x0, x1 = TileSource.of(drawn, 28, height, width).box
    assert 0 <= y0 < y1 <= height
    assert 0 <= x0 < x1 <= width
    # The turned tile, the largest displacement (of a spline, up to 1.6 vectors) and rounding.
    assert max(y1 - y0, x1 - x0) <= 28 * 2**0.5 + 2 * 1.6 * np.abs(drawn.vectors).max() + 5


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([0.0, 0.5]))
def test_labels_keep_their_values_and_stay_with_the_image(seed: int, scale: float) -> None:
    """Where four neighbours agree, the interpolated label image is the label itself."""
    blobs = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((80, 80)), 6)
    labels = np.where(blobs > 0.02, 1, np.where(blobs < -0.02, 2, 255)).astype(np.uint8)
    drawn = draw(SPATIAL.model_copy(update={"scale": scale}), seed, 1, 80, 80)
    sample = deform((labels[None].astype(np.float32), labels, labels.astype(np.float32)), drawn, 40, 24)
    assert set(np.unique(sample.classes)) <= {1, 2, 255}
    image = sample.image[0, 0, 8:-8, 8:-8]
    same = torch.isin(image, torch.tensor([1.0, 2.0, 255.0]))
    assert same.float().mean() > 0.5
    np.testing.assert_array_equal(image[same].long(), sample.classes[0][same])


@settings(deadline=None)
@given(seed=st.integers(0, 10**6))
def test_what_is_not_annotated_moves_along_and_weighs_nothing(seed: int) -> None:
    image, classes, weights = planes(70, 70)
    weights = weights + 1  # also where nothing is annotated
    sample = deform((image, classes, weights), draw(DEFAULT, seed, 2, 70, 70), 40, 24)
    ignored = sample.classes == 255
    assert 0 < ignored.float().mean() < 0.4
    assert (sample.weights[ignored] == 0).all()
    assert (sample.weights[~ignored] >= 1).all()


@pytest.mark.parametrize("step", range(4))
def test_a_scale_changes_nothing_but_the_size_and_none_changes_no_bit(step: int) -> None:
    plain, scaled = (draw(DEFAULT.model_copy(update={"scale": s}), 0, step, 90, 70) for s in (0.0, 0.4))
    assert plain.scale == 1
    assert scaled.scale != 1
    data = planes(90, 70)
    for one, other in zip(
        deform(data, plain, 40, 20), deform(data, replace(scaled, scale=1.0), 40, 20), strict=True
    ):
        assert torch.equal(one, other)
    # Of a scale alone, twice the way on the tile is once the way in the image.
    twice = sample_coordinates(replace(still(0, 0), scale=2.0), 9)
    assert torch.equal(twice[0, :, 0], torch.arange(-8.0, 9.0, 2))


@settings(deadline=None)
@given(
    seed=st.integers(0, 999),
    deviation=st.floats(0.2, 4),
    shape=st.tuples(st.integers(1, 2), st.integers(20, 40), st.integers(20, 40)),
)
def test_blurred_is_scipys_gaussian(seed: int, deviation: float, shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(seed).random(shape)
    radius = int(np.ceil(4 * deviation))
    found = blurred(torch.from_numpy(image), deviation, radius)
    expected = ndimage.gaussian_filter(image, deviation, axes=(1, 2), radius=radius, mode="nearest")
    np.testing.assert_allclose(found, expected, atol=1e-10)
    known = blurred(torch.from_numpy(image), torch.tensor(deviation, dtype=torch.float64), radius + 7)
    np.testing.assert_allclose(known, expected, atol=2e-4)  # what lies beyond 4 deviations


@pytest.mark.parametrize("deviation", [0.0, torch.tensor(0.0)])
@pytest.mark.parametrize("radius", [0, 6])
def test_a_blur_of_no_deviation_keeps_every_bit(deviation: Any, radius: int) -> None:
    image = torch.from_numpy(planes(30, 20, 2)[0])
    assert torch.equal(blurred(image, deviation, radius), image)


def test_gray_values_vary_about_the_mean_of_each_channel() -> None:
    data = planes(50, 50, channels=2)
    drawn = replace(draw(SPATIAL, 0, 3, 50, 50), gray_scale=-0.25, gray_shift=0.5)
    plain = deform(data, replace(drawn, gray_scale=0.0, gray_shift=0.0), 30, 14)
    varied = deform(data, drawn, 30, 14)
    mean = plain.image.mean(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(varied.image, (plain.image - mean) * 0.75 + mean + 0.5)
    assert torch.equal(varied.classes, plain.classes)
    assert torch.equal(varied.weights, plain.weights)


@pytest.mark.parametrize(
    "deviation",
    [[0.5, 3.0], (0.5, 3.0), np.array([0.5, 3.0]), torch.tensor([0.5, 3.0], dtype=torch.float64)],
    ids=["list", "tuple", "array", "tensor"],
)
def test_the_gray_shift_is_in_deviations_of_each_channel(deviation: Any) -> None:
    data = planes(50, 50, channels=2)
    drawn = replace(draw(SPATIAL, 0, 3, 50, 50), gray_shift=-0.5)
    plain = deform(data, replace(drawn, gray_shift=0.0), 30, 14, deviation=deviation)
    shifted = deform(data, drawn, 30, 14, deviation=deviation)
    expected = plain.image - 0.5 * torch.tensor([0.5, 3.0])[:, None, None]
    torch.testing.assert_close(shifted.image, expected)
    assert shifted.image.dtype == torch.float32


def test_one_deviation_is_that_of_all_channels_and_1_the_default() -> None:
    data = planes(50, 50, channels=3)
    drawn = draw(DEFAULT, 0, 3, 50, 50)
    assert drawn.gray_shift != 0
    results = [
        deform(data, drawn, 30, 14, deviation=deviation).image
        for deviation in (0.25, np.float32(0.25), torch.tensor(0.25), [0.25] * 3)
    ]
    assert all(torch.equal(results[0], other) for other in results[1:])
    standard = deform(data, drawn, 30, 14).image
    assert torch.equal(standard, deform(data, drawn, 30, 14, deviation=[1, 1, 1]).image)
    torch.testing.assert_close(results[0], standard - 0.75 * drawn.gray_shift)


@given(factor=st.floats(0.01, 100), offset=st.floats(-100, 100), seed=st.integers(0, 1000))
def test_the_units_of_the_image_do_not_matter(factor: float, offset: float, seed: int) -> None:
    """Varied in other units with their deviation, it is the same picture."""
    image, classes, weights = planes(40, 40)
    drawn = draw(DEFAULT, seed, 0, 40, 40)
    one = deform((image, classes, weights), drawn, 24, 8, deviation=float(image.std())).image
    other = deform(
        ((image * factor + offset).astype(np.float32), classes, weights),
        drawn,
        24,
        8,
        deviation=float(image.std()) * factor,
    ).image
    torch.testing.assert_close((other - offset) / factor, one, atol=1e-4 + 1e-4 / factor, rtol=0)


def test_a_deviation_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="broadcast"):
        deform(planes(30, 30, 3), draw(DEFAULT, 0, 3, 30, 30), 12, 4, deviation=[1.0, 2.0])


# Bicubic


def keys(distance: float) -> float:
    """The kernel of cubic convolution for a = -1/2, as Keys prints it."""
    s = abs(distance)
    if s < 1:
        return 1.5 * s**3 - 2.5 * s**2 + 1
    return -0.5 * s**3 + 2.5 * s**2 - 4 * s + 2 if s < 2 else 0.0


def bicubic(image: NDArray[np.float32], y: float, x: float) -> float:
    """One sample, pixel by pixel; mirrored beyond the border."""
    rows, columns = (int(np.floor(c)) + np.arange(-1, 3) for c in (y, x))
    total = 0.0
    for row, column in itertools.product(rows, columns):
        pixel = image[mirror(row, row + 1, image.shape[0])[0], mirror(column, column + 1, image.shape[1])[0]]
        total += float(pixel) * keys(y - row) * keys(x - column)
    return total


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    tile=st.integers(1, 12),
    std=st.sampled_from([0, 1, 10]),
)
def test_a_bicubic_tile_is_cubic_convolution(seed: int, height: int, width: int, tile: int, std: int) -> None:
    """Labels stay nearest and weights bilinear, bit by bit, and so they stay together."""
    data = planes(height, width, 2)
    smooth = SPATIAL.model_copy(update={"interpolation": "bicubic", "elastic_std": std})
    drawn = draw(smooth, seed, 0, height, width)
    linear = draw(smooth.model_copy(update={"interpolation": "bilinear"}), seed, 0, height, width)
    output = max(tile - 4, tile % 2) or 2
    sample, other = deform(data, drawn, tile, output), deform(data, linear, tile, output)
    assert torch.equal(sample.classes, other.classes)
    assert torch.equal(sample.weights, other.weights)
    at = absolute(drawn, tile)
    for channel, image in enumerate(data[0]):
        expected = [bicubic(image, *at[:, y, x]) for y, x in np.ndindex(tile, tile)]
        found = sample.image[0, channel].numpy().ravel()
        np.testing.assert_allclose(found, expected, atol=5e-4)


@given(
    seed=st.integers(0, 10**6),
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    tile=st.integers(2, 40),
    quarters=st.integers(-2, 2),
    flip=st.booleans(),
)
def test_a_bicubic_tile_that_is_not_deformed_has_the_bits_of_the_image(
    seed: int, height: int, width: int, tile: int, quarters: int, flip: bool
) -> None:
    """Whole pixels are exact, turned by quarters and mirrored too."""
    data = planes(height, width, 2, seed)
    linear = replace(still(seed % height, seed % width), angle=90.0 * quarters, flip=flip)
    cubic = replace(linear, interpolation="bicubic")
    one, other = (deform(data, drawn, tile, tile % 2 or 2) for drawn in (linear, cubic))
    np.testing.assert_array_equal(one.image, other.image)


def test_bicubic_keeps_more_of_the_fine_texture_than_bilinear() -> None:
    data = planes(120, 120)
    cubic = SPATIAL.model_copy(update={"interpolation": "bicubic"})
    one, other = (deform(data, draw(rule, 0, 1, 120, 120), 60, 20).image for rule in (SPATIAL, cubic))
    assert one.std() < other.std() < data[0].std()


@given(seed=st.integers(0, 10**6), degree=st.sampled_from([0, 1, 2]))
def test_bicubic_is_exact_for_quadratics(seed: int, degree: int) -> None:
    random = np.random.default_rng(seed)
    factors = random.standard_normal((degree + 1, degree + 1))

    def course(y: Any, x: Any) -> Any:
        return sum(factors[i, j] * y**i * x**j for i in range(degree + 1) for j in range(degree + 1))

    y, x = np.mgrid[:9, :11].astype(float)
    at = random.uniform(1, 6, (2, 4, 5))
    found = warp(torch.from_numpy(course(y, x))[None], torch.from_numpy(at), interpolation="bicubic")
    np.testing.assert_allclose(found[0], course(*at), atol=1e-9, rtol=1e-9)


def test_cubic_weights_are_the_kernel_and_exact_at_whole_pixels() -> None:
    way = torch.linspace(0, 1, 21, dtype=torch.float64)
    expected = [[keys(float(t) - pixel) for t in way] for pixel in (-1, 0, 1, 2)]
    np.testing.assert_allclose(torch.stack(cubic_weights(way)), expected, atol=1e-15)
    assert [float(weight[0]) for weight in cubic_weights(way)] == [0, 1, 0, 0]


# The fast ways against the plain ones


@settings(deadline=None)
@given(
    seed=st.integers(0, 10**6),
    channels=st.integers(1, 3),
    height=st.integers(2, 40),
    width=st.integers(2, 40),
    whole=st.booleans(),
)
def test_pixels_taken_by_flat_indices_are_those_of_rows_and_columns(
    seed: int, channels: int, height: int, width: int, whole: bool
) -> None:
    """To the last bit, also on whole and half pixels, and whatever the origin."""
    random = torch.Generator().manual_seed(seed)
    image = torch.rand((channels, height, width), generator=random)
    origin = (seed % 7 - 3, seed % 5 - 2)
    at = (
        torch.rand((2, 6, 9), generator=random) * torch.tensor([height - 1.001, width - 1.001])[:, None, None]
    )
    at = ((at * 2).floor() / 2 if whole else at) - torch.tensor(origin)[:, None, None]
    row, column = (at.floor().long() + torch.tensor(origin)[:, None, None]).unbind()
    y, x = at - at.floor()
    above = torch.lerp(image[:, row, column], image[:, row, column + 1], x)
    below = torch.lerp(image[:, row + 1, column], image[:, row + 1, column + 1], x)
    assert torch.equal(warp(image, at, origin), torch.lerp(above, below, y))
    row, column = (at + 0.5).floor().long() + torch.tensor(origin)[:, None, None]
    labels = (image[0] * 255).to(torch.uint8)
    assert torch.equal(warp_nearest(labels, at, origin), labels[row, column])


@settings(deadline=None)
@given(
    seed=st.integers(0, 10**6),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    tile=st.integers(1, 40),
    std=st.sampled_from([0, 1, 10]),
)
def test_a_window_put_together_is_the_window_taken_pixel_by_pixel(
    seed: int, height: int, width: int, tile: int, std: int
) -> None:
    drawn = draw(AugmentationSettings(elastic_std=std), seed, 0, height, width)
    source = TileSource.of(drawn, tile, height, width)
    for plane in planes(height, width, 2):
        box = source.cut(plane)
        expected = box[..., source.rows[:, None], source.columns]
        np.testing.assert_array_equal(mirrored(torch.from_numpy(box), source), expected)


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), tile=st.integers(2, 80), quarter=st.booleans())
def test_coordinates_by_one_product_are_those_added_term_by_term(seed: int, tile: int, quarter: bool) -> None:
    """In float64 up to its rounding; turns by quarters without displacement to the last bit."""
    drawn = draw(DEFAULT, seed, 0, 300, 300)
    if quarter:
        drawn = replace(drawn, angle=90.0 * (seed % 5 - 2), vectors=np.zeros((2, 3, 3)))
    angle = np.deg2rad(drawn.angle)
    cosine, sine = (round(float(part), 15) for part in (np.cos(angle), np.sin(angle)))
    middle = (tile - 1) / 2
    y, x = (torch.arange(tile, dtype=torch.float64) - middle for _ in range(2))
    y, x = y[:, None], (-x if drawn.flip else x)[None]
    turned = torch.stack([cosine * y - sine * x, sine * y + cosine * x]) + (middle - tile // 2)
    expected = turned + displacement(drawn.vectors, tile, dtype=torch.float64)
    if quarter:
        assert torch.equal(sample_coordinates(drawn, tile, dtype=torch.float64), expected)
        assert torch.equal(sample_coordinates(drawn, tile), expected.float())
    else:
        found = sample_coordinates(drawn, tile, dtype=torch.float64)
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
        largest = float(expected.abs().max())
        torch.testing.assert_close(
            sample_coordinates(drawn, tile).double(), expected, atol=4e-7 * max(largest, 1), rtol=0
        )


def test_same_draw_same_bytes() -> None:
    data = planes(90, 70)
    first, second = (deform(data, draw(DEFAULT, 4, 11, 90, 70), 60, 20) for _ in range(2))
    other = deform(data, draw(DEFAULT, 4, 12, 90, 70), 60, 20)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first.image, other.image)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_warp_by_hand(dtype: torch.dtype) -> None:
    image = torch.tensor([[[0, 10, 50], [100, 20, 60], [7, 8, 9]]], dtype=dtype)
    at = torch.tensor([[[0.0, 0.5, 0.25, 1.0]], [[0.5, 0.0, 0.5, 1.0]]], dtype=dtype)
    np.testing.assert_array_equal(warp(image, at)[0, 0], [5, 50, 0.75 * 5 + 0.25 * 60, 20])
    np.testing.assert_array_equal(warp(image, at - 5, (5, 5)), warp(image, at))
    np.testing.assert_array_equal(warp_nearest(image[0], at)[0], [10, 100, 10, 20])
    np.testing.assert_array_equal(warp_nearest(image[0], at - 5, (5, 5)), warp_nearest(image[0], at))


def test_a_plane_that_was_not_cut_is_noticed() -> None:
    image, classes, weights = map(torch.from_numpy, planes(90, 90))
    source = TileSource.of(still(40, 40), 20, 90, 90)
    with pytest.raises(AssertionError, match="not the box"):
        augment(source.cut(image), classes, source.cut(weights), source, 10)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("deviation", [1.0, [0.5, 2.0]])
def test_no_number_of_a_device_is_waited_for(interpolation: str, deviation: Any) -> None:
    """On a device without numbers, any that the host asked for would be an error."""
    rule = DEFAULT.model_copy(update={"interpolation": interpolation})
    source = TileSource.of(draw(rule, 0, 0, 80, 70), 40, 80, 70)
    image, classes, weights = (
        torch.from_numpy(source.cut(plane).copy()).to("meta") for plane in planes(80, 70, 2)
    )
    sample = augment(image, classes, weights, source, 20, deviation=deviation)
    scores = torch.zeros((1, 3, 20, 20), device="meta")
    for divisor in ("pixels", "weights"):
        assert weighted_cross_entropy(scores, sample.classes, sample.weights, divisor).device.type == "meta"
    assert total_weight(sample.classes, sample.weights).device.type == "meta"


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_device_makes_the_same_tile() -> None:
    data = planes(300, 260, channels=2)
    for step in range(6):
        rule = DEFAULT.model_copy(update={"interpolation": ("bilinear", "bicubic")[step % 2]})
        source = TileSource.of(draw(rule, 0, step, 300, 260), 188, 300, 260)
        cut = [torch.from_numpy(source.cut(plane).copy()) for plane in data]
        host = augment(cut[0], cut[1], cut[2], source, 4)
        device = augment(cut[0].cuda(), cut[1].cuda(), cut[2].cuda(), source, 4)
        torch.testing.assert_close(device.image.cpu(), host.image, atol=3e-4, rtol=0)
        assert (device.classes.cpu() != host.classes).float().mean() < 0.1


def test_flips_along_x_y_and_both_come_equally_often_and_are_exact() -> None:
    square = planes(5, 5)
    image = square[0][0]
    versions = {
        (False, 0): image,
        (True, 0): image[:, ::-1],
        (True, 180): image[::-1],
        (False, 180): image[::-1, ::-1],
    }
    seen = dict.fromkeys(versions, 0)
    for step in range(400):
        drawn = draw(NOTHING.model_copy(update={"flips": 0.75}), 3, step, 5, 5)
        seen[drawn.flip, drawn.angle] += 1
        if step < 20:
            found = deform(square, drawn, 5, 5).image[0, 0].numpy()
            assert np.array_equal(found, versions[drawn.flip, drawn.angle])
    assert all(70 < count < 130 for count in seen.values())
    never = [
        draw(NOTHING.model_copy(update={"flips": 0.0, "flip": True}), 3, step, 5, 5) for step in range(50)
    ]
    assert not any(one.flip or one.angle for one in never)
