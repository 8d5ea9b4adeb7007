"""Checkpoints: whatever the recipe, resumed equals uninterrupted; what is damaged is passed over."""

import json
import logging
import re
import shutil
from dataclasses import asdict

import numpy as np
import pytest
import tifffile
import torch

from tests.training.conftest import equal
from unet2015.errors import DataSetError, ModelError, SettingsError
from unet2015.models.model_file import read_model_file
from unet2015.models.tensors import load_tensors, save_tensors
from unet2015.safe_files import hidden_prefix
from unet2015.training import loop, state
from unet2015.training.identity import identity_difference, other_files
from unet2015.training.log import read_log
from unet2015.training.loop import train
from unet2015.training.state import State, _parse, torch_seed

pytestmark = pytest.mark.usefixtures("nothing_chosen")


class Killed(BaseException):
    """Ends a training as a kill does: nothing is saved."""


def newest(run):
    return sorted((run / "checkpoints").glob("step-*"))[-1]


def same_end(one, other):
    """Whether two runs ended with the same bits and the same log."""
    weights = [load_tensors(run / "model.safetensors")[0] for run in (one, other)]
    return (
        equal(load_tensors(newest(one))[0], load_tensors(newest(other))[0])
        and equal(*weights)
        and read_log(one / "log.jsonl") == read_log(other / "log.jsonl")
    )


def killed_in_step(number, *arguments, **more):
    """Train until the given step of this call, and die in it."""
    real, count = loop.Training._step, []

    def dying(self, *words):
        count.append(1)
        if len(count) == number:
            raise Killed
        return real(self, *words)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Training, "_step", dying)
        with pytest.raises(Killed):
            train(*arguments, device="cpu", **more)


