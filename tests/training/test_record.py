"""What the record of a training says."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from unet2015.errors import ModelError
from unet2015.training.loop import train
from unet2015.training.record import _files, _other_training, _record


@pytest.mark.parametrize(("bits", "said"), [((8, 8), None), ((4, 8), [4, 8]), ((4, 4), [4])])
def test_bits_of_a_pixel_are_said_where_they_are_fewer_than_those_of_the_type(bits, said):
    images = [SimpleNamespace(bits=each, dtype=np.dtype(np.uint8)) for each in bits]
    data = SimpleNamespace(
        files=[],
        training=[],
        validation=[],
        held_out=[],
        class_weights=(),
        images=images,
        identity={"pairs": []},
        axes=None,
    )
    state = SimpleNamespace(
        settings={"optimisation": {}},
        seed=0,
        precision="",
        step=0,
        seconds=0.0,
        start={},
        processes=1,
        encoder={},
    )
    result = SimpleNamespace(as_dict=dict, learned=True)
    assert _record(data, state, result, "cpu").get("bits") == said


def test_each_file_has_its_own_digest_though_labels_have_the_names_of_images():
    pairs = [(Path(f"set/{day}/i/t0.tif"), Path(f"set/{day}/l/t0.tif")) for day in "ab"]
    data = SimpleNamespace(files=pairs, identity={"pairs": [["1", "2"], ["3", "4"]]})
    names = [str(Path(day, side, "t0.tif")) for day in "ab" for side in "il"]
    assert _files(data) == [
        {"image": names[0], "image_sha256": "1", "labels": names[1], "labels_sha256": "2"},
        {"image": names[2], "image_sha256": "3", "labels": names[3], "labels_sha256": "4"},
    ]
    data = SimpleNamespace(files=pairs[:1], identity={"pairs": [["1", "2"]]})
    (only,) = _files(data)
    assert only == {"image": "t0.tif", "image_sha256": "1", "labels": "t0.tif", "labels_sha256": "2"}


def test_the_model_of_another_training_is_not_taken_for_the_best_one(small_set, small_settings, tmp_path):
    for name, seed in (("run", 0), ("other", 9)):
        train(*small_set, tmp_path / name, settings=small_settings(seed=seed), device="cpu")
    model = tmp_path / "run" / "model.safetensors"
    foreign = (tmp_path / "other" / "model.safetensors").read_bytes()
    model.write_bytes(foreign)
    with pytest.raises(ModelError, match=r"model\.safetensors: .* trained with other settings; move it"):
        train(*small_set, tmp_path / "run", settings=small_settings(), device="cpu", resume=True)
    assert model.read_bytes() == foreign


def test_a_model_of_other_images_is_of_another_training():
    state = SimpleNamespace(settings={"seed": 0}, identity={"pairs": [["1", "2"]]}, best={"step": 8})
    files = [{"image": "a", "image_sha256": "1", "labels": "a", "labels_sha256": "2"}]
    assert _other_training({"settings": {"seed": 0}, "files": files}, state) == ""
    assert _other_training({"settings": {"seed": 0}, "files": []}, state) == "with other images or labels"
    assert _other_training({"settings": {"seed": 1}, "files": files}, state) == "with other settings"
    of_this = {"settings": {"seed": 0}, "files": files}
    assert _other_training(of_this | {"step": 4}, state) == "for 4 steps, and the best one for 8"
    for step in (8, 9):  # a kill may leave a newer model beside the last checkpoint
        assert _other_training(of_this | {"step": step}, state) == ""
