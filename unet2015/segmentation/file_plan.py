"""The needs of a segmentation, without doing it: tiles, memory, disk and time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unet2015.errors import UNet2015Error, failure_of
from unet2015.file_names import on_one_line
from unet2015.images.image import Image
from unet2015.images.notes import Repeated
from unet2015.models.model_file import Model
from unet2015.models.unlike import notes_on_image, tell_scale_not_said, unchecked_scale
from unet2015.objects.cost import seconds_a_pixel
from unet2015.objects.strips import object_bytes as memory_of_object
from unet2015.segmentation.estimate import Estimator
from unet2015.segmentation.jobs import Job, Outputs, find_inputs, plan_jobs
from unet2015.segmentation.object_sizes import corner_bytes, object_bytes, preview_bytes
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.products import LABEL_BYTES, PRODUCTS
from unet2015.segmentation.records import check_before
from unet2015.segmentation.segmenter import Segmenter
from unet2015.segmentation.side_by_side import may_share
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.progress import in_words


@dataclass(frozen=True)
class FilePlan:
    """The needs of segmenting one file.

    Attributes
    ----------
    plan : TilePlan or None
        None if the file was refused.
    memory, disk : int
        Bytes: the peak of the process (on a GPU: of the device); and the uncompressed maps, labels and
        previews, with the finished parts that are kept while they are made.
    memory_per_object : int
        Bytes that come on top of the memory for each object; more than fit into the cap are refused when
        they are counted.
    disk_per_object, disk_per_corner : int
        The most bytes of the disk that come on top for each object, in tables and outlines, and for each
        corner of its outline.
    seconds : float
        About how long it will take, from a short measurement.
    object_seconds : float
        How much of it finding and measuring objects takes; 0 without objects. Regions and previews are not
        counted.
    beside : int
        Bytes of main memory that come on top where it is segmented at the same time as another image; 0 if
        it is segmented alone.
    """

    input: Path
    outputs: Outputs
    axes: str = ""
    shape: tuple[int, ...] = ()
    plan: TilePlan | None = None
    memory: int = 0
    disk: int = 0
    seconds: float = 0.0
    object_seconds: float = 0.0
    beside: int = 0
    memory_per_object: int = 0
    disk_per_object: int = 0
    disk_per_corner: int = 0
    error: UNet2015Error | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the plan for JSON."""
        return {
            "input": str(self.input),
            "outputs": [str(path) for path in self.outputs.paths],
            "axes": self.axes,
            "shape": list(self.shape),
            "plan": None if self.plan is None else self.plan.as_dict(),
            "memory_bytes": self.memory,
            "disk_bytes": self.disk,
            "seconds": round(self.seconds, 1),
            **self._objects_as_dict(),
            "error": None if self.error is None else str(self.error),
        }

    def _objects_as_dict(self) -> dict[str, Any]:
        if not self.object_seconds:
            return {}
        return {
            "objects": {
                "seconds": round(self.object_seconds, 1),
                "memory_bytes_per_object": self.memory_per_object,
                "disk_bytes_per_object": self.disk_per_object,
                "disk_bytes_per_corner": self.disk_per_corner,
            }
        }

    def _describe_objects(self) -> list[str]:
        if not self.object_seconds:
            return []
        time = in_words(self.object_seconds)
        corners = f", and {self.disk_per_corner} a corner of its outline" * bool(self.disk_per_corner)
        each = f"{self.memory_per_object} bytes an object"
        return [
            f"  objects      {time} of the time; beside the memory about {each}",
            f"               beside the disk up to {self.disk_per_object} bytes an object{corners}",
        ]

    def describe(self) -> str:
        """Return the plan for a reader."""
        if self.plan is None:
            return f"{on_one_line(self.input)}\n  refused      {on_one_line(self.error)}"
        rows, columns = self.plan.rows, self.plan.columns
        return "\n".join(
            [
                on_one_line(self.input),
                f"  axes         {self.axes} ({' x '.join(map(str, self.shape))})",
                f"  tiles        {self.plan.tiles} of {self.plan.tile[0]} x {self.plan.tile[1]} px "
                f"({self.plan.pages} pages of {len(rows)} x {len(columns)}), "
                f"kept {rows[0].length} x {columns[0].length} px, batches of {self.plan.batch}",
                f"  peak memory  {self.memory / 2**20:.0f} MiB",
                f"  disk         up to {self.disk / 2**20:.1f} MiB",
                f"  time         {in_words(self.seconds)}, by a short measurement",
                *self._describe_objects(),
                *(f"  output       {on_one_line(path)}" for path in self.outputs.paths),
            ]
        )


