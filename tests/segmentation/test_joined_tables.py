"""The table of all files of a run: of which channels its rows are, and two runs that write it at once."""

import csv
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from pyarrow import parquet

from unet2015.errors import ImageWriteError
from unet2015.objects.joined_tables import join_tables, totals_of
from unet2015.safe_files import claim, claim_patiently, hidden_prefix
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.joined_results import join_results
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.results import ObjectResult
from unet2015.settings.objects import ObjectSettings

CELLS = np.kron(np.array([[1, 0, 2], [0, 3, 3]], np.uint16), np.ones((5, 5), np.uint16))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def images(folder: Path, **channels: str) -> tuple[Path, Path]:
    """Write an image with channels of these names, and its labels, by the name of the image."""
    for name, names in channels.items():
        planes = np.stack([CELLS * 10 * (number + 1) for number in range(len(names.split()) or 2)])
        about = {"axes": "CYX", "Channel": {"Name": names.split()}}
        for place in ("i", "l"):
            (folder / place).mkdir(exist_ok=True)
        more = {"photometric": "minisblack", "metadata": about if names else {"axes": "CYX"}}
        tifffile.imwrite(folder / "i" / f"{name}.ome.tif", planes, ome=True, **more)
        tifffile.imwrite(folder / "l" / f"{name}.tif", CELLS)
    return folder / "l", folder / "i"


