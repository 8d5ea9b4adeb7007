"""How many bytes of the disk previews of objects take, and tables and outlines for each object."""

import os

from unet2015.images.image import Image
from unet2015.images.pixel_size import pixel_size
from unet2015.objects.overlay import LONGEST
from unet2015.segmentation.jobs import Job
from unet2015.segmentation.products import GEOJSON, IMAGEJ, OVERLAY, OVERLAY_JPEG, PARQUET

_CELL, _NAMED_CELL = 25, 60
"""The longest number and what divides it from the next; and with the name of its column."""
_SHAPES, _IN_MICROMETRES, _OF_A_CHANNEL = 16, 6, 4
"""Columns of a table: of each object, where pixels have a size, and for each channel that is measured."""
_HEADER, _REGION = 2**12, 2**9
CORNER_BYTES = {IMAGEJ.name: 12, GEOJSON.name: 20}
"""Most bytes of a corner of an outline, by the kind of file."""


def preview_bytes(job: Job, image: Image) -> int:
    """Return the most bytes that the previews of a job take: those of their pixels."""
    factor = -(-max(image.height, image.width) // LONGEST)
    height, width = -(-image.height // factor), -(-image.width // factor)
    views = [name for name in (OVERLAY.name, OVERLAY_JPEG.name) if name in job.outputs.products]
    return len(views) * (_HEADER + height * (3 * width + 16))


def object_bytes(job: Job, image: Image) -> int:
    """Return the most bytes of an object in tables, also that of all files, and of its outline's frame."""
    columns = _SHAPES + _OF_A_CHANNEL * (image.channels + 1)  # and of the probability
    columns += 0 if pixel_size(image.calibration) is None else _IN_MICROMETRES
    names = len(os.fsencode(job.input.name)) + sum(len(name.encode()) + 2 for name in image.channel_names)
    tables = 2 * (2 if PARQUET.name in job.outputs.products else 1)
    regions = _REGION if IMAGEJ.name in job.outputs.products else 0
    regions += _REGION + columns * _NAMED_CELL if GEOJSON.name in job.outputs.products else 0
    return tables * (columns * _CELL + names) + regions


def corner_bytes(job: Job) -> int:
    """Return the most bytes of a corner of an outline; 0 where none is written."""
    return sum(size for name, size in CORNER_BYTES.items() if name in job.outputs.products)
