"""Which maps are of one segmentation is told by the record that lists them, and only else by their names."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from unet2015.errors import UsageError
from unet2015.safe_files import sha256, signed
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.map_names import best_maps, named_results
from unet2015.segmentation.record_beside import record_beside


def folder_of(folder: Path, **records: str) -> list[Path]:
    """Write empty files, and their records by the names of these; return the files in order."""
    paths = []
    for name, outputs in records.items():
        for output in outputs.split():
            paths.append(folder / output)
            paths[-1].touch()
        said = {"input": name, "outputs": dict.fromkeys(outputs.split(), "0" * 64)}
        (folder / f"{name.replace('__', '.')}.record.json").write_text(json.dumps(signed(said)))
    return sorted(paths)


@pytest.mark.parametrize("one", ["", " a.probability.tif"])
def test_maps_of_two_images_of_one_name_are_not_taken_for_one(tmp_path: Path, one: str) -> None:
    other = "a.classes.ome.tif" + ("" if one else " a.probability.ome.tif")
    paths = folder_of(tmp_path, a=f"a.classes.tif{one}", a__classes__ome__tif=other)
    kept = best_maps(paths)
    expected = (
        ["a.classes.ome.tif", "a.probability.tif"] if one else ["a.classes.tif", "a.probability.ome.tif"]
    )
    assert [path.name for path in kept] == expected
    with pytest.raises(UsageError, match="would both be named a"):
        named_results(kept)
    for path in paths:
        assert path.name in record_beside(path)["outputs"]


@pytest.mark.parametrize(
    ("names", "ending"),
    [
        (["a.labels.tif", "a.probability.tif"], "*.probability.tif"),
        (["a.labels.tif", "a.classes.tif"], "*.classes.tif"),
        (["a.labels.tif", "a.tif"], "*.labels.tif"),
    ],
)
def test_maps_whose_records_are_gone_are_told_apart_by_a_pattern(tmp_path: Path, names, ending) -> None:
    paths = [tmp_path / name for name in names]
    for path in paths:
        tifffile.imwrite(path, np.eye(9, dtype=np.float32))
    with pytest.raises(UsageError, match="would both be named a") as caught:
        named_results(best_maps(paths))
    assert str(caught.value).endswith(f"such as '{tmp_path / ending}'")
    assert named_results(sorted(tmp_path.glob(ending)))


def test_maps_of_one_name_in_two_folders_are_given_one_after_the_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one after the other, with another -o for each"):
        named_results([tmp_path / "1" / "a.classes.tif", tmp_path / "2" / "a.classes.tif"])


@pytest.mark.parametrize("name", ["r.ome.tif", "r.tif", "r.classes.tif", "r.classes.ome.tif"])
def test_the_class_map_beside_its_probability_map_is_not_meant_whatever_its_name(
    tmp_path: Path, name
) -> None:
    paths = folder_of(tmp_path, r=f"{name} r.probability.tif r.labels.tif")
    assert [path.name for path in best_maps(paths)] == ["r.probability.tif"]


@pytest.mark.parametrize("name", ["r.ome.tif", "r.tif", "r.classes.tif", "r.classes.ome.tif"])
def test_a_class_map_that_somebody_corrected_is_named_where_it_is_left_out(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "unet2015")
    paths = [tmp_path / name, tmp_path / "r.probability.tif"]
    for path in paths:
        path.write_bytes(b"as written")
    said = {"input": "r", "outputs": {path.name: sha256(path) for path in paths}}
    (tmp_path / "r.record.json").write_text(json.dumps(signed(said)))
    assert best_maps(paths) == paths[1:]
    (line,) = caplog.records
    assert (line.levelname, name in line.getMessage()) == ("INFO", True)
    caplog.clear()
    paths[0].write_bytes(b"corrected")
    assert best_maps(paths) == paths[1:]
    (line,) = caplog.records
    assert line.levelname == "WARNING"
    assert "changed since they were written" in line.getMessage()
    assert line.getMessage().endswith(f"give such a file itself: {paths[0]}")
    caplog.clear()
    assert best_maps(paths[:1]) == paths[:1]  # given itself, it is taken
    assert not caplog.records


def test_without_records_names_and_flavours_tell(tmp_path: Path) -> None:
    names = "a.classes.tif a.probability.tif b.classes.ome.tif b.probability.ome.tif c.classes.tif"
    paths = [tmp_path / name for name in [*names.split(), "c.probability.ome.tif"]]
    assert [path.name for path in best_maps(paths)] == [
        "a.probability.tif", "b.probability.ome.tif", "c.classes.tif", "c.probability.ome.tif",
    ]  # fmt: skip


def test_a_map_that_was_renamed_with_its_record_keeps_what_that_says(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    probability = np.full((40, 60), 0.1, np.float32)
    probability[5:15, 5:15], probability[30, 30], probability[20:25, 40:50] = 0.6, 0.9, 0.35
    path = tmp_path / "b.probability.tif"
    tifffile.imwrite(path, probability)
    said = {
        "input": "/i/a.tif",
        "settings": {"threshold": 0.3, "objects": {"smallest": 5}},
        "threshold": {"name": None, "value": 0.3},
    }

    def label(digest: str) -> int:
        outputs = {"a.classes.tif": "0" * 64, "a.probability.tif": digest}
        (tmp_path / "b.record.json").write_text(json.dumps(signed(said | {"outputs": outputs})))
        caplog.clear()
        (result,) = label_files(path, tmp_path / "o")
        assert result.error is None
        return int(result.objects["objects"])

    assert label(sha256(path)) == 2, "threshold 0.3, without the small one"
    assert "0.5 is taken" not in caplog.text
    assert label("1" * 64) == 2, "threshold 0.5, with the small one"
    assert (
        "b.record.json, is of a.classes.tif, a.probability.tif, not of this map; 0.5 is taken" in caplog.text
    )


def test_images_beside_their_maps_are_no_maps(tmp_path: Path) -> None:
    paths = folder_of(tmp_path, a="a.classes.tif", b="b.classes.tif b.probability.tif b.labels.tif")
    images = [tmp_path / f"{name}.tif" for name in "abc"]
    for name in "ab":
        place = tmp_path / f"{name}.record.json"
        said = json.loads(place.read_text()) | {"input": str(tmp_path / f"{name}.tif")}
        place.write_text(json.dumps(signed({key: said[key] for key in ("input", "outputs")})))
    kept = best_maps(sorted([*paths, *images]))
    assert [path.name for path in kept] == ["a.classes.tif", "b.probability.tif", "c.tif"]
    assert best_maps([tmp_path / "a.tif"]) == [tmp_path / "a.tif"]  # given by itself
