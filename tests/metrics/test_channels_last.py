"""Arrays that may have channels last are not measured as pages of few columns."""

import numpy as np
import pytest

from unet2015 import metrics
from unet2015.errors import DataSetError

ALONE = {
    "average_precision": metrics.average_precision,
    "mean_average_precision": metrics.mean_average_precision,
    "object_f1": metrics.object_f1,
    "panoptic_quality": metrics.panoptic_quality,
    "object_scores": metrics.object_scores,
    "seg_score": lambda truth, found: metrics.seg_score([(0, truth, found)]),
    "pixel_error": metrics.pixel_error,
    "rand_error": metrics.rand_error,
    "warping_error": metrics.warping_error,
    "evaluate_em": metrics.evaluate_em,
}


@pytest.mark.parametrize("name", ALONE)
def test_channels_last_are_not_taken_for_pages(name):
    page = np.zeros((9, 7), np.uint8)
    page[1:4, 1:6] = 1
    for channels in (1, 2, 3, 4):
        for many in ((page,) * channels, (page, *(page * 0,) * (channels - 1))):
            with pytest.raises(
                DataSetError, match=rf"\(9, 7, {channels}\) may be pages or channels last.*\[..., 0\]"
            ):
                ALONE[name](np.stack(many, -1), np.stack(many, -1))
    # Pages of this shape, and what is as short in another axis, are pages.
    for pages in (np.stack([page] * 3), np.stack([page[:4, :4]] * 4), np.stack([page[:, :5]] * 9)):
        ALONE[name](pages, pages)


def test_pages_of_channels_last_are_refused_too():
    with pytest.raises(DataSetError, match=r"\(2, 9, 7, 3\) may be"):
        metrics.average_precision(np.zeros((2, 9, 7, 3), int), np.zeros((2, 9, 7, 3), int))


def test_overlap_of_channels_last_is_said(caplog):
    mask = np.zeros((9, 7, 4), np.uint8)
    mask[..., 3] = 255  # alpha: all alike, and foreground
    assert metrics.dice(mask, mask) == 1
    assert "(9, 7, 4) may have channels last" in caplog.text
    caplog.clear()
    metrics.dice(mask[..., 0], mask[..., 0])
    metrics.dice(mask.transpose(2, 0, 1), mask.transpose(2, 0, 1))
    assert not caplog.text
