"""The report of a training: the contents of its folder, and held-out pages if the images still exist."""

import json
import logging
import os
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.device import choose_device, usual_torch
from unet2015.errors import DataSetError, UNet2015Error, UsageError
from unet2015.images.mapped_image import MappedImage
from unet2015.images.reader import open_image
from unet2015.images.result_names import table_name
from unet2015.models.model_file import Model, read_model_file
from unet2015.models.training_pages import to_show
from unet2015.objects.instances import label_page
from unet2015.report.figures import best_median_worst, plot_curves
from unet2015.report.html import Picture, Report, Row, Section, Table, report_guard, write_report
from unet2015.report.kept import other_model
from unet2015.report.measures import alert, measured_on, measures, objects_chosen, other_settings, summary
from unet2015.report.training_files import held_out_pages, training_files
from unet2015.safe_files import read_text
from unet2015.settings import TrainingSettings, parse_settings
from unet2015.settings.lengths import that_count
from unet2015.tiling.classes import class_map
from unet2015.tiling.predictor import Predictor
from unet2015.training.dataset import Labels, read_labels, size_difference
from unet2015.training.labels import IGNORED, Targets, make_targets
from unet2015.training.log import inspect_log
from unet2015.training.pages import PageSource
from unet2015.training.pooled_pixels import class_f1, mean_f1
from unet2015.training.run_folder import ANIMATION, FIGURE, LOG, MODEL, SETTINGS
from unet2015.training.validation import segment_page

MOST_PAGES = 12
"""Most held-out pages that are segmented for the report, spread evenly over all of them."""
_log = logging.getLogger("unet2015")


@dataclass(frozen=True)
class _Page:
    """One held-out page: pixels (H, W), true classes, and the result of the model."""

    name: str
    image: NDArray[Any]
    targets: Targets
    probability: NDArray[np.float32]
    classes: NDArray[np.uint8]
    number: int
    """How many classes there are."""

    @property
    def error(self) -> float:
        """1 - F1 over the annotated pixels, the mean over the classes from 1 on, as in the validation."""
        counts = self._counts
        return 1 - mean_f1(counts) if counts[1:].any() or counts[:, 1:].any() else 0.0

    @property
    def f1(self) -> tuple[float | None, ...]:
        """F1 of each class from 1 on; None where it neither occurs nor is found."""
        return class_f1(self._counts)[1:]

    @property
    def _counts(self) -> NDArray[np.int64]:
        """Annotated pixels by true class and by the class that they were given."""
        known = self.targets.classes != IGNORED
        pairs = self.targets.classes[known].astype(np.int64) * self.number + self.classes[known]
        return np.bincount(pairs, minlength=self.number**2).reshape(self.number, self.number)


@usual_torch()
def report_run(folder: str | Path, out: str | Path | None = None, *, device: str = "auto") -> Path:
    """Write the report of a training.

    Curves, measures, settings and the training record come from the folder. If images and labels are
    unchanged and at the same paths as in the training, held-out pages are segmented again, and the best,
    the median and the worst are drawn; otherwise the report says why they are missing.

    Parameters
    ----------
    folder : path
        Folder of ``unet2015 train``: ``log.jsonl`` and, if they exist, ``settings.json``,
        ``model.safetensors`` and ``checkpoints/``.
    out : path, optional
        The report. Default: ``report.html`` in the folder.
    device : str
        Device for the segmentation of the pages.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    DataSetError
        There is no such folder, it holds no training, or its log or settings are damaged.
    ModelError
        The model file is damaged.
    ImageWriteError
        The report cannot be written, or would replace a file that is no report.
    UsageError
        Jinja2 or matplotlib is not installed.
    """
    folder = Path(folder)
    log = folder / LOG
    if not log.is_file():
        what = f"it lacks {LOG}" if folder.is_dir() else "there is no such folder"
        raise DataSetError(f"{folder}: expected the folder of a training, but {what}")
    out = folder / "report.html" if out is None else Path(out)
    report_guard(out, out)
    curves = plot_curves({"": log})
    settings = _settings(folder / SETTINGS)
    path = folder / MODEL
    model = read_model_file(path) if os.path.lexists(path) else None
    logged = inspect_log(log)
    checks = [line for line in logged.good if "validation_f1" in line]
    steps = max(line["step"] for line in logged.good if "loss" in line)
    sections = [
        measures(checks, model, logged.good),
        Section(
            "Curves",
            logged.describe(log),
            pictures=[Picture("Loss and validation", curves, "Over the steps of the training.")],
        ),
        *_course(folder, model),
        _pictures(folder, model, device),
        _record(settings, model, path),
    ]
    if said := other_model(checks, model):
        _log.warning("%s: %s", folder, said)
    title = f"Training {folder.resolve().name}"
    write_report(Report(title, summary(model, steps, checks), sections, alert(model, checks)), out)
    return out


def _record(settings: dict[str, Any] | None, model: Model | None, path: Path) -> Section:
    details: dict[str, Any] = {}
    if settings is not None:
        details["settings"] = that_count(settings)
    if model is not None:
        record = to_show(model.info.training)
        record.pop("settings", None)  # What the model file repeats is shown once.
        details |= {"versions": record.pop("versions", {}), "training record": record}
        about = model.info.model_dump(mode="json", exclude={"training"}, exclude_defaults=True)
        details["model"] = {"file": str(path), "bytes": path.stat().st_size, "sha256": model.sha256, **about}
    text = "All that the training depended on beside its images."
    if said := other_settings(settings, model):
        _log.warning("%s: %s", path.parent, said)
        text += f" {said}"
    return Section("Settings and record", text, details=details)


