"""The table of measures: what stands in it is offered, computed, and better in the direction that it says."""

import numpy as np
import pytest
from scipy.ndimage import label

from unet2015 import metrics
from unet2015.errors import DataSetError
from unet2015.metrics.em import evaluate_em
from unet2015.metrics.measures import MEASURES, measures_of

LABELS = np.zeros((2, 12, 16), np.uint8)
LABELS[:, 1:11, 1:7] = LABELS[:, 1:11, 9:15] = 1
TORN = LABELS.copy()
TORN[:, 5:7, 1:7] = 0


def value(entry, truth, found):
    """Return one measure of a good or a bad result, by its own function."""
    function = getattr(metrics, entry.name)
    if entry.compares == "sequences":
        return function(zip(range(len(truth)), truth, found, strict=True)).value
    if entry.compares == "objects":  # a torn object is two
        truth, found = (np.stack([label(page)[0] for page in stack]) for stack in (truth, found))
    measured = function(truth, found)
    return getattr(measured, "value", measured)


@pytest.mark.parametrize("entry", MEASURES.values(), ids=lambda entry: entry.name)
def test_a_better_result_is_better_in_the_direction_of_the_table(entry):
    good, bad = value(entry, LABELS, LABELS), value(entry, LABELS, TORN)
    assert good < bad if entry.better == "lower" else good > bad
    assert good == (0 if entry.better == "lower" else 1)
    assert float(entry.show(bad)) == pytest.approx(bad, abs=1e-8)


@pytest.mark.parametrize("entry", MEASURES.values(), ids=lambda entry: entry.name)
def test_each_measure_is_offered_by_the_package(entry):
    assert entry.name in dir(metrics)
    assert entry.name in metrics.__all__
    assert getattr(metrics, entry.name).__module__ == f"unet2015.metrics.{entry.file}"
    assert entry.symbol
    assert entry.meaning


def test_a_stack_is_measured_by_all_that_compare_stacks():
    scores = evaluate_em(LABELS, TORN.astype(np.float32))
    assert list(scores.measures) == [entry.name for entry in measures_of("stacks")]
    with pytest.raises(AttributeError, match="no measure 'iou'"):
        _ = scores.iou


@pytest.mark.parametrize("shape", [(0, 5, 5), (2, 0, 5)])
@pytest.mark.parametrize("entry", MEASURES.values(), ids=lambda entry: entry.name)
def test_no_measure_is_made_of_no_pixels(entry, shape):
    nothing = np.zeros(shape, int)
    frames = [(0, nothing, nothing)]
    with pytest.raises(DataSetError, match=r"pixel|at least one|must be"):
        getattr(metrics, entry.name)(*([frames] if entry.compares == "sequences" else [nothing, nothing]))
