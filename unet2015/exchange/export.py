"""A model into a folder, in formats of other programs; each file is run before the folder has it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unet2015.device import usual_torch
from unet2015.errors import ModelError, UsageError
from unet2015.exchange.card import model_card
from unet2015.exchange.channels import channel_names
from unet2015.exchange.folder import MAIN, RECORD_FILE, ExportFolder
from unet2015.exchange.formats import Source
from unet2015.exchange.graph import OPSET, ModelGraph, TracedGraph
from unet2015.exchange.intensities import Intensities, choose_intensities
from unet2015.exchange.samples import (
    LARGEST_DIFFERENCE,
    TELLING,
    Array,
    answer,
    choose_picture,
    drawn_tile,
    tile_sides,
)
from unet2015.exchange.table import FORMATS, check_installed
from unet2015.models.as_it_is import as_it_is
from unet2015.models.model_file import Model
from unet2015.models.shipped import load_model
from unet2015.networks import describe
from unet2015.settings.names import nearest
from unet2015.wording import reason

_log = logging.getLogger("unet2015")
DEFAULT = ("onnx", "pt2", "safetensors")
TILE, ANSWER = "test-input.npy", "test-output.npy"


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What to export.

    Attributes
    ----------
    formats : tuple of str
        Names of :data:`unet2015.exchange.table.FORMATS`.
    mean, deviation : tuple of float
        For a model that standardises each image: take these for every image, one for each channel.
    image : path, optional
        Take the mapping of this image for every image.
    axes : str, optional
        Axes of that image, where its file does not say.
    """

    formats: tuple[str, ...] = DEFAULT
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    image: Path | None = None
    axes: str | None = None


@dataclass(frozen=True)
class ExportReport:
    """What was exported.

    Attributes
    ----------
    folder : Path
    differences : dict
        For each format the largest difference of a probability from the model's, over the test tiles.
    intensities : Intensities
        What the graphs take.
    notes : tuple of str
        Why the differences may say little.
    """

    folder: Path
    differences: dict[str, float]
    intensities: Intensities
    notes: tuple[str, ...] = ()

    def paths(self) -> dict[str, Path]:
        """Return the file of each format."""
        return {name: self.folder / FORMATS[name].file for name in self.differences}


@usual_torch()
def export_model(
    model: Model | str | Path, out: str | Path, options: ExportOptions | None = None
) -> ExportReport:
    """Write a model into a folder in formats of other programs.

    The graphs go from an image to probabilities: intensities (where they can be fixed), network and softmax.
    Each file is read back and run on two drawn tiles of different sizes before any gets its name. The first
    tile, what the model makes of it, a model card and a record lie beside.

    Parameters
    ----------
    model : Model, path or str
        The model, its file, the folder of a training, or the name of a shipped model.
    out : path
        The folder; made if missing. Files in it that an earlier export did not write are not touched.
    options : ExportOptions, optional
        Default: ONNX, ExportedProgram and safetensors.

    Returns
    -------
    ExportReport

    Raises
    ------
    UsageError
        A format is not known or needs what is not installed, or an option does not go with the model.
    ModelError
        The model cannot be read; torch cannot make a format of its network; or a file differs from the model.
    ImageWriteError
        The folder cannot be written, or has a file of such a name that is not of an export of this model.
    """
    chosen = options or ExportOptions()
    _check_formats(chosen.formats)
    loaded = as_it_is(model) if isinstance(model, Model) else load_model(model)
    info = loaded.info
    taken = choose_intensities(info, chosen.mean, chosen.deviation, chosen.image, chosen.axes)
    graph = ModelGraph(loaded.network, taken.scale)
    picture, spread = choose_picture(loaded, taken)
    source = Source(loaded, taken, TracedGraph(graph, info.in_channels, loaded.network.geometry), picture)
    tiles = [drawn_tile(loaded, taken, *sides, picture) for sides in tile_sides(loaded.network.geometry)]
    answers = [answer(loaded, taken, tile) for tile in tiles]
    said = _said(loaded, taken) | {"test_spread": spread}
    folder = ExportFolder(Path(out), said)
    made = [FORMATS[name] for name in chosen.formats]
    folder.check([MAIN, TILE, ANSWER, *(file for one in made for file in (one.file, *one.also))])
    there = dict.fromkeys([*folder.formats(), *chosen.formats])
    files = {FORMATS[name].file: FORMATS[name].about for name in there if name in FORMATS}
    files |= {TILE: "a test tile", ANSWER: "what the model makes of it"}
    files |= {RECORD_FILE: "versions, differences, SHA-256"}
    with folder.staged() as work:
        differences = {name: _made(name, source, work, tiles, answers) for name in chosen.formats}
        np.save(work / TILE, tiles[0])
        np.save(work / ANSWER, answers[0])
        (work / MAIN).write_text(
            model_card(loaded, taken, files), encoding="utf-8", errors="backslashreplace"
        )
        said["formats"] = {
            name: {"file": FORMATS[name].file, "largest_difference": difference}
            for name, difference in differences.items()
        }
    notes = _notes(spread)
    for note in notes:
        _log.warning("%s: %s", out, note)
    return ExportReport(Path(out), differences, taken, notes)


