"""The benchmark of the training step still runs, and refuses to time unequal work."""

import json

import pytest
import torch

from benchmarks import training_candidates, training_step
from benchmarks.eager_unet import EagerUNet
from unet2015.networks.unet2015 import UNet


def test_quick_run_writes_losses_times_and_rows(tmp_path, capsys, benchmark):
    out = tmp_path / "training_step.json"
    assert benchmark.pedantic(training_step.main, args=(["--quick", "--out", str(out)],), rounds=1) == 0
    result = json.loads(out.read_text())
    assert {"ours", "eager"} <= result["seconds"].keys()
    for name, loss in result["first_losses"].items():
        assert loss == pytest.approx(result["first_losses"]["ours"], rel=training_step.TOLERANCE), name
    for times in result["seconds"].values():
        assert times["repeats"] == 2
        assert 0 < times["augmentation"]["median"] < times["median"]
    row = result["table"][0]
    clock = "cpu" if result["threads"] == 1 else "median"
    assert row["figure"] == result["seconds"]["eager"][clock] / result["seconds"]["ours"][clock]
    assert ("processor time" in row["question"]) == (clock == "cpu")
    assert str(out) in capsys.readouterr().out


def test_in_bfloat16_all_sides_compute_in_it(tmp_path, monkeypatch):
    seen, forward = [], EagerUNet.forward

    def noted(self, image):
        seen.append(torch.is_autocast_enabled("cpu"))
        return forward(self, image)

    monkeypatch.setattr(EagerUNet, "forward", noted)
    out = tmp_path / "result.json"
    assert training_step.main(["--quick", "--precision", "bfloat16", "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    losses = result["first_losses"]
    assert losses["eager"] == pytest.approx(losses["ours"], rel=training_step.ROUNDING)
    assert all(seen)
    assert seen
    assert all("bfloat16" in row["question"] for row in result["table"])


def test_unequal_work_is_not_timed(monkeypatch):
    monkeypatch.setattr(training_candidates, "loss_of", lambda scores, classes, weights: scores.mean())
    monkeypatch.setattr(training_step, "measure", None)
    with pytest.raises(RuntimeError, match="the first loss of eager"):
        training_step.main(["--quick"])


def test_the_eager_network_is_the_paper_s():
    network = UNet(1, 2, width=3, depth=2, dropout=0.0)
    eager = EagerUNet(3, 2)
    eager.take(network)
    assert sum(p.numel() for p in eager.parameters()) == sum(p.numel() for p in network.parameters())
    image = torch.randn(1, 1, 60, 60, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(eager(image), network(image), atol=1e-5, rtol=1e-5)


def test_steps_go_down_alike(tmp_path):
    """Three steps: the gradients and the optimizer do the same work as well."""
    settings = training_step.load_settings(
        None,
        {
            "labels": {"kind": "membrane"},
            "network": {"width": 2, "depth": 2, "dropout": 0.0},
            "sampling": {"mirrored": 1.0},
            "optimisation": {"tile": 60, "momentum_ramp": 0, "clip": 0.0},
        },
    )
    with training_step.training_set(tmp_path, settings, 70) as data:
        training = training_step.Training(data, settings, tmp_path / "run", torch.device("cpu"))
        eager, ours = training_candidates.eager(training), training_candidates.ours(training)
        losses = [(eager.step()[0], ours.step()[0]) for _ in range(3)]
    for theirs, mine in losses:
        assert theirs == pytest.approx(mine, rel=1e-4)
    assert len({mine for _, mine in losses}) == 3
