"""Results are replaced only if a record names them and nobody has changed them since."""

import json
import os

import pytest
import tifffile

from unet2015.safe_files import hidden_prefix
from unet2015.segmentation import run
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.file_plan import plan_files
from unet2015.segmentation.options import SegmentOptions

ONE, OTHER = SegmentOptions(tile=60), SegmentOptions(tile=60, threshold=0.3)
BOTH = SegmentOptions(tile=60, products=("classes", "probability"))


@pytest.fixture
def image(tmp_path, stack):
    tifffile.imwrite(tmp_path / "x.tif", stack[0])
    return tmp_path / "x.tif"


def segment(image, out, model, options=ONE):
    (result,) = segment_files([image], out, model, options)
    return result.error


def refused_early(image, out, model, monkeypatch, *words, options=ONE):
    """Plan and run are refused before the image is read."""
    (planned,) = plan_files([image], out, model, options)
    with monkeypatch.context() as patch:
        patch.setattr(SegmentOptions, "open", None)
        error = segment(image, out, model, options)
    assert str(planned.error) == str(error)
    for word in ("not replaced", "move it away", *words):
        assert word in str(error)


def test_a_raw_stack_that_lies_there(tmp_path, image, model, stack, monkeypatch):
    raw = tmp_path / "raw_data.tif"
    tifffile.imwrite(raw, stack, photometric="minisblack")
    before = raw.read_bytes()
    refused_early(image, raw, model, monkeypatch, "raw_data.tif", "no record")
    assert raw.read_bytes() == before


@pytest.mark.parametrize("name", ["r.probability.tif", "r.record.json"])
def test_other_files_of_a_result(tmp_path, image, model, monkeypatch, name):
    (tmp_path / name).write_text('{"mine": true}')
    refused_early(image, tmp_path / "r.tif", model, monkeypatch, name, options=BOTH)
    assert (tmp_path / name).read_text() == '{"mine": true}'
    assert not (tmp_path / "r.tif").exists()


@pytest.mark.parametrize("out", ["r.tif", "r.zarr"])
def test_a_result_that_was_edited_or_has_lost_its_record(tmp_path, image, model, monkeypatch, out):
    assert segment(image, tmp_path / out, model) is None
    assert segment(image, tmp_path / out, model, OTHER) is None  # ours: replaced
    record = tmp_path / "r.record.json"
    (tmp_path / "kept").write_bytes(record.read_bytes())
    record.unlink()
    refused_early(image, tmp_path / out, model, monkeypatch, out, "no record")
    (tmp_path / "kept").rename(record)
    edited = tmp_path / out if out == "r.tif" else tmp_path / out / "zarr.json"
    edited.write_bytes(edited.read_bytes() + b" ")
    before = edited.read_bytes()
    refused_early(image, tmp_path / out, model, monkeypatch, out, "changed after")
    assert edited.read_bytes() == before


def test_a_record_that_was_edited_is_neither_believed_nor_replaced(tmp_path, image, model, monkeypatch):
    assert segment(image, tmp_path / "r.tif", model) is None
    record, before = tmp_path / "r.record.json", (tmp_path / "r.tif").read_bytes()
    whole = json.loads(record.read_text())
    record.write_text(json.dumps(dict(reversed(whole.items())), indent=7))  # says the same
    assert segment(image, tmp_path / "r.tif", model) is None
    for changed in (
        whole | {"settings": whole["settings"] | {"threshold": 0.3}},
        whole | {"mine": "a note"},
        {name: value for name, value in whole.items() if name != "date"},
        whole | {"record_sha256": None},
    ):
        record.write_text(text := json.dumps(changed))
        for options in (ONE, OTHER):
            refused_early(
                image,
                tmp_path / "r.tif",
                model,
                monkeypatch,
                "r.record.json",
                "not believed",
                options=options,
            )
        (tmp_path / "r.tif").unlink()  # the note of somebody stays, too
        assert "r.record.json: was changed" in str(segment(image, tmp_path / "r.tif", model))
        assert record.read_text() == text
        (tmp_path / "r.tif").write_bytes(before)
    del whole["record_sha256"]
    record.write_text(json.dumps(whole))
    (result,) = segment_files([image], tmp_path / "r.tif", model, ONE)
    assert result.error is None
    assert "r.record.json: has no digest of itself" in result.notes[-1]


def test_a_record_that_was_edited_while_a_killed_run_waits_is_not_believed(tmp_path, image, model):
    assert segment(image, tmp_path / "r.tif", model) is None
    record = tmp_path / "r.record.json"
    whole = json.loads(record.read_text())
    record.write_text(json.dumps(whole | {"settings": whole["settings"] | {"threshold": 0.3}}))
    (tmp_path / f"{hidden_prefix(tmp_path / 'r.tif')}x.tmp").touch()
    assert "not believed and not replaced" in str(segment(image, tmp_path / "r.tif", model, OTHER))


def test_a_probability_map_that_was_not_wanted_again_stays_ours(tmp_path, image, model):
    for options in (BOTH, OTHER, BOTH):
        assert segment(image, tmp_path / "r.tif", model, options) is None
    record = json.loads((tmp_path / "r.record.json").read_text())
    assert list(record["outputs"]) == ["r.tif", "r.probability.tif"]
    assert "earlier" not in record


def test_results_of_one_name_and_two_kinds_have_a_record_each(tmp_path, image, model):
    for _ in range(2):
        for name in ("r.tif", "r.zarr", "r.tiff"):
            assert segment(image, tmp_path / name, model) is None
    said = {path.name: list(json.loads(path.read_text())["outputs"]) for path in tmp_path.glob("*.json")}
    assert said == {
        "r.record.json": ["r.tif"],
        "r.zarr.record.json": ["r.zarr"],
        "r.tiff.record.json": ["r.tiff"],
    }
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    for name in ("r.tif", "r.zarr", "r.tiff"):
        assert segment(image, tmp_path / name, model) is None
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times


@pytest.mark.parametrize("theirs", ["r.tif", "r.probability.tif", "r.record.json"])
def test_a_file_that_comes_while_it_is_computed_stays(tmp_path, image, model, monkeypatch, theirs):
    real = run.write_products

    def late(*arguments):
        found = real(*arguments)
        (tmp_path / theirs).write_text("{}")
        return found

    monkeypatch.setattr(run, "write_products", late)
    error = segment(image, tmp_path / "r.tif", model, BOTH)
    assert theirs in str(error)
    assert "not replaced" in str(error)
    assert (tmp_path / theirs).read_text() == "{}"
    assert [path.name for path in tmp_path.glob("r.*")] == [theirs]
    (tmp_path / theirs).unlink()
    monkeypatch.setattr(run, "write_products", None)  # what was computed was kept
    assert segment(image, tmp_path / "r.tif", model, BOTH) is None


def test_a_link_to_nowhere_and_a_pipe_are_not_replaced(tmp_path, image, model, monkeypatch):
    (tmp_path / "r.tif").symlink_to(tmp_path / "gone")
    refused_early(image, tmp_path / "r.tif", model, monkeypatch, "r.tif")
    assert os.path.islink(tmp_path / "r.tif")
    os.mkfifo(tmp_path / "p.tif")
    refused_early(image, tmp_path / "p.tif", model, monkeypatch, "p.tif")
