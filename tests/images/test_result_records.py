"""Results are measured together only with a word where several models made them, or learned their images."""

import json
from hashlib import sha256
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch

from unet2015.images.copies import copies
from unet2015.images.pair_notes import notes_on_pairs, notes_on_truth
from unet2015.images.result_names import shown_name
from unet2015.images.result_records import notes_on_results, record_of_result
from unet2015.images.turned import TurnedDigest
from unet2015.metrics import evaluate_objects, evaluate_pixels
from unet2015.models.model_file import ModelInfo, build_network, save_model
from unet2015.safe_files import digest_of, signed
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings import Mapping, NetworkSettings, TrainingSettings
from unet2015.training.checks.training_set import inspect_set

CELLS = np.kron(np.array([[1, 0, 2], [0, 3, 3]], np.uint16), np.ones((10, 10), np.uint16))
MORE = ("trained_on", "chosen_on", "command", "input", "input_sha256", "channel_names")
SETTINGS = {"threshold": 0.5, "average": "none", "tile": 572, "batch": 1}


def result(folder: Path, name: str, model: str = "a" * 64, edited: bool = False, **changes: object) -> Path:
    """Write labels with a record beside them."""
    path = folder / f"{name}.labels.tif"
    tifffile.imwrite(path, CELLS)
    more = {key: changes.pop(key) for key in [*changes] if key in MORE}
    said = {
        "model_sha256": model,
        "settings": SETTINGS | changes,
        "outputs": {path.name: digest_of(path)},
        **more,
    }
    written = signed(said) | ({"model_sha256": "b" * 64} if edited else {})
    (folder / f"{name}.record.json").write_text(json.dumps(written))
    return path


def test_other_models_and_settings_are_said(tmp_path: Path) -> None:
    alike = [result(tmp_path, "t0"), result(tmp_path, "t1", tile=92, batch=4)]
    assert notes_on_results(alike) == ()
    (note,) = notes_on_results([*alike, result(tmp_path, "t2", "c" * 64, threshold=0.9)])
    assert "not all of one model and the same settings" in note
    assert f"model {'a' * 12} for t0.labels.tif, t1.labels.tif, {'c' * 12} for t2.labels.tif" in note
    assert "threshold 0.5 for t0.labels.tif, t1.labels.tif, 0.9 for t2.labels.tif" in note
    assert "tile" not in note


def test_of_settings_that_belong_together_those_are_said_that_differ(tmp_path: Path) -> None:
    objects = {"smallest": 27, "frame": 0, "connectivity": 1, "fill_holes": False, "markers": "none" * 30}
    one = result(tmp_path, "a", objects=objects)
    (note,) = notes_on_results([one, result(tmp_path, "b", objects=objects | {"smallest": 300})])
    assert note.endswith(": objects smallest 27 for a.labels.tif, 300 for b.labels.tif")
    (note,) = notes_on_results([one, result(tmp_path, "c", objects=None)])
    assert note.endswith(": objects given for a.labels.tif, null for c.labels.tif")


def test_how_pixels_were_mapped_and_which_channel_it_was_decide(tmp_path: Path) -> None:
    one, other = result(tmp_path, "a", map_each="page"), result(tmp_path, "b")
    (note,) = notes_on_results([one, other])
    assert note.endswith(': map_each "page" for a.labels.tif, null for b.labels.tif')
    gfp = result(tmp_path, "c", channel="1", channel_names=["GFP"])
    assert notes_on_results([gfp, result(tmp_path, "d", channel="GFP", channel_names=["GFP"])]) == ()
    (note,) = notes_on_results([gfp, result(tmp_path, "e", channel="1", channel_names=["BF"])])
    assert note.endswith(': channel ["GFP"] for c.labels.tif, ["BF"] for e.labels.tif')
    alike = [result(tmp_path, name, channel="1") for name in "fg"]
    assert notes_on_results(alike) == ()


def test_results_that_are_not_what_their_records_tell_of_are_said_by_evaluate(tmp_path: Path) -> None:
    truth, folder = tmp_path / "t", tmp_path / "r"
    for one in (truth, folder):
        one.mkdir()
    paths = [result(folder, f"t{k}") for k in range(3)]
    for k, path in enumerate(paths):
        tifffile.imwrite(truth / f"t{k}.tif", CELLS, software="drawn")
        tifffile.imwrite(path, np.roll(CELLS, k))
        record = folder / f"t{k}.record.json"
        said = json.loads(record.read_text()) | {"outputs": {path.name: digest_of(path)}}
        record.write_text(
            json.dumps(signed({key: said[key] for key in ("model_sha256", "settings", "outputs")}))
        )
    assert evaluate_objects(truth, folder).comparison.on_results == ()
    one, other = (path.read_bytes() for path in paths[:2])
    paths[0].write_bytes(other)
    paths[1].write_bytes(one)
    tifffile.imwrite(paths[2], CELLS * 2)
    exchanged, changed = evaluate_objects(truth, folder).comparison.on_results
    assert "t0.labels.tif holds t1.labels.tif, t1.labels.tif holds t0.labels.tif" in exchanged
    assert changed.startswith("1 result is not as the records say that they were written: t2.labels.tif;")


