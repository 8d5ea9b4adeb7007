"""Before the first step: is there memory for it, and do the tiles cover the pages?"""

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from tests.networks.others import EVERY, registered
from unet2015.errors import GeometryError, MemoryLimitError
from unet2015.networks import build, training_geometry
from unet2015.training import memory
from unet2015.training.encoder import freeze as freeze_encoder
from unet2015.training.loop import train


@pytest.mark.parametrize("freeze", ["none", "encoder"])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize(("entry", "example"), EVERY)
def test_what_is_kept_without_data_is_what_a_real_step_keeps(entry, example, dropout, freeze, small_settings):
    said = example.model_dump() | ({"dropout": dropout} if hasattr(example, "dropout") else {})
    with registered():
        tuned = {"freeze": freeze if entry.encoder else "none"}
        settings = small_settings(mapping={"method": "integer-range"}, fine_tuning=tuned)
        settings = settings.model_copy(update={"network": example.model_validate(said)})
        tile = training_geometry(settings.network).nearest_legal(61)[-1]
        network = build(settings.network, 1, 2)
        found = memory.activation_bytes(settings, 1, tile)
    freeze_encoder(network, settings.fine_tuning)
    weights = {parameter.data_ptr() for parameter in network.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        scores = network.train().training_scores(torch.zeros(1, 1, tile, tile))
    assert scores[0].grad_fn is not None
    assert found == sum(kept.values())


@pytest.mark.slow
def test_a_batch_above_memory_is_refused_before_the_first_step(
    tmp_path, small_set, small_settings, monkeypatch
):
    settings = small_settings(optimisation={"batch": 50})
    one = memory.activation_bytes(settings, 1, 60)
    monkeypatch.setattr(memory, "process_memory", lambda device: 10 * one)
    with pytest.raises(MemoryLimitError, match=r"batch = 50 and tile = 60 .* a batch of 7 may fit"):
        train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    assert not (tmp_path / "run" / "checkpoints").exists()
    seven = small_settings(optimisation={"batch": 7, "steps": 1})
    train(*small_set, tmp_path / "other", settings=seven, device="cpu")


def test_a_tile_above_memory_names_a_smaller_legal_one(tmp_path, small_set, small_settings, monkeypatch):
    settings = small_settings(optimisation={"tile": 188})
    monkeypatch.setattr(
        memory, "process_memory", lambda device: memory.activation_bytes(settings, 1, 188) / 2
    )
    with pytest.raises(MemoryLimitError, match=r"a tile of 108 px may fit"):
        train(*small_set, tmp_path / "run", settings=settings, device="cpu")


def test_a_tile_that_cannot_cover_the_pages_is_refused_before_the_first_step(
    tmp_path, small_set, small_settings
):
    settings = small_settings(network={"depth": 3}, optimisation={"tile": 92})
    with pytest.raises(GeometryError, match="cannot cover"):
        train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    assert not (tmp_path / "run" / "log.jsonl").exists()


@pytest.mark.parametrize("wanted", [180, 186, 190])
def test_the_tile_that_is_advised_is_one_that_is_taken(tmp_path, small_set, small_settings, wanted):
    """Tiles of 188 px of the paper's depth are legal, but outputs of 4 px cannot cover pages in phase."""
    settings = small_settings(network={"depth": 4}, optimisation={"tile": wanted})
    with pytest.raises(GeometryError, match=r"the nearest legal: 204$"):
        train(*small_set, tmp_path / "run", settings=settings, device="cpu")


@pytest.mark.parametrize("tile", [204, 220])
def test_memory_for_no_tile_that_covers_is_not_said_to_be_for_one(
    tmp_path, small_set, small_settings, monkeypatch, tile
):
    settings = small_settings(network={"depth": 4}, optimisation={"tile": tile})
    monkeypatch.setattr(
        memory, "process_memory", lambda device: memory.activation_bytes(settings, 1, tile) / 10
    )
    advice = "a tile of 204 px may fit" if tile > 204 else "no smaller tile covers the pages; take a narrower"
    with pytest.raises(MemoryLimitError, match=advice):
        train(*small_set, tmp_path / "run", settings=settings, device="cpu")
