"""What the cell experiment measures of a split: objects, their SEG, and what a threshold could still give."""

from pathlib import Path
from typing import Any

from pipelines.base.trainings import training_summary
from pipelines.cells.cell_files import CellFiles
from pipelines.cells.data import calibration_of
from pipelines.cells.objects import best, by_threshold, objects_of
from pipelines.cells.sequences import Sequence
from pipelines.cells.settings import CellSettings
from pipelines.cells.splits import Split
from unet2015.images.reader import read_pages
from unet2015.images.writer import write_image
from unet2015.metrics.seg import seg_score
from unet2015.safe_files import make_folder


def measure_split(split: Split, folder: Path, files: CellFiles, settings: CellSettings) -> dict[str, Any]:
    """Write the objects of the frames measured, and return what they are worth.

    The threshold is that with the best SEG on the frames trained on: on gold frames only, since silver truth
    is other people's segmentation.

    Parameters
    ----------
    split : Split
        What is trained on and what is measured.
    folder : Path
        Of the data set.
    files : CellFiles
        Where the maps lie, and where the objects go.
    settings : CellSettings
        How objects are made.
    """
    name, frames = split.name, split.frames(folder)
    gold = [
        [Sequence(folder, sequence).truth(frame) for frame in pages]
        for sequence, pages in zip((split.train, split.test), frames, strict=True)
    ]
    train_maps, test_maps = (read_pages(files.stack(name, w, ".probability")) for w in ("train", "test"))
    on_training = by_threshold(gold[0], train_maps, settings)
    threshold = best(on_training)
    found = objects_of(test_maps, threshold, settings)
    scores = by_threshold(gold[1], test_maps, settings)
    chosen = seg_score(zip(frames[1], gold[1], found, strict=True))
    calibration = calibration_of(split.data_set)
    write_image(files.objects(name), found, "IYX", calibration)
    results = make_folder(files.part(name) / f"{split.test}_RES")
    for frame, page in zip(frames[1], found, strict=True):
        write_image(results / f"mask{frame:03d}.tif", page, "YX", calibration)
    pages = len(read_pages(files.stack(name, "train")))
    return {
        "data_set": split.data_set,
        "split": split.title,
        "frames": {"train": frames[0], "test": frames[1], "pages_trained_on": pages},
        "seg": chosen.value,
        "threshold_of_training": threshold,
        "seg_at_0.5": scores[0.5],
        "seg_best_over_thresholds": {"seg": scores[best(scores)], "threshold": best(scores)},
        "seg_on_training_frames": on_training[threshold],
        "objects": len(chosen.objects),
        "objects_without_match": sum(found.match is None for found in chosen.objects),
        "per_frame": chosen.per_frame(),
        "training": training_summary(files.run(name)),
    }
