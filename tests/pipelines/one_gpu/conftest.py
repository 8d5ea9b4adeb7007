"""Packed sets and settings so tiny that one GPU's whole run takes seconds on a CPU."""

import numpy as np
import pytest

from pipelines.cells.frames import IGNORE
from pipelines.one_gpu import __main__ as one_gpu
from unet2015.synthetic import em_stack

SIDE = 40


@pytest.fixture(scope="module")
def sets():
    """What pipelines.device_sets packs, tiny: 30 EM slices and two sequences of round cells."""
    images, labels = em_stack(2, 30, 36)
    turns = [np.rot90(images[k % 2], 2 * (k // 2 % 2)) for k in range(30)]
    arrays = {
        "em/images": np.stack(turns),
        "em/labels": np.stack([np.rot90(labels[k % 2], 2 * (k // 2 % 2)) for k in range(30)]),
    }
    random = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    for sequence, count in (("01", 3), ("02", 2)):
        truth = np.zeros((count, SIDE, SIDE), np.uint16)
        for frame in truth:
            for number, centre in enumerate(random.integers(8, SIDE - 8, (3, 2)), 1):
                frame[np.hypot(y - centre[0], x - centre[1]) < 7] = number
        given = truth.copy()
        given[0, :5] = IGNORE
        pixels = np.where(truth > 0, 150, 80) + random.normal(0, 10, truth.shape)
        made = {"images": pixels.clip(0, 255).astype(np.uint8), "truth": truth, "labels": given}
        made |= {"silver-images": made["images"][:1], "silver-labels": truth[:1]}
        arrays |= {f"DIC-C2DH-HeLa/{sequence}/{key}": value for key, value in made.items()}
    return arrays


@pytest.fixture(scope="module")
def packed(sets, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "sets.npz"
    np.savez(path, **sets)
    return path


SETTINGS = """
longest = 10
shortest = 6
timed = 2
matrix = 16
inference = [40]
[base]
network = { width = 2, depth = 1, dropout = 0.0 }
weight_map = { class_weights = [1.0, 1.0] }
optimisation = { tile = 44, warmup = 4, learning_rate = 2e-3 }
[recipes]
"adam" = { optimisation = { optimizer = "adam", average = 0.5 } }
"sgd" = {}
[trial]
on = ["em-4"]
steps = 3
[trainings]
em-4 = { split = "em-4", averages = ["none", "flips"], train_maps = false, steps = 8 }
em-all = { split = "em-all", train_maps = false, model = true, steps = 8 }
dic-01 = { split = "dic-01", averages = ["flips"], share = 2.0, steps = 8 }
dic-02 = { split = "dic-02", silver = true, train_maps = false, steps = 8 }
"""


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(SETTINGS)
    return path


@pytest.fixture
def command(packed, settings, tmp_path):
    """Run the command in this process; options may be replaced."""

    def run(**options):
        values = {
            "data": packed,
            "out": tmp_path / "out",
            "settings": settings,
            "seconds": 300,
            "device": "cpu",
        }
        return one_gpu.main([word for k, v in (values | options).items() for word in (f"--{k}", str(v))])

    return run


@pytest.fixture(scope="module")
def whole(packed, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "settings.toml").write_text(SETTINGS)
    words = ["--data", str(packed), "--out", str(folder / "out"), "--device", "cpu"]
    assert one_gpu.main([*words, "--settings", str(folder / "settings.toml")]) == 0
    return folder / "out"
