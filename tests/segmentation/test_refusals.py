"""A refusal names what helps: other axes only where they can, and nothing that changes intensities."""

import numpy as np
import pytest
import tifffile

from unet2015 import segment
from unet2015.errors import AxesError, ImageValueError, MemoryLimitError
from unet2015.images.array_image import ArrayImage
from unet2015.metrics.seg_folders import evaluate_seg
from unet2015.segmentation import refusals
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.refusals import cap_too_small
from unet2015.segmentation.segmenter import Segmenter
from unet2015.tiling.memory import PlanMemoryError


@pytest.mark.parametrize(
    ("shape", "axes", "channels", "helps"),
    [
        ((3, 40, 40), "ZYX", 3, "--axes CYX"),
        ((4, 3, 40, 40), "TZYX", 3, "--axes TCYX"),
        ((3, 40, 40), "CYX", 1, "--axes ZYX"),
        ((2, 3, 40, 40), "ZCYX", 1, "--axes ZTYX"),
        ((40, 40), "YX", 3, None),
        ((40, 40, 3), "YXC", 1, None),  # no axes make one channel of a colour image
        ((5, 40, 40), "ZYX", 3, None),
    ],
)
def test_axes_are_advised_where_they_help(make_model, tmp_path, shape, axes, channels, helps):
    path, image = make_model(tmp_path / "m.safetensors", channels), np.zeros(shape, np.uint8)
    with pytest.raises(ImageValueError, match=f"takes {channels} channel") as raised:
        segment(image, path, axes=axes)
    message = str(raised.value)
    assert ("--axes" in message) == (helps is not None)
    if helps:
        assert message.endswith(f"give {helps}")
        segment(image + np.arange(40, dtype=np.uint8), path, axes=helps.removeprefix("--axes "))


def test_another_type_is_not_to_be_converted(make_model, tmp_path):
    path = make_model(tmp_path / "m.safetensors", method="integer-range")
    model = Segmenter(path, SegmentOptions(device="cpu"))
    object.__setattr__(model, "info", model.info.model_copy(update={"dtype": "uint8"}))
    with pytest.raises(ImageValueError, match="take a model that was trained on uint16") as raised:
        model.check(ArrayImage(np.zeros((40, 40), np.uint16), "YX"))
    assert "convert it" not in str(raised.value)


def test_more_memory_is_advised_only_where_the_machine_has_it(monkeypatch):
    image, needed = ArrayImage(np.zeros((50, 50), np.uint8), "YX"), 600 * 2**20
    error = PlanMemoryError("too small", needed, "tiles of 44 x 44 px need 600 MiB")
    monkeypatch.setattr(refusals, "system_total", lambda: needed + 2**20)
    assert "give --max-memory 601M or more" in str(cap_too_small(image, 2**20, 2**29, error))
    message = str(cap_too_small(image, 2 * 2**20, 2**29, error))
    assert "split the image" in message
    assert "--max-memory" not in message


def test_a_batch_of_more_tiles_than_there_are_needs_no_more_memory(model, caplog):
    image = np.arange(2000, dtype=np.uint8).reshape(40, 50)
    expected = segment(image, model)
    np.testing.assert_array_equal(segment(image, model, batch=10**9), expected)
    assert caplog.text == ""


def test_a_batch_that_no_machine_can_hold_is_refused_with_what_helps(model, monkeypatch):
    monkeypatch.setattr("unet2015.segmentation.segmenter.default_cap", lambda device: 700 * 2**20)
    for module in ("segmenter", "refusals"):
        monkeypatch.setattr(f"unet2015.segmentation.{module}.system_total", lambda: 2**30)
    image = np.zeros((2000, 2000), np.uint8)
    with pytest.raises(MemoryLimitError, match=r"give a smaller --tile or --batch$"):
        segment(image, model, batch=10**9, tile=60, device="cpu")


@pytest.mark.parametrize("cap", [1, 2**20, 600 * 2**20])
def test_a_tiny_cap_is_told_what_a_plan_needs(model, cap):
    told = r"tiles of \d+ x \d+ px .* need \d+ MiB; give --max-memory"
    with pytest.raises(MemoryLimitError, match=told) as raised:
        segment(np.zeros((40, 50), np.uint8), model, max_memory=cap, device="cpu")
    needed = str(raised.value).split("--max-memory ")[1].split()[0]
    assert segment(np.zeros((40, 50), np.uint8), model, max_memory=needed, device="cpu").shape == (40, 50)


def test_seg_has_no_axes_to_advise(tmp_path):
    frame = np.ones((2, 2, 2, 30, 30), np.uint8)
    tifffile.imwrite(tmp_path / "man_seg000.tif", frame)
    tifffile.imwrite(tmp_path / "mask000.tif", frame)
    with pytest.raises(AxesError, match=r"man_seg000\.tif: expected one frame") as raised:
        evaluate_seg(tmp_path, tmp_path)
    assert "--axes" not in str(raised.value)
