"""Models that come with the package, found by name: files of this folder that describe themselves."""

from __future__ import annotations

import difflib
import logging
import os
import re
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from unet2015.arguments import file_path
from unet2015.errors import ModelError, UsageError
from unet2015.models.model_file import OF_A_TRAINING, Model, ModelInfo, read_model_file, save_model
from unet2015.models.tensors import tensors_guard
from unet2015.safe_files import atomic_path, make_folder

FOLDER = Path(__file__).parent
"""Where the shipped models lie, as ``NAME.safetensors``."""
LARGEST = 16_000_000
"""A shipped model must have fewer bytes than this (width 32 in half precision has): everyone who installs the
package downloads it."""

_log = logging.getLogger("unet2015")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class ShippedModel:
    """A model that comes with the package.

    Attributes
    ----------
    name : str
        What ``--model`` takes.
    path : Path
        The model file.
    bytes : int
        Its size.
    sha256 : str
        Of the file.
    info : ModelInfo
        What it is for, citation, terms, training record.
    """

    name: str
    path: Path
    bytes: int
    sha256: str
    info: ModelInfo

    def as_dict(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        return {
            "name": self.name,
            "path": str(self.path),
            "bytes": self.bytes,
            "sha256": self.sha256,
            **self.info.model_dump(mode="json", exclude={"name", "format"}),
            "doubts": list(self.info.doubts),
        }


def list_models() -> list[ShippedModel]:
    """Return the models that come with the package, by name.

    Returns
    -------
    list of ShippedModel
        What ``unet2015 models`` shows of each: name, file, what it is for, what to cite, the terms.

    Raises
    ------
    ModelError
        One of the files is damaged.
    """
    found = []
    for name, path in _shipped().items():
        model = read_model_file(path)
        found.append(ShippedModel(name, path, path.stat().st_size, model.sha256, model.info))
    return found


def model_names() -> list[str]:
    """Return the names of the models that come with the package; reads none of them."""
    return list(_shipped())


def find_model(model: str | Path) -> Path:
    """Return the path of a model file: from this path, the folder of a training, or a shipped model's name.

    A file of that name on disk, or a folder with a model in it, takes precedence over a shipped model, which
    is said. A name with a folder or an ending in it is a path, whether or not there is such a file.

    Raises
    ------
    ModelError
        There is no such file, no model in the folder, and no shipped model of that name.
    """
    path, name = Path(model), str(model)
    shipped = _shipped()
    if os.path.isfile(path / OF_A_TRAINING):  # which raises no error where it may not look
        return _instead(path / OF_A_TRAINING, name, shipped)
    if path.is_dir() and name not in shipped:
        raise ModelError(
            f"{name}: this folder holds no {OF_A_TRAINING}; give a training's folder, which has one after "
            "its first validation, or a model file"
        )
    if path.is_file() or path.name != name or path.suffix:
        return _instead(path, name, shipped) if path.is_file() else path
    if name in shipped:
        return shipped[name]
    if path.exists():  # a pipe, say: reading it says what is wrong
        return path
    close = difflib.get_close_matches(name, shipped, cutoff=0.5)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    known = f"shipped are: {', '.join(shipped)}" if shipped else "none is shipped"
    raise ModelError(f"{name}: there is no such file, and no model of this name; {known}{hint}")


def _instead(path: Path, name: str, shipped: Collection[str]) -> Path:
    """Return a path that was found; say so where a shipped model has its name."""
    if name in shipped:
        words = "%s: this is taken, from the current folder, and not the model of this name that is shipped"
        _log.warning(words, path)
    return path


def load_model(model: str | Path) -> Model:
    """Read a model file, or a shipped model; warn where it has not learned, or its training has not ended.

    Parameters
    ----------
    model : path or str
        The file, the folder of a training, or a name that ``unet2015 models`` lists; a file or a folder with
        a model takes precedence over a name.

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        The file cannot be read, is no model file, or its tensors do not fit the architecture it
        declares; the message names tensor and shapes. Or no model has this name.
    """
    loaded = read_model_file(find_model(file_path(model, "model")))
    warn_of_doubts(loaded)
    return loaded


def warn_of_doubts(model: Model) -> None:
    """Warn if a model has not learned, is that of a training which goes on, or may have been changed."""
    for doubt in model.doubts:
        _log.warning("%s: %s", model.path or "model", doubt)


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """The description of a shipped model; every text is needed.

    Attributes
    ----------
    name : str
        Lower-case letters, digits and single hyphens.
    summary : str
        What it segments, in one line.
    modality : str
        The kind of image.
    citation : str
        What to cite, with a DOI.
    terms : str
        The terms of its use, including those of the training data.
    pixel_size_nm : float, optional
        Side of the training images' pixels, in nanometres. Default: as the model says.
    """

    name: str
    summary: str
    modality: str
    citation: str
    terms: str
    pixel_size_nm: float | None = None


def ship_model(
    model: Model | str | Path,
    about: ModelDescription,
    folder: str | Path = FOLDER,
    *,
    training: dict[str, Any] | None = None,
) -> Path:
    """Turn a trained model into one that is shipped: half precision, described, and small.

    The same model and words give the same bytes.

    Parameters
    ----------
    model : Model or path
        As the training wrote it.
    about : ModelDescription
        Its description.
    folder : path
        Where ``NAME.safetensors`` is written. Default: the package's own folder.
    training : dict, optional
        Added to the training record, for example the measures of a twin model on unseen pages.

    Returns
    -------
    Path
        The shipped model.

    Raises
    ------
    ImageWriteError
        The file cannot be written.
    ModelError
        The weights do not fit into half precision, or the file is too large.
    UsageError
        The name is not allowed, or a text is missing.
    """
    words = {key: value for key, value in asdict(about).items() if value is not None}
    if not _NAME.fullmatch(about.name):
        raise UsageError(
            f"a model's name has lower-case letters, digits and single hyphens, not {about.name!r}"
        )
    if missing := [key for key, text in words.items() if isinstance(text, str) and not text.strip()]:
        raise UsageError(f"a shipped model needs {', '.join(missing)}")
    trained = model if isinstance(model, Model) else read_model_file(model)
    record = trained.info.training | {"trained_model_sha256": trained.sha256} | (training or {})
    info = ModelInfo.model_validate(trained.info.model_dump() | words | {"training": record})
    for key, tensor in trained.network.named_parameters():  # buffers stay float32
        if not bool(torch.isfinite(tensor.to(torch.float16)).all()):
            raise ModelError(f"{about.name}: the weights of {key} are too large for half precision")
    path = make_folder(folder) / f"{about.name}.safetensors"
    with atomic_path(path, tensors_guard) as temporary:
        save_model(temporary, trained.network, info, torch.float16)
        if (size := temporary.stat().st_size) >= LARGEST:
            raise ModelError(
                f"{about.name}: the model has {size / 1e6:.1f} MB, a shipped one less than "
                f"{LARGEST / 1e6:g} MB; train a narrower network"
            )
    return path


def _shipped() -> dict[str, Path]:
    return {path.stem: path for path in sorted(FOLDER.glob("*.safetensors"))}
