"""What a training of :mod:`pipelines.one_gpu` leaves: maps of 8 bit, a model, or where it stopped."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.one_gpu.plan import Plan
from unet2015.device import hardware_name
from unet2015.errors import DataSetError
from unet2015.images.array_image import ArrayImage
from unet2015.images.mapping import choose_mapping
from unet2015.models.model_file import ModelInfo, save_model
from unet2015.models.tensors import load_tensors, save_tensors
from unet2015.networks import build
from unet2015.provenance import versions
from unet2015.safe_files import atomic_path
from unet2015.settings import TrainingSettings
from unet2015.training.on_device import DeviceTraining

PART = 15 * 2**20
"""Bytes of a part of a model."""


class Results:
    """The files of each training in a folder.

    Parameters
    ----------
    out : Path
        The folder.
    plan : Plan
        What the trainings are.
    """

    def __init__(self, out: Path, plan: Plan) -> None:
        self.out, self.plan = out, plan

    def maps(self, name: str) -> Path:
        """Where the maps of a training lie; they are there when all of it is."""
        return self.out / f"{name}.npz"

    def stopped(self, name: str) -> Path:
        """Where a training is kept that was stopped."""
        return self.out / f"{name}.stopped"

    def keep(self, name: str, training: DeviceTraining) -> None:
        """Keep a training as it stands."""
        save_tensors(self.stopped(name), training.state(), json.dumps({"at": int(training.at)}))

    def restore(self, name: str, training: DeviceTraining) -> None:
        """Put back a training that was kept.

        Raises
        ------
        ModelError
            The file is damaged.
        """
        training.restore(load_tensors(self.stopped(name))[0])

    def finish(self, name: str, training: DeviceTraining, settings: TrainingSettings) -> None:
        """Write maps, losses and, where it is wanted, the model of a training."""
        found: dict[str, NDArray[Any]] = {}
        averages = self.plan.averages(name)
        for which, images in self.plan.maps_of(name, settings).items():
            for average in averages:
                # The threshold is chosen on maps made like those that are measured best.
                if which == "test" or average != "none" or len(averages) == 1:
                    found[f"{which}/{average}"] = training.predict(images, average)
        steps = settings.optimisation.steps
        found["losses"], found["norms"] = (t[:steps].cpu().numpy() for t in (training.losses, training.norms))
        if self.plan.trainings[name].get("model", False):
            self._model(name, training, settings)
        with atomic_path(self.maps(name)) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **found)  # type: ignore[arg-type]
        self.stopped(name).unlink(missing_ok=True)

    def _model(self, name: str, training: DeviceTraining, settings: TrainingSettings) -> None:
        """Write a model in half precision, if it is large in parts that `cat` puts together."""
        split = self.plan.split(name)
        network = build(settings.network, training.shape[1], settings.labels.classes)
        network.load_state_dict(training.weights())
        prefix, pages = split.train
        image = ArrayImage(self.plan.arrays[f"{prefix}/images"][pages], "IYX")
        record = {
            "settings": settings.model_dump(mode="json"),
            "split": split.name,
            "step": int(training.at),
            "device": hardware_name(training.device),
            "versions": versions(),
            "date": datetime.now(UTC).date().isoformat(),
        }
        info = ModelInfo(
            network=settings.network,
            mapping=choose_mapping(settings.mapping, [image]),
            dtype=str(image.dtype),
            class_names=("membrane", "cell") if split.kind == "em" else ("background", "cell"),
            threshold=0.5,
            training=record,
        )
        path = self.out / f"{name}.safetensors"
        save_model(path, network, info, torch.float16)
        data = path.read_bytes()
        if len(data) > PART:
            for number, begin in enumerate(range(0, len(data), PART)):
                with atomic_path(self.out / f"{path.name}.part{number:02d}") as temporary:
                    temporary.write_bytes(data[begin : begin + PART])
            path.unlink()


def read_notes(path: Path) -> dict[str, Any]:
    """Return what an earlier run noted; empty where there was none."""
    try:
        notes: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise DataSetError(
            f"{path}: cannot read the notes of an earlier run: {error}; choose another folder"
        ) from error
    return notes
