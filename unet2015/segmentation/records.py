"""The record beside a result, and whether a result is already the wanted one."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unet2015.errors import ImageWriteError
from unet2015.provenance import versions
from unet2015.safe_files import read_text, sha256
from unet2015.segmentation.jobs import Job, Outputs
from unet2015.segmentation.parts import Computation
from unet2015.segmentation.segmenter import Segmenter
from unet2015.segmentation.summary import Summary


def identity_of(
    job: Job, segmenter: Segmenter, input_sha256: str, companion_sha256: str | None = None
) -> dict[str, Any]:
    """Return everything that decides the bytes of the outputs: a part of the record."""
    companion = {} if companion_sha256 is None else {"companion_sha256": companion_sha256}
    return companion | {
        "input_sha256": input_sha256,
        "model_sha256": segmenter.model.sha256,
        "settings": job.options.as_record(segmenter.threshold),
    }


def outcome_of(job: Job, computation: Computation, found: Summary) -> dict[str, Any]:
    """Return the other part of a record, known once the outputs are written."""
    segmenter, source = computation.segmenter, computation.source
    info, image = segmenter.info, source.image
    return {
        "input": str(job.input.resolve()),
        "axes": image.axes,
        "axes_source": image.axes_source,
        "shape": list(image.shape),
        "dtype": str(image.dtype),
        "model": str(segmenter.model.path),
        "learned": info.learned,
        "threshold": {"name": segmenter.threshold_name, "value": segmenter.threshold},
        "mapping": info.mapping.model_dump(mode="json")
        | {"offset": source.offset.tolist(), "gain": source.gain.tolist()},
        "class_names": list(info.class_names),
        "plan": computation.plan.as_dict(),
        "skipped_tiles": found.skipped,
        "device": segmenter.device_name(),
        "seconds": computation.times.as_dict(),
        "versions": versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "outputs": {path.name: sha256(path) for path in job.outputs.paths},
    }


def is_done(outputs: Outputs, expected: dict[str, Any]) -> bool:
    """Whether the outputs are whole and were made as `expected`, according to their record."""
    try:
        record = json.loads(read_text(outputs.record))
        return all(record[key] == value for key, value in expected.items()) and all(
            record["outputs"][path.name] == sha256(path) for path in outputs.paths
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def read_objects(outputs: Outputs) -> dict[str, Any] | None:
    """Return what a record says of the objects; None if it says nothing."""
    found = json.loads(read_text(outputs.record)).get("objects")
    return found if isinstance(found, dict) else None


def check_free(job: Job) -> None:
    """Raise `ImageWriteError` unless the outputs replace only earlier results of the same input."""
    main, record = job.outputs.main, job.outputs.record
    if job.outputs.zarr and main.exists() and not record.exists():
        raise ImageWriteError(
            f"{main}: exists and is no result of this program (it has no {record.name} beside it); remove "
            "it, or choose another name"
        )
    try:
        other = Path(json.loads(read_text(record))["input"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return
    if other != job.input.resolve() and other.exists():
        raise ImageWriteError(
            f"{main}: is the result of {other}, and would be replaced by that of {job.input}; "
            "choose another output folder"
        )
