"""Objects of a segmentation: made of its finished maps, as label image, table, regions and preview."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unet2015.images.image import Image
from unet2015.images.reader import open_image
from unet2015.images.reordered import ordered_like
from unet2015.images.writer import RowWriter
from unet2015.objects.files import Intensities, measure_labels, rows_to_measure
from unet2015.objects.labelling import Counted, Labels, MadeLabels, Maps, number_image, rows_to_number
from unet2015.objects.overlay import write_overlay
from unet2015.objects.progress import row_bar
from unet2015.objects.regions import write_regions
from unet2015.objects.table import Table, summary_of, write_table
from unet2015.objects.too_small import summary_of_left_out
from unet2015.safe_files import Guard
from unet2015.segmentation.jobs import Job
from unet2015.segmentation.joined_notes import facts_of
from unet2015.segmentation.products import (
    GEOJSON,
    IMAGEJ,
    MAIN,
    OVERLAY,
    OVERLAY_JPEG,
    PARQUET,
    TABLE,
    ProbabilityMap,
)
from unet2015.segmentation.threshold import class_of_objects
from unet2015.settings.objects import ObjectSettings

if TYPE_CHECKING:  # torch comes with them
    from unet2015.segmentation.parts import Computation
    from unet2015.segmentation.segmenter import Segmenter


def write_objects(
    job: Job,
    computation: Computation,
    maps: Mapping[str, Path],
    writer: Callable[[MadeLabels], AbstractContextManager[RowWriter]],
) -> dict[str, Any]:
    """Write label image, table and views of a job whose maps are whole.

    Parameters
    ----------
    job : Job
        With objects among its options.
    computation : Computation
        What the maps were computed from.
    maps : mapping of Path
        The finished maps by name.
    writer : callable
        Returns what writes the label image, for the labels.

    Returns
    -------
    dict
        Number of objects, total and median area, and what was left out as too small.

    Raises
    ------
    ImageWriteError
        A file cannot be written.
    MemoryLimitError
        An object that must be divided is too large for the memory cap, or there are too many objects.
    """
    settings, segmenter, image = job.options.objects, computation.segmenter, computation.source.image
    assert settings is not None
    with ExitStack() as stack:
        # Their pages may be in another order: OME-Zarr has one of its own.
        probability, classes = (
            stack.enter_context(ordered_like(open_image(maps[name]), image))
            for name in (ProbabilityMap.name, MAIN.name)
        )
        found = maps_to_label(segmenter, settings, probability, classes)
        rows = rows_to_work_on(image, settings, job.options.views)
        progress = stack.enter_context(row_bar(rows, f"{image.name}: objects"))
        segmenter.release()  # before `room` looks what is free
        strips, room, kind = segmenter.strips(image), segmenter.room(image), job.options.label_type
        labels = number_image(found, settings, job.options.max_memory, progress, kind, strips, room)
        measured = measured_under(found, image)
        with writer(labels) as target:
            tables = measure_labels(
                labels, image, measured, writer=target, dtype=labels.dtype, progress=progress
            )
        write_table(job.outputs.products[TABLE.name], tables)
        places = {name: job.outputs.products[name] for name in job.options.views}
        write_views(places, Counted(labels, progress), tables, image)
    left = summary_of_left_out(labels.too_small, settings.smallest)
    return summary_of(tables) | left | facts_of(image, image)


def rows_to_work_on(image: Image, settings: ObjectSettings, views: Sequence[str]) -> int:
    """Return how many rows finding, measuring and drawing the objects of an image take, as progress has it.

    Each row counts once for each pass.
    """
    regions = image.pages * image.height * (IMAGEJ.name in views or GEOJSON.name in views)
    previews = image.height * sum(name in views for name in (OVERLAY.name, OVERLAY_JPEG.name))
    return rows_to_number(image, settings) + rows_to_measure(image) + regions + previews


def maps_to_label(segmenter: Segmenter, settings: ObjectSettings, probability: Image, classes: Image) -> Maps:
    """Return where the objects of the two maps of a segmentation are."""
    channel, wanted = class_of_objects(segmenter.info, settings)
    threshold = segmenter.threshold if settings.threshold is None else settings.threshold
    return Maps(probability, channel, threshold, classes, wanted)


def measured_under(maps: Maps, image: Image | None) -> list[Intensities]:
    """Return what is measured under the objects of maps: the image, and the probability map."""
    found = [] if image is None else [Intensities.of(image, "intensity")]
    if maps.probability is not None:
        found.append(Intensities(maps.probability, (maps.channel,), (ProbabilityMap.name,)))
    return found


def write_views(
    places: Mapping[str, Path],
    labels: Labels,
    tables: Sequence[Table],
    image: Image,
    guards: Mapping[Path, Guard] | None = None,
) -> None:
    """Write what else is wanted of objects.

    Parameters
    ----------
    places : mapping of Path
        The path of each of :data:`unet2015.segmentation.products.OBJECT_VIEWS` that is wanted.
    labels : Labels
        The objects.
    tables : sequence of Table
        Of each page.
    image : Image
        To which the outlines belong, and on which they are drawn.
    guards : mapping of callable, optional
        By path: as of :func:`unet2015.safe_files.atomic_path`.

    Raises
    ------
    ImageWriteError
        A file cannot be written.
    """
    guards = guards or {}
    if table := places.get(PARQUET.name):
        write_table(table, tables, guards.get(table))
    imagej, geojson = places.get(IMAGEJ.name), places.get(GEOJSON.name)
    if imagej or geojson:
        write_regions(labels, tables, image, imagej=imagej, geojson=geojson, guards=guards)
    for name in (OVERLAY.name, OVERLAY_JPEG.name):
        if name in places:
            write_overlay(places[name], image, labels, guard=guards.get(places[name]))
