"""Tiny data sets and settings, so that every stage of an experiment runs in seconds."""

import pytest

TINY = """
[training]
checkpoint_interval = 500
[training.network]
width = 2
depth = 1
dropout = 0.0
[training.labels]
kind = "{kind}"
{more}
[training.weight_map]
class_weights = [1.0, 1.0]
[training.optimisation]
steps = 6
warmup = 2
tile = 44
[training.validation]
fraction = 0.0
interval = 6
attempts = 1
"""


@pytest.fixture
def tiny_settings(tmp_path):
    """Write the settings of an experiment with a network and a training of next to nothing."""

    def write(head="", kind="membrane", more="", tail="", name="tiny.toml"):
        path = tmp_path / name
        path.write_text(head + TINY.format(kind=kind, more=more) + tail)
        return path

    return write