RECIPES = {
    "no momentum": {"optimizer": "sgd", "momentum": 0.0},
    "nesterov": {"optimizer": "sgd", "momentum": 0.99, "nesterov": True, "momentum_ramp": 5},
    "adam": {"optimizer": "adam", "clip": 0.1},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1, "schedule": "polynomial"},
    "muon": {"optimizer": "muon", "momentum": 0.95, "weight_decay": 0.1},
    "average, batch of 2": {"optimizer": "adam", "average": 0.8, "batch": 2},
}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_resumed_equals_uninterrupted_whatever_the_recipe(tmp_path, small_set, small_settings, recipe):
    settings = small_settings(optimisation=recipe)
    train(*small_set, tmp_path / "whole", settings=settings, device="cpu")
    killed_in_step(5, *small_set, tmp_path / "parts", settings=settings)
    killed_in_step(4, *small_set, tmp_path / "parts", settings=settings, resume=True)
    train(*small_set, tmp_path / "parts", settings=settings, device="cpu", resume=True)
    assert same_end(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.slow
def test_a_batch_shows_the_tiles_of_as_many_steps(tmp_path, small_set, small_settings, monkeypatch):
    shown = {}
    for batch in (1, 2):
        read, names = loop.Training._read, shown.setdefault(batch, {})

        def note(self, step, read=read, names=names):
            tiles = read(self, step)
            names[step] = [(page.name, source.draw.centre, source.draw.angle) for page, source, _ in tiles]
            return tiles

        monkeypatch.setattr(loop.Training, "_read", note)
        settings = small_settings(optimisation={"batch": batch, "steps": 8 // batch})
        train(*small_set, tmp_path / str(batch), settings=settings, device="cpu")
        monkeypatch.setattr(loop.Training, "_read", read)
    assert [tile for step in range(4) for tile in shown[2][step]] == [shown[1][step][0] for step in range(8)]


def test_the_average_is_what_is_validated_and_kept(tmp_path, small_set, small_settings):
    settings = small_settings(
        optimisation={"average": 0.8, "learning_rate": 1e-2}, validation={"interval": 8}
    )
    train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    kept, last = (
        load_tensors(tmp_path / "run" / "model.safetensors")[0],
        load_tensors(newest(tmp_path / "run"))[0],
    )
    assert equal(kept, state._part(last, "average."))
    assert not equal(kept, state._part(last, "network."))


# Damage


def flip(path, share):
    data = bytearray(path.read_bytes())
    data[int(share * (len(data) - 1))] ^= 0x10
    path.write_bytes(data)


def poison(path):
    """NaN among the weights, in a file that is whole."""
    tensors, text, *_ = load_tensors(path)
    next(tensor for name, tensor in sorted(tensors.items()) if tensor.dim() == 4)[0] = float("nan")
    save_tensors(path, tensors, text)


def disinform(path):
    save_tensors(path, load_tensors(path)[0], '{"step": 8')


DAMAGES = {
    "a byte of the weights": lambda path: flip(path, 0.9),
    "the last byte": lambda path: flip(path, 1),
    "a byte of the description": lambda path: flip(path, 0.05),
    "the first byte": lambda path: flip(path, 0),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "empty": lambda path: path.write_bytes(b""),
    "nan": poison,
    "half a description": disinform,
}


def test_a_checkpoint_is_not_taken_for_a_model(tmp_path):
    save_tensors(tmp_path / "step-7.safetensors", {}, json.dumps(asdict(State(seed=0, step=7))))
    with pytest.raises(ModelError, match=r"step-7\.safetensors: a checkpoint of .* is model\.safetensors in"):
        read_model_file(tmp_path / "step-7.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_checkpoint_is_passed_over(small_run, small_set, small_settings, caplog, damage):
    whole = shutil.copytree(small_run, small_run.with_name("whole"))
    damage(newest(small_run))
    with caplog.at_level(logging.WARNING, "unet2015"):
        train(*small_set, small_run, settings=small_settings(), device="cpu", resume=True)
    assert "step-00000008" in caplog.text
    assert "taking the checkpoint before it" in caplog.text
    assert same_end(whole, small_run)


@pytest.mark.slow
def test_without_a_good_checkpoint_the_first_step_is_said(small_run, small_set, small_settings, caplog):
    whole = shutil.copytree(small_run, small_run.with_name("whole"))
    for path in (small_run / "checkpoints").iterdir():
        flip(path, 0.8)
    with caplog.at_level(logging.WARNING, "unet2015"):
        train(*small_set, small_run, settings=small_settings(), device="cpu", resume=True)
    assert "no good checkpoint; starting from the first step" in caplog.text
    assert same_end(whole, small_run)


@pytest.mark.slow
def test_every_flipped_byte_is_noticed_or_harmless(tmp_path):
    path = tmp_path / "t.safetensors"
    tensors = {"b": torch.arange(3.0), "a": torch.tensor(5, dtype=torch.int64), "c": torch.empty(0)}
    save_tensors(path, tensors, '{"x": 1}')
    good = path.read_bytes()
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        try:
            found, text, *_ = load_tensors(path)
        except ModelError:
            continue
        # The name under which the digest stands, or a blank.
        assert equal(found, tensors)
        assert text == '{"x": 1}'


def test_a_file_without_a_digest_is_read(tmp_path):
    path = tmp_path / "t.safetensors"
    save_tensors(path, {"a": torch.ones(2)}, "{}")
    path.write_bytes(path.read_bytes().replace(b'"sha256"', b'"nobody"'))
    assert equal(load_tensors(path)[0], {"a": torch.ones(2)})


@pytest.mark.slow
def test_no_half_written_file_stays(small_run, small_set, small_settings):
    newest(small_run).unlink()
    for path in (small_run / "model.safetensors", small_run / "checkpoints" / "step-00000007.safetensors"):
        path.with_name(f"{hidden_prefix(path)}0123456789ab.tmp").touch()
    train(*small_set, small_run, settings=small_settings(), device="cpu", resume=True)
    assert not list(small_run.rglob(".*"))


# What must be the same


def test_another_optimizer_does_not_resume_and_is_named(small_run, small_set, small_settings):
    other = small_settings(optimisation={"optimizer": "adam"})
    with pytest.raises(SettingsError, match=r"optimisation\.optimizer: 'sgd' then, 'adam' now"):
        train(*small_set, small_run, settings=other, device="cpu", resume=True)


@pytest.fixture
def pairs(tmp_path, small_set):
    """The pages of the small set in a file each."""
    folders = tmp_path / "i", tmp_path / "l"
    for folder, stack in zip(folders, map(tifffile.imread, small_set), strict=True):
        folder.mkdir()
        for k, page in enumerate(stack):
            tifffile.imwrite(folder / f"p{k}.tif", page + (k == 3 and folder.name == "i"))
    (folders[1] / "p1.tif").write_bytes(
        (folders[1] / "p1.tif").read_bytes().replace(b"\xff" * 11 + b"\0", b"\xff" * 10 + b"\0\0", 1)
    )
    return folders


def rename(pairs, names):
    for folder in pairs:
        for old in names:
            (folder / f"{old}.tif").rename(folder / f"{old}.old")
        for old, new in names.items():
            (folder / f"{old}.old").rename(folder / f"{new}.tif")


@pytest.mark.slow
def test_renamed_files_resume_and_are_known_by_their_new_names(tmp_path, pairs, small_settings):
    run, settings = tmp_path / "run", small_settings()
    killed_in_step(5, *pairs, run, settings=settings)
    rename(pairs, {f"p{k}": f"q{k}" for k in range(4)})
    train(*pairs, run, settings=settings, device="cpu", resume=True)
    assert all("q" in name.rpartition("/")[2] for name in json.loads(load_tensors(newest(run))[1])["hashes"])


@pytest.mark.parametrize("how", ["labels exchanged", "another order"])
def test_exchanged_labels_or_another_order_do_not_resume(tmp_path, pairs, small_settings, how):
    run, settings = tmp_path / "run", small_settings()
    killed_in_step(5, *pairs, run, settings=settings)
    rename(pairs if how == "another order" else pairs[1:], {"p0": "p1", "p1": "p0"})
    with pytest.raises(DataSetError, match="other pairs"):
        train(*pairs, run, settings=settings, device="cpu", resume=True)


@pytest.mark.slow
def test_another_number_of_threads_is_said(small_run, small_set, small_settings, caplog, monkeypatch):
    newest(small_run).unlink()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    with caplog.at_level(logging.WARNING, "unet2015"):
        train(*small_set, small_run, settings=small_settings(), device="cpu", resume=True)
    assert "77 now" in caplog.text
    assert "last bits may differ" in caplog.text


# Seeds


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2**63 - 1, 2**64 + 1, 10**30])
def test_any_seed_works(tmp_path, small_set, small_settings, seed):
    settings = small_settings(seed=seed, optimisation={"steps": 2})
    model = train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    assert model.info.training["seed"] == seed
    train(*small_set, tmp_path / "run", settings=settings, device="cpu", resume=True)


def test_seeds_that_torch_cannot_take_are_told_apart():
    seeds = [0, 1, 2**63 - 1, 2**63, 2**64, 2**64 + 1, 10**30]
    assert [torch_seed(seed) for seed in seeds[:3]] == seeds[:3]
    assert len({torch_seed(seed) for seed in seeds}) == len(seeds)
    for seed in seeds:
        torch.Generator().manual_seed(torch_seed(seed))


def test_a_state_that_another_version_wrote_is_read_for_what_it_says(tmp_path):
    found = state._parse('{"seed": 3, "step": 7, "order": [1, 2]}', tmp_path)
    assert found == State(seed=3, step=7)


@pytest.mark.slow
def test_what_others_put_into_the_folder_of_a_run_stays(small_run, small_set, small_settings, caplog):
    whole, folder = shutil.copytree(small_run, small_run.with_name("whole")), small_run / "checkpoints"
    for place in (folder / "step-best.safetensors", folder / ".mine.tmp", small_run / ".mine.tmp"):
        place.write_bytes(b"mine")
    for place in (folder / "step-00000009.safetensors", small_run / ".a.12345678-b.tmp"):
        place.mkdir()
    shutil.rmtree(small_run / "tensorboard")
    (small_run / "tensorboard").write_bytes(b"mine")
    (folder / "step-00000008.safetensors").unlink()
    before = {path for path in small_run.rglob("*") if path.is_dir() or path.read_bytes() == b"mine"}
    with caplog.at_level(logging.WARNING, "unet2015"):
        train(*small_set, small_run, settings=small_settings(), device="cpu", resume=True)
    assert before == {path for path in small_run.rglob("*") if path.is_dir() or path.read_bytes() == b"mine"}
    assert "TensorBoard cannot write there: File exists; no events" in caplog.text
    (folder / "step-best.safetensors").unlink()
    (folder / "step-00000009.safetensors").rmdir()
    assert same_end(whole, small_run)


@pytest.mark.parametrize(
    "said", ['{"seed": "1"}', '{"seed": 1, "step": -1}', '{"seed": 1, "best": []}', "[]", "7", "[" * 9999]
)
def test_a_checkpoint_that_says_what_cannot_be_is_damaged(tmp_path, said):
    with pytest.raises(ModelError, match=r"c\.safetensors: the description in the checkpoint cannot be read"):
        _parse(said, tmp_path / "c.safetensors")


def test_a_run_killed_before_it_removed_an_old_checkpoint_leaves_none_at_its_end(
    small_set, small_settings, tmp_path
):
    settings = small_settings(checkpoint_interval=2, optimisation={"steps": 8})
    train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    folder = tmp_path / "run" / "checkpoints"
    newest = sorted(folder.iterdir())
    (folder / "step-00000002.safetensors").write_bytes(newest[0].read_bytes())
    train(*small_set, tmp_path / "run", settings=settings, device="cpu", resume=True)
    assert sorted(folder.iterdir()) == newest


@pytest.fixture
def deep_pairs(tmp_path):
    """Two images of 3 x 3 planes that do not say their axes, with labels of three pages."""
    random = np.random.default_rng(0)
    folders = tmp_path / "images", tmp_path / "labels"
    for folder, shape in zip(folders, [(3, 3, 50, 56), (3, 50, 56)], strict=True):
        folder.mkdir()
        for k in range(2):
            pixels = 255 * random.integers(0, 2, shape).astype(np.uint8)
            tifffile.imwrite(folder / f"p{k}.tif", pixels, photometric="minisblack")
    return folders


def without_axes(run):
    """Make checkpoints as they were when the axes were not among what identifies the images."""
    for path in (run / "checkpoints").glob("step-*"):
        found, text, *_ = load_tensors(path)
        description = json.loads(text)
        del description["identity"]["axes"]
        save_tensors(path, found, json.dumps(description))


def test_other_axes_do_not_resume_and_are_named(tmp_path, deep_pairs, small_settings):
    run, settings = tmp_path / "run", small_settings(optimisation={"steps": 4}, validation={"interval": 4})
    killed_in_step(4, *deep_pairs, run, settings=settings, axes="ZCYX")
    with pytest.raises(DataSetError, match=r"ZCYX then, CZYX now"):
        train(*deep_pairs, run, settings=settings, device="cpu", resume=True, axes="CZYX")
    # The same pages by another name, and a checkpoint of before.
    without_axes(run)
    model = train(*deep_pairs, run, settings=settings, device="cpu", resume=True, axes="tcyx")
    assert model.info.training["axes"] == "TCYX"
    assert json.loads(load_tensors(newest(run))[1])["identity"]["axes"] == ["TCYX", "TCYX"]


def test_the_files_that_differ_are_named():
    then = {"a.tif": "1", "b.tif": "2", "c.tif": "3"}
    assert (
        other_files(then, then) == other_files(then, {"moved/a.tif": "1", "b.tif": "2", "c.tif": "3"}) == ""
    )
    now = {"a.tif": "1", "b.tif": "4", "d.tif": "5"}
    assert other_files(then, now) == "changed since: b.tif; missing now: c.tif; new: d.tif"


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        (["ZYX", "YX"], ["TYX", "YX"], None),
        (["IYX"], ["ZYX"], None),
        (["YX", "IYX"], ["YX", "CYX"], r"IYX then, CYX now"),
        (["TCYX"], ["CTYX"], r"TCYX then, CTYX now"),
        (["YXC"], ["CYX"], r"YXC then, CYX now"),
        (None, ["CYX"], None),
    ],
)
def test_axes_differ_where_other_pixels_are_shown(then, now, said):
    before = {"pairs": []} if then is None else {"pairs": [], "axes": then}
    found = identity_difference(before, {"pairs": [], "axes": now})
    assert found is said is None or re.search(said, found)
    assert "other images" in identity_difference(before | {"pages": [1]}, {"pairs": [], "axes": now})
