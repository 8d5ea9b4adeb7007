"""The type of the pixels decides the mapping integer-range: a type that nobody meant is refused."""

import numpy as np
import pytest
import tifffile

from unet2015 import segment
from unet2015.errors import ImageValueError
from unet2015.models.model_file import Model, read_model_file
from unet2015.settings import Mapping

WIDE = ["int32", "uint32", "int64", "uint64"]


@pytest.fixture
def scene():
    return np.random.default_rng(0).integers(0, 200, (30, 40)).astype(np.uint8)


@pytest.fixture
def of_type(make_model, tmp_path):
    """Return a function that makes a model that was trained on a type of pixels."""

    def make(dtype, method="integer-range"):
        model = read_model_file(make_model(tmp_path / "m.safetensors", method=method))
        return Model(model.network, model.info.model_copy(update={"dtype": dtype}))

    return make


@pytest.mark.parametrize(("dtype", "method"), [
    ("uint8", "integer-range"), ("uint16", "integer-range"), ("int16", "integer-range"),
    ("int32", "integer-range"), ("uint8", "standardise"),
    (None, "image-percentiles"), ("float32", "standardise"),
])  # fmt: skip
def test_a_list_is_the_array_of_the_type_of_the_training(of_type, scene, dtype, method):
    model = of_type(dtype, method)
    array = scene.astype(dtype if np.dtype(dtype).kind in "iu" else np.uint8)
    expected = segment(array, model, probabilities=True)
    assert np.ptp(segment(scene.tolist(), of_type("uint8"), probabilities=True)) > 0
    for same in (array.tolist(), [tuple(row) for row in array.tolist()], list(array)):
        np.testing.assert_array_equal(segment(same, model, probabilities=True), expected)


@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("trained", [None, "uint8"])
@pytest.mark.parametrize("given", ["array", "file", "list"])
def test_a_wide_type_is_refused_with_advice_that_works(of_type, tmp_path, scene, dtype, trained, given):
    model, image = of_type(trained), scene.astype(dtype)
    if given == "file":
        tifffile.imwrite(tmp_path / "a.tif", image)
        image = tmp_path / "a.tif"
    elif given == "list":
        image = (image + 300).tolist()  # no uint8
    with pytest.raises(ImageValueError, match=r"the same values, not scaled, (as|in .* such as) uint8"):
        segment(image, model)


@pytest.mark.parametrize(
    ("trained", "given", "said"),
    [
        *(("uint8", np.uint16, True), ("uint8", np.float32, True), ("uint16", np.uint8, True)),
        *(("uint8", np.uint8, False), (None, np.uint16, False)),
    ],
)
def test_fixed_intensities_of_another_type_are_said(
    make_model, tmp_path, scene, trained, given, said, caplog
):
    loaded = read_model_file(make_model(tmp_path / "m.safetensors"))
    mapping = Mapping(method="fixed", low=(3.0,), high=(190.0,))
    info = loaded.info.model_copy(update={"dtype": trained, "mapping": mapping})
    segment(scene.astype(given), Model(loaded.network, info))
    note = f"the model takes the intensities 3 to 190 of {trained} as they are, but these pixels are"
    assert (note in caplog.text) == said


def test_a_wide_type_is_taken_where_the_training_had_it(of_type, scene):
    image = scene.astype(np.int32) * 2**23
    assert np.ptp(segment(image, of_type("int32"), probabilities=True)) > 0