def _course(folder: Path, model: Model | None) -> list[Section]:
    """Return the section with the pictures that the training drew; none where it drew none."""
    which = measured_on(model)
    captions = {
        FIGURE: (f"{which} images", "Image, true classes, found classes, at the best validation."),
        ANIMATION: ("Over the training", f"{which} image: the probability found at each validation."),
    }
    pictures = [
        Picture(title, folder / name, caption)
        for name, (title, caption) in captions.items()
        if (folder / name).is_file()
    ]
    return [Section("The training in pictures", pictures=pictures)] if pictures else []


def _settings(path: Path) -> dict[str, Any] | None:
    if not os.path.lexists(path):
        return None
    try:
        values = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        words = (error.strerror if isinstance(error, OSError) else None) or error
        raise DataSetError(f"{path}: cannot read the settings of the training: {words}") from error
    if not isinstance(values, dict):
        raise DataSetError(f"{path}: expected the settings of a training, a JSON object")
    return values


def _pictures(folder: Path, model: Model | None, device: str) -> Section:
    """Return the section with the best, median and worst of the held-out pages, or why there is none."""
    title = f"{measured_on(model)} pages"
    if model is None:
        return Section(title, "There is no model yet.")
    try:
        pages = _segmented(folder, model, device)
    except UNet2015Error as error:
        return Section(title, f"The pages are not drawn: {error}")
    ranks: dict[int, list[str]] = {}
    best, median, worst = best_median_worst([page.error for page in pages])
    for at, word in ((best, "best"), (median, "median"), (worst, "worst")):
        ranks.setdefault(at, []).append(word)
    pictures = [
        Picture(
            f"{' and '.join(words).capitalize()}: {pages[at].name}",
            _overlay(pages[at], model, membrane=model.info.class_names[0] == "membrane"),
            f"Pixel error {pages[at].error:.4f}.",
        )
        for at, words in ranks.items()
    ]
    names = model.info.class_names[1:] if model.info.classes > 2 else ()
    columns = ["page", "pixel error", *(f"F1 of {name}" for name in names)]
    how = "Each pixel has its most probable class," if names else "At the model's threshold,"
    rows = [Row([page.name, page.error, *(page.f1 if names else ())]) for page in pages]
    table = Table("Every page", columns, rows, f"{how} each page by itself.")
    again = f"Segmented again by the model that was kept. {objects_chosen(model.info)}".strip()
    return Section(title, again, [table], pictures)


def _overlay(page: _Page, model: Model, membrane: bool) -> bytes:
    from unet2015.report.overlays import overlay_classes, overlay_em, overlay_instances

    if membrane:
        try:
            threshold = 0.5 if model.info.threshold is None else model.info.threshold
            return overlay_em(page.image, page.targets.classes == 1, page.probability, threshold)
        except UsageError:  # numba is an extra of its own
            return overlay_classes(page.image, page.targets.classes, page.classes)
    if model.info.class_names == ("background", "cell"):
        from scipy import ndimage

        known = page.targets.classes != IGNORED
        if (objects := model.info.objects) is None:
            found = ndimage.label((page.classes == 1) & known)[0]
        else:
            own = model.info.threshold if objects.threshold is None else objects.threshold
            found = label_page(np.where(known, page.probability, 0), 0.5 if own is None else own, objects)
        return overlay_instances(page.image, page.targets.cells, found)
    return overlay_classes(page.image, page.targets.classes, page.classes)


def _segmented(folder: Path, model: Model, device: str) -> list[_Page]:
    """Segment the held-out pages as the validation does; the training pages if none were held out.

    Raises
    ------
    UNet2015Error
        The images or labels are not where they were, have changed, or cannot be read.
    """
    settings = parse_settings(TrainingSettings, model.info.training.get("settings", {}), f"{folder}: model")
    predict = Predictor(model.network, choose_device(device))
    with ExitStack() as stack:
        axes, channel, scene = (model.info.training.get(name) for name in ("axes", "channel", "scene"))
        images = [
            (stack.enter_context(open_image(image, axes, channel=channel, scene=scene)), labels)
            for image, labels in training_files(folder, model)
        ]
        places = [(image, labels, number) for image, labels in images for number in range(image.pages)]
        files = [(Path(image.name), image.pages) for image, _ in images]
        chosen = held_out_pages(model, settings, files) or list(range(len(places)))
        if len(chosen) > MOST_PAGES:
            chosen = [chosen[k] for k in np.linspace(0, len(chosen) - 1, MOST_PAGES).astype(int)]
        # A file holds many pages: its labels are read, and its mapping is chosen, once.
        cut = settings.labels.threshold is not None
        read, mapped = lru_cache(1)(partial(read_labels, cut=cut)), lru_cache(1)(MappedImage)
        return [
            _segment(predict, model, settings, mapped(image, model.info.mapping), read(labels, axes), number)
            for image, labels, number in (places[k] for k in chosen)
        ]


def _segment(
    predict: Predictor,
    model: Model,
    settings: TrainingSettings,
    mapped: MappedImage,
    labels: Labels,
    number: int,
) -> _Page:
    image, tile = mapped.image, model.network.inference_tile(settings.optimisation.tile)
    file = table_name(image.path or Path(image.name))
    name = file if image.pages == 1 else f"{file} page {number}"
    if other := size_difference(image, labels):
        raise DataSetError(f"the labels of {file}: {other}")
    targets = make_targets(labels[number], settings.labels, name, numbered=True)
    source = PageSource(mapped, number)
    probabilities = segment_page(predict, model.network, source, (image.height, image.width), tile)
    classes = class_map(probabilities, model.info.threshold)
    pixels = image.read(number, 0, image.height, 0, image.width).mean(axis=0)
    return _Page(name, pixels, targets, probabilities[1], classes, len(probabilities))
