"""The comparison of networks on a device, at a tiny size on a CPU: rows, equal cost, what is missing."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

import pytest

from pipelines.base.settings import FOLDER
from pipelines.on_device import measuring
from pipelines.successors import comparison, on_gpu
from pipelines.successors.settings import DeviceComparison
from pipelines.successors.tables import on_a_gpu
from unet2015.settings import PUBLISHED, parse_settings, read_toml

TINY = """
sets = ["em-4", "dic-01"]
gpu_seconds = 0.02
steps = 2
longest = 50
cropped_tile = 44
whole_tile = 32
[networks]
unet2015 = { width = 2, depth = 1, dropout = 0.0 }
padded = { width = 2, depth = 1 }
"""


class Threads(ThreadPoolExecutor):
    """In place of processes, whose start takes seconds."""

    _processes = MappingProxyType({})

    def __init__(self, count, mp_context=None):
        super().__init__(count)


@pytest.fixture
def words(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(measuring, "ProcessPoolExecutor", Threads)
    (tmp_path / "tiny.toml").write_text(TINY)
    given = ["--data", packed, "--out", tmp_path / "out", "--settings", tmp_path / "tiny.toml"]
    return [*map(str, given), "--device", "cpu", "--processes", "1"]


def result(words):
    return json.loads((Path(words[3]) / "result.json").read_text())


def test_every_network_has_a_row_of_equal_cost_and_one_of_equal_steps(words):
    assert on_gpu.main(words) == 0
    found = result(words)
    rows = {(row["data"], row["network"], row["equal"]): row for row in found["rows"]}
    assert len(rows) == 8
    assert (found["missing"], found["failed"]) == ([], {})
    for (data, network, equal), row in rows.items():
        step = found["speed"][network]["seconds_a_step"]
        assert row["steps"] == (2 if equal == "steps" else min(50, max(1, round(0.02 / step))))
        assert row["gpu_seconds"] == pytest.approx(row["steps"] * step)
        assert 0 <= row["measures"]["pixel_error" if data == "em-4" else "seg"] <= 1
    text = on_a_gpu(found)
    assert text.count("| equal steps |") == text.count("| equal GPU time |") == 4
    assert f"{rows['em-4', 'padded', 'steps']['measures']['v_rand']:.4f}" in text
    about = found["networks"]["padded"]
    assert f"| {about['described']} | {about['parameters']:,} |" in text


def test_what_failed_and_what_had_no_time_is_named_and_the_others_go_on(words, monkeypatch):
    real = comparison.Comparison.time

    def broken(self, network):
        if network == "padded":
            raise RuntimeError("no memory")
        real(self, network)

    monkeypatch.setattr(comparison.Comparison, "time", broken)
    assert on_gpu.main(words) == 1
    found = result(words)
    assert found["failed"] == {"time-padded": "RuntimeError: no memory"}
    assert {row["network"] for row in found["rows"]} == {"unet2015"}
    assert len(found["missing"]) == 4
    monkeypatch.setattr(comparison.Comparison, "time", lambda self, network: None)
    assert on_gpu.main([*words, "--seconds", "0"]) == 1
    assert len(result(words)["missing"]) == 8


def test_the_shipped_comparison_has_every_network_at_its_published_width():
    path = FOLDER / "successors-gpu.toml"
    chosen = parse_settings(DeviceComparison, read_toml(path, "given"), "given")
    assert set(chosen.networks) == {"unet2015", *PUBLISHED}
    assert all("width" not in values for name, values in chosen.networks.items() if name != "unet2015")
    assert chosen.networks["unet2015"]["width"] == 64
