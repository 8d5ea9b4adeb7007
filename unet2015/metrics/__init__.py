"""The official measures (ISBI 2012, SEG of the Cell Tracking Challenge), matched objects, and pixel overlap.

Each measure is one file over one sparse contingency table. The names below load when they are
first used: the warping error and the thinned scores need numba, the others do not.
"""

from typing import TYPE_CHECKING

from unet2015.lazy import homes_of, lazy_names
from unet2015.metrics.measures import MEASURES

if TYPE_CHECKING:
    from unet2015.metrics.contingency import contingency_table
    from unet2015.metrics.em import evaluate_em
    from unet2015.metrics.figure import draw_failures
    from unet2015.metrics.homotopy import simple_points, warp
    from unet2015.metrics.information import thinned_scores, v_info
    from unet2015.metrics.object_folders import evaluate_objects
    from unet2015.metrics.objects import (
        average_precision,
        match_objects,
        mean_average_precision,
        object_f1,
        object_scores,
        panoptic_quality,
    )
    from unet2015.metrics.overlap import dice, f1, iou, pixel_overlap
    from unet2015.metrics.pixel import pixel_error
    from unet2015.metrics.pixel_folders import evaluate_pixels
    from unet2015.metrics.rand import rand_error
    from unet2015.metrics.seg import seg_score
    from unet2015.metrics.seg_folders import evaluate_seg
    from unet2015.metrics.thinned_rand import v_rand
    from unet2015.metrics.thinning import thin
    from unet2015.metrics.thresholds import threshold_steps
    from unet2015.metrics.warping import Mismatch, warping_error, warping_mismatches

__all__ = [
    "MEASURES",
    "Mismatch",
    "average_precision",
    "contingency_table",
    "dice",
    "draw_failures",
    "evaluate_em",
    "evaluate_objects",
    "evaluate_pixels",
    "evaluate_seg",
    "f1",
    "iou",
    "match_objects",
    "mean_average_precision",
    "object_f1",
    "object_scores",
    "panoptic_quality",
    "pixel_error",
    "pixel_overlap",
    "rand_error",
    "seg_score",
    "simple_points",
    "thin",
    "thinned_scores",
    "threshold_steps",
    "v_info",
    "v_rand",
    "warp",
    "warping_error",
    "warping_mismatches",
]

_FILES = {
    "contingency": ["contingency_table"],
    "em": ["evaluate_em"],
    "figure": ["draw_failures"],
    "homotopy": ["simple_points", "warp"],
    "information": ["thinned_scores"],
    "object_folders": ["evaluate_objects"],
    "objects": ["match_objects", "object_scores"],
    "overlap": ["pixel_overlap"],
    "pixel_folders": ["evaluate_pixels"],
    "seg_folders": ["evaluate_seg"],
    "measures": ["MEASURES"],
    "thinning": ["thin"],
    "thresholds": ["threshold_steps"],
    "warping": ["Mismatch", "warping_mismatches"],
}
for _entry in MEASURES.values():
    _FILES.setdefault(_entry.file, []).append(_entry.name)

_HOMES = homes_of(__name__, _FILES)
__getattr__, __dir__ = lazy_names(__name__, _FILES)