def test_a_result_that_was_emptied_is_changed_and_not_that_of_another_image(tmp_path: Path) -> None:
    paths = [result(tmp_path, name) for name in "ab"]
    tifffile.imwrite(paths[1], 0 * CELLS)
    record = tmp_path / "b.record.json"
    said = json.loads(record.read_text()) | {"outputs": {paths[1].name: digest_of(paths[1])}}
    record.write_text(json.dumps(signed(said)))
    tifffile.imwrite(tmp_path / "truth.tif", CELLS, software="drawn")
    pairs = [(tmp_path / "truth.tif", path) for path in paths]
    assert notes_on_pairs(pairs) == ()
    cells = paths[0].read_bytes()
    paths[0].write_bytes(paths[1].read_bytes())
    (note,) = notes_on_pairs(pairs)
    assert note.startswith("1 result is not as the records say that they were written: a.labels.tif;")
    paths[1].write_bytes(cells)
    exchanged, changed = notes_on_pairs(pairs)
    assert "so the figures are of none: b.labels.tif holds a.labels.tif;" in exchanged
    assert changed.startswith("1 result is not as")


def test_images_that_the_model_was_chosen_by_or_that_are_there_twice_are_said_by_evaluate(
    tmp_path: Path,
) -> None:
    said = {"chosen_on": [0], "input_sha256": "f" * 64}
    paths = [result(tmp_path, "a", **said), result(tmp_path, "b", input_sha256="f" * 64)]
    paths += [
        result(tmp_path, "c", input_sha256="e" * 64),
        result(tmp_path, "d", scene="1", input_sha256="e" * 64),
    ]
    tifffile.imwrite(tmp_path / "truth.tif", CELLS, software="drawn")
    twice, chosen = notes_on_pairs([(tmp_path / "truth.tif", path) for path in paths])
    assert twice.endswith(" counts several times: a.labels.tif and b.labels.tif")
    assert chosen.startswith("1 result is of images held out of the training: ")
    assert chosen.endswith(": a.labels.tif")


def test_labels_without_an_object_are_not_taken_for_each_other(tmp_path: Path) -> None:
    for name, labels in (("empty", 0 * CELLS), ("cells", CELLS)):
        for side in ("t", "r"):
            tifffile.imwrite(tmp_path / f"{name}-{side}.tif", labels)
        found = notes_of_truth((tmp_path / f"{name}-t.tif", tmp_path / f"{name}-r.tif"))
        assert ("byte for byte" in " ".join(found)) == (name == "cells")


def test_nothing_is_said_where_no_record_tells(tmp_path: Path) -> None:
    bare = tmp_path / "x.labels.tif"
    tifffile.imwrite(bare, CELLS)
    edited = result(tmp_path, "t1", edited=True)
    assert record_of_result(bare) is record_of_result(edited) is None
    assert notes_on_results([result(tmp_path, "t0"), bare, edited, tmp_path / "none.tif"]) == ()
    for damaged in ({"settings": 3}, {"settings": None, "trained_on": "x"}, {"input": 3, "command": "label"}):
        said = {"outputs": {bare.name: "0"}, **damaged}
        (tmp_path / "x.record.json").write_text(json.dumps(signed(said)))
        notes_on_results([bare])


def test_a_record_named_after_the_class_map_is_found(tmp_path: Path) -> None:
    labels = result(tmp_path, "t")
    record = (tmp_path / "t.record.json").rename(tmp_path / "t.tif.record.json")
    (tmp_path / "t.record.json").write_text(json.dumps({"outputs": {"t.zarr": "0"}}))
    assert record_of_result(labels) == json.loads(record.read_text())


