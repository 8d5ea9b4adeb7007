"""The record beside a result, and whether a result is already the wanted one."""

import math
import os
from pathlib import Path
from typing import Any

from unet2015.errors import ImageWriteError
from unet2015.images.image import Image
from unet2015.images.pixel_size import pixel_size
from unet2015.provenance import versions_and_date
from unet2015.safe_files import (
    UNSIGNED,
    check_ours,
    digest_of,
    find_record,
    is_edited,
    is_signed,
    leftovers,
    place_for_record,
    sha256,
    was_claimed,
)
from unet2015.segmentation.jobs import Job, Outputs, check_names
from unet2015.segmentation.parts import Computation
from unet2015.segmentation.segmenter import Segmenter
from unet2015.segmentation.source_record import input_name
from unet2015.segmentation.summary import Summary
from unet2015.segmentation.threshold import over_model
from unet2015.settings.objects import ObjectSettings

READ_AS = "read_as"
"""A key of the record: how the header of the image was understood."""
CHANNEL_NAMES = "channel_names"
"""A key of the record: what the image calls the channels that were segmented."""


def identity_of(job: Job, segmenter: Segmenter, input_sha256: str, image: Image) -> dict[str, Any]:
    """Return everything that decides the bytes of the outputs: a part of the record."""
    companion = {} if image.companion is None else {"companion_sha256": image.companion}
    return companion | {
        READ_AS: read_as(image),
        "input_sha256": input_sha256,
        "model_sha256": segmenter.model.sha256,
        "settings": job.options.as_record(segmenter.threshold),
    }


def read_as(image: Image) -> dict[str, Any]:
    """Return how the header of an image is understood, which another version of the program may not share.

    That are its axes and its pixel size: height and width in micrometres, null where it is not known.
    """
    size = pixel_size(image.calibration)
    return {"axes": image.axes, "pixel_size_um": None if size is None else list(size)}


def outcome_of(job: Job, computation: Computation, found: Summary) -> dict[str, Any]:
    """Return the other part of a record, known once the outputs are written."""
    segmenter, source = computation.segmenter, computation.source
    info, image = segmenter.info, source.image
    own = {}
    if info.objects is not None:  # `label` takes it from here
        objects = over_model(info, ObjectSettings(), job.options.threshold)
        own = {"model_objects": objects.model_dump(mode="json")}
    return own | {
        "input": str(job.input.resolve()),
        **input_name(job.input),
        "axes": image.axes,
        "axes_source": image.axes_source,
        "shape": list(image.shape),
        **({CHANNEL_NAMES: list(image.channel_names)} if image.channel_names else {}),
        # `label` needs it for outlines: a map does not say whether its image is a hyperstack of ImageJ.
        **({} if image.stack_channels == 1 else {"stack_channels": image.stack_channels}),
        "dtype": str(image.dtype),
        "model": "" if segmenter.model.path is None else str(segmenter.model.path.resolve()),
        "learned": info.learned,
        "ended": info.ended,
        "threshold": {"name": segmenter.threshold_name, "value": segmenter.threshold},
        "mapping": segmenter.mapping.model_dump(mode="json")
        | {"offset": source.offset.tolist(), "gain": source.gain.tolist()},
        "class_names": list(info.class_names),
        **({} if image.reader is None else {"reader": image.reader}),
        "plan": computation.plan.as_dict(),
        "skipped_tiles": found.skipped,
        "device": segmenter.device_name(),
        **({} if segmenter.convolutions is None else {"convolutions": segmenter.convolutions}),
        "seconds": computation.times.as_dict(),
        **versions_and_date(),
        "outputs": {path.name: sha256(path) for path in job.outputs.paths},
    }


def is_done(outputs: Outputs, expected: dict[str, Any]) -> bool:
    """Whether the outputs are whole and were made as `expected`, according to their record."""
    record = outputs.recorded()
    try:
        return (
            record is not None
            and not is_edited(record)
            and all(record[key] == value for key, value in expected.items() if key != READ_AS)
            and _is_read_alike(record, expected.get(READ_AS))
            and all(record["outputs"][path.name] == digest_of(path) for path in outputs.paths)
        )
    except (OSError, KeyError):
        return False


def _is_read_alike(record: dict[str, Any], now: dict[str, Any] | None) -> bool:
    """Whether a result is of an image as it is read now.

    Of a result of an earlier version the areas of its objects tell the pixel size.
    """
    if now is None or READ_AS in record:
        return now in (None, record.get(READ_AS))
    if record.get("axes") != now["axes"]:
        return False
    objects = record.get("objects")
    area, area_um2 = ((objects or {}).get(f"total_area_{unit}") for unit in ("px", "um2"))
    if not area:  # no objects
        return True
    height, width = now["pixel_size_um"] or (0, 0)
    return math.isclose(area_um2 or 0, area * height * width, rel_tol=1e-6)


def is_of_other_version(outputs: Outputs, input_sha256: str) -> bool:
    """Whether outputs that are there are, by their record, of an image with other bytes."""
    record = outputs.recorded()
    return record is not None and record.get("input_sha256") != input_sha256


def describe_doubt(outputs: Outputs) -> str | None:
    """Return in words that nobody can tell whether the record of outputs was changed; None if one can."""
    found = find_record(outputs.records, outputs.main)
    return None if found is None or is_signed(found[1]) else f"{found[0]}: {UNSIGNED}"


def read_notes(outputs: Outputs) -> list[str]:
    """Return the notes in a record on the results that it is of."""
    found = (outputs.recorded() or {}).get("notes")
    return [note for note in found if isinstance(note, str)] if isinstance(found, list) else []


def read_objects(outputs: Outputs) -> dict[str, Any] | None:
    """Return what a record says of the objects; None if it says nothing."""
    found = (outputs.recorded() or {}).get("objects")
    return found if isinstance(found, dict) else None


def check_before(job: Job) -> None:
    """Raise `ImageWriteError`, before anything is read, if the outputs would replace what is not theirs.

    If a run of this job was killed, or still runs, what lies there may be unnamed as yet; it made this check
    when it began, and then nothing is said here.
    """
    check_names(job)
    if not was_claimed(job.outputs.main) and not leftovers(job.outputs.main):
        check_free(job)


def check_free(job: Job) -> None:
    """Raise `ImageWriteError` unless the outputs replace only earlier results of the same input.

    Those are outputs that a record names, and that nobody has changed since.
    """
    outputs = job.outputs
    record = outputs.recorded()
    for path in outputs.paths:
        check_ours(path, record)
    place_for_record(outputs.records, outputs.main)
    said = record or {}
    other = said.get("input")
    if "command" in said:
        raise ImageWriteError(
            f"{outputs.main}: is a result of {said['command']}, and that of {job.input} does not replace it; "
            "choose another output"
        )
    if isinstance(other, str) and Path(other) != job.input.resolve() and Path(other).exists():
        raise ImageWriteError(
            f"{outputs.main}: is the result of {other}, and would be replaced by that of {job.input}; "
            "choose another output folder"
        )
    settings = said.get("settings")
    before = settings if isinstance(settings, dict) else {}
    for name in ("scene", "channel"):
        then, now = before.get(name), getattr(job.options, name)
        if None not in (then, now) and str(then) != str(now) and any(map(os.path.lexists, outputs.paths)):
            raise ImageWriteError(
                f"{outputs.main}: is the result of {name} {then} of {job.input}, and would be replaced by "
                f"that of {name} {now}; choose another output folder for each {name}"
            )
