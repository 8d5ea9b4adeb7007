"""Plays a combination: runs commands one after the other, and compares all that they write."""

import csv
import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from tests.combinations import by_python, combination, expected, inputs, results, views
from tests.combinations.bench import Bench, DiffersError
from tests.combinations.combination import Combination
from tests.combinations.drawn import along, name_of, scene_words
from unet2015.models.model_file import save_model

ENDINGS = {
    "probability": r"\.probability(\.ome)?\.tif$", "labels": r"\.labels(\.ome)?\.tif$",
    "objects": r"\.objects\.csv$", "parquet": r"\.objects\.parquet$", "record": r"\.record\.json$",
    "imagej": r"\.rois\.zip$", "geojson": r"\.geojson$",
}  # fmt: skip
"""What the names of results end in; the rest is the class map."""


def play(random: Random, folder: Path) -> Bench:
    """Draw a combination and play it; raise `DiffersError` where something is not as it must be."""
    bench = Bench(folder)
    one, made = combination.draw(random)
    source = inputs.write(one.image, folder)
    save_model(folder / "m.safetensors", one.model.network, one.model.info)
    try:
        _play(bench, one, made, source, random)
    except DiffersError as error:
        shape = "x".join(map(str, one.image.pixels.shape))
        drawn = f"{one.image.flavour} {one.image.axes} {shape} {one.image.pixels.dtype} {one.image.storage}"
        raise DiffersError("\n  ".join([str(error), drawn, *bench.words])) from error
    return bench


def _play(bench: Bench, one: Combination, made: expected.Maps, source: Path, random: Random) -> None:
    out = {"folder": "out", "tif": "out/r.tif", "zarr": "out/r.zarr"}[one.target]
    words = ["segment", source.name, "-o", out, "--model", "m.safetensors", *combination.words_of(one)]
    if one.image.scenes:
        bench.run("segment", source.name, "-o", "out", "--model", "m.safetensors", status=1)
        bench.same("results without --scene", list(bench.folder.glob("out/*.tif")), [])
        shutil.rmtree(bench.folder / "out")
    bench.run(*words)
    found = _results(bench, one)
    before = _digests(bench.folder / "out")
    look(bench, one, made, found, source)
    bench.run(*words)
    after = _digests(bench.folder / "out")
    changed = sorted(name for name in before | after if before.get(name) != after.get(name))
    bench.same("files that the same command changed", changed, [])
    if random.random() < 0.5:
        said = bench.run("replay", found["record"].relative_to(bench.folder))
        bench.same("replay, different outputs", "different" in said.out, False, said.out)
    if random.random() < 0.3:
        by_python.look(bench, one, found, source, random)
    # Channels that the file does not tell are pages for these commands.
    told = "C" not in str(one.options.get("axes"))
    if one.settings is not None and told and random.random() < 0.7:
        _again(bench, one, found, source, random.random() < 0.4)


def _again(bench: Bench, one: Combination, found: Mapping[str, Path], source: Path, functions: bool) -> None:
    """Label the maps that lie there, and measure those labels; also by the functions of the package."""
    chosen = [] if one.channel is None else ["--channel", name_of(one.image, one.channel)]
    sized = [] if one.given_size is None else ["--pixel-size", ",".join(map(str, one.given_size))]
    with_images = ["--images", source.name, *chosen, *scene_words(one.image)]
    tiff = found["labels"].suffix == ".tif"
    if "probability" in found:
        bench.run("label", found["probability"].relative_to(bench.folder), "-o", "counted", *with_images)
        if functions:
            by_python.label(bench, one, found["probability"], source)
        (labels,) = (bench.folder / "counted").glob("*.labels*.tif" if tiff else "*.labels.zarr")
        first, second = results.read(found["labels"], "labels/labels"), results.read(labels, "labels/labels")
        bench.same("pixels of labels by label", int((first.pixels != second.pixels).sum()), 0)
        bench.calibrated("labels by label", second, one.calibration)
        if tiff and "tiled" not in one.options and 1 not in one.image.pixels.shape:
            bench.same("bytes of labels by label", labels.read_bytes() == found["labels"].read_bytes(), True)
    labels = found["labels"].relative_to(bench.folder)
    bench.run("measure", labels, "-o", "measured.csv", *with_images, *sized)
    if functions:
        by_python.measure(bench, one, found["labels"], source)
    rows, again = _rows(found["objects"]), _rows(bench.folder / "measured.csv")
    bench.same("objects by measure", len(again), len(rows))
    # OME-Zarr is measured in its own order of pages; where objects lie in time and depth is the same.
    along = [name for name in ("t", "z", "i") if rows and name in rows[0]] or ["page"]
    rows, again = (_in_order(table, along) for table in (rows, again))
    for row, other in zip(rows, again, strict=True):
        for key in other:
            if key not in ("image", *({"page"} - {*along})) and other[key] != row[key]:
                # The axes of a line are the roots of roundings.
                scale = max(abs(float(row[key])), 1.0)
                bench.close(f"{key} by measure", float(other[key]), float(row[key]), 1e-7, scale)


def _in_order(table: list[dict[str, str]], along: list[str]) -> list[dict[str, str]]:
    return sorted(table, key=lambda row: [int(row[name]) for name in (*along, "label")])


def _results(bench: Bench, one: Combination) -> dict[str, Path]:
    """Return the files of a run by kind."""
    files = [path for path in (bench.folder / "out").iterdir() if not path.name.startswith((".", "objects."))]
    found = {}
    for kind, ending in ENDINGS.items():
        named = [path for path in files if re.search(ending, path.name)]
        if named:
            bench.same(f"files of kind {kind}", len(named), 1)
            found[kind] = named[0]
    rest = [path for path in files if path not in found.values()]
    bench.same("class maps", len(rest), 1, str(files))
    found["classes"] = rest[0]
    if rest[0].suffix == ".zarr":
        if one.settings is not None:
            found["labels"] = rest[0]
        if one.settings is not None or "products" in one.options:
            found["probability"] = rest[0]
    return found


