"""The card says at which threshold its figures were measured."""

import pytest

from tests.exchange.conftest import small_model
from unet2015 import networks
from unet2015.exchange.card import model_card
from unet2015.exchange.graph import halo_of
from unet2015.exchange.intensities import Intensities
from unet2015.report.measures import summary

MEASURED = {"f1": 0.9214, "pixel_error": 0.0786, "threshold": 0.07}
EXAMPLES = [settings for entry in networks.NETWORKS.values() for settings in entry.examples]
OTHER = "The threshold of this model is another one, 0.25 (rand)"


@pytest.mark.parametrize(
    ("own", "thresholds", "measured", "at", "other"),
    [
        (0.25, {"f1": 0.07, "rand": 0.25}, MEASURED, True, True),
        (0.07, {"f1": 0.07}, MEASURED, True, False),
        (None, {}, MEASURED, True, False),
        (0.25, {}, {"f1": 0.9, "pixel_error": 0.1}, False, False),
    ],
)
def test_figures_stand_beside_their_threshold(own, thresholds, measured, at, other):
    model = small_model(threshold=own, thresholds=thresholds, training={"validation": measured})
    card = model_card(model, Intensities(None, "pixels"), {})
    assert ("F1 and pixel error are those at the threshold 0.07, the best one for F1" in card) == at
    assert (OTHER in card) == other
    assert ("`unet2015 segment --threshold 0.07` takes that of these figures" in card) == other


@pytest.mark.parametrize(("own", "said"), [(0.25, True), (0.07, False)])
def test_the_report_says_that_the_threshold_is_another(own, said):
    model = small_model(threshold=own, training={"validation": MEASURED, "validation_pages": 1, "step": 1})
    line = {"step": 1, **{f"validation_{key}": value for key, value in MEASURED.items()}}
    line |= {"validation_cross_entropy": 0.5}
    text = summary(model, 1, [line])
    assert ("The pixel error is that at the threshold 0.07; the model's own is 0.25" in text) == said


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("with_halo", [False, True])
def test_tiles_of_a_network_that_is_not_exact_are_said_not_to_be_equal(exact, with_halo):
    (settings, *_) = (one for one in EXAMPLES if networks.geometry(one).exact == exact)
    model = small_model(settings)
    halo = halo_of(networks.geometry(settings)) if with_halo else None
    card = model_card(model, Intensities(None, "pixels"), {}, halo)
    assert ("tiles are not equal to the whole image" in card) != exact
    assert ("Height and width of a block" in card) == with_halo
