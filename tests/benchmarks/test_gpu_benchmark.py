"""The benchmark for GPUs is tried on the CPU, and times nothing that is wrong."""

import json
from types import SimpleNamespace

import pytest
import torch

from benchmarks import __main__ as every
from benchmarks import device as devices
from benchmarks import gpu, gpu_command, gpu_inference, gpu_segmenters, gpu_training
from unet2015.networks.unet2015 import UNet
from unet2015.training import loop

CPU = torch.device("cpu")
SIZES = gpu_inference.Sizes(width=2, depth=2, side=100, roi=60, together=(1,), repeats=1)
NO_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is here")
RATES = {key: {"rate": 1e9} for key in ("bfloat16", "tf32", "float32")}


@pytest.mark.slow
def test_quick_run_on_the_cpu_writes_all_figures(tmp_path, benchmark):
    out = tmp_path / "gpu.json"
    arguments = ["--device", "cpu", "--quick", "--out", str(out)]
    assert benchmark.pedantic(gpu.main, args=(arguments,), rounds=1) == 0
    result = json.loads(out.read_text())
    for precision in ("bfloat16", "float32"):
        training, inference = result["training"][precision], result["inference"][precision]
        assert training["share_of_augmentation"] > 0
        assert training["variants"]["compile"]["times_as_fast"] > 0, training["variants"]
        assert {"engine", "network alone", "compile"} <= set(inference["times"]), inference["left_out"]
        assert inference["errors"]["engine"] < gpu_segmenters.FARTHEST
    assert result["inference"]["float32"]["errors"]["engine"] < gpu_segmenters.ROUNDING
    assert result["training"]["float32"]["gradients_error"] < 1e-6
    assert 0 < result["training"]["bfloat16"]["gradients_error"] < gpu_training.FARTHEST
    assert [row["aim"] for row in result["table"]][:2] == [40, 5]


