"""Options of the commands that find objects."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unet2015.settings.choices import LabelType, RegionFormat

if TYPE_CHECKING:
    from unet2015.settings.objects import ObjectSettings

Smallest = Annotated[
    int | None,
    typer.Option(help="Leave out objects with fewer pixels than this, holes included.", metavar="PIXELS"),
]
OfClass = Annotated[
    int | None,
    typer.Option("--class", help="The class of objects, if there are more than two classes.", metavar="N"),
]
Split = Annotated[
    str | None,
    typer.Option(
        help="Divide objects that touch, by a watershed from markers: parts in which the blurred probability "
        "is above LEVEL; BLUR is in pixels.",
        metavar="LEVEL,BLUR|none",
    ),
]
KeepHoles = Annotated[
    bool | None,
    typer.Option("--keep-holes/--fill-holes", help="Whether holes in objects stay.", show_default=False),
]
Frame = Annotated[
    int | None,
    typer.Option(
        help="Leave out objects that lie wholly within this distance of the border.", metavar="PIXELS"
    ),
]
Corners = Annotated[
    bool | None,
    typer.Option(
        "--corners/--edges",
        help="Whether pixels that share only a corner belong together.",
        show_default=False,
    ),
]
LabelTypeOption = Annotated[
    LabelType | None,
    typer.Option(
        "--label-type",
        help="Type of the labels; more objects than it can number are an error.  [default: the smaller one "
        "that holds them]",
    ),
]
Regions = Annotated[
    RegionFormat | None,
    typer.Option(
        help="Also write the outlines of objects: for ImageJ's ROI Manager, as GeoJSON for QuPath, or both.",
    ),
]
Overlay = Annotated[
    bool,
    typer.Option("--overlay", help="Also write a preview: the image with the outlines of its objects."),
]
OverlayJpeg = Annotated[
    bool, typer.Option("--overlay-jpeg", help="Also write this preview as JPEG, which is smaller.")
]
Parquet = Annotated[
    bool, typer.Option("--parquet", help="Also write the tables of objects as Parquet, for data frames.")
]


def object_settings(
    *,
    smallest: int | None = None,
    of_class: int | None = None,
    split: str | None = None,
    keep_holes: bool | None = None,
    frame: int | None = None,
    corners: bool | None = None,
    threshold: float | None = None,
) -> "ObjectSettings":
    """Return the settings that options mean; what is None is left to the model, or to the defaults."""
    from unet2015.settings.objects import ObjectSettings
    from unet2015.settings.reading import parse_settings

    given: dict[str, Any] = {
        "smallest": smallest,
        "of_class": of_class,
        "fill_holes": None if keep_holes is None else not keep_holes,
        "frame": frame,
        "connectivity": None if corners is None else 1 + corners,
        "threshold": threshold,
    }
    values = {name: value for name, value in given.items() if value is not None}
    if split is not None:
        values["markers"] = _markers(split)
    return parse_settings(ObjectSettings, values, "options of objects")


def check_unused(settings: "ObjectSettings", views: Sequence[str]) -> None:
    """Raise `UsageError` if options are about objects, which are not wanted."""
    from unet2015.errors import UsageError

    if settings.model_fields_set:
        raise UsageError(
            "--smallest, --class, --split, --keep-holes, --frame and --corners say what objects are; they "
            "need --objects"
        )
    if views:
        raise UsageError("--regions, --overlay and --parquet are made of objects; they need --objects")


def _markers(text: str) -> dict[str, float] | None:
    from unet2015.errors import UsageError

    if text.strip().lower() == "none":
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 2 and parts[0] in ("0", "1") and parts[1].isdecimal():
        whole, rest = parts
        raise UsageError(
            f"--split {text!r}: a level with a decimal comma, or LEVEL,BLUR? A level of {whole} divides "
            f"nothing or hardly anything; write {whole}.{rest},2 for the first, with a blur such as 2 px, or "
            f"{whole}.0,{rest} for the second"
        )
    expected = f"--split {text!r}: expected LEVEL,BLUR such as 0.8,2 (a probability and pixels), or none"
    try:
        level, blur = map(float, parts)
    except ValueError:
        raise UsageError(expected) from None
    if parts[0] in ("0", "1"):
        raise UsageError(
            f"{expected}; LEVEL comes first, and one of {parts[0]} divides nothing or hardly anything: write "
            f"{parts[0]}.0,{parts[1]} if that is meant"
        )
    return {"level": level, "blur": blur}


def views_of(regions: RegionFormat | None, **wanted: bool) -> tuple[str, ...]:
    """Return the names of the views that options ask for."""
    outlines = () if regions is None else ("imagej", "geojson") if regions == "both" else (regions,)
    return (*outlines, *(name.replace("_", "-") for name, given in wanted.items() if given))