def test_names_of_channels_are_no_formulas_in_any_table(tmp_path) -> None:
    labels, raw = images(tmp_path, a="=1+2;A DAPI", b="@x GFP")
    measure_files(labels, tmp_path / "o", raw)
    measure_files(labels, tmp_path / "one.csv", raw)
    found = [{row["channels"] for row in rows_of(tmp_path / name)} for name in ("o/objects.csv", "one.csv")]
    assert found == [{"'=1+2;A; DAPI", "'@x; GFP"}] * 2
    assert (tmp_path / "o" / "objects.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()


@pytest.mark.parametrize(
    "names", [("DAPI GFP", "GFP DAPI"), ("DAPI", "GFP"), ("DAPI GFP", ""), ("DAPI GFP", "DAPI GFP")]
)
def test_a_table_of_images_with_other_channels_says_of_which_its_rows_are(tmp_path, caplog, names) -> None:
    labels, raw = images(tmp_path, a=names[0], b=names[1])
    both = names[0] != names[1]
    measure_files(labels, tmp_path / "o", raw, parquet=True)
    measure_files(labels, tmp_path / "one.csv", raw)
    measure_files(labels, tmp_path / "one.parquet", raw)
    expected = {f"{name}.tif": "; ".join(some.split()) for name, some in zip("ab", names, strict=True)}
    for path in (tmp_path / "o" / "objects.csv", tmp_path / "one.csv"):
        assert len(rows_of(path)) == 6
        for row in rows_of(path):
            assert row.get("channels") == (expected[row["image"]] if both else None)
    for path in (tmp_path / "o" / "objects.parquet", tmp_path / "one.parquet"):
        table = parquet.read_table(path).to_pydict()
        told = [expected[image] for image in table["image"]] if both else None
        assert table.get("channels") == told
    assert ("channels of other names" in caplog.text) == both
    assert "channels" not in rows_of(tmp_path / "o" / "a.objects.csv")[0]


def test_label_and_a_rerun_say_it_too(tmp_path) -> None:
    labels, raw = images(tmp_path, a="DAPI GFP", b="GFP DAPI")
    for path in labels.iterdir():
        tifffile.imwrite(path, (CELLS > 0).astype(np.uint8))
    for _ in range(2):
        results = label_files([labels], tmp_path / "o", images=raw)
        assert [one.objects["channels"] for one in results] == [["DAPI", "GFP"], ["GFP", "DAPI"]]
        assert {row["channels"] for row in rows_of(tmp_path / "o" / "objects.csv")} == {
            "DAPI; GFP",
            "GFP; DAPI",
        }


@pytest.mark.parametrize("command", ["measure", "single", "label", "segment"])
@pytest.mark.parametrize("names", ["GFP DAPI", "", "C1 C2"])
def test_a_channel_by_its_number_is_another_where_names_differ_or_are_not_known(
    tmp_path, model, caplog, command, names
) -> None:
    labels, raw = images(
        tmp_path, a="C1 C2" if names == "C1 C2" else "DAPI GFP", b=names.replace("C1 C2", "")
    )
    if command == "segment":
        wanted = SegmentOptions(objects=ObjectSettings(), device="cpu", channel=1)
        segment_files([raw], tmp_path / "o", model, wanted)
    elif command == "label":
        for path in labels.iterdir():
            tifffile.imwrite(path, (CELLS > 0).astype(np.uint8))
        label_files(labels, tmp_path / "o", images=raw, channel="1")
    else:
        measure_files(labels, tmp_path / ("o" if command == "measure" else "o.csv"), raw, channel=1)
    table = tmp_path / ("o.csv" if command == "single" else "o/objects.csv")
    told = {row["image"][0]: row.get("channels") for row in rows_of(table)}
    if names == "C1 C2":  # which tells the number alone
        assert set(told.values()) <= {None}
        assert "other names" not in caplog.text
    elif command != "segment":
        assert told == {"a": "GFP", "b": "DAPI" if names else ""}
    if names != "C1 C2":
        shown = "(DAPI)" if names else "(no names)"
        assert f"{table}: its images have channels of other names, (GFP), {shown}, so that" in caplog.text


def done(folder: Path, name: str) -> ObjectResult:
    """Return the result of a file with a table of one row."""
    path = folder / f"{name}.objects.csv"
    path.write_text(f"image,label\n{name},1\n")
    return ObjectResult(folder / name, (path,), {"objects": 1})


def test_two_runs_into_one_folder_write_one_after_the_other(tmp_path, caplog) -> None:
    table, result = tmp_path / "objects.csv", done(tmp_path, "a")
    begun = tmp_path / f"{hidden_prefix(table)}0123456789ab.tmp"  # of the other run
    waiting = threading.Thread(target=join_results, args=(tmp_path, [result], "measure"))
    with claim(table):
        begun.touch()
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        assert begun.exists()
        assert not table.exists()
    waiting.join(10)
    assert [row["image"] for row in rows_of(table)] == ["a"]
    assert not begun.exists()
    assert not caplog.text


def test_runs_that_write_at_once_leave_the_whole_table_of_one(tmp_path) -> None:
    runs = [[done(tmp_path, f"{run}{file}") for file in range(3)] for run in "abcd"]
    threads = [threading.Thread(target=join_results, args=(tmp_path, run, "measure")) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    found = [row["image"] for row in rows_of(tmp_path / "objects.csv")]
    assert found in [[f"{run}{file}" for file in range(3)] for run in "abcd"]
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_claim_that_never_ends_is_said(tmp_path) -> None:
    with (
        claim(tmp_path / "a"),
        pytest.raises(ImageWriteError, match="another run is writing it"),
        claim_patiently(tmp_path / "a", [], seconds=0),
    ):
        pass


def test_a_table_that_has_gone_is_an_error_of_the_table_of_all(tmp_path) -> None:
    results = [done(tmp_path, "a"), done(tmp_path, "b")]
    (tmp_path / "b.objects.csv").unlink()
    ((path, error),) = join_results(tmp_path, results, "measure")
    assert path == tmp_path / "objects.csv"
    assert str(error).startswith(f"{path}: cannot join the tables: ")
    assert str(error).endswith("the table of each image is there")


def test_rows_of_an_earlier_run_that_go_are_said(tmp_path, caplog) -> None:
    first, second = [done(tmp_path, "a"), done(tmp_path, "b")], [done(tmp_path, "b"), done(tmp_path, "c")]
    join_results(tmp_path, first, "measure")
    join_results(tmp_path, first, "measure")
    assert "run before" not in caplog.text
    join_results(tmp_path, second, "measure")
    assert "objects of this run alone; those of the run before are in a.objects.csv; one table" in caplog.text
    caplog.clear()
    (tmp_path / "c.objects.csv").unlink()
    join_results(tmp_path, [done(tmp_path, "b")], "measure")
    assert "run before" not in caplog.text


def test_a_table_of_one_run_alone_says_what_makes_one_of_all(tmp_path, caplog) -> None:
    for folder in ("l", "m"):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / f"{folder}.tif", CELLS)
    measure_files(tmp_path / "l", tmp_path / "o")
    measure_files(tmp_path / "m", tmp_path / "o")
    assert "those of the run before are in l.objects.csv" in caplog.text
    assert "unet2015 measure, with all label images as input" in caplog.text  # these tables are no labels
    label_files([tmp_path / "l" / "l.tif"], tmp_path / "p", ObjectSettings(of_class=1))
    label_files([tmp_path / "m" / "m.tif"], tmp_path / "p", ObjectSettings(of_class=1))
    assert "unet2015 measure, with this folder as input" in caplog.text
    assert all(one.error is None for one in measure_files(tmp_path / "p", tmp_path / "q"))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_that_is_another_than_the_one_of_the_run_is_no_part_of_that_of_all(
    tmp_path, model, stack_file, ending
) -> None:
    out, views = tmp_path / "out", ("parquet",) if ending == "parquet" else ()
    given = SegmentOptions(objects=ObjectSettings(smallest=5), views=views)
    (result,) = (one for one in segment_files([stack_file], out, model, given) if one.input == stack_file)
    table = out / f"stack.objects.{ending}"
    written, of_all = table.read_bytes(), out / f"objects.{ending}"
    before = of_all.read_bytes()

    def joined(said: str) -> None:
        error = dict(join_results(out, [result], "segment"))[of_all]
        assert str(error).startswith(f"{table}: {said}")
        assert of_all.read_bytes() == before

    assert not join_results(out, [result], "segment")
    segment_files([stack_file], out, model, SegmentOptions(objects=ObjectSettings(smallest=500), views=views))
    before = of_all.read_bytes()
    joined("has ")  # fewer objects; their record is of that run
    table.write_bytes(written)
    joined("was changed since it was written")
    (out / "stack.record.json").unlink()
    assert of_all not in dict(join_results(out, [result], "segment"))
    area = result.objects["total_area_px"] + 1
    result, before = replace(result, objects=result.objects | {"total_area_px": area}), of_all.read_bytes()
    joined("has objects of another area than this run found")


def test_a_table_is_joined_as_it_stands_whether_its_cells_are_quoted_or_not(tmp_path) -> None:
    header = "image,label,area_px\r\n"
    rows = {"a": "a.tif,1,5\r\na.tif,2,7\r\n", "b": '"b,1.tif",1,3\r\n', "c": "c.tif,1,4\r\n", "d": ""}
    for name, text in rows.items():
        (tmp_path / f"{name}.csv").write_bytes((header + text).encode())
    (tmp_path / "f.csv").write_bytes((header + '"f;1.tif",1,2\r\n').encode())  # for other countries
    (tmp_path / "e.csv").write_bytes(b"image,area_px,label\r\ne.tif,9,1\r\n")  # in another order
    tables = [tmp_path / f"{name}.csv" for name in "abcdef"]
    join_tables(tmp_path / "o.csv", tables, lambda temporary, path: None, None)
    expected = header + "".join(rows.values()) + "e.tif,1,9\r\n" + '"f;1.tif",1,2\r\n'
    assert (tmp_path / "o.csv").read_bytes() == expected.encode()
    assert [totals_of(tmp_path / f"{name}.csv") for name in "abde"] == [(2, 12), (1, 3), (0, 0), (1, 9)]
