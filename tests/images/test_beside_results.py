"""Where results lie beside their images, the results are meant as results, and the images as images."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from unet2015.errors import DataSetError
from unet2015.images import renamed_results
from unet2015.images.beside_results import results_beside_images, without_results
from unet2015.images.pairs import named_files
from unet2015.images.result_names import CLASSES, LABELS
from unet2015.metrics import evaluate_objects, evaluate_pixels, evaluate_seg
from unet2015.safe_files import sha256, signed
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_names import partners_of
from unet2015.training.pairing import find_pairs

CELLS = np.kron(np.array([[1, 0, 2], [0, 3, 3]], np.uint16), np.ones((10, 10), np.uint16))
RAW = (np.arange(600).reshape(20, 30) % 251).astype(np.uint8)
KNOWN = "under other names than in the records that know them by SHA-256"
RESULTS = {".classes": (CELLS > 0).astype(np.uint8), ".labels": CELLS, ".probability": np.float32(CELLS > 0)}


def write(folder: Path, **files: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in files.items():
        tifffile.imwrite(folder / f"{name}.tif", array)
    return folder


def record(folder: Path, name: str, source: Path, *outputs: str) -> None:
    said = {"input": str(source), "outputs": dict.fromkeys(outputs, "0" * 64)}
    (folder / f"{name}.record.json").write_text(json.dumps(signed(said)))


def segmented(folder: Path, *endings: str, recorded: bool = True) -> Path:
    """Write images and, in the same folder, some of their results."""
    for name in ("t0", "t1"):
        write(folder, **{name: RAW}, **{f"{name}{ending}": RESULTS[ending] for ending in endings})
        if recorded:
            record(folder, name, folder / f"{name}.tif", *(f"{name}{ending}.tif" for ending in endings))
    return folder


@pytest.mark.parametrize("recorded", [True, False])
def test_no_image_is_measured_as_its_result(tmp_path: Path, recorded: bool) -> None:
    both = segmented(tmp_path / "d", *RESULTS, recorded=recorded)
    truth = write(tmp_path / "t", t0=CELLS, t1=CELLS)
    assert evaluate_objects(truth, both).scores.seg == 1
    assert evaluate_seg(write(tmp_path / "SEG", man_seg0=CELLS, man_seg1=CELLS), both).value == 1
    assert evaluate_pixels(truth, both, foreground=True).classes[1].dice == 1
    measured = measure_files(both, tmp_path / "o")
    assert [one.input.name for one in measured] == ["t0.labels.tif", "t1.labels.tif"]


@pytest.mark.parametrize("wanted", [LABELS, CLASSES])
def test_what_no_record_tells_is_refused(tmp_path: Path, wanted: str) -> None:
    both = segmented(tmp_path / "d", ".probability", recorded=False)
    with pytest.raises(DataSetError, match=r"t0.tif: it lies beside t0.probability.tif, and no record"):
        named_files(both, wanted)
    record(both, "t0", both / "t0.tif", "t0.probability.tif")
    record(both, "t1", tmp_path / "t1.tif", "t1.tif", "t1.probability.tif")  # -o t1.tif: it is the class map
    assert {"t0.tif", "t1.tif"} & {path.name for path in named_files(both, wanted)} == {"t1.tif"}


def test_a_class_map_named_as_an_image_is_no_instance_labels(tmp_path: Path) -> None:
    write(tmp_path, **{"r": RESULTS[".classes"], "r.labels": CELLS})
    record(tmp_path, "r", Path("/elsewhere/x.tif"), "r.tif", "r.labels.tif")
    assert [path.name for path in named_files(tmp_path, LABELS)] == ["r.labels.tif"]
    assert "r.tif" in {path.name for path in named_files(tmp_path, CLASSES)}
    (tmp_path / "r.tif").rename(tmp_path / "r.ome.tif")
    record(tmp_path, "r", Path("/elsewhere/x.tif"), "r.ome.tif", "r.labels.tif")
    assert [path.name for path in named_files(tmp_path, LABELS)] == ["r.labels.tif"]


@pytest.mark.parametrize("recorded", [True, False])
def test_a_class_map_without_labels_is_not_measured_as_labels(
    tmp_path: Path, recorded: bool, caplog: pytest.LogCaptureFixture
) -> None:
    results = segmented(tmp_path / "d", *RESULTS, recorded=recorded)
    for path in [*results.glob("t?.tif"), results / "t1.labels.tif"]:
        path.unlink()
    measured = measure_files(results, tmp_path / "o")
    assert [one.input.name for one in measured] == ["t0.labels.tif"]
    (said,) = [one for one in caplog.messages if "no instance labels" in one]
    assert "t1.classes.tif, t1.probability.tif; segment these images with --objects" in said.replace(
        f"{results}/", ""
    )
    truth = write(tmp_path / "t", t0=CELLS, t1=CELLS)
    found = evaluate_objects(truth, results).comparison
    assert ([page.result.name for page in found.pages], found.complete) == (["t0.labels.tif"], False)
    (results / "t0.labels.tif").unlink()
    if recorded:
        with pytest.raises(DataSetError, match="by name and record no instance labels; segment these"):
            measure_files(results, tmp_path / "o")
    assert evaluate_pixels(truth, results, foreground=True).classes[1].dice == 1


def test_labels_without_a_class_map_are_no_class_map(tmp_path: Path) -> None:
    results = segmented(tmp_path / "d", *RESULTS)
    for path in [*results.glob("t?.tif"), results / "t1.classes.tif", results / "t1.probability.tif"]:
        path.unlink()
    assert [path.name for path in named_files(results, CLASSES)] == ["t0.classes.tif"]
    (results / "t0.classes.tif").unlink()
    assert "t1.labels.tif" in {path.name for path in named_files(results, CLASSES)}, "labels as masks"


def test_truth_is_not_left_out_by_its_name(tmp_path: Path) -> None:
    truth = write(tmp_path / "t", **{"t0": CELLS, "t0.labels": CELLS * 2})
    with pytest.raises(DataSetError, match=r"t0.tif: it lies beside t0.labels.tif"):
        evaluate_objects(truth, truth)
    record(truth, "t0", truth / "t0.tif", "t0.labels.tif")
    assert [path.name for path in named_files(truth, LABELS, truth=True)] == ["t0.labels.tif"]


def test_results_are_no_images(tmp_path: Path) -> None:
    both = segmented(tmp_path / "d", *RESULTS)
    labels = write(tmp_path / "l", **{"t0.labels": CELLS, "t1.labels": CELLS})
    files = {path: path.stem for path in sorted(labels.iterdir())}
    assert [path.name for path in partners_of(files, both).values()] == ["t0.tif", "t1.tif"]
    pairs = find_pairs([both], [labels]).pairs
    assert [(image.name, label.name) for image, label in pairs] == [
        ("t0.tif", "t0.labels.tif"),
        ("t1.tif", "t1.labels.tif"),
    ]


def test_images_are_not_their_labels(tmp_path: Path) -> None:
    images, both = write(tmp_path / "i", t0=RAW, t1=RAW), segmented(tmp_path / "d", ".labels")
    pairs = find_pairs([images], [both]).pairs
    assert [label.name for _, label in pairs] == ["t0.labels.tif", "t1.labels.tif"]


@pytest.mark.parametrize("place", ["t0.record.json", "t0.tif.record.json"])
def test_a_result_named_as_an_image_is_no_image_until_it_is_changed(tmp_path: Path, place: str) -> None:
    write(tmp_path, image=RAW, t0=RESULTS[".classes"])
    made = tmp_path / "t0.tif"
    said = {"input": "elsewhere.tif", "outputs": {made.name: sha256(made)}}
    (tmp_path / place).write_text(json.dumps(signed(said)))
    files = [tmp_path / "image.tif", made]
    assert without_results(files) == files[:1]
    assert without_results([made]) == [made], "it alone is meant"
    write(tmp_path, t0=RAW)
    assert without_results(files) == files, "somebody's own"


def recorded(folder: Path) -> None:
    """Write the record of results that lie in a folder, as `segmented` does, with their SHA-256."""
    for name in ("t0", "t1"):
        outputs = {path.name: sha256(path) for path in folder.glob(f"{name}.*.tif")}
        said = {"input": str(folder / f"{name}.tif"), "outputs": outputs}
        (folder / f"{name}.record.json").write_text(json.dumps(signed(said)))


@pytest.mark.parametrize("renamed", [True, False])
def test_renamed_and_copied_results_are_no_images(
    tmp_path: Path, renamed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "unet2015")
    both = segmented(tmp_path / "d", *RESULTS)
    recorded(both)
    for name, now in (("t0.classes.tif", "t0_result.tif"), ("t1.labels.tif", "final.tiff")):
        (both / now).write_bytes((both / name).read_bytes())
        if renamed:
            (both / name).unlink()
    files = sorted(path for path in both.iterdir() if path.suffix != ".json")
    assert [path.name for path in without_results(files)] == ["t0.tif", "t1.tif"]
    (said,) = [one for one in caplog.messages if "SHA-256" in one]
    names = f"{both / 'final.tiff'} (t0.labels.tif), {both / 't0_result.tif'} (t0.classes.tif)"
    assert f"are left out, of which {KNOWN}: {names}" in said, "the results of t0 and t1 are the same"
    write(both, t0_result=RAW)
    assert both / "t0_result.tif" in without_results(files), "somebody's own"


def test_renamed_results_alone_are_taken_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    both = segmented(tmp_path / "d", *RESULTS)
    recorded(both)
    files = [(both / f"{name}.classes.tif").rename(both / f"{name}_mine.tif") for name in ("t0", "t1")]
    assert without_results(files) == files
    assert f"results of this program, {KNOWN}, are taken as images: {files[0]} (t0" in caplog.text
    record = both / "t0.record.json"
    (both / "t1.record.json").unlink()
    record.write_text(record.read_text().replace("t0.tif", "x.tif"))  # edited, and not believed
    caplog.clear()
    assert without_results([*files, both / "t0.tif"]) == [*files, both / "t0.tif"]
    assert not caplog.messages


def test_a_renamed_ome_zarr_result_is_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    digest = renamed_results.digest_of
    monkeypatch.setattr(renamed_results, "digest_of", lambda path: read.append(path.name) or digest(path))
    for name, inside in (("a.classes.zarr", "labels/classes"), ("b.zarr", "labels/cells"), ("c.zarr", "0")):
        (tmp_path / name / inside).mkdir(parents=True)
        (tmp_path / name / "zarr.json").write_text(f"{{}}{' ' * len(inside)}")
    said = {"input": "x.zarr", "outputs": {"a.classes.zarr": sha256(tmp_path / "a.classes.zarr")}}
    (tmp_path / "a.record.json").write_text(json.dumps(signed(said)))
    (tmp_path / "a.classes.zarr").rename(tmp_path / "mine.zarr")
    files = [tmp_path / name for name in ("b.zarr", "c.zarr", "mine.zarr")]
    assert without_results(files) == files[:2]
    assert read == ["mine.zarr"], "images are not read for it: they may be large"


def test_only_what_may_be_a_result_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    digest = renamed_results.digest_of
    monkeypatch.setattr(renamed_results, "digest_of", lambda path: read.append(path.name) or digest(path))
    both = segmented(tmp_path / "d", *RESULTS)
    write(both, odd=RAW[:7])
    recorded(both)
    files = sorted(both.glob("*.tif"))
    images = [both / name for name in ("odd.tif", "t0.tif", "t1.tif")]
    assert without_results(files) == images
    sizes = {path.stat().st_size for path in files if path not in images}
    assert read == [path.name for path in images if path.stat().st_size in sizes]
    assert "odd.tif" not in read
    del read[:]
    (both / "t0.labels.tif").unlink()
    without_results(images)
    assert read == ["odd.tif", "t0.tif", "t1.tif"], "any of them may be those labels"
    del read[:]
    without_results(images[:1])
    assert read == [], "of one file nothing is left out"
    for name in ("t0", "t1"):
        (both / f"{name}.record.json").unlink()
    assert without_results(images) == images
    assert read == []


def test_results_are_known_by_their_names_beside_images(tmp_path: Path) -> None:
    names = {
        "a.tif": None,
        "a.classes.tif": "a.tif",
        "a.probability.ome.tif": "a.tif",
        "a.overlay.png": "a.tif",
        "b.ome.tif": None,
        "b.labels.ome.tif": "b.ome.tif",
        "b.ome.classes.tif": "b.ome.tif",
        "c.zarr": None,
        "c.classes.zarr": "c.zarr",
        "d.classes.tif": None,
        "classes.tif": None,
    }
    found = results_beside_images(tmp_path / name for name in names)
    assert {path.name: image.name for path, image in found.items()} == {
        name: image for name, image in names.items() if image is not None
    }
    assert results_beside_images([tmp_path / "x" / "a.tif", tmp_path / "y" / "a.classes.tif"]) == {}


def test_a_circle_of_links_among_the_images_is_the_failure_of_no_label(tmp_path):
    for name in ("t0.tif", "labels.tif"):
        tifffile.imwrite(tmp_path / name, np.zeros((4, 5), np.uint8), photometric="minisblack")
    folder = tmp_path / "images"
    folder.mkdir()
    (tmp_path / "t0.tif").rename(folder / "t0.tif")
    (folder / "a.tif").symlink_to("b")
    (folder / "b").symlink_to("a.tif")
    found = partners_of({tmp_path / "t0.labels.tif": "t0"}, folder)
    assert list(found.values()) == [folder / "t0.tif"]
