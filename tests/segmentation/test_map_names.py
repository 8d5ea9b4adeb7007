"""Which maps are of one segmentation is told by the record that lists them, and only else by their names."""

import json
from pathlib import Path

import pytest

from unet2015.errors import UsageError
from unet2015.safe_files import signed
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


@pytest.mark.parametrize("name", ["r.ome.tif", "r.tif", "r.classes.tif", "r.classes.ome.tif"])
def test_the_class_map_beside_its_probability_map_is_not_meant_whatever_its_name(
    tmp_path: Path, name
) -> None:
    paths = folder_of(tmp_path, r=f"{name} r.probability.tif r.labels.tif")
    assert [path.name for path in best_maps(paths)] == ["r.probability.tif"]


def test_without_records_names_and_flavours_tell(tmp_path: Path) -> None:
    names = "a.classes.tif a.probability.tif b.classes.ome.tif b.probability.ome.tif c.classes.tif"
    paths = [tmp_path / name for name in [*names.split(), "c.probability.ome.tif"]]
    assert [path.name for path in best_maps(paths)] == [
        "a.probability.tif", "b.probability.ome.tif", "c.classes.tif", "c.probability.ome.tif",
    ]  # fmt: skip
