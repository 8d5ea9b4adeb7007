"""Tiles deformed on the device are those of the loop, whatever is drawn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unet2015.settings import AugmentationSettings
from unet2015.training.augment import Sample, augment
from unet2015.training.deform import Deformer, DevicePages, draw_row, page_bytes, taken
from unet2015.training.draw import Draw, draw
from unet2015.training.tile_source import TileSource

CPU = torch.device("cpu")


def random_pages(count: int, channels: int, height: int, width: int) -> DevicePages:
    """Smooth images of deviation 1, classes of which some are not annotated, weights of 1 to 2."""
    random = np.random.default_rng((count, channels, height, width))
    y, x = np.mgrid[:height, :width].astype(np.float32) / 7
    phases = random.uniform(0, 6, (2, count, channels, 1, 1)).astype(np.float32)
    images = np.sin(y + phases[0]) + np.cos(x + phases[1])
    classes = random.integers(0, 2, (count, height, width), dtype=np.uint8)
    classes[random.random(classes.shape) < 0.1] = 255
    weights = random.random(classes.shape, dtype=np.float32) + 1
    weights[classes == 255] = 0
    return DevicePages(images, classes, weights)


def expected(pages: DevicePages, page: int, drawn: Draw, tile: int, output: int, **more) -> Sample:
    source = TileSource.of(drawn, tile, *pages.classes.shape[1:])
    planes = pages.images[page], pages.classes[page], pages.weights[page]
    image, classes, weights = (torch.from_numpy(source.cut(plane).copy()) for plane in planes)
    return augment(image, classes, weights, source, output, **more)


def deformer(pages: DevicePages, tile: int, output: int, rule: AugmentationSettings) -> Deformer:
    count, channels, *size = pages.images.shape
    made = Deformer([tuple(size)] * count, channels, tile, output, rule, CPU)
    made.load(pages)
    return made


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 90), st.integers(1, 90)),
    output=st.integers(1, 30),
    margin=st.integers(0, 20),
    grid=st.integers(2, 4),
    scale=st.sampled_from([0.0, 0.5]),
    blur=st.sampled_from([0.0, 2.0]),
)
def test_a_tile_is_that_of_the_loop(seed, interpolation, shape, output, margin, grid, scale, blur):
    rule = AugmentationSettings(interpolation=interpolation, elastic_grid=grid, scale=scale, blur=blur)
    pages, tile = random_pages(*shape), output + 2 * margin
    page = seed % shape[0]
    drawn = draw(rule, seed, 0, *shape[2:])
    sample = expected(pages, page, drawn, tile, output)
    image, classes, weights = deformer(pages, tile, output, rule)(torch.from_numpy(draw_row(drawn, page)))
    torch.testing.assert_close(image, sample.image[0], atol=2e-4, rtol=0)
    assert classes.dtype == torch.int64
    same = classes == sample.classes[0]
    assert same.sum() >= same.numel() - 1  # but for a pixel that lies on the border of two
    torch.testing.assert_close(weights[same], sample.weights[0][same], atol=2e-4, rtol=0)
    assert not weights[classes == 255].any()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_each_page_has_a_size_and_a_deviation_of_its_own(interpolation):
    rule = AugmentationSettings(interpolation=interpolation, gray_shift=2.0)
    sizes, tile, output = [(1, 1), (20, 31), (45, 7), (3, 90)], 26, 16
    sets = [random_pages(1, 2, *size) for size in sizes]
    made = Deformer(sizes, 2, tile, output, rule, CPU)
    for number, one in enumerate(sets):
        made.put(number, one.images[0], one.classes[0], one.weights[0], (0.5 + number, 3.0))
    assert made.images.nbytes + made.targets.nbytes == sum(page_bytes(*size, 2, rule) for size in sizes)
    for number, (one, size) in enumerate(zip(sets, sizes, strict=True)):
        drawn = draw(rule, 7, number, *size)
        deviation = np.array([0.5 + number, 3.0])
        sample = expected(one, 0, drawn, tile, output, deviation=deviation)
        image, classes, weights = made(torch.from_numpy(draw_row(drawn, number)))
        torch.testing.assert_close(image, sample.image[0], atol=2e-4, rtol=0)
        same = classes == sample.classes[0]
        assert same.sum() >= same.numel() - 1
        torch.testing.assert_close(weights[same], sample.weights[0][same], atol=2e-4, rtol=0)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("tile", [20, 21])
def test_whole_pixels_have_the_bits_of_the_page(interpolation, flip, tile):
    pages = random_pages(2, 2, 30, 41)
    rule = AugmentationSettings(interpolation=interpolation)
    made, output = deformer(pages, tile, tile - 10, rule), tile - 10
    for quarter in range(4):
        drawn = Draw((3, 40), 90.0 * quarter, flip, np.zeros((2, 3, 3)), 0.0, 0.0, interpolation)
        sample = expected(pages, 1, drawn, tile, output)
        found = made(torch.from_numpy(draw_row(drawn, 1)))
        for one, other in zip(found, sample, strict=True):
            assert torch.equal(one, other[0])


def test_fewer_pages_take_the_place_of_the_first_ones():
    rule = AugmentationSettings()
    three, one = random_pages(3, 1, 20, 20), random_pages(1, 1, 20, 20)
    made = deformer(three, 16, 8, rule)
    made.load(one)
    for pages, page in ((one, 0), (three, 2)):
        drawn = replace(draw(rule, 0, page, 20, 20), centre=(9, 9))
        image, *_ = made(torch.from_numpy(draw_row(drawn, page)))
        torch.testing.assert_close(image, expected(pages, page, drawn, 16, 8).image[0], atol=2e-4, rtol=0)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_no_number_of_the_device_is_asked_for(interpolation):
    """On a device without numbers, any that the host asked for would be an error."""
    rule = AugmentationSettings(blur=1.0, interpolation=interpolation)
    made = Deformer([(30, 30)] * 2, 1, 20, 10, rule, torch.device("meta"))
    row = draw_row(draw(rule, 0, 0, 30, 30), 1)
    image, classes, weights = made(torch.from_numpy(row).to("meta"))
    assert (image.shape, classes.shape, weights.shape) == ((1, 20, 20), (10, 10), (10, 10))


@pytest.mark.parametrize("near", [2, 4])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_rows_are_taken_with_all_their_bits(near, channels, dtype):
    """Also those of numbers that are none: of signalling ones, of both zeros, of subnormal ones."""
    random = torch.Generator().manual_seed(near)
    bits = torch.randint(-(2**31), 2**31, (channels, 40, near), dtype=torch.int32, generator=random)
    bits[:, :8] = torch.tensor([0x7F800001, -0x80000000, 1, -1])[:near]
    index = torch.randint(0, 40, (4, 5, 6), dtype=dtype, generator=random)
    index[0, 0] = torch.arange(6)
    found = taken(bits.view(torch.float32), index)
    assert found.dtype == torch.float32
    assert torch.equal(found.view(torch.int32), bits[:, index])
