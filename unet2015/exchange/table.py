"""The table of formats of an export."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from unet2015.errors import UsageError
from unet2015.exchange.bioimageio import HALO_FILE, run_package, write_packages
from unet2015.exchange.formats import (
    INSTALL,
    Source,
    run_onnx,
    run_pt2,
    run_safetensors,
    run_torchscript,
    write_onnx,
    write_pt2,
    write_safetensors,
    write_torchscript,
)
from unet2015.exchange.graph import OPSET
from unet2015.exchange.samples import Array
from unet2015.exchange.stated_sides import run_stated_sides, write_stated_sides

_ONNX = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes
    ----------
    file : str
        Its file in the folder, which is run.
    also : tuple of str
        Files that may lie beside it.
    about : str
        What the file is, in a few words.
    needs : tuple of str
        Modules of the extra ``export`` without which it cannot be made and checked.
    write : callable
        (source, path).
    run : callable
        (path, source, images): the probabilities that the file gives for each image.
    """

    file: str
    about: str
    needs: tuple[str, ...]
    write: Callable[[Source, Path], None]
    run: Callable[[Path, Source, Sequence[Array]], list[Array]]
    also: tuple[str, ...] = ()


def check_installed(names: tuple[str, ...]) -> None:
    """Raise `UsageError`, saying what to install, unless all that these formats need is there."""
    for name in names:
        for module in FORMATS[name].needs:
            try:
                import_module(module)
            except ImportError as error:
                raise UsageError(f"--format {name} needs {module}, which is not here: {INSTALL}") from error


FORMATS: dict[str, Format] = {
    "onnx": Format(
        "model.onnx",
        f"ONNX, opset {OPSET}, weights inside",
        _ONNX,
        lambda source, path: write_onnx(source, source.traced, path),
        lambda path, _, images: run_onnx(path, images),
    ),
    "opencv": Format(
        "model-opencv.onnx",
        "the same with height and width stated, for OpenCV 4, which QuPath has",
        _ONNX,
        write_stated_sides,
        lambda path, _, images: run_stated_sides(path, images),
    ),
    "pt2": Format(
        "model.pt2",
        "ExportedProgram of PyTorch",
        (),
        write_pt2,
        lambda path, _, images: run_pt2(path, images),
    ),
    "torchscript": Format(
        "model.torchscript.pt",
        "TorchScript, which PyTorch calls deprecated",
        (),
        lambda source, path: write_torchscript(source, source.traced, path),
        lambda path, _, images: run_torchscript(path, images),
    ),
    "safetensors": Format(
        "model.safetensors",
        "weights, and the description of the model (also in model.json)",
        (),
        write_safetensors,
        run_safetensors,
        ("model.json",),
    ),
    "bioimageio": Format(
        "model.bioimageio.zip",
        f"package for bioimage.io, ONNX and TorchScript; {HALO_FILE} for programs that know only halos",
        _ONNX,
        write_packages,
        run_package,
        (HALO_FILE,),
    ),
}
"""The table of formats."""
