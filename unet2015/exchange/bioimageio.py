"""Packages for bioimage.io: graphs, test tensors, a cover, the model card and their description in a zip."""

import zipfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import imagecodecs
import numpy as np
import torch

from unet2015.errors import ModelError
from unet2015.exchange.card import model_card
from unet2015.exchange.formats import Source, run_onnx, write_onnx, write_torchscript
from unet2015.exchange.graph import Halo, ModelGraph, TracedGraph, halo_of
from unet2015.exchange.rdf import describe_model, to_yaml, whole_image_steps
from unet2015.exchange.samples import LARGEST_DIFFERENCE, Array, answer, drawn_tile, raw_tile, tile_sides
from unet2015.geometry import Geometry

HALO_FILE = "model-halo.bioimageio.zip"
_GRAPH, _SCRIPT, _TILE, _ANSWER = "model.onnx", "model.torchscript.pt", "test-input.npy", "test-output.npy"
_COVER = 64
"""Side of what the cover shows, in pixels of the tile; each becomes 4 x 4."""


def write_packages(source: Source, path: Path) -> None:
    """Write the package with valid convolutions to `path`, and beside it the one with a halo.

    Raises
    ------
    ModelError
        The format cannot describe the model, or torch cannot make a graph of it.
    """
    whole_image_steps(source.model.info, source.intensities)  # an error before any work
    sides = source.model.network.geometry
    _package(source, source.traced, path, None, tile_sides(sides)[0])
    _package_with_halo(source, path.with_name(HALO_FILE), halo_of(sides))


def run_package(path: Path, _: Source, images: Sequence[Array]) -> list[Array]:
    """Return what ONNX Runtime gives for the graph in a package."""
    with TemporaryDirectory() as folder, zipfile.ZipFile(path) as package:
        return run_onnx(Path(package.extract(_GRAPH, folder)), images)


def _package_with_halo(source: Source, path: Path, halo: Halo) -> None:
    """Write the package whose blocks are as large as their output; see that what is kept is right."""
    model, taken, sides = source.model, source.intensities, source.model.network.geometry
    graph = ModelGraph(model.network, taken.scale, halo)
    blocks = Geometry(sides.factor, 0, halo.smallest, sides.exact)
    height, width = halo.smallest + 4 * sides.factor, halo.smallest + 5 * sides.factor
    _package(source, TracedGraph(graph, model.info.in_channels, blocks), path, halo, (height, width))
    tile = drawn_tile(model, taken, height, width, source.picture)
    (came,) = run_package(path, source, [tile])
    expected = answer(model, taken, np.ascontiguousarray(tile[..., halo.shift :, halo.shift :]))
    high, wide = height - 2 * halo.halo, width - 2 * halo.halo
    kept = came[..., halo.halo : halo.halo + high, halo.halo : halo.halo + wide]
    if np.abs(kept - expected[..., :high, :wide]).max() > LARGEST_DIFFERENCE:
        raise ModelError(
            f"{path.name}: what is kept of a block of {height} x {width} px is not what the model gives; "
            "the packages are not written. Choose other formats, and please report this"
        )


def _package(
    source: Source, traced: TracedGraph, path: Path, halo: Halo | None, sides: tuple[int, int]
) -> None:
    """Write one package; the same model gives the same bytes but for what torch writes into its files."""
    tile, made = _tensors(source, traced, *sides)
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_onnx(source, traced, folder / _GRAPH)
        write_torchscript(source, traced, folder / _SCRIPT)
        np.save(folder / _TILE, tile)
        np.save(folder / _ANSWER, made)
        (folder / "cover.png").write_bytes(_cover(tile, made))
        files = {
            _GRAPH: "the graph, ONNX",
            _SCRIPT: "the graph, TorchScript",
            _TILE: "a test tile",
            _ANSWER: "what the model makes of it",
        }
        card = model_card(source.model, source.intensities, files, halo)
        (folder / "README.md").write_text(card, encoding="utf-8", errors="backslashreplace")
        digests = {file.name: sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
        described = describe_model(source.model, source.intensities, digests, halo)
        (folder / "rdf.yaml").write_text(to_yaml(described), encoding="utf-8")
        with zipfile.ZipFile(path, "w") as package:
            for file in sorted(folder.iterdir()):
                entry = zipfile.ZipInfo(file.name)  # of 1980, whenever it is made
                package.writestr(entry, file.read_bytes())


def _tensors(source: Source, traced: TracedGraph, height: int, width: int) -> tuple[Array, Array]:
    """Return the test tile before any pre-processing that is declared, and what the graph makes of it."""
    if source.intensities.scale is None:
        tile, mapped = raw_tile(source.model, height, width, source.picture)
    else:
        tile = mapped = drawn_tile(source.model, source.intensities, height, width, source.picture)
    with torch.inference_mode():
        made: Array = traced.graph(torch.from_numpy(mapped)).numpy()
    return tile, made


def _cover(tile: Array, made: Array) -> bytes:
    """Return a PNG: the middle of the tile, and beside it the probability of the last class there."""
    shown = []
    for values in (tile[0, 0], made[0, -1]):
        top, left = ((side - min(side, _COVER)) // 2 for side in values.shape)
        part = values[top : top + _COVER, left : left + _COVER]
        low, high = float(part.min()), float(part.max())
        gray = ((part - low) / ((high - low) or 1) * 255).astype(np.uint8)
        gray = np.pad(gray, [(0, _COVER - side) for side in gray.shape])
        shown.append(gray.repeat(4, axis=0).repeat(4, axis=1))
    return bytes(imagecodecs.png_encode(np.concatenate(shown, axis=1), level=6))
