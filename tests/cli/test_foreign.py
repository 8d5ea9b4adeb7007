"""What this program did not write is never replaced; what it wrote is, by the same command again."""

import json
import os

import numpy as np
import pytest
import tifffile
import torch
from safetensors.torch import save_file

from unet2015.cli.tables import write_csv
from unet2015.errors import ImageWriteError
from unet2015.metrics.figure import draw_failures
from unet2015.models.tensors import load_tensors, save_tensors
from unet2015.safe_files import atomic_path, only_over, sha256
from unet2015.training.log import TrainingLog
from unet2015.training.run_folder import remove_checkpoint, remove_events, tidy

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")


def foreign(path):
    """Make a file of somebody, and return a check that it is still there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = b"somebody's own work"
    path.write_bytes(content)

    def check():
        assert path.read_bytes() == content

    return check


@pytest.mark.parametrize(
    "name",
    [
        *("model.safetensors", "settings.json", "log.jsonl", "checkpoints/step-00000004.safetensors"),
        *("curves.png", "examples.png", "progress.gif", "progress/00000004.png"),
        *("checkpoints", "progress"),
    ],
)
@pytest.mark.parametrize("resume", [(), ("--resume",)])
def test_train_leaves_files_of_others_and_says_so_before_it_reads(cli, refused, data, name, resume):
    check = foreign(data / "run" / name)
    call = (
        "train",
        "--images",
        data / "none",
        "--labels",
        data / "none",
        "-o",
        data / "run",
        *resume,
        "--settings",
        "quick",
    )
    refused(cli(*call), 1, name, "not replaced", "move it away")
    check()


def test_a_run_folder_of_someone_keeps_all_else(tmp_path):
    kept = [
        foreign(tmp_path / name)
        for name in (".notes.tmp", "checkpoints/step-00000001.safetensors", "tensorboard/notes.txt")
    ]
    (tmp_path / "tensorboard" / "events.out.tfevents.1").touch()
    (tmp_path / ".log.jsonl.01234567-0123456789ab.tmp").touch()
    tidy(tmp_path)
    remove_events(tmp_path / "tensorboard")
    remove_checkpoint(tmp_path / "checkpoints" / "step-00000001.safetensors")
    for check in kept:
        check()
    assert not (tmp_path / "tensorboard" / "events.out.tfevents.1").exists()
    assert not (tmp_path / ".log.jsonl.01234567-0123456789ab.tmp").exists()


def test_a_log_of_ours_is_gone_on_with_and_another_is_not(tmp_path):
    for _ in range(2):
        with TrainingLog(tmp_path, begin={"seed": 1}) as log:
            log.write(1, loss=1.0)
    check = foreign(tmp_path / "log.jsonl")
    with pytest.raises((ImageWriteError, ValueError)):
        TrainingLog(tmp_path, begin={"seed": 1})
    check()


@pytest.mark.parametrize("own", ["text", "tensors"])
def test_tensors_of_others_are_not_replaced(tmp_path, own):
    path = tmp_path / "m.safetensors"
    if own == "text":
        path.write_text("no tensors")
    else:
        save_file({"unet2015": torch.ones(1)}, path, {"who": "somebody"})
    before = path.read_bytes()
    with pytest.raises(ImageWriteError, match="not replaced"):
        save_tensors(path, {"a": torch.ones(2)}, "{}")
    assert path.read_bytes() == before


def test_tensors_of_ours_are_replaced_also_when_damaged(tmp_path):
    path = tmp_path / "m.safetensors"
    save_tensors(path, {"a": torch.ones(100)}, "{}")
    path.write_bytes(path.read_bytes()[:-50])
    for _ in range(2):
        save_tensors(path, {"a": torch.ones(100)}, "{}")
    assert load_tensors(path)[0]["a"].sum() == 100
    path.write_bytes(b"")  # as programs make that reserve a name
    save_tensors(path, {"a": torch.ones(100)}, "{}")


def test_report(cli, refused, tmp_path):
    lines = [{"step": 1, "loss": 0.7}, {"step": 2, "loss": 0.5}]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for _ in range(2):
        assert cli("report", tmp_path).status == 0
    check = foreign(tmp_path / "page.html")
    refused(cli("report", tmp_path, "-o", tmp_path / "page.html"), 1, "page.html", "not a report")
    check()


@pytest.mark.parametrize("kind", ["png", "svg", "pdf", "eps"])
def test_figures(tmp_path, kind):
    labels = np.ones((1, 8, 8), np.uint8)
    path = tmp_path / f"f.{kind}"
    for _ in range(2):
        draw_failures(path, labels, labels.astype(float), 0.5)
    check = foreign(path)
    with pytest.raises(ImageWriteError, match="not replaced"):
        draw_failures(path, labels, labels.astype(float), 0.5)
    check()


def test_tables(tmp_path):
    rows = [{"frame": 1, "objects": 2, "matched": 2, "seg": 1.0}]
    for _ in range(2):
        write_csv(tmp_path / "t.csv", rows, "em")
    check = foreign(tmp_path / "t.csv")
    with pytest.raises(ImageWriteError, match="not replaced"):
        write_csv(tmp_path / "t.csv", rows, "em")
    check()


@pytest.mark.parametrize("option", ["--per-slice", "--figure"])
def test_evaluate_refuses_before_it_reads(cli, refused, tmp_path, option):
    check = foreign(tmp_path / "mine.png")
    call = ("evaluate", "em", "--labels", tmp_path / "none.tif", "--prediction", tmp_path / "none.tif")
    refused(cli(*call, option, tmp_path / "mine.png"), 1, "mine.png", "not replaced")
    check()


NOBODY = only_over(lambda path: False, "ours")


def test_a_file_that_comes_while_ours_is_made_stays(tmp_path):
    path = tmp_path / "a"

    def make():
        with atomic_path(path, NOBODY) as temporary:
            temporary.write_text("ours")
            path.write_text("theirs")

    with pytest.raises(ImageWriteError, match="not replaced"):
        make()
    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [("a", "theirs")]


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_comes_at_the_last_moment_stays(tmp_path, monkeypatch, links):
    path = tmp_path / "a"
    if not links:

        def refuse(*_paths):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)

    def make(guard):
        with atomic_path(path, guard) as temporary:
            temporary.write_text("ours")

    with pytest.raises(ImageWriteError, match="meanwhile"):
        make(lambda temporary, target: target.write_text("theirs"))
    assert path.read_text() == "theirs"
    path.unlink()
    make(NOBODY)
    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [("a", "ours")]


@pytest.mark.parametrize("kind", ["link to nowhere", "pipe"])
def test_what_cannot_be_read_is_not_ours(tmp_path, kind):
    path = tmp_path / "a"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / "gone")

    def make():
        with atomic_path(path, only_over(lambda path: bool(path.read_bytes()), "ours")):
            pass

    if kind == "pipe":
        monkeypatched = only_over(lambda path: False, "ours")
        with pytest.raises(ImageWriteError, match="not replaced"):
            monkeypatched(path, path)
    else:
        with pytest.raises(ImageWriteError, match="not replaced"):
            make()
    assert os.path.lexists(path)
    assert [item.name for item in tmp_path.iterdir()] == ["a"]


def test_an_image_that_is_no_report(cli, refused, tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 1.0}\n')
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 4), np.uint8))
    before = (tmp_path / "a.tif").read_bytes()
    refused(cli("report", tmp_path, "-o", tmp_path / "a.tif"), 1, "a.tif", "not replaced")
    assert (tmp_path / "a.tif").read_bytes() == before


def records(folder):
    return {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}


def test_weights(cli, refused, instances, tmp_path):
    out = tmp_path / "map.tif"
    for sigma in (5, 3, 3):
        assert cli("weights", instances, "-o", out, "--sigma", sigma).status == 0
        (record,) = records(tmp_path).values()
        assert (record["command"], record["settings"]["sigma"]) == ("weights", sigma)
        assert record["outputs"]["map.tif"] == sha256(out)
    check = foreign(tmp_path / "raw.tif")
    refused(cli("weights", instances, "-o", tmp_path / "raw.tif"), 1, "raw.tif", "no record", "move it away")
    check()
    check = foreign(out)
    refused(cli("weights", instances, "-o", out), 1, "map.tif", "changed after", "move it away")
    check()
    (tmp_path / "map.record.json").unlink()
    refused(cli("weights", instances, "-o", out), 1, "map.tif", "no record")
    out.unlink()
    check = foreign(tmp_path / "map.record.json")
    refused(cli("weights", instances, "-o", out), 1, "map.record.json", "no record of this program")
    check()
    assert not out.exists()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_weights_killed_between_record_and_file(cli, instances, tmp_path, monkeypatch, moment):
    out = tmp_path / "map.tif"
    assert cli("weights", instances, "-o", out).status == 0
    real = os.replace

    def dying(source, target):
        if moment == "after" or target != out:
            real(source, target)
        if target == out:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dying)
        assert cli("weights", instances, "-o", out, "--sigma", 3).status == 130
    for _ in range(2):
        assert cli("weights", instances, "-o", out, "--sigma", 4).status == 0
    assert records(tmp_path)["map.record.json"]["outputs"]["map.tif"] == sha256(out)
