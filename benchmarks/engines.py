"""The network on one tile on a CPU, next to engines that run the same network on the same tile.

``python -m benchmarks.engines [--quick] [--precision float32 bfloat16] [--threads 1 2] [--engines ...]``

The unpadded U-Net itself, with the same weights, in torch (channels last), torch.compile (Inductor with
freezing, the tile's size fixed), ONNX Runtime and OpenVINO (which read it as ONNX); each gives scores.
Compiling is not in the times. Before any time is taken, the scores of each are compared with the network's.
An engine that is not here, or that does not have the precision, is left out and named in the result: ONNX
Runtime computes no convolution in bfloat16 on x86.

With one thread, ratios are of processor time, which other work on the machine disturbs less; with more, of
time by the clock. Both are the least of all repeats, of which each has one run of every engine.
"""

import copy
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.command import options
from benchmarks.machine import cpu_kind, fastest, keep_result, result_of_kind, row, seconds
from benchmarks.peers import peer, peer_versions
from benchmarks.tiled_inference import DTYPES, NEAR, network_of
from unet2015.exchange.formats import quiet
from unet2015.networks.architecture import make_bfloat16
from unet2015.networks.unet2015 import UNet

Run = Callable[[Tensor], Tensor]
OURS = "ours"


def in_precision(network: UNet, precision: str) -> UNet:
    """Return a copy of a network in channels last, its last layer in float32."""
    copied = copy.deepcopy(network)
    if precision == "bfloat16":
        make_bfloat16(copied)
    placed: UNet = copied.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed


def in_torch(network: UNet, precision: str, threads: int, example: Tensor) -> Run:
    """Return the network itself."""
    copied, dtype = in_precision(network, precision), DTYPES[precision]
    return lambda x: copied(x.to(dtype))


def in_torch_compile(network: UNet, precision: str, threads: int, example: Tensor) -> Run:
    """Return the network compiled by Inductor for one size, its weights frozen."""
    import torch._inductor.config as inductor

    inductor.freezing = True
    torch._dynamo.reset()
    compiled, dtype = torch.compile(in_precision(network, precision), dynamic=False), DTYPES[precision]
    return lambda x: compiled(x.to(dtype))


def as_onnx(network: UNet, example: Tensor) -> bytes:
    """Return the network as an ONNX model for the size of an example."""
    with tempfile.TemporaryDirectory() as folder, quiet(), torch.inference_mode(False):
        path = Path(folder, "network.onnx")
        program = torch.onnx.export(network, (example.clone(),), dynamo=True, verbose=False)
        assert program is not None
        program.save(path, external_data=False)
        return path.read_bytes()


def in_onnx_runtime(network: UNet, precision: str, threads: int, example: Tensor) -> Run | None:
    """Return the network in ONNX Runtime; None in bfloat16, for which it has no convolution on x86."""
    runtime = peer("onnxruntime")
    if runtime is None or precision != "float32":
        return None
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    session = runtime.InferenceSession(as_onnx(network, example), options, ["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: torch.from_numpy(session.run(None, {name: x.numpy()})[0])


def in_openvino(network: UNet, precision: str, threads: int, example: Tensor) -> Run | None:
    """Return the network in OpenVINO."""
    openvino = peer("openvino")
    if openvino is None:
        return None
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
        "PERFORMANCE_HINT": "LATENCY",
    }
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(as_onnx(network, example)), "CPU", settings)
    request = compiled.create_infer_request()
    return lambda x: torch.from_numpy(request.infer([x.numpy()])[0].copy())


ENGINES: dict[str, Callable[[UNet, str, int, Tensor], Run | None]] = {
    "torch": in_torch,
    "torch.compile": in_torch_compile,
    "ONNX Runtime": in_onnx_runtime,
    "OpenVINO": in_openvino,
}


@torch.inference_mode()
def ready(
    network: UNet, names: Sequence[str], precision: str, threads: int, tile: Tensor
) -> tuple[dict[str, Run], dict[str, float]]:
    """Return the engines that are here, each compiled and run once, and how far their scores are off.

    Raises
    ------
    RuntimeError
        An engine computes something else.
    """
    exact = network(tile)
    runs: dict[str, Run] = {OURS: fastest(network, DTYPES[precision])}
    for name in names:
        run = ENGINES[name](network, precision, threads, tile)
        if run is not None:
            runs[name] = run
    differences = {}
    for name, run in runs.items():
        off = float((run(tile) - exact).abs().max() / exact.abs().max())
        if not off <= NEAR[precision]:
            raise RuntimeError(f"{name} in {precision}: scores are off by {off:.2g} of the largest")
        differences[name] = off
    return runs, differences


def kind_of(threads: int) -> str:
    """Return which seconds are compared."""
    return "cpu_least" if threads == 1 else "least"


def compare(
    network: UNet, names: Sequence[str], precision: str, threads: int, side: int, repeats: int
) -> dict[str, Any]:
    """Time all engines in turn on one tile; return times, ratios and differences."""
    torch.set_num_threads(threads)
    tile = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(0))
    runs, differences = ready(network, names, precision, threads, tile)
    with torch.inference_mode():
        times = seconds(*(partial(run, tile) for run in runs.values()), repeats=repeats)
    taken, kind = dict(zip(runs, times, strict=True)), kind_of(threads)
    ratios = {name: each[kind] / taken[OURS][kind] for name, each in taken.items() if name != OURS}
    for name, each in taken.items():
        print(f"{precision}, {threads} thread(s): {name} {each[kind]:.3f} s, {ratios.get(name, 1):.2f}")
    return {
        "precision": precision,
        "threads": threads,
        "seconds": taken,
        "ratios": ratios,
        "differences": differences,
        "left_out": [name for name in names if name not in runs],
    }


def table(found: dict[str, Any], width: int, side: int) -> list[dict[str, Any]]:
    """Return a row for each engine."""
    threads, kind = found["threads"], kind_of(found["threads"])
    counted = "processor time of one thread" if threads == 1 else f"{threads} threads, by the clock"
    ours = found["seconds"][OURS]

    def note(name: str) -> str:
        its, off = found["seconds"][name], found["differences"]
        said = f"{ours[kind]:.3f} and {its[kind]:.3f} s"
        if threads > 1:  # on a busy machine fewer than there are threads
            had = (each["cpu"] / each["median"] for each in (ours, its))
            said += ", with {:.1f} and {:.1f} cores' worth of processor time".format(*had)
        return f"{said}; off from torch's float32 by {off[OURS]:.1g} and {off[name]:.1g} of the largest score"

    return [
        row(
            f"one tile of {side} px, width {width}, {cpu_kind()}, {found['precision']}, {counted}",
            f"{name}, the same network",
            ratio,
            "x",
            1.0,
            note=note(name),
        )
        for name, ratio in found["ratios"].items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Check that all compute the same, measure, print, and write the result file."""
    parser = options("engines", __doc__, "a small network and tile")
    parser.add_argument("--precision", nargs="+", choices=list(DTYPES), default=list(DTYPES))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args(arguments)
    width, side = (2, 204) if given.quick else (64, 572)
    network, before = network_of(width), torch.get_num_threads()
    try:
        found = [
            compare(network, given.engines, precision, threads, side, 1 if given.quick else given.repeats)
            for precision in given.precision
            for threads in given.threads
        ]
    finally:
        torch.set_num_threads(before)
    answer = {
        "width": width,
        "tile": side,
        "peers": peer_versions("onnxruntime", "openvino"),
        "compared": found,
        "table": [each for one in found for each in table(one, width, side)],
    }
    keep_result(given, result_of_kind("engines"), __doc__, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
