"""The validations of a training in its report: a warning, a summary, a table."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from unet2015.metrics import MEASURES
from unet2015.models.doubts import doubts_of_measures
from unet2015.models.model_file import Model, ModelInfo
from unet2015.models.training_pages import why_unknown
from unet2015.networks import describe
from unet2015.report.html import Row, RowKind, Section, Table
from unet2015.report.kept import kept, other_model
from unet2015.safe_files import UNSIGNED
from unet2015.settings.lengths import that_count
from unet2015.training.object_maps import OF_PARTS, PARTS
from unet2015.training.validation import class_figures

_COLUMNS = {
    "step": "step",
    "validation_pixel_error": MEASURES["pixel_error"].symbol,
    "validation_f1": MEASURES["f1"].symbol,
    "validation_baseline": f"{MEASURES['f1'].symbol} of one answer",
    "validation_auc": "AUC",
    "validation_threshold": "threshold",
    "validation_cross_entropy": "cross-entropy",
}
"""The columns of the table: keys in a line of the log, and their titles."""
_OF_TWO = (
    "Pixel error is 1 - F1 of what is not background, pooled over the annotated pixels, at the best "
    "threshold; beside it the F1 of the best constant answer, every pixel called the same. AUC, the area "
    "under the ROC curve, is 0.5 for guessing."
)
_OF_CLASSES = (
    "Pixel error is 1 - F1, and F1 the mean over the classes from 1 on that occur, where each pixel has its "
    "most probable class, pooled over the annotated pixels; a class that does not occur but is called counts "
    "as 0, the less the fewer pixels are called so. Beside it that of the best constant answer, every pixel "
    "called the same."
)


def alert(model: Model | None, checks: list[dict[str, Any]]) -> str:
    """Return why the model is not reliable, or not the last one; empty where nothing is known against it.

    `checks` are the validations in the log.
    """
    if model is None:
        return ""
    info, said = model.info, []
    if info.learned is False:
        why = "; ".join(info.why_not_learned) or "no reason is recorded"
        said.append(f"This network has not learned: {why}.")
    if info.ended is False:
        said.append("The training has not ended: this is its best model so far.")
    said += [f"{doubt[0].upper()}{doubt[1:]}." for doubt in doubts_of_measures(info.training)]
    if not model.checked:
        said.append(f"The model file {UNSIGNED}.")
    return " ".join([*said, *filter(None, [other_model(checks, model)])])


def other_settings(settings: dict[str, Any] | None, model: Model | None) -> str:
    """Return that settings.json is not what the model says of its training; empty where it is, or unknown."""
    trained = None if model is None else model.info.training.get("settings")
    if settings is None or not isinstance(trained, dict):
        return ""
    settings, trained = that_count(settings), that_count(trained)
    if settings == trained:
        return ""
    changed = sorted(key for key in {*settings, *trained} if settings.get(key) != trained.get(key))
    return (
        f"settings.json was changed after the training: it differs from the model's own record in "
        f"{', '.join(changed)}, and the record counts."
    )


def summary(model: Model | None, steps: int, checks: list[dict[str, Any]]) -> str:
    """Return the outcome of a training in a few sentences."""
    if model is None or not checks:
        return (
            f"After {steps} steps there is no model yet: the training has not come to its first validation."
        )
    info, record = model.info, model.info.training
    best = kept(checks, model)
    error = best["validation_pixel_error"]
    network = describe(info.network)
    pages = record.get("training_pages")
    trained = f", trained for {steps} steps" + (f" on {pages} pages" if pages else "")
    held_out = record.get("validation_pages")
    where = f"the {held_out} held-out pages" if held_out else "the training pages themselves"
    once = "" if held_out else " On other pages nothing was measured."
    measured = (
        f"F1 is undefined on {where} (none of their pixels is of a class from 1 on); by cross-entropy best"
        if error is None
        else f"Pixel error ({_one_less(info.classes)}) {error:.4f} on {where},"
    )
    return (
        f"{network}{trained}. {measured} after {best['step']} steps.{once}{_gain(model, checks)}\n\n"
        "Best step and threshold were chosen on the same pages; a score on pages that took no part in either "
        f"is likely to be a little worse.{_other_threshold(info, best.get('validation_threshold'))}"
    )


def _other_threshold(info: ModelInfo, measured: Any) -> str:
    """Say that a model has another threshold than the one at which its figures were measured."""
    if not isinstance(measured, float) or info.threshold in (None, measured):
        return ""
    return (
        f" The pixel error is that at the threshold {measured:g}; the model's own is {info.threshold:g}, at "
        "which it is not smaller."
    )


def measured_on(model: Model | None) -> str:
    """Return which pages a training was measured on, for a title."""
    held_out = None if model is None else model.info.training.get("validation_pages")
    return "Training" if held_out == 0 else "Held-out"


def _one_less(classes: int) -> str:
    return "1 - F1" if classes == 2 else "1 - the mean F1 of the classes from 1 on"


def _gain(model: Model, checks: list[dict[str, Any]]) -> str:
    """Return how good the model was that a fine-tuning started from; empty for drawn weights."""
    start = model.info.training.get("start")
    if not isinstance(start, dict) or checks[0]["step"] != 0:
        return ""
    error = checks[0]["validation_pixel_error"]
    shown = f"cross-entropy {checks[0]['validation_cross_entropy']:.4f}" if error is None else f"{error:.4f}"
    unknown = f" {why[0].upper()}{why[1:]}." if (why := why_unknown(model.info.training)) else ""
    return f" It was {shown} before fine-tuning ({start.get('model')}).{unknown}"


def measures(
    checks: list[dict[str, Any]], model: Model | None = None, lines: Sequence[dict[str, Any]] = ()
) -> Section:
    """Return the section with the figures of the first, the best and the last validation.

    `lines` are those of the log, which say where phases begin; `model` has its own in its record.
    """
    title = "Measures"
    if not checks:
        return Section(title, "No validation has been made yet.")
    best = kept(checks, model)

    def row(name: str, line: dict[str, Any], kind: RowKind = "other") -> Row:
        return Row([name, *(line.get(key) for key in _COLUMNS)], kind)

    begun = checks[0]["step"] == 0
    before = "before: the model that was started from" if begun else "the first validation"
    titles = ("the model kept (best)", "the last validation", before)
    rows = [row(titles[0], best, "ours"), row(titles[1], checks[-1]), row(titles[2], checks[0])]
    several = best.get("validation_threshold") is None  # of more than two classes there is none
    note = f"{_OF_CLASSES if several else _OF_TWO} Cross-entropy is without weights, in nats. The official "
    table = Table("Validation", ["", *_COLUMNS.values()], rows, f"{note}measures: unet2015 evaluate.")
    each = _classes([*zip(titles, (best, checks[-1], checks[0]), strict=True)], model)
    return Section(title, tables=[table, *each, *_phases(checks, lines, model)])


def _classes(lines: Sequence[tuple[str, dict[str, Any]]], model: Model | None) -> list[Table]:
    """Return the table of the F1 of each class; none where there are two classes, or no such figures."""
    found = [(name, class_figures(line.get("validation_by_class"))) for name, line in lines]
    if (of_model := found[0][1]) is None:
        return []
    names = [f"class {number}" for number in range(len(of_model))]
    if model is not None and len(model.info.class_names) == len(names):
        names = list(model.info.class_names)
    rows = [
        Row([name, *(f1 for f1, _ in figures)], "other" if number else "ours")
        for number, (name, figures) in enumerate(found)
        if figures is not None and len(figures) == len(names)
    ]
    rows.append(Row(["every pixel called so", *(chance for _, chance in of_model)]))
    note = "Each class by itself, pooled over the annotated pixels."
    return [Table("F1 of each class", ["", *names], rows, note)]


def _phases(
    checks: list[dict[str, Any]], lines: Sequence[dict[str, Any]], model: Model | None
) -> list[Table]:
    """Return the table of the phases, where there are several."""
    begins = [line for line in lines if "phase" in line]
    if not begins:
        return []
    last = max(line["step"] for line in lines)
    starts = [0, *(line["step"] for line in begins)]
    rows = []
    for number, (first, end) in enumerate(pairwise([*starts, last]), 1):
        of_phase = [line for line in checks if first < line["step"] <= end]
        found = [line["validation_f1"] for line in of_phase if line["validation_f1"] is not None]
        entropy = min((line["validation_cross_entropy"] for line in of_phase), default=None)
        start = begins[number - 2].get("of") if number > 1 else None
        rows.append(Row([str(number), start, first + 1, end, max(found, default=None), entropy]))
    columns = [
        "phase",
        "from the weights of step",
        "first step",
        "last step",
        "best F1",
        "lowest cross-entropy",
    ]
    note = f"{measured_on(model)} pages; a phase may end early, by its patience."
    return [Table("Phases", columns, rows, note)]


def objects_chosen(info: ModelInfo) -> str:
    """Return a sentence on what counts as an object; empty if the training did not choose it."""
    measured = info.training.get("objects")
    if info.objects is None or not isinstance(measured, dict):
        return ""
    quality, plain = measured.get("panoptic_quality"), measured.get("plain")
    of_parts = OF_PARTS if measured.get("truth") == PARTS else ""
    return (
        f"Objects: {info.objects.describe()}; panoptic quality {quality}{of_parts}, with connected parts "
        f"above the model's threshold {plain}."
    )
