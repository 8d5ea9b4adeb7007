"""Objects of existing maps: file by file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from unet2015.arguments import callback, file_path, file_paths, memory, no_file_name
from unet2015.images.display import display_of_labels
from unet2015.images.earlier_runs import without_earlier
from unet2015.images.folder_pairs import with_folders
from unet2015.images.image import Image
from unet2015.images.layout import flavour_of
from unet2015.images.notes import Repeated, Say
from unet2015.images.pixel_size import GivenSize
from unet2015.images.reader import find_images
from unet2015.images.result_names import LABELS_ZARR, ome_ending
from unet2015.images.writer import ImageWriter
from unet2015.images.zarr_group import is_zarr
from unet2015.images.zarr_labels import ZarrLabels
from unet2015.objects.doubts import describe_covering
from unet2015.objects.files import measure_labels
from unet2015.objects.labelling import Counted, MadeLabels, number_image
from unet2015.objects.progress import row_bar
from unet2015.objects.table import summary_of, write_table
from unet2015.objects.too_small import describe_left_out, summary_of_left_out
from unet2015.safe_files import (
    Guard,
    RecordedOutput,
    Unchanged,
    atomic_folder,
    claim_outputs,
    describe_earlier,
    left_by_earlier_run,
    make_folder,
)
from unet2015.segmentation.joined_notes import facts_of
from unet2015.segmentation.joined_results import join_results
from unet2015.segmentation.map_choice import StoredMap, maps_of, with_recorded
from unet2015.segmentation.map_names import best_maps, named_results
from unet2015.segmentation.object_files import Opening, all_done, say_on_results
from unet2015.segmentation.object_output import measured_under, rows_to_work_on, write_views
from unet2015.segmentation.options import checked_label_type, checked_names, checked_objects
from unet2015.segmentation.products import LABELS, OBJECT_PRODUCTS, TABLE
from unet2015.segmentation.record_beside import (
    channels_of_source,
    describe_change,
    place_of_record,
    record_beside,
)
from unet2015.segmentation.results import ObjectResult
from unet2015.segmentation.same_files import with_copies
from unet2015.segmentation.source_record import source_of
from unet2015.segmentation.view_libraries import checked_views
from unet2015.settings.choices import LabelType
from unet2015.settings.objects import ObjectSettings

_ENDINGS = (ome_ending(LABELS.ending), LABELS_ZARR, *(product.ending for product in OBJECT_PRODUCTS.values()))
"""Of all that a run may make of a map."""


def label_files(
    inputs: str | Path | Sequence[str | Path],
    out: str | Path,
    objects: ObjectSettings | None = None,
    *,
    views: Sequence[str] = (),
    images: str | Path | None = None,
    channel: int | str | None = None,
    scene: int | str | None = None,
    axes: str | None = None,
    pixel_size: float | tuple[float, float] | None = None,
    replace_pixel_size: bool = False,
    max_memory: int | str | None = None,
    label_type: LabelType | None = None,
    progress: Callable[[str, int, int], object] | None = None,
) -> list[ObjectResult]:
    """Find the objects of class maps and probability maps; a file that fails does not stop the others.

    Parameters
    ----------
    inputs : path or sequence of path
        Maps, folders of them, patterns. Of the two maps of one segmentation the probability map is taken;
        maps of an earlier run than the last are left out.
    out : path
        A folder. It gets ``NAME.labels.tif`` (of a map in OME-Zarr ``NAME.labels.zarr``) and
        ``NAME.objects.csv`` for each map, each with a record; and ``objects.csv`` with the rows of all.
    objects : ObjectSettings, optional
        What counts as an object. What is not given is as in the segmentation that made the map, or in its
        model, by the record beside it. Without a threshold, a probability map has that of its segmentation,
        or 0.5. Without a class, a class map must have one class beside 0.
    views : sequence of str
        What else is made of the objects, as for :class:`unet2015.SegmentOptions`.
    images : path, optional
        The images that the maps are of; they go with them by what their names share. Their intensities are
        measured, and previews show them. Default: previews show the maps.
    channel, scene : int or str, optional
        Of the images, as for :func:`unet2015.segment`. Default: all channels are measured.
    axes : str, optional
        Axes of the maps, where they do not say.
    pixel_size, replace_pixel_size
        Of the maps, as for :class:`unet2015.SegmentOptions`.
    max_memory : int or str, optional
        Bytes that dividing one object may take, or a text such as 2G. Default: half of what is free.
    label_type : {"uint16", "uint32"}, optional
        Of the labels; a map with more objects than it can number is refused. Default: the smaller one that
        holds them.
    progress : callable, optional
        Called with the path of the map, how many of its rows are done, and how many there are; each row
        counts once for each pass. The work waits for it.

    Returns
    -------
    list of ObjectResult
        For each map: ``input``, ``outputs``, ``objects`` (number, total and median area), ``error``, which
        is None where all went well, and ``notes``, what was said of it. If a table of all cannot be
        written, the last result is that of the table, with the error.

    Raises
    ------
    UsageError
        There is no map, two of them would have the same results, or a library that a view needs is missing.
    DataSetError
        By their names, several images could belong to a map.
    """
    given, folder = file_paths(inputs, "inputs"), file_path(out, "out")
    notes, size = Repeated(), GivenSize.of(pixel_size, replace_pixel_size)
    work = _Labelling(
        folder,
        ObjectSettings() if objects is None else checked_objects(objects),
        checked_views(checked_names(views, "views")),
        Opening(axes=axes, images=images, channel=channel, scene=scene, size=size),
        None if max_memory is None else memory(max_memory, "max_memory"),
        notes,
        None if label_type is None else checked_label_type(label_type),
    )
    told = callback(progress, "progress")
    jobs = named_results(best_maps(without_earlier(find_images(given), given, maps=True)))
    work = replace(work, opening=work.opening.pair(with_folders({path: name for name, path in jobs.items()})))
    make_folder(no_file_name(folder, "a folder, for the results of each map"))
    results = with_copies(all_done(jobs, work.label, notes, told), work.opening.partners)
    on_results = say_on_results(jobs.values(), work.chosen)
    failed = join_results(folder, results, "label", on_results, chosen=channel is not None)
    return results + [ObjectResult(path, error=error) for path, error in failed]


@dataclass(frozen=True)
class _Labelling:
    """What is wanted of all maps.

    Attributes
    ----------
    folder, objects, views, max_memory
        As for `label_files`.
    opening : Opening
        How the maps are opened, and their images.
    notes : Repeated
        Takes what is said about a file.
    label_type : {"uint16", "uint32"} or None
        As for `label_files`.
    chosen : dict
        What was taken as an object in each map.
    """

    folder: Path
    objects: ObjectSettings
    views: tuple[str, ...]
    opening: Opening
    max_memory: int | None
    notes: Repeated
    label_type: LabelType | None = None
    chosen: dict[Path, dict[str, Any]] = field(default_factory=dict)

    def label(self, path: Path, name: str) -> tuple[list[Path], dict[str, Any]]:
        """Find the objects of a map; return the files that were written, and the summary of the objects."""
        watch = Unchanged(path)
        said: dict[str, Any] = {"input": os.path.realpath(path), "input_sha256": watch.sha256}
        with ExitStack() as stack:
            image = self.opening.open(path, stack, self.notes.say)
            stored = StoredMap(image, path, record := record_beside(path))
            if changed := describe_change(path, record, watch.sha256):
                self.notes.say(path, changed)
            chosen = with_recorded(self.objects, stored, self.notes)
            rows = image.pages * image.height + rows_to_work_on(image, chosen, self.views)
            progress = stack.enter_context(row_bar(rows, str(path)))
            maps = maps_of(stored, chosen, self.notes, progress)
            settings = chosen.model_dump(mode="json") | {"threshold": maps.threshold}
            said |= {"settings": settings}
            self.chosen[path] = settings
            shown, other = self.opening.image_of(path, image, stack, self.notes.say)
            partner = self.opening.partners.get(path)
            said |= self.opening.as_record(path) | source_of(record, partner, other, changed=bool(changed))
            image.stack_channels = channels_of_source(record)
            said |= {} if self.label_type is None else {"label_type": self.label_type}
            measured, facts = measured_under(maps, shown), facts_of(image, shown)
            places = _places(self.folder, name, path, image, self.views)
            target = places[LABELS.name]
            _guards([*places.values()], said)
            others = [RecordedOutput(self.folder / f"{name}{ending}", "label", {}) for ending in _ENDINGS]
            stack.enter_context(claim_outputs(places[TABLE.name], [p for one in others for p in one.paths]))
            labels = number_image(maps, chosen, self.max_memory, progress, self.label_type)
            left = self._left_out(path, labels, chosen)
            guards = _guards([*places.values()], said | left)
            with _label_writer(target, image, labels, guards[target], self.notes.say) as writer:
                tables = measure_labels(
                    labels, image, measured, writer=writer, dtype=labels.dtype, progress=progress
                )
                if place_of_record(path) is None and (covering := describe_covering(image, tables)):
                    self.notes.say(path, covering)  # of a map of this program it is known what 0 is
                for one in (watch, other):
                    if one is not None:
                        one.check()
                write_table(places[TABLE.name], tables, guards[places[TABLE.name]])  # at nearly one time
            drawn = {one: places[one] for one in self.views}
            write_views(drawn, Counted(labels, progress), tables, image if shown is None else shown, guards)
        if earlier := left_by_earlier_run([one.paths[0] for one in others], places.values()):
            self.notes.say(places[LABELS.name], describe_earlier(earlier))
        return [*places.values()], summary_of(tables) | left | facts

    def _left_out(self, path: Path, labels: MadeLabels, chosen: ObjectSettings) -> dict[str, Any]:
        """Return, for summary and record, what was left out as too small; say it where it is much."""
        left = summary_of_left_out(labels.too_small, chosen.smallest)
        if note := describe_left_out(left, labels.pages):
            self.notes.say(path, note)
        return left


@contextmanager
def _label_writer(
    target: Path, image: Image, labels: MadeLabels, guard: Guard, say: Say
) -> Iterator[ImageWriter | ZarrLabels]:
    """Write instance labels as TIFF or, for a name in .zarr, as OME-Zarr."""
    if target.suffix == ".zarr":
        with (
            atomic_folder(target, guard) as folder,
            ZarrLabels(folder, image, LABELS.name, labels.dtype, labels.largest) as zarr,
        ):
            yield zarr
        return
    display = display_of_labels(labels.largest)
    with ImageWriter(target, image, labels.dtype, guard=guard, display=display) as tiff:
        for note in tiff.lost:
            say(target, note)
        yield tiff


def _places(folder: Path, name: str, path: Path, image: Image, views: Sequence[str]) -> dict[str, Path]:
    """Return the paths of labels, table and views of a map by their names."""
    endings = {one: OBJECT_PRODUCTS[one].ending for one in (LABELS.name, TABLE.name, *views)}
    if is_zarr(path):
        endings[LABELS.name] = LABELS_ZARR
    elif flavour_of(image, np.uint16) == "ome":
        endings[LABELS.name] = ome_ending(LABELS.ending)
    return {one: folder / f"{name}{ending}" for one, ending in endings.items()}


def _guards(paths: Sequence[Path], said: dict[str, Any]) -> dict[Path, RecordedOutput]:
    """Return what writes the record of each path; raise `ImageWriteError` if one may not be replaced."""
    guards = {path: RecordedOutput(path, "label", said) for path in paths}
    for guard in guards.values():
        guard.check()
    return guards
