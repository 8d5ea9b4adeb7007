"""Maps of a GPU measured: what is there against the truth, what is missing or damaged said."""

import json

import numpy as np
import pytest
import torch

pytest.importorskip("numba")
pytest.importorskip("matplotlib")

from pipelines import one_gpu_ship
from pipelines.one_gpu_measures import __main__ as one_gpu_measures
from pipelines.one_gpu_measures import cells as cell_measures
from pipelines.one_gpu_measures.pictures import LARGEST, small
from unet2015.models.model_file import ModelInfo, read_model_file, save_model
from unet2015.networks.unet2015 import UNet
from unet2015.report.overlays import overlay_classes
from unet2015.settings import Mapping, NetworkSettings
from unet2015.synthetic import em_stack

SIDE = 128
TRAININGS = {
    "em-3": {"split": "em-3"},
    "em-4": {"split": "em-4"},
    "dic-01": {"split": "dic-01"},
    "dic-01-silver": {"split": "dic-01", "silver": True},
    "dic-02-silver": {"split": "dic-02", "silver": True},
    "all": {"split": "em-all"},
}


def cells():
    """Two round cells that nearly touch, and one apart."""
    y, x = np.mgrid[:SIDE, :SIDE]
    truth = np.zeros((SIDE, SIDE), np.uint16)
    truth[(y - 64) ** 2 + (x - 40) ** 2 < 200] = 1
    truth[((y - 64) ** 2 + (x - 72) ** 2 < 200) & (truth == 0)] = 2
    truth[(y - 86) ** 2 + (x - 58) ** 2 < 120] = 3
    return truth


def levels(truth):
    """A map that joins the two cells by a bridge of 0.59."""
    page = np.where(truth > 0, 255, 0).astype(np.uint8)
    page[62:67, 50:62] = np.maximum(page[62:67, 50:62], 150)
    return page


def pack(folder):
    """Return a packed file of 30 slices and two sequences, and its arrays."""
    images, labels = em_stack(pages=30, height=64, width=72, seed=3)
    truth = np.stack([cells()] * 2)
    arrays = {"em/images": images, "em/labels": labels}
    for sequence in ("01", "02"):
        prefix = f"DIC-C2DH-HeLa/{sequence}"
        arrays |= {f"{prefix}/images": (truth > 0).astype(np.uint8) * 90 + 60, f"{prefix}/truth": truth}
        arrays |= {f"{prefix}/labels": truth, f"{prefix}/silver-images": truth.astype(np.uint8)}
    np.savez(folder / "sets.npz", **arrays)
    return folder / "sets.npz", arrays


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    return pack(tmp_path_factory.mktemp("packed"))


@pytest.fixture
def maps(tmp_path, packed, monkeypatch):
    """What a run left that was stopped before fold 3, and whose second sequence has no training maps."""
    monkeypatch.setattr(cell_measures, "LEVELS", (0.5, 0.8))
    monkeypatch.setattr(cell_measures, "BLURS", (2.0,))
    folder = tmp_path / "maps"
    folder.mkdir()
    notes = {"settings": {"trainings": TRAININGS}, "device": "a GPU", "steps": {"em-4": 120}}
    notes |= {"training": {"seconds": 9.0}}
    (folder / "one_gpu.json").write_text(json.dumps(notes))
    inside = np.where(packed[1]["em/labels"] > 0, 250, 5).astype(np.uint8)
    none = inside[24:].copy()
    none[0, 20:40] = 5
    losses = np.linspace(1, 0, 120, dtype=np.float32)
    np.savez(
        folder / "em-4.npz",
        **{
            "test/none": none,
            "test/rotations": inside[24:],
            "train/rotations": inside[:24],
            "losses": losses,
        },
    )
    np.savez(folder / "all.npz", losses=losses[:7])
    found = np.stack([levels(cells())] * 2)
    np.savez(folder / "dic-01.npz", **{"test/flips": found, "train/flips": found, "losses": losses})
    for name in ("dic-01-silver", "dic-02-silver"):
        np.savez(folder / f"{name}.npz", **{"test/flips": found, "losses": losses})
    return folder


def run(maps, packed, out, *more):
    words = ["--maps", str(maps), "--data", str(packed[0]), "--out", str(out), *map(str, more)]
    return one_gpu_measures.main(words)


