"""Objects of a segmentation: made of its finished maps, as label image and table."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from unet2015.errors import ImageWriteError
from unet2015.images.reader import open_image
from unet2015.objects.files import Intensities, RowWriter, measure_labels
from unet2015.objects.labelling import Maps, number_image
from unet2015.objects.table import FIRST_COLUMNS, join_tables, summary_of, write_table
from unet2015.safe_files import open_regular
from unet2015.segmentation.jobs import Job
from unet2015.segmentation.parts import Computation
from unet2015.segmentation.products import MAIN, TABLE, ProbabilityMap
from unet2015.segmentation.threshold import class_of_objects

RUN_TABLE = "objects.csv"
"""The rows of all files of a run."""

_log = logging.getLogger("unet2015")


def write_objects(
    job: Job,
    computation: Computation,
    maps: Mapping[str, Path],
    writer: Callable[[np.dtype[Any]], AbstractContextManager[RowWriter]],
) -> dict[str, Any]:
    """Write label image and table of a job whose maps are whole.

    Parameters
    ----------
    job : Job
        With objects among its options.
    computation : Computation
        What the maps were computed from.
    maps : mapping of Path
        The finished maps by name.
    writer : callable
        Returns what writes the label image, for a type of labels.

    Returns
    -------
    dict
        Number of objects, total and median area.

    Raises
    ------
    ImageWriteError
        A file cannot be written.
    MemoryLimitError
        An object that must be divided is too large for the memory cap.
    """
    settings, segmenter, image = job.options.objects, computation.segmenter, computation.source.image
    assert settings is not None
    channel, wanted = class_of_objects(segmenter.info, settings)
    threshold = segmenter.threshold if settings.threshold is None else settings.threshold
    with ExitStack() as stack:
        probability = stack.enter_context(open_image(maps[ProbabilityMap.name]))
        classes = stack.enter_context(open_image(maps[MAIN.name]))
        found = Maps(probability, channel, threshold, classes, wanted)
        labels = number_image(found, settings, job.options.max_memory)
        measured = [
            Intensities.of(image, "intensity"),
            Intensities(probability, (channel,), (ProbabilityMap.name,)),
        ]
        with writer(labels.dtype) as rows:
            tables = measure_labels(labels, image, measured, writer=rows, dtype=labels.dtype)
        write_table(job.outputs.products[TABLE.name], tables)
    return summary_of(tables)


def write_run_table(folder: Path, tables: Sequence[Path]) -> None:
    """Write a table with the rows of all files; one of this name that this program did not write stays.

    If it cannot be written, there is only a warning: the table of each file is there.
    """
    path = folder / RUN_TABLE
    if not tables:
        return
    if path.exists() and not _is_ours(path):
        _log.warning("%s is not a table of objects by this program, and is not changed", path)
        return
    try:
        join_tables(path, tables)
    except ImageWriteError as error:
        _log.warning("%s", error)


def _is_ours(path: Path) -> bool:
    start = ",".join(FIRST_COLUMNS).encode()
    try:
        with open_regular(path) as file:
            return bool(file.read(len(start)) == start)
    except OSError:
        return False
