"""Objects of existing maps: file by file."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unet2015.images.display import display_of_labels
from unet2015.images.earlier_runs import without_earlier
from unet2015.images.image import Image
from unet2015.images.layout import flavour_of
from unet2015.images.notes import Repeated, Say, say_notes
from unet2015.images.reader import find_images, open_image
from unet2015.images.result_names import ome_ending
from unet2015.images.writer import ImageWriter
from unet2015.objects.files import Intensities, measure_labels
from unet2015.objects.labelling import Counted, number_image
from unet2015.objects.progress import row_bar
from unet2015.objects.table import Table, write_table
from unet2015.safe_files import RecordedOutput, Unchanged, claim, make_folder
from unet2015.segmentation.map_choice import describe_change, maps_of, with_recorded
from unet2015.segmentation.map_names import best_maps, named_results, partners_of
from unet2015.segmentation.object_files import ObjectResult, all_done, compare, image_of
from unet2015.segmentation.object_output import rows_to_work_on, write_views
from unet2015.segmentation.products import LABELS, OBJECT_PRODUCTS, TABLE, ProbabilityMap
from unet2015.segmentation.view_libraries import checked_views
from unet2015.settings.objects import ObjectSettings


def label_files(
    inputs: Sequence[str | Path],
    out: str | Path,
    settings: ObjectSettings | None = None,
    *,
    views: Sequence[str] = (),
    images: str | Path | None = None,
    axes: str | None = None,
    max_memory: int | None = None,
    progress: Callable[[str, int, int], object] | None = None,
) -> list[ObjectResult]:
    """Find the objects of class maps and probability maps; a file that fails does not stop the others.

    Parameters
    ----------
    inputs : sequence of path
        Maps, folders of them, patterns. Of the two maps of one segmentation the probability map is taken;
        maps of an earlier run than the last are left out.
    out : path
        A folder. It gets ``NAME.labels.tif`` and ``NAME.objects.csv`` for each map, each with a record.
    settings : ObjectSettings, optional
        What counts as an object. What is not given is as in the segmentation that made the map, or in its
        model, by the record beside it. Without a threshold, a probability map has that of its segmentation,
        or 0.5. Without a class, a class map must have one class beside 0.
    views : sequence of str
        What else is made of the objects, as for :class:`unet2015.SegmentOptions`.
    images : path, optional
        The images that the maps are of; they go with them by what their names share. Their intensities are
        measured, and previews show them. Default: previews show the maps.
    axes : str, optional
        Axes of the maps, where they do not say.
    max_memory : int, optional
        Bytes that dividing one object may take. Default: no limit.
    progress : callable, optional
        Called with the path of the map, how many of its rows are done, and how many there are; each row
        counts once for each pass. The work waits for it.

    Raises
    ------
    UsageError
        There is no map, two of them would have the same results, or a library that a view needs is missing.
    DataSetError
        By their names, several images could belong to a map.
    """
    views = checked_views(views)
    jobs = named_results(best_maps(without_earlier(find_images(inputs), inputs)))
    partners = partners_of({path: name for name, path in jobs.items()}, images)
    notes = Repeated()
    work = _Labelling(
        Path(out), settings or ObjectSettings(), views, images, partners, axes, max_memory, notes.say
    )
    make_folder(work.folder)
    return all_done(jobs, work.label, notes, progress)


@dataclass(frozen=True)
class _Labelling:
    """What is wanted of all maps; the attributes are the parameters of `label_files`.

    Attributes
    ----------
    partners : dict
        The image of each map, or None.
    say : callable
        Takes what is said about a file.
    """

    folder: Path
    settings: ObjectSettings
    views: tuple[str, ...]
    images: str | Path | None
    partners: dict[Path, Path | None]
    axes: str | None
    max_memory: int | None
    say: Say

    def label(self, path: Path, name: str) -> tuple[list[Path], list[Table]]:
        """Find the objects of a map; return the files that were written, and the tables of its pages."""
        watch = Unchanged(path)
        said: dict[str, Any] = {"input": os.path.realpath(path), "input_sha256": watch.sha256}
        with ExitStack() as stack:
            image = stack.enter_context(open_image(path, self.axes, labels=True))
            say_notes(image, say=self.say)
            if changed := describe_change(image, path, watch.sha256):
                self.say(path, changed)
            chosen = with_recorded(self.settings, image, path)
            rows = image.pages * image.height + rows_to_work_on(image, chosen, self.views)
            progress = stack.enter_context(row_bar(rows, str(path)))
            maps = maps_of(image, path, chosen, progress)
            said |= {"settings": chosen.model_dump(mode="json") | {"threshold": maps.threshold}}
            shown, measured, watched = image, [], [watch]
            if self.images is not None:
                shown, other = image_of(path, self.partners[path], self.images, stack)
                watched.append(other)
                measured.append(Intensities.of(shown, "intensity"))
                said |= {"image": os.path.realpath(shown.name)}
            compare(image, None if self.images is None else shown, self.say)
            if maps.probability is not None:
                measured.append(Intensities(maps.probability, (maps.channel,), (ProbabilityMap.name,)))
            places = _places(self.folder, name, image, self.views)
            guards = _guards([*places.values()], said)
            stack.enter_context(claim(places[TABLE.name]))
            labels = number_image(maps, chosen, self.max_memory, progress)
            target, display = places[LABELS.name], display_of_labels(labels.largest)
            with ImageWriter(target, image, labels.dtype, guard=guards[target], display=display) as writer:
                tables = measure_labels(
                    labels, image, measured, writer=writer, dtype=labels.dtype, progress=progress
                )
                for one in watched:
                    one.check()
                write_table(places[TABLE.name], tables, guards[places[TABLE.name]])  # at nearly one time
            drawn = {one: places[one] for one in self.views}
            write_views(drawn, Counted(labels, progress), tables, shown, guards)
        return [*places.values()], tables


def _places(folder: Path, name: str, image: Image, views: Sequence[str]) -> dict[str, Path]:
    """Return the paths of labels, table and views by their names."""
    endings = {one: OBJECT_PRODUCTS[one].ending for one in (LABELS.name, TABLE.name, *views)}
    if flavour_of(image, np.uint16) == "ome":
        endings[LABELS.name] = ome_ending(LABELS.ending)
    return {one: folder / f"{name}{ending}" for one, ending in endings.items()}


def _guards(paths: Sequence[Path], said: dict[str, Any]) -> dict[Path, RecordedOutput]:
    """Return what writes the record of each path; raise `ImageWriteError` if one may not be replaced."""
    guards = {path: RecordedOutput(path, "label", said) for path in paths}
    for guard in guards.values():
        guard.check()
    return guards