def _notes(spread: float) -> tuple[str, ...]:
    if spread >= TELLING:
        return ()
    return (
        "the test says little, and a file that is wrong may pass it: on none of the drawn tiles do the "
        f"model's probabilities vary (by a standard deviation of {spread:.1e} at most, expected "
        f"{TELLING:g} or more); run a file on an image of yours, and compare it with unet2015 segment "
        "--probability",
    )


def _check_formats(names: Sequence[str]) -> None:
    if not names:
        raise UsageError(f"no format is given; there are {', '.join(FORMATS)}")
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"--format {name}: no such format; {nearest(name, FORMATS)}")
    check_installed(tuple(names))


def _said(model: Model, intensities: Intensities) -> dict[str, Any]:
    sides = model.network.geometry
    return {
        "command": "export",
        "model": str(model.path.resolve()) if model.path else "",
        "model_sha256": model.sha256,
        "learned": model.info.learned,
        "ended": model.info.ended,
        "doubts": list(model.doubts),
        "channels": channel_names(model.info) or model.info.in_channels,
        "network": describe(model.info.network),
        "intensities": intensities.as_dict(),
        "input_sides": {"smallest": sides.smallest, "step": sides.factor},
        "margin": sides.margin,
        "onnx_opset": OPSET,
        "test_tiles": tile_sides(sides),
        "formats": {},
    }


def _made(name: str, source: Source, work: Path, tiles: list[Array], answers: list[Array]) -> float:
    """Write one format; return by how much its probabilities differ at most from the model's."""
    made = FORMATS[name]
    path = work / made.file
    made.write(source, path)
    try:
        given = made.run(path, source, tiles)
    except ModelError:
        raise
    except Exception as error:  # whatever the program that runs it raises
        sizes = ", ".join(f"{tile.shape[-2]} x {tile.shape[-1]}" for tile in tiles)
        raise ModelError(
            f"{made.file}: does not run on the test tiles of {sizes} px, and is not written: {reason(error)}"
        ) from error
    found = 0.0
    for came, expected in zip(given, answers, strict=True):
        if came.shape != expected.shape:
            raise ModelError(
                f"{made.file}: gives {came.shape} for a tile where the model gives {expected.shape}"
            )
        difference = float(np.abs(came.astype(np.float64) - expected).max())
        found = max(found, difference if np.isfinite(difference) else np.inf)
    if found > LARGEST_DIFFERENCE:
        raise ModelError(
            f"{made.file}: its probabilities differ from the model's by up to {found:.1e}, more than "
            f"{LARGEST_DIFFERENCE:g}; it is not written. Choose another format, and please report this"
        )
    return found