def test_it_is_said_where_results_are_measured(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for folder in ("r", "t"):
        (tmp_path / folder).mkdir()
    for number, threshold in enumerate((0.5, 0.9)):
        result(tmp_path / "r", f"t{number}", threshold=threshold)
        tifffile.imwrite(tmp_path / "t" / f"t{number}.tif", CELLS, software="drawn")
    found = evaluate_objects(tmp_path / "t", tmp_path / "r")
    (note,) = found.comparison.on_results
    assert found.as_dict()["on_results"] == [note]
    assert caplog.messages == [f"{tmp_path / 'r'}: {note}"]
    caplog.clear()
    measure_files(tmp_path / "r", tmp_path / "o")
    assert note in caplog.messages


@pytest.fixture
def segmented(tmp_path: Path) -> Path:
    """A folder of results of two images, of which the model was trained on a page of the first."""
    pages = np.random.default_rng(0).integers(0, 255, (2, 2, 40, 50), np.uint8)
    for number in (0, 1):
        tifffile.imwrite(tmp_path / f"i{number}.tif", pages[number], photometric="minisblack")
    digest = sha256((tmp_path / "i0.tif").read_bytes()).hexdigest()
    info = ModelInfo(
        network=NetworkSettings(width=2, depth=1),
        mapping=Mapping(method="integer-range"),
        class_names=("membrane", "cell"),
        training={
            "files": [{"image": "renamed.tif", "image_sha256": digest}],
            "held_out": ["renamed.tif page 1"],
        },
    )
    torch.manual_seed(0)
    save_model(tmp_path / "m.safetensors", build_network(info), info)
    options = SegmentOptions(products=("probability",))
    results = segment_files(
        sorted(tmp_path.glob("i*.tif")), tmp_path / "r", tmp_path / "m.safetensors", options
    )
    assert [one.error for one in results] == [None, None]
    return tmp_path / "r"


@pytest.fixture
def knowing(tmp_path: Path) -> Path:
    """A model that knows the pixels of pages that it was trained on, and that held out the last."""
    pages = np.random.default_rng(0).integers(0, 200, (3, 40, 50), np.uint8)
    np.save(tmp_path / "pages.npy", pages)
    found = []
    pixels = {"height": 40, "width": 50, "digests": found}
    for page in pages:
        digest = TurnedDigest()
        digest.update(page[None])
        found.append(digest.digests().short)
    info = ModelInfo(
        network=NetworkSettings(width=2, depth=1),
        mapping=Mapping(method="standardise"),
        class_names=("membrane", "cell"),
        training={
            "files": [{"image": "a.tif", "image_sha256": "0", "pixels": pixels}],
            "held_out": ["a.tif page 2"],
        },
    )
    torch.manual_seed(0)
    save_model(tmp_path / "m.safetensors", build_network(info), info)
    return tmp_path / "m.safetensors"


@pytest.mark.parametrize(
    "save",
    [
        lambda path, page: tifffile.imwrite(path.with_suffix(".tif"), page, compression="zlib"),
        lambda path, page: tifffile.imwrite(path.with_suffix(".tif"), page.astype(np.uint16)),
        lambda path, page: tifffile.imwrite(path.with_suffix(".tif"), page.astype(np.float32)),
        lambda path, page: tifffile.imwrite(path.with_suffix(".tif"), np.rot90(page)),
        lambda path, page: path.with_suffix(".png").write_bytes(imagecodecs.png_encode(page)),
    ],
)
def test_images_saved_again_are_known_by_their_pixels(knowing: Path, tmp_path: Path, save) -> None:
    (tmp_path / "i").mkdir()
    pages = np.load(tmp_path / "pages.npy")
    for name, page in zip("abcde", (*pages, pages[0] + 1, pages[0, :-1]), strict=True):
        save(tmp_path / "i" / name, page)
    segment_files(
        sorted((tmp_path / "i").iterdir()), tmp_path / "r", knowing, SegmentOptions(products=("classes",))
    )
    records = [json.loads((tmp_path / "r" / f"{name}.record.json").read_text()) for name in "abcde"]
    assert [one.get("trained_on") for one in records] == [[0], [0], None, None, None]
    assert [one.get("chosen_on") for one in records] == [None, None, [0], None, None]


def test_pixels_are_read_again_only_where_pages_have_the_size_of_those(
    knowing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    monkeypatch.setattr("unet2015.segmentation.run.page_digest", lambda *which: read.append(which))
    tifffile.imwrite(tmp_path / "i.tif", np.load(tmp_path / "pages.npy")[:, 1:], photometric="minisblack")
    segment_files([tmp_path / "i.tif"], tmp_path / "r", knowing, SegmentOptions(products=("classes",)))
    assert (tmp_path / "r" / "i.record.json").exists()
    assert read == []


def test_images_that_the_model_was_trained_on_are_said(segmented: Path, tmp_path: Path) -> None:
    records = [json.loads((segmented / f"i{number}.record.json").read_text()) for number in (0, 1)]
    assert [record.get("trained_on", "on none") for record in records] == [[0], "on none"]
    assert [record.get("chosen_on", "by none") for record in records] == [[1], "by none"]
    (tmp_path / "t").mkdir()
    for number in (0, 1):
        tifffile.imwrite(
            tmp_path / "t" / f"i{number}.tif", np.ones((2, 40, 50), np.uint8), photometric="minisblack"
        )
    words = "1 of the results are of images that their model was trained on"
    note, chosen = evaluate_pixels(tmp_path / "t", segmented).comparison.on_results
    assert chosen.startswith("1 result is of images held out of the training")
    assert note.startswith(words)
    assert note.endswith("i0.classes.tif")
    label_files(segmented, tmp_path / "l")
    labels = sorted((tmp_path / "l").glob("*.labels.tif"))
    assert [one.startswith(words) for one in notes_on_results(labels)] == [True], "of labels made of the maps"


@pytest.mark.parametrize("lost", ["moved", "replaced", "deleted"])
def test_labels_keep_what_is_known_of_their_map(segmented: Path, tmp_path: Path, lost: str) -> None:
    """The maps may be moved, segmented anew by another model, or deleted: the labels are of the old ones."""
    label_files(segmented, tmp_path / "l")
    labels = sorted((tmp_path / "l").glob("*.labels.tif"))
    truth = tmp_path / "truth.tif"
    tifffile.imwrite(truth, np.ones((2, 40, 50), np.uint8), photometric="minisblack", software="drawn")
    before = notes_on_pairs([(truth, path) for path in labels])
    assert len(before) == 2
    if lost == "moved":
        segmented.rename(tmp_path / "elsewhere")
    for path in segmented.glob("*") if lost == "deleted" else ():
        path.unlink()
    if lost == "replaced":
        for path in segmented.glob("*.record.json"):
            said = json.loads(path.read_text())
            said["model_sha256"], said["outputs"] = "d" * 64, dict.fromkeys(said["outputs"], "e" * 64)
            said.pop("trained_on", None)
            said.pop("chosen_on", None)
            path.write_text(json.dumps(signed({key: said[key] for key in said if key != "signature"})))
    after = notes_on_pairs([(truth, path) for path in labels])
    assert set(before) <= set(after)


def test_labels_of_a_map_that_somebody_changed_are_said(segmented: Path, tmp_path: Path, caplog) -> None:
    corrected = segmented / "i1.probability.tif"
    pages = tifffile.imread(corrected)
    pages[:, 3:9, 3:9] = 1 - pages[:, 3:9, 3:9]
    tifffile.imwrite(corrected, pages, photometric="minisblack")
    label_files(segmented, tmp_path / "l")
    labels = sorted((tmp_path / "l").glob("*.labels.tif"))
    note = "1 result is of maps that were not as the records said that they were written: i1.labels.tif;"
    assert [one.startswith(note) for one in notes_on_results(labels)].count(True) == 1
    with caplog.at_level("WARNING", "unet2015"):
        measure_files(tmp_path / "l", tmp_path / "m")
    assert note in caplog.text


def test_where_a_model_does_not_name_its_files_that_is_said(tmp_path: Path) -> None:
    info = ModelInfo(
        network=NetworkSettings(width=2, depth=1),
        mapping=Mapping(method="integer-range"),
        class_names=("membrane", "cell"),
        training={"step": 3},
    )
    save_model(tmp_path / "m.safetensors", build_network(info), info)
    tifffile.imwrite(tmp_path / "i0.tif", np.ones((40, 50), np.uint8))
    segment_files([tmp_path / "i0.tif"], tmp_path / "r", tmp_path / "m.safetensors")
    assert json.loads((tmp_path / "r" / "i0.record.json").read_text())["trained_on"] is None
    (tmp_path / "t").mkdir()
    tifffile.imwrite(tmp_path / "t" / "i0.tif", np.ones((40, 50), np.uint8))
    (note,) = evaluate_pixels(tmp_path / "t", tmp_path / "r").comparison.on_results
    assert note.startswith("1 result of a model that does not name the files it was trained on")
    assert note.endswith("i0.classes.tif")
    assert notes_on_results([tmp_path / "r" / "i0.classes.tif"]) == (), "counting needs no truth"


def notes_of_truth(*pairs: tuple[Path, Path]) -> tuple[str, ...]:
    first = {path: path for pair in pairs for path in pair}
    return notes_on_truth(pairs, first | copies(first))


def untouched(folder: Path, name: str) -> Path:
    """Write labels whose record has their SHA-256."""
    path = result(folder, name)
    said = {"model_sha256": "a" * 64, "settings": SETTINGS, "input": "x.tif"}
    said["outputs"] = {path.name: sha256(path.read_bytes()).hexdigest()}
    (folder / f"{name}.record.json").write_text(json.dumps(signed(said)))
    return path


def test_truth_that_this_program_made_or_that_is_the_result_itself_is_said(tmp_path: Path) -> None:
    for folder in ("r", "t"):
        (tmp_path / folder).mkdir()
    made, other = untouched(tmp_path / "r", "a"), untouched(tmp_path / "r", "b")
    drawn = tmp_path / "t" / "a.tif"
    tifffile.imwrite(drawn, CELLS[::-1])
    assert notes_of_truth((drawn, made), (made, made)) == ()
    (note,) = notes_of_truth((made, drawn))
    assert note.startswith("the truth holds results of this program")
    assert "(1 file): a.labels.tif; are truth and result exchanged?" in note
    (note,) = evaluate_objects(made, drawn).comparison.on_results
    assert "exchanged?" in note
    copy = tmp_path / "t" / "b.tif"
    copy.write_bytes(other.read_bytes())
    (note,) = notes_of_truth((drawn, made), (copy, other))
    assert note.startswith("the truth holds, byte for byte, results")
    assert "(1 file): b.tif;" in note
    made.write_bytes(drawn.read_bytes())  # corrected
    assert notes_of_truth((made, other)) == ()


def inside(folder: Path, name: str, **changes: object) -> Path:
    """Write an OME-Zarr result with labels inside and a record beside it; return the labels."""
    path = folder / f"{name}.classes.zarr"
    (path / "labels" / "labels").mkdir(parents=True)
    (path / "labels" / "labels" / "zarr.json").write_text("{}")
    said = {
        "model_sha256": "a" * 64,
        "settings": SETTINGS,
        "outputs": {path.name: digest_of(path)},
        **changes,
    }
    (folder / f"{name}.record.json").write_text(json.dumps(signed(said)))
    return path / "labels" / "labels"


def test_labels_inside_ome_zarr_are_named_with_the_image_around_them(tmp_path: Path) -> None:
    made = [inside(tmp_path, "a", trained_on=[0]), inside(tmp_path, "b", model_sha256="b" * 64)]
    names = [f"{name}.classes.zarr/labels/labels" for name in "ab"]
    other, learned = notes_on_results(made)
    assert f"model {'a' * 12} for {names[0]}, {'b' * 12} for {names[1]}" in other
    assert learned.endswith(f"too good: {names[0]}")
    (note,) = notes_of_truth((made[0], made[1]))
    assert f"(1 file): {names[0]};" in note


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("im/one.zarr/labels/cells", "one.zarr/labels/cells"),
        ("im/plate.zarr/A/1/0/labels/cells", "plate.zarr/A/1/0/labels/cells"),
        ("im/plate.ZARR/A/1/0", "plate.ZARR/A/1/0"),
        ("all.zarr/im/one.ome.zarr/labels/cells", "one.ome.zarr/labels/cells"),
        ("all.zarr/one.zarr", "one.zarr"),
        ("one.zarr", "one.zarr"),
        ("im/labels/cells.tif", "cells.tif"),
    ],
)
def test_what_lies_inside_ome_zarr_is_shown_from_there_on(path: str, expected: str) -> None:
    assert shown_name(Path(path)) == expected


@pytest.mark.parametrize("kind", ["instances", "classes"])
def test_labels_to_train_on_that_this_program_made_are_said_until_they_are_corrected(tmp_path, kind) -> None:
    for folder in ("i", "l"):
        (tmp_path / folder).mkdir()
    for name in "ab":
        pixels = np.random.default_rng(ord(name)).integers(0, 255, CELLS.shape, np.uint8)
        tifffile.imwrite(tmp_path / "i" / f"{name}.tif", pixels)
        untouched(tmp_path / "l", name)
    coding = {"kind": kind, "separation_border": kind == "instances"}
    coding |= {"classes": 4} if kind == "classes" else {}
    settings = TrainingSettings.model_validate({"labels": coding})
    pairs = [(tmp_path / "i" / f"{name}.tif", tmp_path / "l" / f"{name}.labels.tif") for name in "ab"]

    def said() -> list[str]:
        found = inspect_set(pairs, settings).problems
        return [one.file for one in found if "is a result of this program" in one.message]

    assert said() == [str(label) for _, label in pairs]
    tifffile.imwrite(pairs[0][1], np.where(CELLS == 3, 0, CELLS))
    assert said() == [str(pairs[1][1])]
