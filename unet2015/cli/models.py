"""``unet2015 models``: the models that come with the package."""

from typing import TYPE_CHECKING

from unet2015.cli.loading import loading
from unet2015.cli.options import Json
from unet2015.cli.output import print_json, print_message, print_rows

if TYPE_CHECKING:
    from unet2015.models import ShippedModel
    from unet2015.models.model_file import ModelInfo


def models(as_json: Json = False) -> None:
    """List the models that come with the package; segment takes them by name.

    It shows the purpose of each, what to cite, the terms of use, and how it was trained.
    """
    with loading():
        from unet2015.models import list_models

    found = list_models()
    if as_json:
        print_json([model.as_dict() for model in found])
        return
    for model in found:
        print_rows(model.name, _rows(model))
    if not found:
        print_message("no model comes with this copy of the package")


def _rows(model: "ShippedModel") -> dict[str, str]:
    from unet2015.models.trained_scale import trained_scale
    from unet2015.networks import describe

    info, record = model.info, model.info.training
    pixel = (scale := trained_scale(info)) and f", {scale} a pixel"
    rows = {
        "for": info.summary,
        "images": f"{info.modality}{pixel}, {info.dtype or 'any type'}, axes {info.axes}",
        "intensities": info.mapping.in_words(),
        "classes": ", ".join(info.class_names),
        "warning": "; ".join(info.doubts),
        "threshold": _thresholds(info),
        "objects": "" if info.objects is None else info.objects.describe(),
        "network": f"{describe(info.network)}, {model.bytes / 1e6:.1f} MB",
        "training": ", ".join(
            f"{record[key]} {words}"
            for key, words in (("training_pages", "pages"), ("step", "steps"), ("date", ""))
            if key in record
        ).strip(),
        "cite": info.citation,
        "terms": info.terms,
        "file": str(model.path),
    }
    return {name: text for name, text in rows.items() if text}


def _thresholds(info: "ModelInfo") -> str:
    if info.threshold is None:
        return ""
    named = ", ".join(f"{name} {value:g}" for name, value in info.thresholds.items())
    return f"{info.threshold:g}" + (f" ({named})" if named else "")