def test_a_part_of_it_has_no_figures_of_the_rest(tmp_path):
    out = tmp_path / "gpu.json"
    options = ["--part", "inference", "--precision", "bfloat16", "--plain"]
    assert gpu.main(["--device", "cpu", "--quick", *options, "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    assert "training" not in result
    assert set(result["peak_flops"]) == {"bfloat16"}
    assert {"engine", "network alone"} <= set(result["inference"]["bfloat16"]["times"])
    assert not {"compile", "cuda graphs"} & set(result["inference"]["bfloat16"]["times"])
    assert "float32" not in result["inference"]


@pytest.mark.slow
def test_the_steps_of_the_command_are_timed_by_optimizer_and_precision(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "complete_model", lambda *_: None)  # no step, and takes longer than they
    out = tmp_path / "gpu_command.json"
    assert gpu_command.main(["--device", "cpu", "--quick", "--out", str(out)]) == 0
    found = json.loads(out.read_text())["trainings"]
    timed = {f"{optimizer}, {precision}" for optimizer in gpu_command.RECIPES for precision in gpu.PRECISIONS}
    held_out = {f"adam, {precision}, pages held out" for precision in gpu.PRECISIONS}
    assert set(found) == timed | held_out
    assert all(found[title]["seconds"] > 0 and found[title]["from"] == 2 for title in timed)
    assert not any("seconds" in found[title] for title in held_out)


@NO_CUDA
@pytest.mark.parametrize("module", [gpu, gpu_command])
def test_without_cuda_it_says_so_and_fails(module, capsys):
    assert module.main([]) == 1
    assert "needs a GPU with CUDA" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        module.main(["--device", "cpu"])
    assert "--quick" in capsys.readouterr().err


@NO_CUDA
def test_all_benchmarks_together_leave_it_out(monkeypatch, capsys):
    names = [SimpleNamespace(name=name) for name in ("__main__", "gpu", "machine", "summary")]
    monkeypatch.setattr(every.pkgutil, "iter_modules", lambda path: names)
    monkeypatch.setattr("sys.argv", ["benchmarks"])
    assert every.main() == 0
    said = capsys.readouterr().out
    assert "== benchmarks.gpu\nleft out: " in said
    assert "summary" not in said


@pytest.mark.slow
def test_all_others_run_where_one_fails(monkeypatch, capfd):
    monkeypatch.setattr(every, "questions", lambda: ["benchmarks.nothing", "benchmarks.machine"])
    monkeypatch.setattr(every.sys, "argv", ["benchmarks", "--quick"])
    monkeypatch.setattr(every, "importlib", SimpleNamespace(import_module=lambda name: SimpleNamespace()))
    assert every.main() == 1
    said = capfd.readouterr()
    assert said.out.index("== benchmarks.nothing") < said.out.index("== benchmarks.machine")
    assert said.err.endswith("failed: benchmarks.nothing\n")


def test_the_questions_are_the_modules_with_a_main():
    found = every.questions()
    assert {"benchmarks.weight_map", "benchmarks.gpu", "benchmarks.tiled_inference"} <= set(found)
    assert not {"benchmarks.machine", "benchmarks.summary", "benchmarks.peers"} & set(found)


def test_a_padded_network_of_other_weights_is_not_timed(monkeypatch):
    monkeypatch.setattr(gpu_inference, "largest_difference", lambda network: 0.01)
    with pytest.raises(RuntimeError, match=r"the padded network: off by 0\.01"):
        gpu_inference.measure_inference(CPU, SIZES, RATES)


def test_a_wrong_result_is_not_timed(monkeypatch):
    right = gpu_segmenters.Inference.__call__
    monkeypatch.setattr(gpu_segmenters.Inference, "__call__", lambda self, image: 1 - right(self, image) ** 2)
    torch.manual_seed(0)
    network, image = UNet(1, 2, 2, 2), torch.rand(1, 100, 100).numpy()
    plan = gpu_inference.choose_plan(network, (1, 100, 100), CPU)
    exact = right(gpu_segmenters.Inference(network, CPU, "float32", plan), image)
    case = gpu_inference.Case(network, CPU, SIZES, "float32", plan, image, exact)
    with pytest.raises(RuntimeError, match="tiled inference in float32: off by"):
        gpu_inference._measure(case, None, 1.0)


def test_what_is_no_number_is_not_close():
    assert devices.see_close("x", 0.5, 1) == 0.5
    with pytest.raises(RuntimeError, match="not timed"):
        devices.see_close("x", float("nan"), 1)


def test_a_variant_that_is_wrong_is_left_out(monkeypatch):
    monkeypatch.setattr(
        gpu_training, "variants", lambda device: {"wrong": lambda network, image: broken(network)}
    )
    monkeypatch.setattr(gpu_inference, "compiled", lambda network, example: broken(network))

    def broken(network):
        return lambda image: network(image) * 2

    sizes = gpu_training.Sizes(width=2, depth=2, tile=60, page=64, repeats=1)
    steps = gpu_training.measure_training(CPU, sizes, RATES)
    tiled = gpu_inference.measure_inference(CPU, SIZES, RATES)
    for precision in ("bfloat16", "float32"):
        assert "NotCloseError" in steps[precision]["variants"]["wrong"]["left_out"]
        assert "NotCloseError" in tiled[precision]["left_out"]["compile"]
        assert "compile" not in tiled[precision]["times"]


def test_monai_is_seen_to_give_the_padded_network():
    network = UNet(1, 2, 2, 2)
    image = torch.rand(1, 100, 100).numpy()

    def window(slide):
        return gpu_segmenters.SlidingWindow(slide, network, CPU, "float32", 0.25, SIZES.roi)

    window(lambda x, roi, together, scores, overlap: scores(x)).check(image)
    with pytest.raises(RuntimeError, match="MONAI on one window"):
        window(lambda x, roi, together, scores, overlap: 2 * scores(x)).check(image)


def test_operations_are_those_of_the_paper_s_network():
    # 301 GFLOP for a tile: twice the products of each convolution, counted by hand elsewhere.
    assert devices.forward_flops(UNet().to("meta"), (1, 1, 572, 572)) == pytest.approx(300.86e9, rel=1e-3)
    convolution = torch.nn.Conv2d(3, 5, 3, device="meta")
    assert devices.forward_flops(convolution, (1, 3, 12, 10)) == 2 * 9 * 3 * 5 * 10 * 8


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_recorded_network_gives_the_same():
    network = UNet(1, 2, 2, 2).eval().cuda()
    with torch.inference_mode():
        one, two = torch.rand(2, 1, 1, 60, 60, device="cuda")
        recorded = gpu_segmenters.Recorded(network, one)
        for image in (one, two):
            assert torch.allclose(recorded(image), network(image), atol=1e-5)
        assert recorded(torch.rand(2, 1, 60, 60, device="cuda")).shape[0] == 2