def look(
    bench: Bench, one: Combination, made: expected.Maps, found: Mapping[str, Path], source: Path
) -> None:
    """Compare results with what must come."""
    if made.empty is not None:
        shown = pages(results.read(found["probability"]), made, channels=True)
        made, right = expected.with_what_was_left_out(made, shown)
        bench.same("what --skip-empty leaves out is empty, and what is all empty is left out", right, True)
    classes = results.read(found["classes"], "labels/classes")
    _axes(bench, "class map", classes, made)
    bench.calibrated("class map", classes, one.calibration)
    wanted, sure = expected.classes(made, one.threshold)
    came = pages(classes, made)
    bench.same("pixels of other classes", int((came != wanted)[sure].sum()), 0, f" of {wanted.size}")
    probability = None
    if "probability" in found:
        shown = results.read(found["probability"])
        _axes(bench, "probability map", shown, made, "C" if one.model.info.classes > 2 else "")
        bench.calibrated("probability map", shown, one.calibration)
        whole = made.probabilities[:, 1:2] if one.model.info.classes == 2 else made.probabilities
        came = pages(shown, made, channels=True)
        bench.close("probability", came, whole, made.tolerance, 1.0)
        probability = came[:, 0 if len(came[0]) == 1 else one.of_class]
    if one.settings is not None:
        _look_at_objects(bench, one, made, found, probability)
    said = json.loads(found["record"].read_text())
    if source.is_file():
        bench.same("input in the record", said["input_sha256"], digest(source))


def _look_at_objects(
    bench: Bench, one: Combination, made: expected.Maps, found: Mapping[str, Path], probability: Any
) -> None:
    settings = one.settings
    assert settings is not None
    shown = results.read(found["labels"], "labels/labels")
    _axes(bench, "labels", shown, made)
    bench.calibrated("labels", shown, one.calibration)
    came = pages(shown, made)
    threshold = one.threshold if one.threshold is not None else one.model.info.objects.threshold
    if probability is None:
        probability = made.probabilities[:, one.of_class]
        # All of an area of one value, computed in another order, may lie on the other side of the threshold.
        exact = settings.markers is None and bool((np.abs(probability - threshold) > 1e-6).all())
    else:
        exact = True
    if exact:
        wanted = expected.labels(probability, threshold, settings)
        bench.same("pixels of other objects", int((came != wanted).sum()), 0, f" of {wanted.size}")
    rows = _rows(found["objects"])
    views.look(bench, one, found, rows, made)
    # Of pixels that are not square the ellipse is that of micrometres.
    sides = one.calibration.get("Y", 1.0), one.calibration.get("X", 1.0)
    # A page has the number that it has in the image, also where OME-Zarr has its axes in another order.
    measured = expected.measures(came, made.raw, probability, sides)
    bench.same("rows of the table", len(rows), len(measured))
    size = one.calibration.get("Y"), one.calibration.get("X")
    several = {letter: n for letter, n in zip(made.axes, made.lengths, strict=True) if n > 1}
    for row, other in zip(rows, measured, strict=True):
        place = np.unravel_index(int(row["page"]), tuple(several.values())) if len(several) > 1 else ()
        wanted = {letter.lower(): str(at) for letter, at in zip(several, place, strict=False)}
        bench.same("time and slice", {key: row[key] for key in ("t", "z", "i") if row.get(key)}, wanted)
        for key, value in other.items():
            bench.close(key, float(row[key]), value, 3e-5 if key.startswith("probability") else 1e-6,
                        max(abs(value), 1.0))  # fmt: skip
        bench.same("a column of µm²", row.get("area_um2", "") != "", None not in size)
        if None not in size:
            y, x = size
            bench.close("area_um2", float(row["area_um2"]), other["area_px"] * y * x, 1e-5)
            bench.close("centroid_y_um", float(row["centroid_y_um"]), other["centroid_y_px"] * y, 1e-5, y)
            bench.close("centroid_x_um", float(row["centroid_x_um"]), other["centroid_x_px"] * x, 1e-5, x)


def _axes(bench: Bench, what: str, came: results.Result, made: expected.Maps, more: str = "") -> None:
    """Compare axes and lengths; an axis of length 1 may be absent, as some flavours cannot tell it."""
    lengths = dict(zip(came.axes, came.pixels.shape, strict=True))
    wanted = dict(zip(made.axes, made.lengths, strict=True)) | dict.fromkeys(
        more, made.probabilities.shape[1]
    )
    wanted |= {"Y": made.raw.shape[-2], "X": made.raw.shape[-1]}
    several = [{letter: n for letter, n in one.items() if n > 1} for one in (lengths, wanted)]
    bench.same(f"axes of the {what}", several[0], several[1])


def pages(shown: results.Result, made: expected.Maps, channels: bool = False) -> np.ndarray:
    """Return the pages of a result in the order of `made`: (pages, H, W), or (pages, channels, H, W)."""
    wanted = made.axes + ("C" if channels else "") + "YX"
    found = along(shown.pixels, shown.axes, wanted)
    return found.reshape(-1, *found.shape[len(made.axes) :])


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not of_the_run(path.name))
    return {str(path.relative_to(folder)): digest(path) for path in files}


def of_the_run(name: str) -> bool:
    """Return whether a file is a record of the table of all images, which has the date of the last run."""
    return name.startswith("objects.") and name.endswith(".record.json")


def _rows(path: Path) -> views.Rows:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
