"""Pictures of what :mod:`pipelines.one_gpu` found: a slice with its mistakes, frames with outlines."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from pipelines.cells.objects import objects_of
from pipelines.em.report import WINDOW
from pipelines.on_device.sets import Arrays
from pipelines.one_gpu_measures.maps import Maps
from pipelines.one_gpu_measures.measure import cell_settings
from unet2015.errors import UsageError
from unet2015.metrics.seg import seg_score
from unet2015.objects.instances import Markers
from unet2015.report.figures import best_median_worst, draw_panel, mark_errors
from unet2015.report.overlays import overlay_instances
from unet2015.safe_files import atomic_path

LARGEST = 200_000
"""Bytes of a picture."""
TRIED = ((256, 1.0), (64, 1.0), (64, 0.8), (32, 0.7), (16, 0.5), (16, 0.25))
"""Colours, and share of the sides."""


def small(png: bytes) -> bytes:
    """Return a PNG as it is, or with so few colours, and so small, that `LARGEST` bytes hold it."""
    try:
        from PIL import Image
    except ImportError as error:
        raise UsageError("pictures need Pillow; install it with: pip install 'unet2015[figures]'") from error
    whole = Image.open(BytesIO(png)).convert("RGB")
    for count, scale in TRIED:
        if len(png) <= LARGEST:
            break
        buffer = BytesIO()
        picture = whole.resize((round(whole.width * scale), round(whole.height * scale)))
        picture.quantize(count, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
        png = buffer.getvalue()
    return png


def draw_em(result: Mapping[str, Any], trainings: Sequence[Maps], arrays: Arrays, target: Path) -> bool:
    """Draw the held-out slice of median Rand error; return whether there is one."""
    rows = result["em"].get("rows")
    if not rows:
        return False
    average = list(rows)[-1]
    slices = [
        (maps, place, row["rand_error"], fold[average]["thresholds"]["of_training"]["rand_error"])
        for maps in trainings
        if average in (fold := result["em"]["folds"].get(maps.split.name, {}))
        for place, row in enumerate(fold[average]["per_slice"])
    ]
    maps, place, error, threshold = slices[best_median_worst([s[2] for s in slices])[1]]
    number = maps.split.test[1][place]
    image, labels = (arrays[f"em/{which}"][number] for which in ("images", "labels"))
    view = WINDOW if min(image.shape) >= WINDOW[0].stop else (slice(None), slice(None))
    found = maps.test[average][place]
    panel = {
        f"slice {number}, Rand error {error:.3f}": image[view],
        "truth": labels[view],
        "probability of cell interior": found[view],
        f"above {threshold:.1f}: orange missed, blue invented": mark_errors(found > threshold, labels)[view],
    }
    with TemporaryDirectory() as folder:
        draw_panel(panel, Path(folder) / "panel.png")
        png = (Path(folder) / "panel.png").read_bytes()
    _write(target, png)
    return True


def draw_cells(
    result: Mapping[str, Any], trainings: Sequence[Maps], arrays: Arrays, folder: Path, every: bool = False
) -> list[Path]:
    """Draw the frame of median SEG of each training of cells, or every frame, with true and found outlines.

    With what was chosen on the training frames: connected parts, and beside it markers and watershed
    (``...-markers.png``).
    """
    settings = cell_settings()
    written = []
    for maps in trainings:
        one = result["cells"]["trainings"].get(maps.name)
        if one is None:
            continue
        average, chosen = list(maps.test)[-1], one["chosen_on_training_frames"]
        prefix, pages = maps.split.test
        truth, images = (arrays[f"{prefix}/{which}"][pages] for which in ("truth", "images"))
        ways: dict[str, tuple[float, Markers | None]] = {"": (chosen["threshold"] if chosen else 0.5, None)}
        if chosen:
            marked = chosen["markers"]
            ways["-markers"] = (marked["threshold"], Markers(marked["level"], marked["blur"]))
        frame = None
        for end, (threshold, markers) in ways.items():
            found = objects_of(maps.test[average], threshold, settings, markers)
            if frame is None:
                each = seg_score(zip(range(len(truth)), truth, found, strict=True)).per_frame()
                frame = best_median_worst([float(row["seg"]) for row in each], higher_is_better=True)[1]
            for k in range(len(truth)) if every else [frame]:
                name = f"{maps.name}{end}-{k}.png" if every else f"{maps.name}{end}.png"
                _write(folder / name, overlay_instances(images[k], truth[k].astype(np.int64), found[k]))
                written.append(folder / name)
    return written


def _write(target: Path, png: bytes) -> None:
    with atomic_path(target) as temporary:
        temporary.write_bytes(small(png))
