"""A hundred files, some of them bad: every good one is done, every bad one has its reason in a list."""

import csv
import os
import sys

import numpy as np
import pytest
import tifffile
from pyarrow import parquet

from unet2015 import safe_files
from unet2015.errors import GeometryError, ImageReadError, MemoryLimitError, UsageError
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.failures import write_failures
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import ObjectSettings
from unet2015.tiling.memory import PlanMemoryError


@pytest.fixture
def model(percentile_model):
    return percentile_model


@pytest.fixture
def page():
    return np.random.default_rng(0).integers(0, 255, (20, 24)).astype(np.uint8)


def spoil(folder, page):
    """Replace some of the files; return what each reason must say."""
    whole = (folder / "00.tif").read_bytes()
    (folder / "03.tif").write_bytes(whole[: len(whole) // 2])
    (folder / "10.tif").write_bytes(b"")
    (folder / "11.tif").write_text("not an image")
    tifffile.imwrite(folder / "20.tif", np.stack([page] * 3), photometric="rgb", planarconfig="separate")
    nan = page.astype(np.float32)
    nan[3, 4] = np.nan
    tifffile.imwrite(folder / "33.tif", nan)
    (folder / "40.tif").unlink()
    (folder / "40.tif").mkdir()
    (folder / "41.tif").unlink()
    (folder / "41.tif").symlink_to(folder / "nowhere")
    tifffile.imwrite(folder / "50.tif", page, description="ImageJ=1.53\nimages=5\nslices=5\n", metadata=None)
    ome = tifffile.OmeXml()
    ome.addimage(dtype="uint8", shape=(7, 20, 24), storedshape=(7, 1, 1, 20, 24, 1), axes="ZYX")
    tifffile.imwrite(folder / "51.tif", page, description=ome.tostring(), metadata=None)
    reasons = {
        "03.tif": "ends",
        "10.tif": "it is empty",
        "11.tif": "expected a TIFF, PNG, JPEG, CZI, ND2 or LIF file",
        "20.tif": "channel",
        "33.tif": "NaN",
        "40.tif": "folder",
        "41.tif": "No such file",
        "50.tif": "expected|declares",
        "51.tif": "expected|declares",
    }
    if sys.platform == "linux":  # for root, too, this cannot be read
        (folder / "99.tif").unlink()
        (folder / "99.tif").symlink_to("/proc/self/mem")
        reasons["99.tif"] = "cannot read"
    return reasons


def listed(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_hundred_files_some_of_them_bad(tmp_path, monkeypatch, model, page):
    monkeypatch.setattr(safe_files.writing, "flush", lambda path: None)
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for index in range(100):
        tifffile.imwrite(folder / f"{index:02}.tif", page)
    reasons = spoil(folder, page)
    results = segment_files([folder], out, model)
    assert len(results) == 100
    assert {result.input.name for result in results if result.error} == set(reasons)
    rows = listed(out / "failures.csv")
    assert [row["input"] for row in rows] == [str(folder / name) for name in sorted(reasons)]
    import re

    for row, (_, words) in zip(rows, sorted(reasons.items()), strict=True):
        assert re.search(words, row["reason"]), row
        assert row["error"].endswith("Error")
        assert row["input"] in row["reason"]
    assert len(list(out.glob("*.classes.tif"))) == 100 - len(reasons)
    assert len(list(out.iterdir())) == 2 * (100 - len(reasons)) + 1
    # Mended, only those are done, and the list goes.
    for name in reasons:
        if (folder / name).is_dir():
            (folder / name).rmdir()
        else:
            (folder / name).unlink()
        tifffile.imwrite(folder / name, page)
    monkeypatch.setattr("unet2015.segmentation.publication.write_json", count := Counting())
    assert not any(result.error for result in segment_files([folder], out, model))
    assert count.calls == len(reasons)
    assert not (out / "failures.csv").exists()


class Counting:
    calls = 0

    def __call__(self, path, value):
        self.calls += 1
        safe_files.write_json(path, value)


def test_an_interrupted_batch_keeps_what_is_known(tmp_path, monkeypatch, model, page):
    for name in "abc":
        tifffile.imwrite(tmp_path / f"{name}.tif", page)
    (tmp_path / "a.tif").write_bytes(b"")
    inputs = [tmp_path / f"{name}.tif" for name in "abc"]
    segment_files(inputs, tmp_path / "out", model)
    before = (tmp_path / "out" / "failures.csv").read_bytes()

    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    tifffile.imwrite(tmp_path / "a.tif", page)
    monkeypatch.setattr("unet2015.segmentation.options.open_image", interrupt)
    with pytest.raises(KeyboardInterrupt):
        segment_files(inputs, tmp_path / "out", model)
    assert (tmp_path / "out" / "failures.csv").read_bytes() == before


def test_a_list_of_somebody_else_is_left_alone(tmp_path, model, page, caplog):
    tifffile.imwrite(tmp_path / "a.tif", page)
    (tmp_path / "b.tif").write_bytes(b"")
    (tmp_path / "out").mkdir()
    theirs = tmp_path / "out" / "failures.csv"
    theirs.write_text("date,machine\n")
    for inputs in ([tmp_path / "a.tif"], [tmp_path / "b.tif"]):
        segment_files(inputs, tmp_path / "out", model)
        assert theirs.read_text() == "date,machine\n"
    assert "is not changed" in caplog.text


def test_a_list_that_somebody_has_changed_is_left_alone(tmp_path, page, caplog):
    good, bad = tmp_path / "a.tif", tmp_path / "=b,\n.tif"
    path = tmp_path / "failures.csv"
    failures = [(bad, ImageReadError(f'{bad}: it is "empty"')), (good, PlanMemoryError("small"))]
    write_failures(tmp_path, failures)
    written = path.read_bytes()
    changed = [
        written + b"done by hand\n",
        written + b"c.tif,checked,by me\n",
        written + b"\n",
        written.replace(b",", b";"),
        b"\n".join(line + b",note" for line in written.splitlines()),
        b"\xef\xbb\xbf" + written,
        written.replace(b"\r\n", b"\n"),
    ]
    for data in changed:
        path.write_bytes(data)
        for now in ([], failures):
            write_failures(tmp_path, now)
            assert path.read_bytes() == data
    assert "is not changed" in caplog.text
    path.write_bytes(written)
    write_failures(tmp_path, failures[:1])
    assert 0 < path.stat().st_size < len(written)
    write_failures(tmp_path, [])
    assert not path.exists()


def test_what_a_killed_run_left_of_a_list_goes_with_the_next_run(tmp_path):
    failures = [(tmp_path / "a.tif", ImageReadError("cut short"))]
    for now in ([], failures):
        safe_files.temporary_name(tmp_path / "failures.csv").write_bytes(b"input,err")
        write_failures(tmp_path, now)
        assert [path.name for path in tmp_path.iterdir()] == ["failures.csv"] * len(now)


def test_one_input_with_a_name_for_its_output_makes_no_list(tmp_path, model):
    (tmp_path / "b.tif").write_bytes(b"")
    (result,) = segment_files([tmp_path / "b.tif"], tmp_path / "c.tif", model)
    assert result.error is not None
    assert not (tmp_path / "failures.csv").exists()


@pytest.mark.skipif(os.name == "nt", reason="names of files are bytes on POSIX only")
def test_names_that_are_no_text(tmp_path, model):
    path = tmp_path / os.fsdecode(b"caf\xe9,\n.tif")
    path.write_bytes(b"")
    segment_files([path], tmp_path / "out", model)
    assert b"caf\xe9" in (tmp_path / "out" / "failures.csv").read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="names of files are bytes on POSIX only")
def test_tables_of_names_that_are_no_text_are_joined(tmp_path, model, stack):
    (tmp_path / "in").mkdir()
    for name in (b"a.tif", b"caf\xe9.tif"):
        tifffile.imwrite(tmp_path / "in" / os.fsdecode(name), stack[0])
    options = SegmentOptions(objects=ObjectSettings(), views=("parquet",), threshold=0.0)
    results = segment_files([tmp_path / "in"], tmp_path / "out", model, options)
    assert [one.error for one in results] == [None, None]
    joined = parquet.read_table(tmp_path / "out" / "objects.parquet")
    with (tmp_path / "out" / "objects.csv").open(encoding="utf-8", errors="surrogateescape") as file:
        assert len(joined) == len(file.readlines()) - 1 > 0
    assert set(joined["image"].to_pylist()) == {"a.tif", "caf\\udce9.tif"}


def test_one_bad_file_does_not_stop_the_others(tmp_path, model, stack):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.tif", "c.tif"):
        tifffile.imwrite(folder / name, stack[0])
    tifffile.imwrite(folder / "b.tif", stack[0])
    cut = (folder / "b.tif").read_bytes()
    (folder / "b.tif").write_bytes(cut[: len(cut) // 2])
    results = segment_files([folder], tmp_path / "out", model)
    assert [result.error is None for result in results] == [True, False, True]
    assert "b.tif" in str(results[1].error)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a.classes.tif", "a.record.json", "c.classes.tif", "c.record.json", "failures.csv",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"tile": 61}, GeometryError),
        ({"max_memory": 2**20}, MemoryLimitError),
        ({"threshold": 1.5}, UsageError),
        ({"device": "abacus"}, UsageError),
        ({"batch": 0}, UsageError),
    ],
)
def test_options_that_no_image_could_meet_stop_before_the_first(tmp_path, model, stack_file, options, error):
    with pytest.raises(error):
        segment_files([stack_file], tmp_path / "out", model, SegmentOptions(**options))
    assert not (tmp_path / "out").exists()
