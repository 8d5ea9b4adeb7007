"""Arguments of public functions, as people pass them: what is meant is taken, all else is refused in a line.

Python itself would let many through and answer wrongly: text is iterated letter by letter, "no" counts as
true, NaN is below nothing, the mask of a masked array is dropped.
"""

from __future__ import annotations

import operator
import os
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import ArgumentError, LabelError, UsageError

_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def pixels(value: object, name: str) -> NDArray[Any]:
    """Return an array of numbers or bool: from lists, tensors on any device, tables, images.

    Raises
    ------
    ArgumentError
        It is none, or some of its elements are masked.
    """
    if _is_masked(value):
        raise _masked(name)
    array: Any = value.data if isinstance(value, np.ma.MaskedArray) else value
    if isinstance(value, str | bytes | os.PathLike | Mapping | set | frozenset) or value is None:
        raise _expected(name, "an array of numbers", value)
    try:
        if hasattr(array, "detach"):  # a tensor of torch, which may need a gradient or lie on a GPU
            array = array.detach().cpu()
            array = array.float() if str(array.dtype) == "torch.bfloat16" else array
        if hasattr(array, "__dask_graph__"):  # whose own way to NumPy drops a mask
            array = array.compute()
        array = np.asanyarray(array)
    except Exception as error:  # whatever the object does
        raise _expected(name, "an array of numbers", value) from error
    if _is_masked(array):  # of an array that is made only now, such as Dask's
        raise _masked(name)
    array = np.asarray(array)
    if array.dtype.kind not in "buif":
        raise ArgumentError(f"{name}: expected an array of numbers, got one of type {array.dtype}")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:  # which no file has, and little else takes
        with np.errstate(over="ignore"):
            array = array.astype(np.float64)
    return array  # type: ignore[no-any-return]


def _masked(name: str) -> ArgumentError:
    return ArgumentError(f"{name}: some elements are masked; fill them (array.filled(value)) first")


def _is_masked(value: object, deep: int = 8) -> bool:
    """Whether elements are masked in an array, or in one of a list, of which NumPy takes what lies below."""
    if isinstance(value, np.ma.MaskedArray):
        return bool(np.ma.is_masked(value))
    kinds = (np.ma.MaskedArray, list, tuple)
    return (
        isinstance(value, list | tuple)
        and deep > 0
        and any(_is_masked(one, deep - 1) for one in value if isinstance(one, kinds))
    )


def whole_numbers(value: object, name: str) -> NDArray[Any]:
    """Return an array of integers or bool: a mask, a class map or labels; floats if all are whole.

    Raises
    ------
    ArgumentError
        It is no array of numbers.
    LabelError
        Its values are not whole numbers, such as probabilities.
    """
    array = pixels(value, name)
    if array.dtype.kind != "f":
        return array
    wide = array.astype(np.float64)
    wrong = array[~(np.isfinite(wide) & (np.floor(wide) == wide) & (np.abs(wide) < 2.0**63))]
    if wrong.size:
        raise LabelError(
            f"{name}: expected whole numbers (a mask, classes or labels), got {float(wrong.flat[0])!r}; "
            "compare probabilities with a threshold first, such as probability > 0.5"
        )
    return array.astype(np.int64)


def number(value: Any, name: str, low: float = -np.inf, high: float = np.inf, *, nan: bool = False) -> float:
    """Return a real number from `low` to `high`: no text, no bool; NaN only where the caller refuses it."""
    wanted = f"a number{_range(low, high)}"
    if not _is_scalar(value) or not hasattr(value, "__float__"):
        raise _expected(name, wanted, value)
    try:
        found = float(value)
    except Exception as error:  # whatever the object does
        raise _expected(name, wanted, value) from error
    if not low <= found <= high and not (nan and found != found):
        raise UsageError(f"{name}: expected {wanted}, got {found!r}")
    return found


def integer(value: Any, name: str, low: float = -np.inf, high: float = np.inf) -> int:
    """Return a whole number from `low` to `high`; 572.0 is one, "572" and True are none."""
    wanted = f"a whole number{_range(low, high)}"
    if not _is_scalar(value):
        raise _expected(name, wanted, value)
    try:
        found = _whole(value)
    except Exception as error:  # whatever the object does
        raise _expected(name, wanted, value) from error
    if not low <= found <= high:
        raise UsageError(f"{name}: expected {wanted}, got {_shown(found)}")
    return found


