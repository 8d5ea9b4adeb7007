"""The record of a segmentation, as far as it says how to repeat it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, PositiveInt, TypeAdapter, ValidationError

from unet2015.errors import ImageReadError
from unet2015.safe_files import EDITED, is_edited, is_signed, read_text
from unet2015.segmentation.options import RECORDED, SegmentOptions
from unet2015.segmentation.products import BESIDE_ZARR


class _Plan(BaseModel):
    tile: tuple[PositiveInt, PositiveInt]
    batch: PositiveInt


class _Record(BaseModel):
    """What a replay needs of a record; the rest is for people."""

    model_config = ConfigDict(strict=True)

    input: str
    input_name: str | None = None
    input_sha256: str
    companion_sha256: str | None = None
    model: str
    model_sha256: str
    settings: dict[str, Any]
    plan: _Plan
    outputs: dict[str, str]
    versions: dict[str, str]
    device: str
    convolutions: str | None = None


def read_recorded(path: Path) -> tuple[dict[str, Any], SegmentOptions]:
    """Return a record and its options.

    Its values are those of `_Record`, of these types, and ``signed``: whether it has a digest of itself.

    Raises
    ------
    ImageReadError
        The file cannot be read, is no such record, or somebody has changed it.
    """
    try:
        text = read_text(path)
        whole = json.loads(text)
        # pydantic takes no surrogates, by which names hold bytes that are not UTF-8: types are seen without.
        plain = json.dumps(whole, ensure_ascii=False).encode("utf-8", "replace")
        said = _Record.model_validate_json(plain).model_dump()
        said |= {
            name: whole[name] for name in ("input", "input_name", "model", "outputs") if name in whole
        } | {"signed": is_signed(whole)}
        missing = [name for name in RECORDED if name not in said["settings"]]
        if missing:
            raise ValueError(f"it does not say {', '.join(missing)}")
        given = SegmentOptions.from_record(said["settings"])
        # As JSON, because so read, strict means types alone, not also that it is an object already.
        values = vars(given) | {"objects": given.objects and given.objects.model_dump(mode="json")}
        options = TypeAdapter(SegmentOptions).validate_json(json.dumps(values), strict=True)
        if len(said["outputs"]) != _files(said, options):
            raise ValueError("it does not say its outputs")
    except OSError as error:
        raise ImageReadError(f"{path}: cannot read the record: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ImageReadError(
            f"{path}: expected the record of a segmentation, such as NAME.record.json, but {_short(error)}"
        ) from error
    if is_edited(whole):
        raise ImageReadError(f"{path}: {EDITED}, so it is not believed; give the record as it was written")
    return said, options


def _short(error: Exception) -> str:
    """Return the message of an error in one line: of a value of the wrong type, where and what it is."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return f"it does not say {place}"
    return f"{place}: {first['msg']}" if place else first["msg"]


def _files(said: dict[str, Any], options: SegmentOptions) -> int:
    """Return how many results a record should name; all maps of an OME-Zarr image are one."""
    if is_zarr(said):  # which holds maps and labels
        return 1 + sum(name in BESIDE_ZARR for name in options.results)
    return len(options.results)


def is_zarr(said: dict[str, Any]) -> bool:
    """Whether the results of a record are an OME-Zarr image, perhaps with files beside it."""
    return any(name.lower().endswith(".zarr") for name in said["outputs"])