def test_what_is_there_is_measured_and_the_rest_is_named(maps, packed, tmp_path, capsys):
    assert run(maps, packed, tmp_path / "out", "--cell-pictures", tmp_path / "cells") == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert set(result["missing"]) == {"em-3", "dic-02-silver, thresholds"}
    said = capsys.readouterr()
    assert "em-3: no maps" in said.err
    assert str(tmp_path) not in json.dumps(result)

    rows = result["em"]["rows"]
    assert rows["rotations"]["folds"] == ["em-4"]
    perfect, worse = rows["rotations"]["at_training_threshold"], rows["none"]["at_training_threshold"]
    assert perfect["pixel_error"] == perfect["rand_error"] == perfect["warping_error"] == 0
    assert perfect["v_rand"] == pytest.approx(1)
    assert worse["pixel_error"] > 0
    assert result["em"]["folds"]["em-4"]["slices"] == list(range(24, 30))
    assert list(result["em"]["folds"]["em-4"]) == ["slices", "none", "rotations"]

    gold = result["cells"]["trainings"]["dic-01"]
    flips = gold["rows"]["flips"]
    # At 0.5 the bridge joins two cells; a higher threshold cuts it, and so do markers.
    assert flips["seg_at_0.5"] < 0.7
    assert gold["chosen_on_training_frames"]["threshold"] >= 0.6
    assert flips["seg_at_training_threshold"] == pytest.approx(flips["best_over_thresholds"]["seg"])
    assert flips["seg_at_training_threshold"] > 0.9
    assert flips["seg_markers_and_watershed"] > 0.9
    silver = result["cells"]["trainings"]["dic-01-silver"]
    assert silver["chosen_on_training_frames"]["chosen_on"] == "dic-01"
    assert "seg_at_training_threshold" not in result["cells"]["trainings"]["dic-02-silver"]["rows"]["flips"]
    mean = result["cells"]["mean"]
    assert mean["DIC-C2DH-HeLa"]["flips"]["seg_at_0.5"] == flips["seg_at_0.5"]
    both = mean["DIC-C2DH-HeLa, gold and silver truth"]
    assert both["trainings"] == ["dic-01-silver", "dic-02-silver"]
    assert "seg_markers_and_watershed" not in both["flips"]  # one of the two lacks it

    assert len(result["losses"]["em-4"]) == 50
    assert len(result["losses"]["all"]) == 7
    assert result["losses"]["em-4"][0] > result["losses"]["em-4"][-1]
    pictures = [tmp_path / "out" / "em.png", *(tmp_path / "cells").iterdir()]
    assert {path.name for path in pictures} >= {"em.png", "dic-01.png", "dic-01-markers.png"}
    assert not list((tmp_path / "out").glob("dic*"))
    assert all(0 < path.stat().st_size <= LARGEST for path in pictures)


def test_trainings_of_several_kinds_and_seeds_choose_each_for_itself_and_have_means_by_kind(
    maps, packed, tmp_path
):
    """A threshold of another training would say nothing of this one."""
    trainings, bridge = {}, levels(cells())
    for name, height in (("dic-01-0", 150), ("dic-01-1", 220), ("dic-01-base-0", 150)):
        trainings[name] = {"split": "dic-01", "settings": {"seed": int(name[-1])}}
        page = np.where(bridge == 150, height, bridge).astype(np.uint8)
        found = np.stack([page] * 2)
        np.savez(maps / f"{name}.npz", **{"test/flips": found, "train/flips": found})
    notes = json.loads((maps / "one_gpu.json").read_text())
    notes["settings"]["trainings"] = trainings
    (maps / "one_gpu.json").write_text(json.dumps(notes))
    assert run(maps, packed, tmp_path / "out") == 0
    measured = json.loads((tmp_path / "out" / "result.json").read_text())["cells"]
    chosen = {name: one["chosen_on_training_frames"] for name, one in measured["trainings"].items()}
    assert [one["chosen_on"] for one in chosen.values()] == list(trainings)
    assert 150 / 255 < chosen["dic-01-0"]["threshold"] < 220 / 255 < chosen["dic-01-1"]["threshold"]
    assert [(one["kind"], one["seed"]) for one in measured["trainings"].values()] == [
        ("", 0),
        ("", 1),
        ("base", 0),
    ]
    assert {key: one["trainings"] for key, one in measured["mean"].items()} == {
        "DIC-C2DH-HeLa": ["dic-01-0", "dic-01-1"],
        "DIC-C2DH-HeLa, base": ["dic-01-base-0"],
    }


