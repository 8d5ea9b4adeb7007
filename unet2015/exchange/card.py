"""The model card: what the model's own record says of it, as a page to read."""

from collections.abc import Iterator, Mapping
from typing import Any

from unet2015 import networks
from unet2015.exchange.channels import channel_names
from unet2015.exchange.graph import Halo
from unet2015.exchange.intensities import Intensities
from unet2015.file_names import on_one_line
from unet2015.models.model_file import Model, ModelInfo
from unet2015.models.trained_scale import trained_scale

PAPER = "Ronneberger, Fischer, Brox 2015, doi:10.1007/978-3-319-24574-4_28"
_MEASURES = {
    "f1": "F1 of pixels",
    "pixel_error": "pixel error",
    "cross_entropy": "cross-entropy",
    "auc": "area under the ROC curve",
}
_MEAN_F1 = "mean F1 of pixels over the classes from 1 on"


def model_card(
    model: Model, intensities: Intensities, files: Mapping[str, str], halo: Halo | None = None
) -> str:
    """Return the card as Markdown.

    Parameters
    ----------
    model : Model
    intensities : Intensities
        What its graphs take.
    files : mapping
        What each file of the export is, by its name.
    halo : Halo, optional
        If given, of graphs whose output is as large as their input.
    """
    info = model.info
    title = info.name or (model.path.stem if model.path else "model")
    lines = [
        f"# {on_one_line(title)}",
        "",
        info.summary or "A model of unet2015; its file does not say of what.",
        "",
    ]
    lines += [*_warning(model, intensities), "| | |", "| --- | --- |"]
    lines += [f"| {name} | {_cell(text)} |" for name, text in _rows(model, intensities).items() if text]
    lines += ["", "## Files", "", "| file | |", "| --- | --- |"]
    lines += [f"| `{name}` | {_cell(text)} |" for name, text in files.items()]
    lines += ["", *_sizes(info, halo), "", "## Data and training", "", *_training(info)]
    lines += ["", "## Validation", "", *_validation(info)]
    lines += ["", "## Terms", "", info.terms or "The model file does not say; ask who trained it.", ""]
    lines += ["Cite:", "", f"- {info.citation or PAPER}", "", "## What it is not for", "", *_not_for(info)]
    return "\n".join(lines) + "\n"


def _warning(model: Model, intensities: Intensities) -> list[str]:
    said = [f"{doubt[0].upper()}{doubt[1:]}" for doubt in model.doubts]
    said += [
        f"Of the image that the intensities are of ({intensities.source}): {n}" for n in intensities.notes
    ]
    return [line for one in said for line in (f"**{_cell(one)}**", "")]


def _rows(model: Model, intensities: Intensities) -> dict[str, str]:
    info = model.info
    pixel = (scale := trained_scale(info)) and f"trained at {scale}"
    threshold = (
        "" if info.threshold is None else f"{info.threshold:g}: a higher probability of class 1 is class 1"
    )
    return {
        "images": f"{info.in_channels} channel(s){_channels(info)}; "
        f"{info.modality or 'the kind of image is not in the model file'}",
        "pixel size": pixel,
        "the graphs take": f"float32 (batch, {info.in_channels}, height, width); {intensities.takes}",
        "the graphs give": f"float32 (batch, {info.classes}, height, width): probabilities, softmax included",
        "classes": ", ".join(f"{value} {name}" for value, name in enumerate(info.class_names)),
        "threshold": threshold,
        "network": networks.describe(info.network),
        "model file": f"SHA-256 `{model.sha256}`" if model.sha256 else "",
    }


def _channels(info: ModelInfo) -> str:
    """Return what is known of the channels, in the order in which the network reads them."""
    return f": {', '.join(names)}" if (names := channel_names(info)) else ""