def _whole(value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        found = float(value)
        if not found.is_integer():
            raise
        return int(found)


def probability_advice(dtype: np.dtype[Any]) -> str:
    """Return what can be done where values of a type are no probabilities from 0 to 1."""
    most = np.iinfo(dtype).max if dtype.kind == "u" and dtype.itemsize <= 2 else None
    scaled = f"divide a probability map of {dtype} by {most}; " if most else ""
    return f"{scaled}labels and scores are no probabilities"


def flag(value: Any, name: str) -> bool:
    """Return a bool; the numbers 0 and 1 are taken, text such as "no", which Python calls true, is not."""
    if isinstance(value, bool | np.bool_) or (isinstance(value, int | np.integer) and value in (0, 1)):
        return bool(value)
    raise _expected(name, "True or False", value)


def text(value: Any, name: str, wanted: str = "a text") -> str:
    """Return a text."""
    if isinstance(value, str):
        return str(value)
    raise _expected(name, wanted, value)


def number_or_name(value: Any, name: str) -> str:
    """Return a text, or a whole number as the text that the command line has for it."""
    if isinstance(value, str) or not _is_scalar(value):
        return text(value, name, "a number or a name")
    return str(integer(value, name, 0))


def callback(value: Any, name: str) -> Callable[..., Any] | None:
    """Return what can be called, or None."""
    if value is None or callable(value):
        return value  # type: ignore[no-any-return]
    raise _expected(name, "a function, or None", value)


def file_path(value: Any, name: str) -> Path:
    """Return a path from text, bytes or a path."""
    if not isinstance(value, str | bytes | os.PathLike):
        raise _expected(name, "a path", value)
    try:
        found = os.fsdecode(value)
    except Exception as error:  # whatever the object does
        raise _expected(name, "a path", value) from error
    if not found or "\0" in found:
        raise ArgumentError(f"{name}: expected a path, got {found!r}")
    return Path(found)


_TABLES = {".csv", ".parquet", ".tsv", ".txt", ".json", ".geojson", ".xls", ".xlsx", ".ods", ".html", ".pdf"}
_IMAGES = {".tif", ".tiff", ".btf", ".tf2", ".tf8", ".lsm", ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".zarr"}
_MICROSCOPES = {".lif", ".nd2", ".czi", ".svs", ".ndpi"}
_MODELS = {".safetensors", ".pt", ".pth", ".onnx"}
_OTHERS = {".zip", ".npy", ".npz", ".h5", ".toml", ".yaml", ".xml", ".docx"}
_FILE_ENDINGS = _TABLES | _IMAGES | _MICROSCOPES | _MODELS | _OTHERS


def no_file_name(folder: Path, wanted: str) -> Path:
    """Return the path of a folder, which may be still to be made, unless its name is that of a file.

    Raises
    ------
    UsageError
        There is no such folder, and the name ends as those of files do, such as ``.xlsx``.
    """
    if folder.suffix.lower() in _FILE_ENDINGS and not os.path.isdir(folder):  # which takes any name
        raise UsageError(f"{folder}: this would be a folder with the name of a file; give {wanted}")
    return folder


def file_paths(value: Any, name: str) -> list[Path]:
    """Return a list of paths from one path or several."""
    if isinstance(value, str | bytes | os.PathLike):
        return [file_path(value, name)]
    found = [file_path(item, name) for item in items(value, name, "a path, or a list of paths")]
    if not found:
        raise UsageError(f"{name}: expected at least one path, got none")
    return found


def items(value: Any, name: str, wanted: str) -> list[Any]:
    """Return a list of what a sequence or an iterator holds; a text, a dict or a set is none."""
    if isinstance(value, str | bytes | Mapping | set | frozenset) or not isinstance(value, Iterable):
        raise _expected(name, wanted, value)
    try:
        return list(value)
    except Exception as error:  # whatever the object does
        raise _expected(name, wanted, value) from error


def device_name(value: Any) -> str:
    """Return the name of a device, of which torch also has objects."""
    if type(value).__module__ == "torch" and type(value).__name__ == "device":
        return str(value)
    return text(value, "device", "auto, cpu, cuda, cuda:N or mps")


def memory(value: Any, name: str) -> int:
    """Return bytes from a number, or from a text such as 2G; see `parse_size`."""
    return parse_size(value) if isinstance(value, str) else integer(value, name, 1)


def parse_size(written: str) -> int:
    """Return the bytes that a text like ``512M``, ``4G``, ``1.5GiB`` or ``4GB`` means.

    K, M, G and T, alone or with iB, are powers of 1024; with B, powers of 1000, as in GNU's tools.

    Raises
    ------
    UsageError
        It is not such a text, or means less than one byte.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(iB|B|)", written.strip(), re.IGNORECASE)
    if match is None or (match[3].lower() == "ib" and not match[2]) or len(match[1]) > 30:
        raise UsageError(f"{written[:60]!r} is not an amount of memory; write it like 512M, 4G or 1.5GiB")
    base = 1000 if match[3].lower() == "b" else 1024
    size = int(float(match[1]) * base ** _POWERS[match[2].upper()])
    if size < 1:
        raise UsageError(f"{written!r}: an amount of memory must be at least one byte")
    return size


def _is_scalar(value: Any) -> bool:
    """Tell whether a value may be one real number: no bool, no text, no array with an axis."""
    kinds = bool | np.bool_ | str | bytes | complex | np.complexfloating
    return (
        not isinstance(value, kinds)
        and not getattr(value, "ndim", 0)
        and not str(getattr(value, "dtype", "")).endswith(("bool", "complex64", "complex128"))
    )


def _range(low: float, high: float) -> str:
    if high < np.inf and low == -np.inf:
        return f" up to {high:g}"
    if high < np.inf:
        return f" from {low:g} to {high:g}"
    return f", {low:g} or more" if low > -np.inf else ""


def _expected(name: str, wanted: str, came: object) -> ArgumentError:
    return ArgumentError(f"{name}: expected {wanted}, got {_shown(came)} ({type(came).__name__})")


def _shown(value: object) -> str:
    try:
        return " ".join(_REPR.repr(value).split())
    except Exception:  # an object whose text cannot be made
        return "a value"


_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 60
