"""What makes rows of several images in one table differ is said: types of pixels, sizes, channels."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import ObjectSettings

CELLS = np.kron(np.array([[1, 0, 2], [0, 3, 3]], np.uint16), np.ones((20, 20), np.uint16))
COMPARE = "so that its columns of intensities do not compare between them"
TYPES = f"its images differ in pixel type (uint16 (b.tif), uint8 (a.tif)), {COMPARE}"
SIZES = (
    "its images differ in the size of a pixel (0.325 x 0.325 µm (b.tif), 0.65 x 0.65 µm (a.tif)), so that "
    "columns in pixels do not compare between them; those in µm do"
)
UNKNOWN = "of some of its images no pixel size is known (b.tif), so that their columns in µm are empty"


def imagej(width: float | None) -> dict[str, object]:
    """Return what makes tifffile write an ImageJ TIFF with pixels of a width in µm, or without."""
    if width is None:
        return {"imagej": True}
    return {"imagej": True, "resolution": (1 / width, 1 / width), "metadata": {"unit": "um"}}


def written(folder: Path, kind: type, sizes: tuple[float | None, ...] = (None, None)) -> Path:
    """Write a.tif of 8 bits and b.tif of a kind as images, and both as labels and as masks of each size."""
    for name, dtype, width in (("a", np.uint8, sizes[0]), ("b", kind, sizes[1])):
        for place, pixels in (("i", CELLS * 30), ("l", CELLS), ("m", CELLS > 0)):
            (folder / place).mkdir(exist_ok=True)
            as_type = {"i": dtype, "l": np.uint16, "m": np.uint8}[place]
            tifffile.imwrite(folder / place / f"{name}.tif", pixels.astype(as_type), **imagej(width))
    return folder


def tables(command: str, folder: Path, model: Path, *, images: bool = True) -> list[Path]:
    """Make a table of all images by a command, twice; return all of them."""
    raw = folder / "i" if images else None
    for _ in range(2):
        if command == "segment":
            wanted = SegmentOptions(objects=ObjectSettings(), device="cpu", views=("parquet",))
            results = segment_files([folder / "i"], folder / "o", model, wanted)
        elif command == "label":
            results = label_files(folder / "m", folder / "o", images=raw, views=("parquet",))
        elif command == "single":
            results = measure_files(folder / "l", folder / "o.csv", raw)
        else:
            results = measure_files(folder / "l", folder / "o", raw, parquet=True)
        assert [one.error for one in results] == [None, None]
    if command == "single":
        return [folder / "o.csv"]
    return [folder / "o" / "objects.csv", folder / "o" / "objects.parquet"]


def notes_of(table: Path) -> list[str]:
    """Return the notes in the record of a table."""
    records = [table.with_name(f"{name}.record.json") for name in (table.name, table.stem)]
    (said,) = [
        one for one in map(json.loads, (p.read_text() for p in records if p.exists()))
        if table.name in one["outputs"]
    ]  # fmt: skip
    return said.get("notes", [])


COMMANDS = ["segment", "label", "measure", "single"]


@pytest.mark.parametrize("command", COMMANDS)
def test_pixels_of_several_types_are_said(tmp_path, model, caplog, command) -> None:
    found = tables(command, written(tmp_path, np.uint16), model)
    assert [notes_of(table) for table in found] == [[TYPES]] * len(found)
    said = [line for line in caplog.messages if "differ in pixel type" in line]
    assert said == [f"{found[0]}: {TYPES}"] * 2  # of each run


@pytest.mark.parametrize("command", ["label", "measure", "single"])
def test_nothing_is_said_of_pixels_that_are_not_measured_or_alike(tmp_path, model, caplog, command) -> None:
    for kind, images in ((np.uint16, False), (np.uint8, True)):
        found = tables(command, written(tmp_path, kind), model, images=images)
        assert [notes_of(table) for table in found] == [[]] * len(found)
    assert "differ" not in caplog.text


def test_the_order_of_bytes_is_no_other_type(tmp_path, caplog) -> None:
    written(tmp_path, np.uint16)
    tifffile.imwrite(tmp_path / "i" / "a.tif", CELLS * 30, byteorder="<")
    tifffile.imwrite(tmp_path / "i" / "b.tif", CELLS * 30, byteorder=">")
    measure_files(tmp_path / "l", tmp_path / "o.csv", tmp_path / "i")
    assert "differ" not in caplog.text


def test_bits_of_a_pixel_are_said(tmp_path, caplog) -> None:
    written(tmp_path, np.uint16)
    for name, bits in (("a", 12), ("b", 16)):
        tifffile.imwrite(tmp_path / "i" / f"{name}.tif", CELLS * 30, bitspersample=bits)
    measure_files(tmp_path / "l", tmp_path / "o.csv", tmp_path / "i")
    said = f"its images differ in bits of a pixel (12 (a.tif), 16 (b.tif)), {COMPARE}"
    assert notes_of(tmp_path / "o.csv") == [said]
    for name, bits in (("a", 12), ("b", 14)):
        about = {"axes": "YX", "SignificantBits": bits}
        tifffile.imwrite(tmp_path / "i" / f"{name}.ome.tif", CELLS * 30, ome=True, metadata=about)
        (tmp_path / "i" / f"{name}.tif").unlink()
    measure_files(tmp_path / "l", tmp_path / "p.csv", tmp_path / "i")
    said = f"its images differ in bits of a pixel that are used (12 (a.tif), 14 (b.tif)), {COMPARE}"
    assert notes_of(tmp_path / "p.csv") == [said]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("sizes", "note"), [((0.65, 0.325), SIZES), ((0.65, None), UNKNOWN), ((0.65, 0.652), None)]
)
def test_pixels_of_several_sizes_are_said(tmp_path, model, caplog, command, sizes, note) -> None:
    found = tables(command, written(tmp_path, np.uint8, sizes), model)
    wanted = [] if note is None else [note]
    assert [notes_of(table) for table in found] == [wanted] * len(found)
    assert [f"{found[0]}: {one}" in caplog.text for one in (SIZES, UNKNOWN)] == [
        one == note for one in (SIZES, UNKNOWN)
    ]
    if command != "segment" and note == UNKNOWN:
        with found[0].open(newline="") as file:
            areas = {(row["image"], row["area_um2"] == "") for row in csv.DictReader(file)}
        assert areas == {("a.tif", False), ("b.tif", True)}


@pytest.mark.parametrize("command", ["label", "measure", "single"])
def test_images_with_other_numbers_of_channels_are_said(tmp_path, model, command) -> None:
    written(tmp_path, np.uint8)
    colours = np.stack([CELLS * 30, CELLS * 40, CELLS * 50], axis=-1).astype(np.uint8)
    tifffile.imwrite(tmp_path / "i" / "b.tif", colours, photometric="rgb")
    found = tables(command, tmp_path, model)
    said = (
        "its images have 1 (a.tif) and 3 (b.tif) channels, so that their columns of intensities are others, "
        "and empty in the rows of some"
    )
    assert [notes_of(table) for table in found] == [[said]] * len(found)


def test_json_has_what_the_images_are(tmp_path) -> None:
    written(tmp_path, np.uint16, (0.65, None))
    one, other = measure_files(tmp_path / "l", tmp_path / "o", tmp_path / "i")
    assert one.objects["intensities"] == {"dtype": "uint8", "bits": 8, "channel_count": 1}
    assert one.objects["pixel_size_um"] == pytest.approx([0.65, 0.65])
    assert other.objects["intensities"] == {"dtype": "uint16", "bits": 16, "channel_count": 1}
    assert other.objects["pixel_size_um"] is None
    (shape, _) = measure_files(tmp_path / "l", tmp_path / "p")
    assert "intensities" not in shape.objects


def test_the_record_of_a_table_has_what_is_said_of_results_of_other_settings(tmp_path, model) -> None:
    written(tmp_path, np.uint8)
    for name, smallest in (("a", 1), ("b", 9)):
        wanted = SegmentOptions(objects=ObjectSettings(smallest=smallest), device="cpu")
        segment_files([tmp_path / "i" / f"{name}.tif"], tmp_path / "r", model, wanted)
    for target in (tmp_path / "o", tmp_path / "o.csv"):
        measure_files(tmp_path / "r", target)
        (note,) = notes_of(target if target.suffix else target / "objects.csv")
        assert "objects smallest 1 for a.labels.tif, 9 for b.labels.tif" in note


def test_label_compares_the_settings_that_it_takes_and_not_those_of_the_segmentation(
    tmp_path, model, caplog
) -> None:
    written(tmp_path, np.uint8)
    for name, smallest, threshold in (("a", 1, 0.5), ("b", 9, 0.4)):
        given = ObjectSettings(smallest=smallest, threshold=threshold)
        wanted = SegmentOptions(objects=given, device="cpu", products=("probability",))
        segment_files([tmp_path / "i" / f"{name}.tif"], tmp_path / "r", model, wanted)
    maps = [tmp_path / "r" / f"{name}.probability.tif" for name in "ab"]
    caplog.clear()
    label_files(maps, tmp_path / "o", ObjectSettings(smallest=3, threshold=0.5))
    assert notes_of(tmp_path / "o" / "objects.csv") == []
    assert "the same settings" not in caplog.text
    label_files(maps, tmp_path / "p")
    (note,) = notes_of(tmp_path / "p" / "objects.csv")
    assert note.endswith(
        ": objects threshold 0.5 for a.probability.tif, 0.4 for b.probability.tif; "
        "objects smallest 1 for a.probability.tif, 9 for b.probability.tif"
    )
    assert caplog.messages.count(note) == 1
    (tmp_path / "alone").mkdir()
    alone = maps[1].rename(tmp_path / "alone" / "c.tif")  # without its record: nothing tells its settings
    label_files([maps[0], alone], tmp_path / "q", ObjectSettings(smallest=3))
    assert notes_of(tmp_path / "q" / "objects.csv") == []  # 0.5 without a record
    label_files([maps[0], alone], tmp_path / "t", ObjectSettings(threshold=0.4))
    (note,) = notes_of(tmp_path / "t" / "objects.csv")
    assert "objects smallest 1 for a.probability.tif, 0 for c.tif" in note
    with_other = [tmp_path / "alone" / "c.tif", tmp_path / "alone" / "d.tif"]
    tifffile.imwrite(with_other[1], (CELLS > 0).astype(np.uint8))
    label_files(with_other, tmp_path / "s")
    (note,) = notes_of(tmp_path / "s" / "objects.csv")
    assert note.endswith(": objects threshold 0.5 for c.tif, null for d.tif")
