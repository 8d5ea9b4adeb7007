"""A model in memory is known by its file only as long as it is what the file holds."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch

from unet2015 import segment, segment_files, train
from unet2015.errors import UsageError
from unet2015.models.as_it_is import as_it_is
from unet2015.models.model_file import Model, ModelInfo, build_network, read_model_file, save_model
from unet2015.safe_files.ownership import read_record
from unet2015.settings import Mapping, NetworkSettings

INFO = ModelInfo(
    network=NetworkSettings(width=2, depth=1),
    mapping=Mapping(method="standardise"),
    class_names=("background", "cell"),
    threshold=0.5,
)


def network(seed):
    torch.manual_seed(seed)
    made = build_network(INFO).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.normal_()
    return made


@pytest.fixture
def path(tmp_path):
    save_model(tmp_path / "m.safetensors", network(0), INFO)
    return tmp_path / "m.safetensors"


def doubled(model):
    with torch.no_grad():
        model.network.head.bias += 2
    return model


CHANGES = {
    "weights": doubled,
    "another network": lambda model: replace(model, network=network(1)),
    "description": lambda model: replace(model, info=INFO.model_copy(update={"threshold": 0.2})),
    "file": lambda model: save_model(model.path, network(1), INFO) or model,
    "file gone": lambda model: model.path.unlink() or model,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_changed_is_not_the_file(path, change):
    model = read_model_file(path)
    assert as_it_is(model) is model
    found = as_it_is(change(model))
    assert (found.path, len(found.sha256)) == (None, 64)
    assert found.sha256 != model.sha256
    assert as_it_is(found).sha256 == found.sha256


def test_a_result_of_other_weights_is_not_taken_for_done(path, tmp_path):
    image = tmp_path / "a.tif"
    tifffile.imwrite(image, np.random.default_rng(0).integers(0, 255, (60, 70), np.uint8))
    loaded = read_model_file(path)
    models = [loaded, replace(loaded, network=network(1)), *(Model(network(seed), INFO) for seed in (2, 3))]
    for model in models:
        (result,) = segment_files([image], tmp_path / "out", model)
        assert np.array_equal(tifffile.imread(result.outputs[0]), segment(image, model))
        record = read_record(tmp_path / "out" / "a.record.json")
        assert (record["model"], record["model_sha256"] == loaded.sha256) == (
            (str(path), True) if model is loaded else ("", False)
        )
    with pytest.raises(UsageError, match="as its file holds it"):
        train(image, image, tmp_path / "run", start=models[1])
