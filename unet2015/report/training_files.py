"""The files that a training was made on, where they are still as they were; and its held-out pages."""

import json
from pathlib import Path
from typing import Any

from unet2015.errors import DataSetError, ModelError
from unet2015.models.model_file import Model
from unet2015.models.tensors import load_tensors
from unet2015.models.training_pages import HELD_OUT
from unet2015.safe_files import sha256
from unet2015.settings import TrainingSettings
from unet2015.training.dataset import split_pages
from unet2015.training.page_names import Files, page_names
from unet2015.training.run_folder import CHECKPOINTS, checkpoints


def training_files(folder: Path, model: Model) -> list[tuple[Path, Path]]:
    """Return the images and labels that the newest checkpoint names.

    Raises
    ------
    DataSetError
        They have changed since or are gone, no checkpoint names them, or the model was trained on others.
    """
    for checkpoint in reversed(checkpoints(folder / CHECKPOINTS)):
        try:
            hashes: dict[str, str] = json.loads(load_tensors(checkpoint)[1])["hashes"]
        except (ModelError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        of_model = _digests(model.info.training.get("files"))
        if of_model and of_model != set(hashes.values()):
            raise DataSetError(f"{folder}: model.safetensors was trained on other files than its checkpoints")
        for name, digest in hashes.items():
            if not Path(name).exists():  # OME-Zarr is a folder
                raise DataSetError(f"{name} is not there any more")
            if sha256(name) != digest:
                raise DataSetError(f"{name} has changed since the training")
        files = [Path(name) for name in hashes]
        return list(zip(files[::2], files[1::2], strict=True))
    raise DataSetError(f"no checkpoint in {folder} says where the images are")


def _digests(files: Any) -> set[str]:
    """Return the SHA-256 of all images and labels in the record of a model; empty where it has none."""
    if not isinstance(files, list) or not all(isinstance(pair, dict) for pair in files):
        return set()
    return {str(pair.get(f"{side}_sha256")) for pair in files for side in ("image", "labels")}


def held_out_pages(model: Model, settings: TrainingSettings, files: Files) -> list[int]:
    """Return the held-out pages, by their names in the record; where it has others, those of the settings."""
    names, said = page_names(files), model.info.training.get(HELD_OUT)
    if isinstance(said, list) and {*said} <= {*names}:
        return [page for page, name in enumerate(names) if name in said]
    return split_pages(settings.validation, len(names), files)[1]
