"""The folder of an export: whole or absent, and nothing of anybody else's is touched."""

import json
import sys

import pytest

from tests.exchange.conftest import small_model
from tests.networks.others import PointwiseSettings
from unet2015.errors import ImageWriteError, ModelError, UsageError
from unet2015.exchange import ExportOptions, export_model, table
from unet2015.safe_files import claim, hidden_prefix, sha256
from unet2015.settings import Mapping

pytestmark = pytest.mark.usefixtures("others")
MINE = "export.record.json"
SCRIPT = ExportOptions(formats=("torchscript",))


def pointwise(**changes):
    return small_model(PointwiseSettings(), **changes)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_record_says_what_lies_there(tmp_path):
    report = export_model(pointwise(), tmp_path, SCRIPT)
    record = json.loads((tmp_path / MINE).read_text())
    assert record["command"] == "export"
    assert record["input_sides"] == {"smallest": 1, "step": 1}
    assert record["formats"] == {
        "torchscript": {
            "file": "model.torchscript.pt",
            "largest_difference": report.differences["torchscript"],
        }
    }
    assert record["outputs"] == {path.name: sha256(path) for path in tmp_path.iterdir() if path.name != MINE}
    assert {path.name for path in tmp_path.iterdir()} == {*record["outputs"], MINE}


def test_files_are_on_the_disk_before_the_record_that_names_them(tmp_path, disk):
    export_model(pointwise(), tmp_path, SCRIPT)
    names = sorted(json.loads((tmp_path / MINE).read_text())["outputs"])
    end = disk[-(2 * len(names) + 4) :]
    work, temporary = end[0][1].parent, end[len(names)][1]
    assert work.parent == temporary.parent == tmp_path
    assert end == [
        *(("flush", work / name) for name in names),
        ("flush", temporary),
        ("name", tmp_path / MINE),
        ("flush", tmp_path),
        *(("name", tmp_path / name) for name in names),
        ("flush", tmp_path),
    ]


def test_an_export_may_be_made_again_and_get_more_formats(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    export_model(pointwise(), tmp_path, SCRIPT)
    export_model(pointwise(), tmp_path, SCRIPT)
    export_model(pointwise(), tmp_path, ExportOptions(formats=("safetensors",)))
    assert (tmp_path / "notes.txt").read_text() == "mine"
    record = json.loads((tmp_path / MINE).read_text())
    assert sorted(record["formats"]) == ["safetensors", "torchscript"]
    assert "model.torchscript.pt" in record["earlier"]
    card = (tmp_path / "README.md").read_text()
    assert "`model.torchscript.pt`" in card
    assert "`model.safetensors`" in card


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE is of POSIX")
@pytest.mark.parametrize("name", ["pt2", "torchscript", "safetensors"])
def test_a_full_disk_is_an_error_and_leaves_nothing(name, tmp_path):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(ImageWriteError, match=r"cannot write .*: File too large"):
            export_model(small_model(), tmp_path, ExportOptions(formats=(name,)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("name", ["README.md", "model.torchscript.pt", "test-input.npy", MINE])
def test_files_of_others_are_not_replaced(name, tmp_path):
    (tmp_path / name).write_text("mine")
    with pytest.raises(ImageWriteError, match=f"{name}: exists"):
        export_model(pointwise(), tmp_path, SCRIPT)
    assert contents(tmp_path) == {name: b"mine"}


def test_a_record_that_was_edited_is_not_replaced(tmp_path):
    export_model(pointwise(), tmp_path, SCRIPT)
    said = json.loads((tmp_path / MINE).read_text())
    (tmp_path / MINE).write_text(json.dumps(said | {"margin": 7}))
    before = contents(tmp_path)
    with pytest.raises(ImageWriteError, match=rf"{MINE}: was changed .* not believed and not replaced"):
        export_model(pointwise(), tmp_path, SCRIPT)
    assert contents(tmp_path) == before


def test_a_file_that_was_changed_since_is_not_replaced(tmp_path):
    export_model(pointwise(), tmp_path, SCRIPT)
    (tmp_path / "README.md").write_text("my own words")
    before = contents(tmp_path)
    with pytest.raises(ImageWriteError, match=r"README.md: exists, but was changed"):
        export_model(pointwise(), tmp_path, SCRIPT)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("change", "mean", "words"),
    [({"class_names": ("a", "b")}, 1.0, "of another model"), ({}, 2.0, "that takes other intensities")],
)
def test_exports_are_not_mixed(change, mean, words, tmp_path):
    def fixed(mean):
        return ExportOptions(formats=("torchscript",), mean=(mean,), deviation=(3.0,))

    export_model(pointwise(mapping=Mapping(method="standardise")), tmp_path, fixed(1.0))
    before = contents(tmp_path)
    with pytest.raises(ImageWriteError, match=words):
        export_model(pointwise(mapping=Mapping(method="standardise"), **change), tmp_path, fixed(mean))
    assert contents(tmp_path) == before


def test_a_file_that_differs_from_the_model_is_not_written(tmp_path, monkeypatch):
    made = table.FORMATS["torchscript"]
    wrong = table.Format(
        made.file, made.about, (), made.write, lambda *given: [one + 2e-4 for one in made.run(*given)]
    )
    monkeypatch.setitem(table.FORMATS, "torchscript", wrong)
    with pytest.raises(
        ModelError, match=r"model.torchscript.pt: its probabilities differ .* by up to 2.0e-04"
    ):
        export_model(pointwise(), tmp_path / "out", SCRIPT)
    assert contents(tmp_path / "out") == {}


def test_a_shape_that_differs_from_the_models_is_an_error(tmp_path, monkeypatch):
    made = table.FORMATS["torchscript"]
    wrong = table.Format(
        made.file, made.about, (), made.write, lambda *given: [one[..., 1:] for one in made.run(*given)]
    )
    monkeypatch.setitem(table.FORMATS, "torchscript", wrong)
    with pytest.raises(ModelError, match=r"gives \(1, 2, 64, 64\) .* where the model gives \(1, 2, 64, 65\)"):
        export_model(pointwise(), tmp_path / "out", SCRIPT)


def test_what_a_killed_run_left_is_removed(tmp_path):
    left = tmp_path / f"{hidden_prefix(tmp_path / MINE)}abc.parts"
    left.mkdir()
    (left / "model.onnx").write_text("half")
    export_model(pointwise(), tmp_path, SCRIPT)
    assert not left.exists()


def test_another_run_that_writes_there_is_not_disturbed(tmp_path):
    with claim(tmp_path / MINE), pytest.raises(ImageWriteError, match="another run is writing it"):
        export_model(pointwise(), tmp_path, SCRIPT)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("onyx",), "--format onyx: no such format; did you mean 'onnx'"),
        ((), "no format is given; there are onnx"),
    ],
)
def test_a_format_that_is_not_known_is_refused(names, words, tmp_path):
    with pytest.raises(UsageError, match=words):
        export_model(pointwise(), tmp_path / "out", ExportOptions(formats=names))
    assert not (tmp_path / "out").exists()
