"""Which layers use Winograd is measured once for a machine, kept, and changes nothing but the rounding."""

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks.cpu.networks import (
    VARIANTS,
    image_for,
    in_bfloat16,
    made,
    needs_bfloat16,
    scale_of,
    winograd_from,
)
from unet2015.errors import UsageError
from unet2015.networks.architecture import FASTEST
from unet2015.networks.cpu import convolution_choice
from unet2015.networks.cpu.convolution_choice import DIRECT, USUAL, VARIABLE, least_product, measure, way_of
from unet2015.networks.cpu.row_strips import RowStripUNet
from unet2015.networks.cpu.winograd_layers import tile_geometry
from unet2015.networks.unet2015 import UNet

MEASURED = "winograd from 65536"
DEFAULT = USUAL[torch.float32]


@pytest.fixture(scope="module")
def wide():
    """A network that is worth a measurement; its weights are never read."""
    with torch.device("meta"):
        return UNet(width=512, depth=0)


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """Count measurements, which all find the same, with an empty cache folder of our own.

    As on a processor that has both precisions: nothing is computed.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(VARIABLE, raising=False)
    counted = []

    def once(dtype):
        counted.append((torch.get_num_threads(), dtype))
        return MEASURED, {"256 x 256": [2.0, 1.0]}

    monkeypatch.setattr(convolution_choice, "measure", once)
    monkeypatch.setattr(convolution_choice, "has_matrix_units", lambda: False)
    monkeypatch.setattr(convolution_choice, "can_pack", USUAL.__contains__)
    monkeypatch.setattr(convolution_choice, "can_multiply", USUAL.__contains__)
    return counted


def kept(tmp_path):
    (path,) = (tmp_path / "cache" / "unet2015").iterdir()
    return path


@settings(max_examples=10, deadline=None)
@given(
    st.integers(0, 2**32),
    st.tuples(st.integers(1, 3), st.integers(2, 3), st.integers(1, 6), st.integers(0, 3)),
    st.sampled_from(VARIANTS),
    st.one_of(st.integers(0, 2000).map("winograd from {}".format), st.just(DIRECT)),
)
def test_every_choice_gives_the_scores_up_to_rounding(seed, shape, variant, way):
    network = made(seed, *shape, variant)
    with winograd_from():
        image = image_for(network, seed, (1, 2), geometry=tile_geometry(network)).float()
        found = RowStripUNet(network, winograd_from=least_product(way))(image)
    exact = network.double()(image.double())
    assert (found - exact).abs().max() <= 1e-5 * scale_of(exact)


def test_a_choice_decides_which_layers_use_winograd():
    network = made(0, 1, 2, 4, 2)

    def kinds(way):
        with winograd_from():
            layers = RowStripUNet(network, winograd_from=least_product(way))._layers
        return sum("Winograd" in type(part).__name__ for pair in layers.contract for part in pair)

    # Down: 1 x 4, 4 x 4, 4 x 8, 8 x 8, 8 x 16, 16 x 16.
    assert [kinds(f"winograd from {least}") for least in (1, 5, 32, 33, 256, 257)] == [6, 5, 4, 3, 1, 0]
    assert kinds(DIRECT) == 0


def test_words_that_are_none_are_refused():
    assert (least_product(DIRECT), least_product("winograd from 7")) == (math.inf, 7)
    for words in ("", "winograd", "winograd from", "winograd from -1", "winograd from 1e3", "Direct"):
        with pytest.raises(UsageError, match="are 'direct' or 'winograd from N'"):
            least_product(words)
        with pytest.raises(UsageError, match="are 'direct' or 'winograd from N'"):
            way_of(UNet(width=2, depth=1), torch.float32, words)


def test_there_is_no_choice_where_no_layer_can_use_winograd(measured, wide):
    narrow = UNet(width=8)
    for network, dtype in ((narrow, torch.float32), (narrow, torch.bfloat16), (wide, torch.float64)):
        for wanted in (None, FASTEST, DIRECT):
            assert way_of(network, dtype, wanted) is None
    assert not measured


def test_only_who_asks_for_the_fastest_of_a_wide_network_waits_for_a_measurement(measured, wide):
    assert way_of(wide, torch.float32) == DEFAULT
    assert way_of(wide, torch.float32, DIRECT) == DIRECT
    assert way_of(UNet(width=16), torch.float32, FASTEST) == DEFAULT
    assert not measured
    assert way_of(wide, torch.float32, FASTEST) == MEASURED
    assert len(measured) == 1


def test_in_bfloat16_it_is_used_where_that_was_measured_alone(measured, wide, tmp_path):
    """So records of earlier versions, which say nothing, are repeated as they were made."""
    assert way_of(wide, torch.bfloat16) == DIRECT
    assert way_of(UNet(width=16), torch.bfloat16, FASTEST) is None
    assert not measured
    for _ in range(2):
        for dtype in USUAL:
            assert way_of(wide, dtype, FASTEST) == MEASURED
    assert [dtype for _, dtype in measured] == list(USUAL)
    said = [json.loads(path.read_text()) for path in (tmp_path / "cache" / "unet2015").iterdir()]
    assert {each["machine"]["precision"] for each in said} == {"float32", "bfloat16"}


def test_with_matrix_units_bfloat16_is_summed_over_the_window_and_nothing_measured(
    measured, wide, monkeypatch
):
    """Winograd gains nothing there, and rounds worse."""
    monkeypatch.setattr(convolution_choice, "has_matrix_units", lambda: True)
    assert way_of(wide, torch.bfloat16, FASTEST) == DIRECT
    assert not measured
    assert way_of(wide, torch.float32, FASTEST) == MEASURED
    monkeypatch.setenv(VARIABLE, "winograd from 262144")
    assert way_of(wide, torch.bfloat16, FASTEST) == "winograd from 262144"


@pytest.mark.parametrize("missing", ["can_pack", "can_multiply"])
def test_a_processor_without_bfloat16_of_its_own_has_no_choice_there(measured, wide, monkeypatch, missing):
    monkeypatch.setattr(convolution_choice, missing, lambda dtype: dtype == torch.float32)
    monkeypatch.setenv(VARIABLE, "winograd from 262144")
    assert way_of(wide, torch.bfloat16, FASTEST) is None
    assert way_of(wide, torch.float32, FASTEST) == "winograd from 262144"
    assert not measured


def test_it_is_measured_once_for_a_machine_and_a_number_of_threads(measured, wide, tmp_path, monkeypatch):
    assert [way_of(wide, torch.float32, FASTEST) for _ in range(2)] == [MEASURED] * 2
    assert len(measured) == 1
    assert json.loads(kept(tmp_path).read_text())["machine"]["threads"] == torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    for _ in range(2):
        way_of(wide, torch.float32, FASTEST)
    assert len(measured) == 2
    monkeypatch.setattr(convolution_choice.provenance, "processor_details", lambda: "another")
    way_of(wide, torch.float32, FASTEST)
    assert len(measured) == 3


def changed(text):
    return text.replace(MEASURED, DIRECT)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-9],
        lambda text: "[]",
        lambda text: "",
        lambda text: "\0",
        changed,
        lambda text: "[" * 10**5,
    ],
)
def test_a_damaged_file_is_measured_anew(measured, wide, tmp_path, damage):
    way_of(wide, torch.float32, FASTEST)
    path = kept(tmp_path)
    whole = path.read_bytes()
    path.write_text(damage(path.read_text()))
    assert way_of(wide, torch.float32, FASTEST) == MEASURED
    assert len(measured) == 2
    assert kept(tmp_path).read_bytes() == whole


def test_that_of_another_machine_is_measured_anew(measured, wide, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(convolution_choice.provenance, "processor_details", lambda: "another")
        way_of(wide, torch.float32, FASTEST)
        other = kept(tmp_path)
    foreign = other.read_bytes()
    other.unlink()
    way_of(wide, torch.float32, FASTEST)
    kept(tmp_path).write_bytes(foreign)  # whole, but of another machine
    way_of(wide, torch.float32, FASTEST)
    assert len(measured) == 3
    assert kept(tmp_path).read_bytes() != foreign


def test_a_cache_that_cannot_be_written_costs_a_measurement_only(measured, wide, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file, no folder")
    assert [way_of(wide, torch.float32, FASTEST) for _ in range(2)] == [MEASURED] * 2
    assert len(measured) == 2


def test_a_cache_folder_that_is_no_whole_path_is_not_used(measured, wide, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for folder in ("here", ""):
        monkeypatch.setenv("XDG_CACHE_HOME", folder)
        way_of(wide, torch.float32, FASTEST)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert len(measured) == 1


def test_the_variable_fixes_the_choice(measured, wide, monkeypatch):
    monkeypatch.setenv(VARIABLE, DIRECT)
    assert way_of(wide, torch.float32, FASTEST) == DIRECT
    assert way_of(wide, torch.float32) == DEFAULT  # what a training validates with
    assert way_of(wide, torch.float32, MEASURED) == MEASURED  # as an earlier run did
    monkeypatch.setenv(VARIABLE, "fast")
    with pytest.raises(UsageError, match=f"variable {VARIABLE}: .* not 'fast'"):
        way_of(wide, torch.float32, FASTEST)
    assert not measured


@pytest.mark.parametrize(
    ("times", "way"),
    [
        ([(2, 1), (2, 1), (2, 1)], "winograd from 16384"),
        ([(2, 1), (2, 1), (1, 1.3)], "winograd from 32768"),
        ([(2, 1), (1, 1.2), (1, 1.3)], "winograd from 32768"),  # not clearly slower
        ([(2, 1), (1, 2), (2, 1)], "winograd from 65536"),  # the rest is not even measured
        ([(1, 2), (2, 1), (2, 1)], "direct"),
    ],
)
def test_from_where_on_winograd_is_used(monkeypatch, times, way):
    given = iter(times)
    monkeypatch.setattr(convolution_choice, "_least_times", lambda *forms, until: next(given))
    assert measure(torch.float32)[0] == way


@needs_bfloat16
@pytest.mark.parametrize(("times", "way"), [([(2, 1)], "winograd from 262144"), ([(1, 1.1)], "direct")])
def test_in_bfloat16_winograd_must_be_faster(monkeypatch, times, way):
    given = iter(times)
    monkeypatch.setattr(convolution_choice, "_least_times", lambda *forms, until: next(given))
    assert measure(torch.bfloat16)[0] == way


@pytest.mark.parametrize("dtype", [torch.float32, in_bfloat16])
def test_a_measurement_times_both_forms_and_ends(dtype):
    way, seconds = measure(dtype)
    least_product(way)
    assert seconds.keys() <= {"512 x 512", "256 x 256", "128 x 256", "128 x 128"}
    assert all(0 < value < math.inf for pair in seconds.values() for value in pair)