def _sizes(info: ModelInfo, halo: Halo | None) -> Iterator[str]:
    """Say which sides are legal, and how to put tiles together."""
    sides = networks.geometry(info.network)
    smallest, step, margin = sides.smallest, sides.factor, sides.margin
    if halo is not None:
        yield (
            f"Height and width of a block: {halo.smallest} + k * {step} pixels, k = 0, 1, 2 ... The "
            f"output has the same size; {halo.halo} pixels on each side of it are to be thrown away. "
            f"Blocks must begin at multiples of {step} pixels less {halo.halo}, also the last one, and "
            "the image be mirrored at its border without repeating the edge pixel; else the answer is "
            "another."
        )
        yield from _exactness(sides.exact)
        return
    more = "any number" if step == 1 else f"k * {step}"
    yield (
        f"Height and width of the input: {smallest} + {more} pixels, k = 0, 1, 2 ... The output is "
        f"{margin} pixels smaller on each side. Other sizes give an error or a wrong answer, as the "
        "program has it that runs the graph."
    )
    yield from _exactness(sides.exact)
    if step > 1:
        yield ""
        yield (
            f"Larger images: mirror {margin} pixels at each border (without repeating the edge pixel), "
            f"and place tiles at multiples of {step} pixels, also the last one, which runs past the "
            "border. Tiles elsewhere meet the poolings at other pixels and give another answer."
        )


def _exactness(exact: bool) -> Iterator[str]:
    if not exact:
        yield ""
        yield "This network's answer depends on where tiles end: tiles are not equal to the whole image."


def _training(info: ModelInfo) -> Iterator[str]:
    record = info.training
    if not record:
        yield "The model file has no record of a training."
        return
    for key, words in (
        ("training_pages", "pages to train on"),
        ("step", "steps"),
        ("device", "device"),
        ("date", "date"),
    ):
        if isinstance(record.get(key), str | int | float):
            yield f"- {words}: {_cell(record[key])}"
    settings = record.get("settings")
    rule = settings.get("optimisation") if isinstance(settings, dict) else None
    if isinstance(rule, dict) and {"optimizer", "loss", "tile", "batch"} <= rule.keys():
        yield "- {optimizer}, {loss}, batches of {batch} tile(s) of {tile} px".format(**rule)
    yield "- all of its settings stand in the model file, and in `model.json` of an export as safetensors"


def _validation(info: ModelInfo) -> Iterator[str]:
    measured = info.training.get("validation")
    found = measured if isinstance(measured, dict) else {}
    words_of = _MEASURES | ({} if info.classes == 2 else {"f1": _MEAN_F1, "pixel_error": f"1 - {_MEAN_F1}"})
    numbers = {words: found[key] for key, words in words_of.items() if isinstance(found.get(key), float)}
    if not numbers:
        yield "The model file has no measures. Measure it on labelled images that it has not seen."
        return
    yield from (f"- {words}: {value:.4f}" for words, value in numbers.items())
    where = info.training.get("thresholds")
    if info.training.get("validation_pages") == 0:
        where = "on the very pages that it was trained on, as none was held out; others are worse"
    yield from _at_threshold(info, found.get("threshold"))
    yield ""
    yield (
        f"Measured by the training itself{f' ({_cell(where)})' if isinstance(where, str) else ''}. Not "
        "measured: any other data. To validate it on yours: `unet2015 evaluate pixels --truth LABELS "
        "--result RESULTS`."
    )


def _at_threshold(info: ModelInfo, measured: Any) -> Iterator[str]:
    """Say at which threshold F1 and pixel error were measured, where there is one."""
    if info.classes != 2 or not isinstance(measured, float):
        return
    yield ""
    said = f"F1 and pixel error are those at the threshold {measured:g}, the best one for F1"
    if info.threshold in (None, measured):
        yield f"{said}."
        return
    chosen = "" if info.threshold_name is None else f" ({info.threshold_name})"
    yield (
        f"{said}. The threshold of this model is another one, {info.threshold:g}{chosen}: they are "
        f"not better there, and were not measured. `unet2015 segment --threshold {measured:g}` takes that of "
        "these figures."
    )


def _not_for(info: ModelInfo) -> Iterator[str]:
    kind = info.modality or "those of its training"
    yield f"- Images of another kind than {kind}: look at the result before you use it."
    if scale := trained_scale(info):
        yield f"- Pixels far from {scale}: bring the images to that size first."
    yield "- Counts, sizes or diagnoses without a look at the pictures."


def _cell(text: Any) -> str:
    """Return a text on one line, in which nothing ends a cell of a table."""
    return on_one_line(text).replace("|", "\\|")