@pytest.mark.slow
def test_a_picture_is_made_small(monkeypatch):
    noise = np.random.default_rng(0).integers(0, 255, (300, 300), np.uint8)
    png = overlay_classes(noise, noise > 9, noise > 9)
    assert len(png) > LARGEST
    assert len(small(png)) <= LARGEST
    assert small(small(png)) == small(png)


def lost_notes(maps):
    (maps / "one_gpu.json").unlink()


def broken_notes(maps):
    (maps / "one_gpu.json").write_text('{"settings": ')


def other_notes(maps):
    (maps / "one_gpu.json").write_text('{"settings": {"trainings": ["em-4"]}}')


def no_training(maps):
    (maps / "one_gpu.json").write_text('{"settings": {"trainings": {}}}')


def cut_maps(maps):
    path = maps / "em-4.npz"
    path.write_bytes(path.read_bytes()[:-400])


def spoilt_maps(maps):
    path = maps / "em-4.npz"
    data = bytearray(path.read_bytes())
    data[2000:2400] = bytes(400)
    path.write_bytes(data)


def other_maps(maps):
    np.savez(maps / "em-4.npz", **{"test/none": np.zeros((6, 50, 50), np.uint8)})


def float_maps(maps):
    np.savez(maps / "em-4.npz", **{"test/none": np.zeros((6, 64, 72), np.float32)})


def no_maps(maps):
    for path in maps.glob("*.npz"):
        path.unlink()


def unknown_split(maps):
    (maps / "one_gpu.json").write_text('{"settings": {"trainings": {"em-4": {"split": "em-7"}}}}')


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lost_notes, ["one_gpu.json", "expected the notes"]),
        (broken_notes, ["one_gpu.json", "expected the notes"]),
        (other_notes, ["one_gpu.json", "expected the notes"]),
        (no_training, ["one_gpu.json", "no training"]),
        (cut_maps, ["em-4.npz", "pipelines.one_gpu writes"]),
        (spoilt_maps, ["em-4.npz", "pipelines.one_gpu writes"]),
        (other_maps, ["em-4.npz, test/none", "(6, 64, 72) uint8, got (6, 50, 50)", "packed file"]),
        (float_maps, ["em-4.npz, test/none", "got (6, 64, 72) float32"]),
        (no_maps, ["none of the trainings"]),
        (unknown_split, ["em-7", "no such split"]),
    ],
)
def test_what_cannot_be_measured_is_an_error_without_traceback(maps, packed, tmp_path, capsys, spoil, words):
    spoil(maps)
    assert run(maps, packed, tmp_path / "out") in (1, 2)
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    for word in words:
        assert word in said
    assert not (tmp_path / "out" / "result.json").exists()


def test_a_packed_file_that_is_none_is_an_error(maps, tmp_path, capsys):
    (tmp_path / "sets.npz").write_text("no archive")
    assert run(maps, [tmp_path / "sets.npz"], tmp_path / "out") == 1
    assert "pipelines.device_sets" in capsys.readouterr().err


@pytest.mark.slow
def test_the_model_of_all_slices_is_shipped_with_thresholds_and_twin(maps, packed, tmp_path, monkeypatch):
    monkeypatch.setattr(one_gpu_ship, "TILE", 92)
    torch.manual_seed(0)
    info = ModelInfo(
        network=NetworkSettings(width=2, depth=2),
        mapping=Mapping(method="standardise"),
        dtype="uint8",
        class_names=("membrane", "cell"),
        training={"step": 7},
    )
    save_model(maps / "em-membrane.safetensors", UNet(width=2, depth=2), info)
    words = ["--maps", str(maps), "--data", str(packed[0]), "--to", str(tmp_path / "shipped")]
    missing = [*words, "--result", str(tmp_path / "nothing.json")]
    assert one_gpu_ship.main(missing) == 1
    assert run(maps, packed, tmp_path / "out") == 0
    assert one_gpu_ship.main([*words, "--result", str(tmp_path / "out" / "result.json")]) == 0
    model = read_model_file(tmp_path / "shipped" / "em-membrane.safetensors")
    assert model.info.dtype is None
    assert model.info.learned is not None
    assert model.info.threshold == model.info.thresholds["rand"]
    assert "f1" in model.info.thresholds
    assert model.info.training["step"] == 7
    assert model.info.training["training_pages"] == 30
    assert model.info.training["twin"]["rotations"]["pixel_error"] == 0
    assert "8 bit" not in model.info.modality
    assert str(tmp_path) not in model.info.model_dump_json()
