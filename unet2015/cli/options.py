"""Options that several subcommands share, and the settings that they change."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from unet2015.settings.choices import LabelKind

Axes = Annotated[
    str | None,
    typer.Option(
        "--axes",
        help="Axes of the files, slowest first, such as TZCYX; only where a file does not say or is wrong.",
        metavar="AXES",
    ),
]
AxesOfResults = Annotated[
    str | None,
    typer.Option(
        "--axes",
        help="Axes of the maps or labels, slowest first, such as TZYX; only where a file does not say or is "
        "wrong. Those of --images are found: in the file or, where segment --axes gave them, in the record.",
        metavar="AXES",
    ),
]
Channel = Annotated[
    str | None,
    typer.Option(
        help="Use one channel of the images alone: its number from 0, its name, or both as 1:GFP; inspect "
        "shows what there is.",
        metavar="N|NAME",
    ),
]
Scene = Annotated[
    str | None,
    typer.Option(
        help="Of a CZI, ND2 or LIF file with several images (scenes, positions, series) take this one: its "
        "number from 0, its name, or both as 1:A2.",
        metavar="N|NAME",
    ),
]
PixelSize = Annotated[
    str | None,
    typer.Option(
        help="Side of a pixel in micrometres, or HEIGHT,WIDTH, for files that do not say it. One that says "
        "another is refused.",
        metavar="UM",
    ),
]
ReplacePixelSize = Annotated[
    bool,
    typer.Option("--replace-pixel-size", help="Take --pixel-size where the file says another, too."),
]
KIND_HELP = (
    "What the label values mean. instances: 0 is background, every other value a cell. mask: 0 is "
    "background, all else cells, one for each connected part. membrane: 0 is membrane, all else the inside "
    "of cells. classes: the values are classes."
)
LabelKindOption = Annotated[
    LabelKind | None, typer.Option(help=f"{KIND_HELP}  [default: as in the settings]")
]
Ignore = Annotated[
    int | None, typer.Option(help="Label value of pixels that are not annotated.", metavar="VALUE")
]
LabelThreshold = Annotated[
    int | None,
    typer.Option(
        help="Lowest label value of a cell, for masks blurred by JPEG (mask, membrane): 128 is half.",
        metavar="VALUE",
    ),
]
Images = Annotated[
    list[Path],
    typer.Option("--images", help="File, folder or pattern in quotes; may be repeated.", metavar="PATH"),
]
Labels = Annotated[
    list[Path],
    typer.Option(
        "--labels",
        help="The same for the labels; several files go with the images of the same name.",
        metavar="PATH",
    ),
]
Settings = Annotated[
    Path | None,
    typer.Option(
        help="Settings: a TOML file, or the name of settings that are shipped: ronneberger2015 (the "
        "paper's), quick (two cores, minutes), gpu (full width, bfloat16), or a kind of network, such as "
        "vgg19: its published recipe.  [default: ronneberger2015; to train on a CPU: quick; with "
        "--network: the published recipe of that]",
        metavar="NAME|FILE",
    ),
]
StartModel = Annotated[
    Path | None,
    typer.Option(
        "--from",
        help="Fine-tune this model: a model file, the RUN_DIR of a training, or a name that models "
        "lists. Network and mapping are the model's.",
        metavar="MODEL",
    ),
]
Validate = Annotated[
    list[str] | None,
    typer.Option(
        help="Pages held out, counted from 0 over all files, such as 24-29 or 3,7,20-22, or images by "
        "name, such as t3.tif,t9.tif; may be repeated.  [default: the last fifth]",
        metavar="PAGES",
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.", metavar="DEVICE")]
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]


def of_training_set(
    kind: LabelKind | None, threshold: int | None, ignore: int | None, pages: Sequence[str] | None
) -> dict[str, Any]:
    """Return, for `changes`, what the options say of a training set: its labels, and the pages held out."""
    return {
        "labels": {"kind": kind, "threshold": threshold, "ignore": ignore},
        "validation": {"pages": ",".join(pages) if pages else None},
    }


def changes(**given: Any) -> dict[str, Any]:
    """Return the settings that options change, nested as in the settings file.

    Parameters
    ----------
    **given
        Values, and sections as mappings of values; None if an option is not given.
    """
    return {
        name: changes(**value) if isinstance(value, dict) else value
        for name, value in given.items()
        if value is not None
    }
