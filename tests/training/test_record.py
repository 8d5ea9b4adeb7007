"""What the record of a training says."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from unet2015.errors import ModelError
from unet2015.images.axes import UNCALIBRATED, Calibration
from unet2015.training.loop import train
from unet2015.training.record import _files, _height, _other_training, _record, _sides
from unet2015.training.state import State


def recorded(images):
    """Return the record of a training on such images."""
    data = SimpleNamespace(
        files=[],
        training=[],
        validation=[],
        held_out=[],
        held_out_seen=[],
        class_weights=(),
        images=images,
        identity={"pairs": []},
        axes=None,
        appearance={},
        digests=[],
        together=[],
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
    return _record(data, state, SimpleNamespace(as_dict=dict, learned=True), "cpu")


def image(bits=8, names=("DAPI", "GFP"), calibration=UNCALIBRATED):
    said = {"bits": bits, "significant_bits": None, "channel_names": names, "calibration": calibration}
    return SimpleNamespace(dtype=np.dtype(np.uint8), **said)


@pytest.mark.parametrize(("bits", "said"), [((8, 8), None), ((4, 8), [4, 8]), ((4, 4), [4])])
def test_bits_of_a_pixel_are_said_where_they_are_fewer_than_those_of_the_type(bits, said):
    images = [image(each) for each in bits]
    assert recorded(images).get("bits") == said
    assert recorded(images)["channel_names"] == ["DAPI", "GFP"]
    assert recorded([*images, image(names=())])["channel_names"] == ["DAPI", "GFP"], "as far as they say it"
    assert "channel_names" not in recorded([*images, image(names=("GFP", "DAPI"))])
    assert "channel_names" not in recorded([image(names=())])


@pytest.mark.parametrize(("height", "said"), [(0.5, None), (0.50001, None), (2.0, 2000.0)])
def test_the_height_of_pixels_is_said_where_they_are_not_square(height, said):
    calibration = Calibration(pixel_size_y=height, pixel_size_x=0.5, unit="um")
    of_one = _height(_sides(SimpleNamespace(images=[image(calibration=calibration)])))
    assert of_one.get("pixel_height_nm") == said
    assert _height(_sides(SimpleNamespace(images=[image(calibration=calibration), image()]))) == {}


@pytest.mark.parametrize(
    ("widths", "said"),
    [
        ([0.5, 0.5, 0.501], 500),
        ([0.5, 0.52, 0.51], 1000 * (0.5 * 0.52) ** 0.5),
        ([0.5, 0.5, None], 500),
        ([0.5, None], None),
        ([0.5, 0.76], None),
        ([None], None),
    ],
)
def test_the_size_of_pixels_is_that_of_most_images_where_they_are_near(widths, said):
    """A model without a size would say nothing of images of another scale, for all its life."""
    sizes = [Calibration(pixel_size_y=w, pixel_size_x=w, unit=None if w is None else "um") for w in widths]
    sides = _sides(SimpleNamespace(images=[image(calibration=each) for each in sizes]))
    assert sides == (None if said is None else pytest.approx((said, said), rel=1e-6))


def test_each_file_has_its_own_digest_though_labels_have_the_names_of_images():
    pairs = [(Path(f"set/{day}/i/t0.tif"), Path(f"set/{day}/l/t0.tif")) for day in "ab"]
    data = SimpleNamespace(files=pairs, identity={"pairs": [["1", "2"], ["3", "4"]]}, digests=[])
    names = [str(Path(day, side, "t0.tif")) for day in "ab" for side in "il"]
    assert _files(data) == [
        {"image": names[0], "image_sha256": "1", "labels": names[1], "labels_sha256": "2"},
        {"image": names[2], "image_sha256": "3", "labels": names[3], "labels_sha256": "4"},
    ]
    data = SimpleNamespace(files=pairs[:1], identity={"pairs": [["1", "2"]]}, digests=[])
    (only,) = _files(data)
    assert only == {"image": "t0.tif", "image_sha256": "1", "labels": "t0.tif", "labels_sha256": "2"}


def test_digests_of_pages_are_kept_by_file_unless_there_are_very_many(monkeypatch):
    images = [SimpleNamespace(pages=pages, height=4, width=5) for pages in (1, 2)]
    pairs = [(Path(f"i/t{n}.tif"), Path(f"l/t{n}.tif")) for n in (0, 1)]
    data = SimpleNamespace(
        files=pairs, identity={"pairs": [["1", "2"], ["3", "4"]]}, digests=["a", None, "b"], images=images
    )
    said = [file["pixels"] for file in _files(data)]
    assert said == [{"height": 4, "width": 5, "digests": digests} for digests in (["a"], [None, "b"])]
    monkeypatch.setattr("unet2015.training.record._DIGESTS", 2)
    assert not any("pixels" in file for file in _files(data))


def test_the_model_of_another_training_is_not_taken_for_the_best_one(small_set, small_settings, tmp_path):
    for name, seed in (("run", 0), ("other", 9)):
        train(*small_set, tmp_path / name, settings=small_settings(seed=seed), device="cpu")
    model = tmp_path / "run" / "model.safetensors"
    foreign = (tmp_path / "other" / "model.safetensors").read_bytes()
    model.write_bytes(foreign)
    for kept in (
        True,
        False,
    ):  # without a checkpoint nothing is known of a best model, and the first step is next
        for path in () if kept else (tmp_path / "run" / "checkpoints").iterdir():
            path.write_bytes(path.read_bytes()[:-8])
        with pytest.raises(ModelError, match=r"model\.safetensors: .* trained with other settings; move it"):
            train(*small_set, tmp_path / "run", settings=small_settings(), device="cpu", resume=True)
        assert model.read_bytes() == foreign


FILES = [{"image": "a", "image_sha256": "1", "labels": "a", "labels_sha256": "2"}]
RECORD = {"settings": {"a": 0}, "files": FILES, "seed": 3, "step": 8}


def state_of(**changed):
    """Return the state of a training whose best model has `RECORD`."""
    values = {"settings": {"a": 0}, "identity": {"pairs": [["1", "2"]]}, "best": {"step": 8}, "seed": 3}
    return State(**values | changed)


def test_a_model_of_other_images_is_of_another_training():
    assert _other_training(RECORD, state_of()) == ""
    assert _other_training(RECORD | {"files": []}, state_of()) == "with other images or labels"
    assert _other_training(RECORD | {"settings": {"a": 1}}, state_of()) == "with other settings"
    assert _other_training(RECORD | {"step": 4}, state_of()) == "for 4 steps, and the best one for 8"
    assert _other_training(RECORD | {"step": 9}, state_of()) == "", "a kill may leave a newer model"
    assert "with the seed 4" in _other_training(RECORD | {"seed": 4}, state_of())
    assert _other_training(RECORD | {"seed": 4, "step": 4}, state_of(best={})) == "", "of another attempt"


@pytest.mark.parametrize(
    ("record", "state", "said"),
    [
        ({"channel": "1"}, {}, "with --channel 1, and this one no --channel"),
        ({}, {"identity": {"channel": "0"}}, "with no --channel, and this one --channel 0"),
        ({"channel": "1"}, {"identity": {"channel": "0"}}, "with --channel 1, and this one --channel 0"),
        ({"channel": "1"}, {"identity": {"channel": "1"}}, ""),
        ({"scene": "1"}, {"identity": {"scene": "0"}}, "with --scene 1, and this one --scene 0"),
        ({"axes": "CZYX"}, {}, "with --axes CZYX, and this one with --axes ZCYX"),
        ({"axes": "TCYX"}, {}, ""),
        ({"start": {"model": "m", "sha256": "5"}}, {}, "from other first weights (see --from)"),
        ({}, {"start": {"model": "m", "sha256": "5"}}, "from other first weights (see --from)"),
        ({"start": {"model": "m", "sha256": "5"}}, {"start": {"model": "n", "sha256": "5"}}, ""),
        ({}, {"encoder": {"sha256": "5"}}, "from other first weights (see --encoder-weights)"),
        ({"processes": 2}, {}, "by 2 processes, and this one by 1"),
    ],
)
def test_a_model_of_other_options_is_of_another_training(record, state, said):
    state["identity"] = {"pairs": [["1", "2"]]} | state.get("identity", {})
    assert _other_training(RECORD | record, state_of(**state), "ZCYX") == said
