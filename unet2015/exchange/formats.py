"""How the formats are written, and how their files are run to see that they are the model."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unet2015.errors import ModelError
from unet2015.exchange.graph import INPUT, OPSET, OUTPUT, ModelGraph, TracedGraph
from unet2015.exchange.intensities import Intensities
from unet2015.exchange.samples import Array, Picture
from unet2015.models.model_file import Model, read_model_file, save_model
from unet2015.networks import describe
from unet2015.safe_files import write_json
from unet2015.wording import reason

INSTALL = "pip install 'unet2015[export]'"


@dataclass(frozen=True)
class Source:
    """What is exported.

    Attributes
    ----------
    model : Model
    intensities : Intensities
        What its graphs take.
    traced : TracedGraph
        Its graph.
    picture : callable
        What the test tiles show.
    """

    model: Model
    intensities: Intensities
    traced: TracedGraph
    picture: Picture


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


@contextmanager
def refusals(source: Source, what: str) -> Iterator[None]:
    """Say of errors of torch that it cannot make `what` of the network in `source`; as `quiet` besides."""
    try:
        with quiet():
            yield
    except OSError:
        raise
    except Exception as error:  # torch has dozens of kinds of them
        kind = describe(source.model.info.network)
        raise ModelError(
            f"{kind}: torch cannot make {what} of this network: {reason(error)}; choose other formats"
        ) from error


def write_pt2(source: Source, path: Path) -> None:
    """Write the exported program of PyTorch."""
    made = BytesIO()  # torch's own writer of files ends the process where the disk is full
    with refusals(source, "an exported program"):
        torch.export.save(source.traced.program, made)
    path.write_bytes(made.getbuffer())


def run_pt2(path: Path, images: Sequence[Array]) -> list[Array]:
    """Return what an exported program gives for each image."""
    with quiet(), torch.inference_mode():
        loaded = torch.export.load(path).module()
        return [loaded(torch.from_numpy(image)).numpy() for image in images]


def write_onnx(source: Source, traced: TracedGraph, path: Path) -> None:
    """Write a graph as ONNX of opset `OPSET`; an error is about the model in `source`."""
    with refusals(source, "an ONNX graph"):
        traced.onnx.save(path, external_data=False)


def run_onnx(path: Path, images: Sequence[Array], graph: bytes | None = None) -> list[Array]:
    """Return what ONNX Runtime gives for each image, on one thread of a processor.

    Parameters
    ----------
    path : Path
        The file.
    images : sequence of ndarray
    graph : bytes, optional
        What is run in place of what the file holds.

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
        given = str(path) if graph is None else graph
        session = onnxruntime.InferenceSession(given, chosen, providers=["CPUExecutionProvider"])
        return [session.run([OUTPUT], {INPUT: image})[0] for image in images]
    except Exception as error:  # its classes have no common base but this
        raise ModelError(
            f"{path.name}: ONNX Runtime {version('onnxruntime')} cannot run the graph, which has opset "
            f"{OPSET}: {reason(error)}; ONNX Runtime has that opset from 1.14 on: {INSTALL}"
        ) from error


def write_torchscript(source: Source, traced: TracedGraph, path: Path) -> None:
    """Write a trace of a graph; a size that it would fix is found by the check at two sizes."""
    made = BytesIO()  # as in `write_pt2`
    with refusals(source, "TorchScript"), torch.no_grad():
        trace: Any = torch.jit.trace
        torch.jit.save(trace(traced.graph, traced.example(), check_trace=False), made)
    path.write_bytes(made.getbuffer())


def run_torchscript(path: Path, images: Sequence[Array]) -> list[Array]:
    """Return what TorchScript gives for each image."""
    load: Any = torch.jit.load
    with quiet(), torch.inference_mode():
        loaded = load(str(path))
        return [loaded(torch.from_numpy(image)).numpy() for image in images]


def write_safetensors(source: Source, path: Path) -> None:
    """Write a model file in single precision, and its description beside it."""
    info = source.intensities.of_model(source.model.info)
    save_model(path, source.model.network, info)
    write_json(path.with_suffix(".json"), info.model_dump(mode="json"))


def run_safetensors(path: Path, source: Source, images: Sequence[Array]) -> list[Array]:
    """Return what the model of a file gives for each image, which is as a graph takes it."""
    loaded = read_model_file(path)
    scale, mapping = source.intensities.scale, loaded.info.mapping
    if scale is not None and mapping.method == "fixed":  # the numbers of the file, not of the graph
        low, high = np.array(mapping.low), np.array(mapping.high)
        scale = low, 1 / (high - low)
    graph = ModelGraph(loaded.network, scale)
    with torch.inference_mode():
        return [graph(torch.from_numpy(image)).numpy() for image in images]
