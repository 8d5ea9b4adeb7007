"""Labels of maps that a later segmentation replaced are not taken for those of the new maps."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from unet2015.errors import DataSetError
from unet2015.images import labelled_maps
from unet2015.images.labelled_maps import other_map
from unet2015.images.result_records import notes_on_results
from unet2015.metrics import evaluate_objects, evaluate_seg
from unet2015.safe_files import digest_of
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions

PROBABILITY = SegmentOptions(products=("probability",))
EARLIER = "of an earlier run, and left out: "


@pytest.fixture
def segmented(tmp_path, make_model, stack):
    """Segment two images into a folder, with one of two models or any options."""
    models = [make_model(tmp_path / f"m{seed}.safetensors", seed=seed) for seed in (0, 5)]
    files = [tmp_path / "in" / f"{name}.tif" for name in "ab"]
    files[0].parent.mkdir()
    for path, page in zip(files, stack, strict=False):
        tifffile.imwrite(path, page)

    def run(model: int, out: str = "out", options: SegmentOptions = PROBABILITY, images: int = 2) -> Path:
        done = segment_files(files[:images], tmp_path / out, models[model], options)
        assert [one.error for one in done] == [None] * images
        return tmp_path / out

    return run


def labelled(maps: Path, out: Path | None = None) -> list[Path]:
    """Label the maps of a folder into that folder or another one; return the labels."""
    done = label_files([maps], out or maps)
    assert [one.error for one in done] == [None] * len(done)
    return [one.outputs[0] for one in done]


def truth(folder: Path, *names: str) -> Path:
    """Write truth with one object an image."""
    folder.mkdir()
    for name in names or "ab":
        tifffile.imwrite(folder / f"{name}.tif", np.pad(np.ones((20, 20), np.uint8), ((0, 41), (0, 55))))
    return folder


def test_labels_of_maps_that_were_replaced_are_left_out(tmp_path, segmented, caplog):
    out, true = segmented(0), truth(tmp_path / "t")
    first, other = labelled(out)
    assert evaluate_objects(true, out).comparison.complete
    segmented(1, images=1)
    caplog.clear()
    found = evaluate_objects(true, out).comparison
    assert [page.result for page in found.pages] == [other]
    assert not found.complete
    assert not [note for note in found.on_results if "other maps" in note]
    assert (
        f"{EARLIER}{first}; unet2015 label made them of other maps than those of the last run" in caplog.text
    )
    caplog.clear()
    assert [one.input for one in measure_files(out, tmp_path / "m")] == [other]
    assert f"{EARLIER}{first};" in caplog.text
    segmented(1)
    for use in (
        lambda: evaluate_objects(true, out),
        lambda: evaluate_seg(truth(tmp_path / "SEG", "man_seg0", "man_seg1"), out / "*.labels.tif"),
        lambda: measure_files(out, tmp_path / "m"),
    ):
        with pytest.raises(
            DataSetError, match="of an earlier run, as unet2015 label made them of other maps"
        ):
            use()
    caplog.clear()
    (given,) = measure_files(first, tmp_path / "m")
    assert given.input == first
    assert "unet2015 label made 1 of the results of other maps" in caplog.text
    assert f"a.labels.tif ({out / 'a.probability.tif'})" in caplog.text


def test_labels_that_are_made_again_are_taken(tmp_path, segmented, caplog):
    out = segmented(0)
    before = labelled(out)
    segmented(1)
    caplog.clear()
    assert labelled(out) == before
    assert EARLIER not in caplog.text, "they are about to be made again"
    assert len(measure_files(out, tmp_path / "m")) == 2
    assert EARLIER not in caplog.text


def test_labels_of_a_map_of_an_earlier_run_are_of_that_run(tmp_path, segmented, caplog):
    out = segmented(0)
    labelled(out)
    segmented(0, options=SegmentOptions(threshold=0.51), images=1)
    assert "kept: a.probability.tif" in caplog.text
    caplog.clear()
    assert [one.input.name for one in measure_files(out, tmp_path / "m")] == ["b.labels.tif"]
    assert f"{EARLIER}{out / 'a.labels.tif'};" in caplog.text


@pytest.mark.parametrize(
    "change", ["none", "moved", "copied", "deleted", "map moved", "again", "labels corrected"]
)
def test_labels_of_the_maps_that_lie_there_are_fine(tmp_path, segmented, change, caplog):
    out = segmented(0)
    labels = labelled(out)
    if change == "moved":
        out = out.rename(tmp_path / "elsewhere")
    elif change == "copied":
        shutil.copytree(out, tmp_path / "copy")
        segmented(1)
        out = tmp_path / "copy"
    elif change in ("deleted", "map moved"):
        for path in out.glob("*.probability.tif"):
            path.unlink() if change == "deleted" else path.rename(tmp_path / path.name)
    elif change == "again":
        for path in [*out.glob("*.classes.tif"), *out.glob("*.probability.tif")]:
            path.unlink()
        segmented(0, options=SegmentOptions(products=("probability",), threshold=0.51))
    elif change == "labels corrected":
        segmented(1)
        for path in labels:
            tifffile.imwrite(path, np.ones((61, 75), np.uint8))
    caplog.clear()
    assert [one.input.name for one in measure_files(out, tmp_path / "m")] == ["a.labels.tif", "b.labels.tif"]
    assert "earlier run" not in caplog.text
    assert "other maps" not in caplog.text


def test_labels_of_a_map_that_somebody_corrected_are_fine(tmp_path, segmented, caplog):
    out = segmented(0, options=SegmentOptions())
    page = tifffile.imread(out / "a.classes.tif")
    tifffile.imwrite(out / "a.classes.tif", np.flip(page, 0))
    labelled(out)
    caplog.clear()
    assert len(measure_files(out, tmp_path / "m")) == 2
    assert "earlier run" not in caplog.text
    assert "other maps" not in caplog.text


def test_maps_that_are_as_the_labels_have_them_are_not_read(tmp_path, segmented, monkeypatch):
    labels = labelled(segmented(0), tmp_path / "counted")
    read: list[Path] = []
    monkeypatch.setattr(labelled_maps, "digest_of", lambda path: read.append(path) or digest_of(path))
    assert [other_map(path) for path in labels] == [None, None]
    assert read == []


def test_labels_in_another_folder_than_their_maps_are_said(tmp_path, segmented, caplog):
    out, counted = segmented(0), tmp_path / "counted"
    labelled(out, counted)
    segmented(1)
    note, unknown = evaluate_objects(truth(tmp_path / "t"), counted).comparison.on_results
    assert unknown.startswith("2 results of a model that does not name the files")  # kept from the old maps
    assert note.startswith("by their records unet2015 label made 2 of the results of other maps than lie")
    assert f"a.labels.tif ({out / 'a.probability.tif'}), b.labels.tif" in note
    caplog.clear()
    assert len(measure_files(counted, tmp_path / "m")) == 2
    assert note in caplog.text
    labelled(out, counted)
    assert notes_on_results(sorted(counted.glob("*.labels.tif"))) == ()
    segmented(0)
    out.rename(tmp_path / "moved")
    assert notes_on_results(sorted(counted.glob("*.labels.tif"))) == ()


def test_maps_of_other_labels_beside_them_are_said(tmp_path, segmented, caplog):
    out = segmented(0)
    labelled(out)
    shutil.copytree(out, tmp_path / "copy")
    segmented(1, "copy")
    caplog.clear()
    assert len(measure_files(tmp_path / "copy", tmp_path / "m")) == 2
    assert f"a.labels.tif ({tmp_path / 'copy' / 'a.probability.tif'})" in caplog.text
    segmented(1)  # now the maps that they were made of are nowhere
    with pytest.raises(DataSetError, match="of an earlier run"):
        measure_files(tmp_path / "copy", tmp_path / "m")


@pytest.mark.parametrize("inside", [False, True])
def test_labels_of_ome_zarr(tmp_path, segmented, make_model, inside, caplog):
    images, out = segmented(0, "zarr", SegmentOptions(), images=1), tmp_path / "out"
    shutil.rmtree(images)
    for seed in (0, 5):
        done = segment_files(
            [tmp_path / "in" / "a.tif"], out / "a.classes.zarr", tmp_path / f"m{seed}.safetensors"
        )
        assert done[0].error is None
        if seed == 0:
            given = out / "a.classes.zarr" / "labels" / "classes" if inside else out
            (labels,) = labelled(given, out)
            assert labels.name == "a.labels.zarr"
            assert len(measure_files(out, tmp_path / "m")) == 1
            corrected = zarr.open_array(out / "a.classes.zarr" / "labels" / "classes" / "0")
            before = corrected[:]
            corrected[:] = 0
            assert other_map(labels) is None, "somebody's correction is no other run"
            corrected[:] = before
    with pytest.raises(DataSetError, match=r"a\.labels\.zarr: of an earlier run"):
        measure_files(out, tmp_path / "m")


def test_records_that_tell_nothing_of_a_map_say_nothing(tmp_path, segmented):
    out = segmented(0)
    (labels, _) = labelled(out)
    segmented(1)
    assert other_map(labels) is not None
    record = out / "a.labels.record.json"
    said = json.loads(record.read_text())
    record.write_text(json.dumps(said | {"date": "today"}))  # edited
    assert other_map(labels) is None
    del said["record_sha256"]
    for strange in (
        {"input": ""},
        {"input": 3},
        {"input_sha256": None},
        {"command": "measure"},
        {"outputs": {}},
    ):
        record.write_text(json.dumps(said | strange))
        assert other_map(labels) is None
    record.write_text(json.dumps(said))
    assert other_map(labels) is not None
    (out / "a.record.json").unlink()
    assert other_map(labels) is None
