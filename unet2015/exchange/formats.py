"""The formats of an export: how each is written, and how its file is run to see that it is the model."""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch

from unet2015.errors import ModelError, UsageError
from unet2015.exchange.graph import INPUT, OUTPUT, ModelGraph, TracedGraph
from unet2015.exchange.samples import Array
from unet2015.models.model_file import Model, read_model_file, save_model
from unet2015.models.tensors import short
from unet2015.networks import describe
from unet2015.safe_files import write_json

FormatName = Literal["onnx", "pt2", "torchscript", "safetensors"]
OPSET = 18
"""Of the ONNX operators; ONNX Runtime has it from 1.14 on (February 2023)."""
_INSTALL = "pip install 'unet2015[export]'"


@dataclass(frozen=True)
class Source:
    """What is exported.

    Attributes
    ----------
    model : Model
    traced : TracedGraph
        Its graph.
    """

    model: Model
    traced: TracedGraph


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes
    ----------
    file : str
        Its file in the folder.
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


def check_installed(names: tuple[str, ...]) -> None:
    """Raise `UsageError`, saying what to install, unless all that these formats need is there."""
    for name in names:
        for module in FORMATS[name].needs:
            try:
                import_module(module)
            except ImportError as error:
                raise UsageError(f"--format {name} needs {module}, which is not here: {_INSTALL}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the warnings of torch's exporters, which are about their own insides, from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _refused(source: Source, what: str, error: Exception) -> ModelError:
    kind = describe(source.model.info.network)
    return ModelError(
        f"{kind}: torch cannot make {what} of this network: {short(error)}; choose other formats"
    )


def _write_pt2(source: Source, path: Path) -> None:
    try:
        with quiet():
            torch.export.save(source.traced.program, path)
    except OSError:
        raise
    except Exception as error:  # torch has dozens of kinds of them
        raise _refused(source, "an exported program", error) from error


def _run_pt2(path: Path, _: Source, images: Sequence[Array]) -> list[Array]:
    with quiet(), torch.inference_mode():
        loaded = torch.export.load(path).module()
        return [loaded(torch.from_numpy(image)).numpy() for image in images]


def _write_onnx(source: Source, path: Path) -> None:
    """Write ONNX as one file, with the weights in it."""
    write_onnx(source, source.traced, path)


def write_onnx(source: Source, traced: TracedGraph, path: Path) -> None:
    """Write a graph as ONNX of opset `OPSET`; an error is about the model in `source`."""
    try:
        with quiet():
            made = torch.onnx.export(
                traced.program,
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes={INPUT: traced.sides()},  # for the names of the sides
                verbose=False,
            )
            if made is None:  # as torch's types allow
                raise RuntimeError("the exporter returned nothing")
            made.save(path, external_data=False)
    except OSError:
        raise
    except Exception as error:
        raise _refused(source, "an ONNX graph", error) from error


def run_onnx(path: Path, images: Sequence[Array]) -> list[Array]:
    """Return what ONNX Runtime gives for each image, on one thread of a processor.

    Raises
    ------
    ModelError
        It cannot load the graph, or cannot run it.
    """
    import onnxruntime

    chosen = onnxruntime.SessionOptions()
    chosen.intra_op_num_threads = chosen.inter_op_num_threads = 1
    chosen.log_severity_level = 3  # errors
    try:
        session = onnxruntime.InferenceSession(str(path), chosen, providers=["CPUExecutionProvider"])
        return [session.run([OUTPUT], {INPUT: image})[0] for image in images]
    except Exception as error:  # its classes have no common base but this
        raise ModelError(
            f"{path.name}: ONNX Runtime {version('onnxruntime')} cannot run the graph, which has opset "
            f"{OPSET}: {short(error)}; ONNX Runtime has that opset from 1.14 on: {_INSTALL}"
        ) from error


def _write_torchscript(source: Source, path: Path) -> None:
    """Trace the graph; a size that the trace would fix is found by the check at two sizes."""
    try:
        with quiet(), torch.no_grad():
            trace: Any = torch.jit.trace
            trace(source.traced.graph, source.traced.example(), check_trace=False).save(str(path))
    except OSError:
        raise
    except Exception as error:
        raise _refused(source, "TorchScript", error) from error


def _run_torchscript(path: Path, _: Source, images: Sequence[Array]) -> list[Array]:
    load: Any = torch.jit.load
    with quiet(), torch.inference_mode():
        loaded = load(str(path))
        return [loaded(torch.from_numpy(image)).numpy() for image in images]


def _write_safetensors(source: Source, path: Path) -> None:
    info = source.model.info
    save_model(path, source.model.network, info)
    write_json(path.with_suffix(".json"), info.model_dump(mode="json"))


def _run_safetensors(path: Path, source: Source, images: Sequence[Array]) -> list[Array]:
    """Read the file as a model, and put the intensities before it, which it has only as settings."""
    graph = ModelGraph(read_model_file(path).network)
    whole = source.traced.graph
    for name in ("scaled", "whole", "rest", "gain") if whole.scaled else ():
        setattr(graph, name, getattr(whole, name))
    with torch.inference_mode():
        return [graph(torch.from_numpy(image)).numpy() for image in images]


FORMATS: dict[str, Format] = {
    "onnx": Format(
        "model.onnx",
        f"ONNX, opset {OPSET}, weights inside",
        ("onnx", "onnxscript", "onnxruntime"),
        _write_onnx,
        lambda path, _, images: run_onnx(path, images),
    ),
    "pt2": Format("model.pt2", "ExportedProgram of PyTorch", (), _write_pt2, _run_pt2),
    "torchscript": Format(
        "model.torchscript.pt",
        "TorchScript, which PyTorch calls deprecated",
        (),
        _write_torchscript,
        _run_torchscript,
    ),
    "safetensors": Format(
        "model.safetensors",
        "weights, and the description of the model (also in model.json)",
        (),
        _write_safetensors,
        _run_safetensors,
    ),
}
"""The table of formats."""
