"""The benchmarks of the network on a CPU still run, and refuse to time what is not the same."""

import json
import sys

import pytest
import torch

from benchmarks import engines, layers, machine, memory, tiled_inference
from benchmarks.machine import result_of_kind
from benchmarks.padded import largest_difference
from benchmarks.tiled_inference import taken_by
from tests.forks import peak_of
from unet2015.networks.cpu import convolution_choice
from unet2015.networks.cpu.convolution_choice import DIRECT, VARIABLE
from unet2015.networks.unet2015 import UNet


def quick(benchmark, module, folder):
    out = folder / "result.json"
    assert benchmark.pedantic(module.main, args=(["--quick", "--out", str(out)],), rounds=1) == 0
    return json.loads(out.read_text())


@pytest.mark.parametrize(("orders", "count"), [("both", 4), ("faster", 2)])
def test_quick_run_of_tiled_inference(tmp_path, benchmark, orders, count):
    arguments = ["--quick", "--orders", orders, "--out", str(tmp_path)]
    assert benchmark.pedantic(tiled_inference.main, args=(arguments,), rounds=1) == 0
    for precision in ("float32", "bfloat16"):
        result = json.loads((tmp_path / f"{result_of_kind(f'tiled_inference_{precision}')}.json").read_text())
        assert result["precision"] == precision
        assert result["largest_relative_difference_of_the_networks"] <= 1e-5
        assert len(result["windows"]) == len(result["table"]) == (count if "monai" in result["peers"] else 0)
        for other in result["windows"]:
            assert other["ratio"] == taken_by(other["times"]) / taken_by(result["ours"])


def test_another_network_is_not_timed(monkeypatch, tmp_path):
    monkeypatch.setattr(tiled_inference, "largest_difference", lambda network: 0.1)
    with pytest.raises(RuntimeError, match="differ by"):
        tiled_inference.main(["--quick", "--out", str(tmp_path)])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("threads", "kind"), [(1, "cpu_least"), (2, "least")])
def test_one_thread_is_compared_by_processor_time(monkeypatch, threads, kind):
    monkeypatch.setattr(tiled_inference, "thread_count", lambda: threads)
    assert taken_by({"cpu_least": "cpu", "least": "clock"} | {kind: 3}) == 3


QUICK = ["--quick", "--precision", "float32", "--threads", "1"]


def test_quick_run_of_the_engines(tmp_path, benchmark):
    # The others are seen to run by `make bench`: compiling takes longer than all that is tested here.
    arguments = [*QUICK, "--engines", "torch", "ONNX Runtime", "--out", str(tmp_path / "found.json")]
    assert benchmark.pedantic(engines.main, args=(arguments,), rounds=1) == 0
    result = json.loads((tmp_path / "found.json").read_text())
    (found,) = result["compared"]
    assert found["ratios"].keys() == {"torch", "ONNX Runtime"}
    assert max(found["differences"].values()) <= 1e-5
    times = {name: each["cpu_least"] for name, each in found["seconds"].items()}
    figures = {each["against"]: each["figure"] for each in result["table"]}
    assert figures == {f"{name}, the same network": times[name] / times["ours"] for name in found["ratios"]}


def test_an_engine_that_computes_something_else_is_not_timed(monkeypatch, tmp_path):
    monkeypatch.setitem(engines.ENGINES, "torch", lambda network, *_: lambda x: network(x) * 1.001)
    with pytest.raises(RuntimeError, match=r"torch in float32: scores are off by 0\.001"):
        engines.main([*QUICK, "--engines", "torch", "--out", str(tmp_path / "found.json")])
    assert not list(tmp_path.iterdir())


def test_an_engine_without_the_precision_is_left_out():
    found = engines.compare(tiled_inference.network_of(2), ["ONNX Runtime"], "bfloat16", 1, 204, 1)
    assert found["left_out"] == ["ONNX Runtime"]
    assert engines.table(found, 2, 204) == []


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_the_padded_network_is_the_network_inside(depth):
    torch.manual_seed(depth)
    network = UNet(2, 3, 4, depth).eval().requires_grad_(False)
    assert 0 <= largest_difference(network.double()) <= 1e-12


@pytest.mark.parametrize(
    ("units", "old", "kind", "name"),
    [
        (False, False, "CPU", "engines"),
        (True, False, "CPU with AMX", "engines_amx"),
        (False, True, "CPU with AVX2 alone", "engines_avx2"),
    ],
)
def test_results_of_kinds_of_processors_are_kept_apart(monkeypatch, units, old, kind, name):
    monkeypatch.setattr("unet2015.device.has_matrix_units", lambda: units)
    monkeypatch.setattr("unet2015.networks.cpu_training.stops_at_avx2", lambda: old)
    assert (machine.cpu_kind(), machine.result_of_kind("engines")) == (kind, name)
    times = {"cpu_least": 10, "least": 10}
    windows = [{"overlap": 0.25, "order": "channels last", "ratio": 2.5, "times": times}]
    work = {"gflop": 1000, "gflop_done": 800, "tiles": 1, "windows_gflop": 2000, "windows": 25}
    found = {
        "precision": "bfloat16",
        "windows": windows,
        "ours": {"cpu_least": 4.0, "least": 4.0, "repeats": 3},
        "work": work | {"matrix_product_gflops": 9},
    }
    assert f"2048 x 2048, {kind}, bfloat16" in tiled_inference.table(found, 2048, 64)[0]["question"]


