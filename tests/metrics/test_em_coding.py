"""Truth or prediction that may be coded the other way round, and thresholds that say nothing, are said."""

import logging

import numpy as np
import pytest
from scipy import ndimage

from unet2015.metrics.em import evaluate_em

INVERTED, OPPOSED = "is the coding inverted?", "is the coding of one of them inverted?"


def cells(inside=0.95, outside=0.05):
    """Cells between membranes, and a prediction of them that is right."""
    labels = np.ones((2, 40, 48), np.uint8)
    labels[:, ::10] = labels[:, :, ::12] = 0
    blurred = ndimage.gaussian_filter(labels.astype(np.float32), (0, 0.6, 0.6))
    proposal = outside + (inside - outside) * blurred
    proposal[:, 0, 0] = outside  # as low as it gets, so that no threshold of the first calls all the same
    return labels, proposal.astype(np.float32)


def said(labels, proposal, caplog):
    """Return what the warnings are about, with their texts; they are the notes, word for word."""
    caplog.clear()
    scores = evaluate_em(labels, proposal)
    notes = [f"{note.about}: {note.text}" for note in scores.notes]
    assert notes == [row.getMessage() for row in caplog.records if row.levelno == logging.WARNING]
    return " | ".join(notes), scores


def test_what_is_coded_right_has_no_note(caplog):
    labels, proposal = cells(1, 0)
    assert said(labels, proposal, caplog)[0] == ""
    assert said(labels.astype(bool), labels.astype(np.float32), caplog)[0] == ""
    assert said(labels[0], proposal[0], caplog)[0] == ""


@pytest.mark.parametrize("highest", [1, 255])
def test_an_inverted_truth_is_said_with_either_prediction(caplog, highest):
    labels, proposal = cells()
    for one in (proposal, 1 - proposal):
        notes, scores = said((1 - labels) * np.uint8(highest), one, caplog)
        assert scores.rand_error.value == 0
        assert f"labels: 82% of it is 0, which means membrane; {INVERTED}" in notes
        assert "proposal: the best threshold of " in notes  # 0.0 makes one cell of all, as the net is
        assert "rand_error (threshold 0.0)" in notes
        assert (OPPOSED in notes) == (one is proposal)


def test_slices_that_are_inverted_are_named(caplog):
    labels, proposal = cells()
    labels[1] = 1 - labels[1]
    assert (
        f"labels: 82% of slice 1 (from 0) is 0, which means membrane; {INVERTED}"
        in said(labels, proposal, caplog)[0]
    )


def test_an_inverted_prediction_is_said(caplog):
    labels, proposal = cells()
    for one in (1 - proposal, 1 - labels.astype(np.float32)):  # probabilities, a class map
        notes, _ = said(labels, one, caplog)
        assert OPPOSED in notes
        assert ("pixel_error (threshold 0.0)" in notes) != (
            "no threshold has a lower pixel error than" in notes
        )
        assert INVERTED not in notes


def test_a_threshold_that_calls_every_pixel_the_same_is_said(caplog):
    labels, _ = cells()
    notes, _ = said(labels, np.full(labels.shape, 0.45, np.float32), caplog)
    assert "pixel_error (threshold 0.0)" in notes
    assert "calls every pixel the inside of cells" in notes
    assert OPPOSED not in notes


def test_all_called_membrane_is_said(caplog):
    labels, proposal = cells(0.85, 0)
    proposal[:, 5, 6:42] = 0.85  # joins cells at every threshold that finds any
    notes, scores = said(labels, proposal, caplog)
    assert scores.warping_error.threshold == pytest.approx(0.9)
    assert "warping_error (threshold 0.9) calls every pixel membrane" in notes
    assert "pixel_error" not in notes


def test_a_truth_without_membrane_is_said(caplog):
    labels, proposal = cells()
    notes, scores = said(labels + 1, proposal, caplog)
    assert scores.rand_error.value == 0
    assert "labels: no pixel is 0, which means membrane" in notes
    assert "proposal" not in notes
    notes = said(labels * 0, proposal, caplog)[0]
    assert notes.startswith("labels: a slice has no cell interior")
    assert " | " not in notes
