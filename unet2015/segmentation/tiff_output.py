"""A segmentation that becomes TIFF files, one for each product, in bounded memory."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unet2015.images.display import display_of_labels
from unet2015.images.writer import ImageWriter
from unet2015.segmentation.jobs import Job
from unet2015.segmentation.part_store import PartStore
from unet2015.segmentation.parts import Computation, Elsewhere, in_order
from unet2015.segmentation.products import LABELS, PRODUCTS
from unet2015.segmentation.summary import Summary
from unet2015.tiling.progress import tile_bar
from unet2015.tiling.sinks import Band

if TYPE_CHECKING:
    from unet2015.objects.labelling import MadeLabels


def map_paths(job: Job, folder: Path | None) -> dict[str, Path]:
    """Return where the maps of a job are written, by name: to their paths, or only for now in `folder`."""
    written = job.outputs.products
    hidden = {name: folder / f"{name}.tif" for name in job.options.computed if name not in written and folder}
    return {name: written[name] for name in job.options.products} | hidden


def write_tiff(
    job: Job,
    computation: Computation,
    folder: Path | None,
    check: Callable[[], None],
    elsewhere: Elsewhere | None,
) -> tuple[Summary, dict[str, Any] | None]:
    """Segment an image into TIFF files; parts that are finished are not computed again.

    Parameters
    ----------
    job : Job
        Which files to write, and where.
    computation : Computation
        What their pixels are computed from.
    folder : Path or None
        Where finished parts are kept and read, and maps that are needed but not wanted. None: parts are not
        kept; with objects it is needed.
    check : callable
        Called before anything is kept; raises an error if the results cannot be trusted.
    elsewhere : Elsewhere or None
        Computes the missing parts before the files are written. None: they are computed here.

    Returns
    -------
    Summary
        Of the probabilities.
    dict or None
        Of the objects, if they are among the results.

    Raises
    ------
    ImageWriteError
        A file cannot be written.
    """
    plan, image = computation.plan, computation.source.image
    store = None if folder is None else PartStore(folder, plan, check)
    if elsewhere is not None and store is not None:
        elsewhere.compute(job, computation, store)
    found = Summary()
    classes, layout = computation.segmenter.info.classes, job.options.layout
    with ExitStack() as stack:
        writers = [
            (name, stack.enter_context(PRODUCTS[name].writer(path, image, classes, layout)))
            for name, path in map_paths(job, folder).items()
        ]

        def emit(band: Band) -> None:
            found.add(band)
            for name, writer in writers:
                for rows in band.pixels[name].blocks():
                    writer.write(rows)

        progress = stack.enter_context(tile_bar(plan, image.name))
        in_order(computation, emit, store, progress)
        check()
    if job.options.objects is None:
        return found, None
    from unet2015.segmentation.object_output import write_objects  # SciPy and scikit-image with it

    def label_writer(labels: "MadeLabels") -> ImageWriter:
        display = display_of_labels(labels.largest)
        return ImageWriter(
            job.outputs.products[LABELS.name], image, labels.dtype, layout=layout, display=display
        )

    with computation.times.measure("write"):
        return found, write_objects(job, computation, map_paths(job, folder), label_writer)


def is_bigtiff(path: Path) -> bool:
    """Whether a file that was written here is a BigTIFF, which ImageJ's own reader does not open."""
    with path.open("rb") as file:
        return file.read(4) == b"II\x2b\0"