def describe_totals(plans: Sequence[FilePlan]) -> str:
    """Return what all files need together, for a reader.

    Tiles, disk and time add up. Of memory the largest counts, and what another at the same time takes.
    """
    good = [item for item in plans if item.plan is not None]
    refused = len(plans) - len(good)
    first, second = sorted([0, 0, *(item.beside for item in good)])[:-3:-1]

    def peak(item: FilePlan) -> int:  # with the largest of those that may be segmented at the same time
        return item.memory + (0 if not item.beside else second if item.beside == first else first)

    most = max(good, key=peak, default=None)
    rows = [
        f"all {len(plans)} files" + (f", without {refused} refused" if refused else ""),
        f"  tiles        {sum(item.plan.tiles for item in good if item.plan is not None)}",
        f"  disk         up to {sum(item.disk for item in good) / 2**20:.1f} MiB",
        f"  time         {in_words(sum(item.seconds for item in good))}, by a short measurement",
    ]
    if most is not None:
        another = " and another" if peak(most) > most.memory else ""
        rows.append(f"  peak memory  {peak(most) / 2**20:.0f} MiB, of {on_one_line(most.input)}{another}")
    return "\n".join(rows)


def plan_files(
    inputs: Sequence[str | Path],
    out: str | Path,
    model: Model | str | Path,
    options: SegmentOptions | None = None,
) -> list[FilePlan]:
    """Return the needs of :func:`unet2015.segmentation.batch.segment_files`, and segment nothing."""
    options = options or SegmentOptions()
    segmenter = Segmenter(model, options)
    estimator, plans, notes = Estimator(segmenter), [], Repeated()
    unchecked: list[tuple[Path, Sequence[str]]] = []
    options = segmenter.options
    for job in plan_jobs(find_inputs(inputs), Path(out), options, segmenter.info.classes):
        try:
            check_before(job)
            with options.open(job.input) as image:
                for note in notes_on_image(image, segmenter.info, job.input):
                    notes.say(job.input, note)
                unchecked.append((job.input, unchecked_scale(image, segmenter.info)))
                plans.append(_plan_file(job, image, segmenter, estimator))
        except Exception as error:
            plans.append(FilePlan(job.input, job.outputs, error=failure_of(error, job.input)))
    notes.finish()
    tell_scale_not_said(unchecked, segmenter.info)
    return plans


def _plan_file(job: Job, image: Image, segmenter: Segmenter, estimator: Estimator) -> FilePlan:
    plan, objects = segmenter.plan(image), job.options.objects
    memory, after = segmenter.memory(image, plan), 0.0
    if objects is not None:
        after = seconds_a_pixel(objects) * image.pages * image.height * image.width
        if segmenter.device.type == "cpu":  # on a GPU the memory is that of the device
            memory = max(memory, segmenter.object_memory(image))
    return FilePlan(
        job.input,
        job.outputs,
        image.axes,
        image.shape,
        plan,
        memory,
        _disk(job, image, plan, segmenter.info.classes),
        estimator.seconds(image, plan) + after,
        after,
        segmenter.own_memory(image, plan) if may_share(job.options, plan) else 0,
        0 if objects is None else memory_of_object(image.channels + 1),
        0 if objects is None else object_bytes(job, image),
        corner_bytes(job),
    )


def _disk(job: Job, image: Image, plan: TilePlan, classes: int) -> int:
    """Return the bytes that results and kept parts may take, beside what grows with the objects."""
    names = job.options.computed
    bytes_a_pixel = sum(PRODUCTS[name].pixel_bytes(classes) for name in names)
    bytes_a_pixel += 0 if job.options.objects is None else LABEL_BYTES
    maps = image.pages * image.height * image.width * bytes_a_pixel
    smaller = maps // 3 if job.options.pyramid else 0
    return maps + smaller + (maps if len(plan.parts) > 1 else 0) + preview_bytes(job, image)
