"""Tensors and a JSON text in one safetensors file: the form of models and checkpoints.

Nothing in such a file is executed on loading: no pickle, no code.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from unet2015.errors import ModelError
from unet2015.memory import process_free
from unet2015.safe_files import atomic_path, only_over, open_regular, read_bytes
from unet2015.wording import reason

_KEY = "unet2015"
_DIGEST = "sha256"
_LONGEST_HEADER = 2**24
_LARGE = 2**26


def save_tensors(path: str | Path, tensors: dict[str, Tensor], description: str) -> None:
    """Write tensors and a JSON text as safetensors, whole or not at all, with a digest of both.

    Raises
    ------
    ImageWriteError
        The file cannot be written, or would replace one that `save_tensors` did not write.
    """
    with atomic_path(path, tensors_guard) as temporary:
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        # The library's own function hides the reason of an error, and its file is not readable for others.
        metadata = {_KEY: description, _DIGEST: digest_of_tensors(contiguous, description)}
        data = save(contiguous, metadata)
        header, end = _in_order(data)
        with temporary.open("wb") as file:
            file.write(header)
            file.write(memoryview(data)[end:])


def read_description(path: Path) -> str:
    """Return the JSON text of a file of `save_tensors` alone; whether the file is whole is not seen.

    Raises
    ------
    ModelError
        There is none, or the file cannot be read.
    """
    try:
        with open_regular(path) as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, _LONGEST_HEADER)))
        return str(header["__metadata__"][_KEY])
    except OSError as error:
        raise ModelError(f"{path}: cannot read the file: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path}: not a readable model file (safetensors): {reason(error)}") from error


def is_ours(path: Path) -> bool:
    """Whether `save_tensors` wrote a file, which may be damaged since; may raise `OSError`."""
    with open_regular(path) as file:
        length = int.from_bytes(file.read(8), "little")
        return f'"{_KEY}":"'.encode() in file.read(min(length, _LONGEST_HEADER))


tensors_guard = only_over(is_ours, "a model or checkpoint of unet2015")


def _in_order(data: bytes) -> tuple[bytes, int]:
    """Return the header of a safetensors file, and where the given one ends.

    Its metadata are in alphabetical order; the library's order is random.
    """
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    metadata = dict(sorted(header.pop("__metadata__").items()))
    text = json.dumps({"__metadata__": metadata, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the tensors stay aligned
    return len(text).to_bytes(8, "little") + text, end


class Loaded(NamedTuple):
    """What a file of `save_tensors` holds.

    Attributes
    ----------
    tensors : dict
        By their names.
    text : str
        The JSON text.
    sha256 : str
        Of the file.
    checked : bool
        Whether it has a digest of what it holds, which was right; files of earlier versions have none.
    """

    tensors: dict[str, Tensor]
    text: str
    sha256: str
    checked: bool


def load_tensors(path: str | Path) -> Loaded:
    """Read what `save_tensors` wrote.

    The file is read whole, not mapped, so later changes of the file do not affect the tensors.

    Raises
    ------
    ModelError
        It cannot be read, is not such a file, or its bytes have changed since they were written.
    """
    path = Path(path)
    try:
        _check_large(path)
        data = read_bytes(path)
    except ModelError:
        raise
    except OSError as error:
        raise ModelError(f"{path}: cannot read the model file: {error.strerror or error}") from error
    with ThreadPoolExecutor(1) as beside:  # of a large file each digest takes as long as reading it
        whole = beside.submit(lambda: hashlib.sha256(data).hexdigest())
        tensors, description, checked = _unpacked(path, data)
    return Loaded(tensors, description, whole.result(), checked)


def _unpacked(path: Path, data: bytes) -> tuple[dict[str, Tensor], str, bool]:
    """Return tensors, JSON text and whether there is a digest; raise `ModelError` as `load_tensors`."""
    try:
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        metadata = header.get("__metadata__") or {}
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise ModelError(f"{path}: not a readable model file (safetensors): {_why(data, error)}") from error
    if _KEY not in metadata:
        raise ModelError(f"{path}: a safetensors file, but not of unet2015 (it lacks the description)")
    if metadata.get(_DIGEST) not in (None, digest_of_tensors(tensors, metadata[_KEY])):
        raise ModelError(
            f"{path}: the file is damaged: its bytes are not those that were written (SHA-256); "
            "take a copy of it, or another"
        )
    return tensors, metadata[_KEY], _DIGEST in metadata


_OTHERS = {
    b"version https://git-lfs": "it is a pointer of Git LFS; fetch the file itself (git lfs pull)",
    b"PK": "it is a file of PyTorch or an archive; give the model.safetensors of a training",
    b"\x80": "it is a pickle, as of PyTorch, which is not read; give the model.safetensors of a training",
    b"<": "it is a web page; download the file itself",
    b"II": "it is an image; give the model.safetensors of a training",
    b"MM": "it is an image; give the model.safetensors of a training",
    b"\x89PNG": "it is an image; give the model.safetensors of a training",
}


def _why(data: bytes, error: Exception) -> str:
    """Say what is wrong with bytes that are no safetensors file, and what to do."""
    if not data:
        return "it is empty; copy it again"
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= _LONGEST_HEADER:
        return f"it was cut short, or is damaged ({reason(error)}); copy it again"
    for start, said in _OTHERS.items():
        if data[:64].lstrip().startswith(start):
            return said
    return f"{reason(error)}; it is damaged, or of another kind: copy it again, or give another"


def _check_large(path: Path) -> None:
    """See that a large file may be a model, and that there is memory for it, before it is read."""
    with open_regular(path) as file:
        size, start = os.fstat(file.fileno()).st_size, file.read(8)
    if size <= _LARGE:
        return
    header, free = int.from_bytes(start, "little"), process_free()
    if header > _LONGEST_HEADER:
        raise ModelError(f"{path}: not a readable model file (safetensors): it begins with {start!r}")
    if 2 * size > free:
        raise ModelError(
            f"{path}: the model file has {size / 2**30:.1f} GiB and needs twice as much memory, but only "
            f"{free / 2**30:.1f} GiB are free"
        )


def digest_of_tensors(tensors: Mapping[str, Tensor], description: str) -> str:
    """Return the SHA-256 over the description and the names, types, shapes and bytes of all tensors."""
    digest = hashlib.sha256(description.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