def test_the_rows_say_what_was_met_and_what_was_done(monkeypatch):
    windows = [
        {"overlap": overlap, "order": "channels last", "ratio": ratio, "times": {"cpu_least": 10 * ratio}}
        for overlap, ratio in ((0.33, 3.5), (0.25, 2.0))
    ]
    work = {"gflop": 1000, "gflop_done": 800, "tiles": 1}
    work |= {"windows_gflop": 2000, "windows": 25, "matrix_product_gflops": 125}
    ours = {"cpu_least": 10.0, "repeats": 3}
    answer = {"precision": "float32", "windows": windows, "ours": ours, "work": work}
    monkeypatch.setattr(tiled_inference, "thread_count", lambda: 1)
    rows = tiled_inference.table(answer, 2048, 64)
    assert [(each["figure"], each["met"]) for each in rows] == [(3.5, True), (2.0, False)]
    note = rows[0]["note"]
    assert "0.8 TFLOP (1.0 by sums over the window) in 1 tile(s) at 80 GFLOP/s, next to 2.0 in 25" in note
    assert "25 windows at 57;" in note
    assert "reaches 125, at which the tiles would be 5.47 times" in note
    assert note.endswith("; processor time of one thread; least of 3")
    work["gflop_done"] = 1000
    assert "1.0 TFLOP in 1 tile(s) at 100" in tiled_inference.table(answer, 2048, 64)[0]["note"]


def test_the_work_is_that_of_the_convolutions():
    network = tiled_inference.network_of(2)
    work = tiled_inference.work(network, 200, 204, "float32", 3)
    layers_of = layers.layers_of(network, work["tile"][0])
    assert work["gflop"] == pytest.approx(work["tiles"] * sum(layer.flops for layer in layers_of) / 1e9)
    assert work["windows_gflop"] > 3 * work["gflop"] / work["tiles"] * 0.5
    assert work["gflop_done"] == work["gflop"]  # as few channels are summed over the window


def is_deep(layer, least):
    if layer.module.kernel_size != (3, 3):
        return False
    outputs, inputs = layer.module.weight.shape[:2]
    return outputs * inputs >= least


def test_winograd_saves_five_of_nine(monkeypatch):
    for can in ("can_pack", "can_multiply"):  # nothing is computed, so no processor needs to
        monkeypatch.setattr(convolution_choice, can, lambda dtype: True)
    with torch.device("meta"):
        network = UNet(1, 2, 64, 4)
    for precision, least, count in (("float32", 128 * 128, 13), ("bfloat16", 512 * 512, 5)):
        deep = [layer for layer in layers.layers_of(network, 572) if is_deep(layer, least)]
        assert len(deep) == count
        saved = tiled_inference.saved(network, 572, 572, precision)
        assert saved == pytest.approx(5 / 9 * sum(layer.flops for layer in deep))
        assert tiled_inference.saved(network, 556, 572, precision) == 0  # not aligned
    monkeypatch.setenv(VARIABLE, DIRECT)
    assert tiled_inference.saved(network, 572, 572, "float32") == 0


def test_quick_run_of_the_layers(tmp_path, benchmark):
    result = quick(benchmark, layers, tmp_path)
    found = result["precisions"]["float32"]
    assert len(found["layers"]) == 23
    assert found["sum_of_layers"] == sum(each["seconds"] for each in found["layers"])
    least = "cpu_least" if torch.get_num_threads() == 1 else "least"
    assert found["of_the_layers"] == 100 * found["sum_of_layers"] / found["whole"][least]


@pytest.mark.parametrize("variant", ["paper", "release"])
def test_the_layers_are_those_that_run(variant):
    network = UNet(1, 2, 3, 2, variant).eval()
    tile = network.geometry.smallest + 4 * network.geometry.factor
    expected = []
    hooks = [
        module.register_forward_hook(
            lambda module, inputs, output: expected.append((module, inputs[0].shape[-1]))
        )
        for module in network.modules()
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d)
    ]
    network(torch.zeros(1, 1, tile, tile))
    for hook in hooks:
        hook.remove()
    assert [(layer.module, layer.height) for layer in layers.layers_of(network, tile)] == expected


def test_all_forms_of_a_layer_are_the_same_layer(monkeypatch):
    monkeypatch.setattr(layers, "BLOCK_BYTES", 1)
    for layer in layers.layers_of(UNet(1, 2, 5, 1).eval().requires_grad_(False), 30):
        torch.manual_seed(1)
        outputs = {name: run() for name, run in layers.forms(layer, torch.float32)}
        first = outputs["channels first"]
        for name, output in outputs.items():
            rows = output.shape[-2]  # in row blocks, the last rows
            assert torch.allclose(output, first[..., -rows:, :], atol=1e-5), name


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_quick_run_of_the_memory(tmp_path, benchmark, monkeypatch):
    monkeypatch.setattr(memory, "peak_of", peak_of)
    result = quick(benchmark, memory, tmp_path)
    assert 100 < result["cases"]["cap=900M"]["peak_mib"] < 900
    assert result["table"][0]["met"]
