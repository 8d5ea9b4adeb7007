"""The functions of the package, called with what the command was told: the same bytes, the same arrays."""

from collections.abc import Mapping
from pathlib import Path
from random import Random

import numpy as np

import unet2015
from tests.combinations import results
from tests.combinations.bench import Bench
from tests.combinations.combination import Combination
from tests.combinations.drawn import along, name_of, scene_words
from unet2015.segmentation.options import SegmentOptions

CHANGING = ".record.json"
"""What a name of a file ends in that holds dates and times."""


def of_images(one: Combination) -> dict[str, str | None]:
    """Return the channel and the scene as the command is told them."""
    words = scene_words(one.image)
    channel = None if one.channel is None else name_of(one.image, one.channel)
    return {"channel": channel, "scene": words[-1] if words else None}


def options_of(one: Combination) -> SegmentOptions:
    """Return what the command was told."""
    return SegmentOptions(
        average=one.average,  # type: ignore[arg-type]
        threshold=one.threshold,
        **of_images(one),
        pixel_size=one.given_size,
        objects=one.settings,
        views=one.views,
        **one.options,
    )


def look(bench: Bench, one: Combination, found: Mapping[str, Path], source: Path, random: Random) -> None:
    """Segment by `segment_files`, and often by `segment`, and compare with what the command wrote."""
    out = {"folder": "by_python", "tif": "by_python/r.tif", "zarr": "by_python/r.zarr"}[one.target]
    with bench.inside():
        made = unet2015.segment_files([source.name], out, "m.safetensors", options_of(one))
    bench.same("errors of segment_files", [result.error for result in made], [None])
    same_files(bench, "segment_files", "out", "by_python")
    if random.random() < 0.5:
        _arrays(bench, one, found, source)


def _arrays(bench: Bench, one: Combination, found: Mapping[str, Path], source: Path) -> None:
    """Compare what `segment` returns, of the file and of its pixels, with the maps that the command wrote."""
    of_files = "products", "tiled", "pyramid"
    given = {name: value for name, value in one.options.items() if name not in of_files}
    given |= {"average": one.average, "threshold": one.threshold}
    pages = "".join(letter for letter in one.used.axes if letter not in "CYX")
    for kind in ("classes", "probability"):
        if kind not in found:
            continue
        several = "C" * (kind == "probability" and one.model.info.classes > 2)
        shown = results.read(found[kind], "labels/classes" if kind == "classes" else "")
        written = along(shown.pixels, shown.axes, pages + several + "YX")
        given["probabilities"] = kind == "probability"
        with bench.inside():
            of_file = unet2015.segment(source.name, "m.safetensors", **of_images(one), **given)
            of_array = unet2015.segment(one.used.pixels, "m.safetensors", **given | {"axes": one.used.axes})
        # It has the axes of the image in their order, C of classes before Y and X.
        there = along(of_array, _places(one.used.axes, several), pages + several + "YX")
        bench.same(f"pixels of the {kind} by segment(array)", int(np.sum(there != written)), 0)
        # Some flavours cannot tell axes of length 1.
        same = np.array_equal(np.squeeze(of_file), np.squeeze(of_array))
        bench.same(f"{kind}: segment(file) and segment(array)", same, True)


def _places(axes: str, several: str) -> str:
    wanted = axes.replace("C", "")
    return wanted[:-2] + several + wanted[-2:]


def label(bench: Bench, one: Combination, probability: Path, source: Path) -> None:
    """Label a map as the command did that wrote into ``counted``."""
    with bench.inside():
        given = probability.relative_to(bench.folder)
        made = unet2015.label_files(given, "counted_too", images=source.name, **of_images(one))
    bench.same("errors of label_files", [result.error for result in made], [None])
    same_files(bench, "label_files", "counted", "counted_too")


def measure(bench: Bench, one: Combination, labels: Path, source: Path) -> None:
    """Measure labels as the command did that wrote ``measured.csv``."""
    with bench.inside():
        given = labels.relative_to(bench.folder)
        unet2015.measure_files(
            given,
            "measured_too.csv",
            source.name,
            **of_images(one),
            pixel_size=one.given_size,
        )
    tables = [(bench.folder / name).read_bytes() for name in ("measured.csv", "measured_too.csv")]
    bench.same("bytes of the table by measure_files", tables[1] == tables[0], True)


def same_files(bench: Bench, what: str, first: str, second: str) -> None:
    """Compare the files of two folders, but for records, which have dates and names of folders."""
    there = [_files(bench.folder / name) for name in (first, second)]
    bench.same(f"files of {what}", sorted(there[1]), sorted(there[0]))
    differ = [name for name, data in there[0].items() if there[1][name] != data]
    bench.same(f"files that differ by {what}", differ, [])


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): b"" if path.name.endswith(CHANGING) else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
