"""``unet2015 export``: a model in formats of other programs."""

from pathlib import Path
from typing import Annotated

import typer

from unet2015.cli.loading import loading
from unet2015.cli.options import Axes, Json
from unet2015.cli.output import echo, print_json, print_message


def export(
    model: Annotated[
        str,
        typer.Argument(
            help="Model file, folder of a training, or a name that unet2015 models lists.", metavar="MODEL"
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Folder to write; only an earlier export is replaced.", metavar="DIR"
        ),
    ],
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="onnx, pt2 (ExportedProgram), torchscript (which PyTorch calls deprecated), "
            "safetensors, opencv (ONNX for OpenCV 4 and QuPath), or bioimageio (a package, and one with a "
            "halo); may be repeated.  [default: "
            "onnx, pt2 and safetensors]",
            metavar="NAME",
        ),
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(
            help="Put this mean of intensities into the graph, in place of each image's own; with "
            "several channels one for each, as 12,30.",
            metavar="NUMBERS",
        ),
    ] = None,
    deviation: Annotated[
        str | None, typer.Option(help="The same for the standard deviation.", metavar="NUMBERS")
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(help="Put the mapping of this image into the graph, for every image.", metavar="FILE"),
    ] = None,
    axes: Axes = None,
    as_json: Json = False,
) -> None:
    """Write a model in formats of other programs.

    Each file takes an image and gives probabilities. It is run on a test tile, and compared with the model,
    before it gets its name. A model card, the tile, and a record lie beside.
    """
    with loading():
        from unet2015.cli.output import show_messages
        from unet2015.exchange import ExportOptions, export_model
        from unet2015.exchange.export import DEFAULT

    show_messages()
    options = ExportOptions(
        formats=tuple(dict.fromkeys(formats or DEFAULT)),
        mean=_numbers(mean, "--mean"),
        deviation=_numbers(deviation, "--deviation"),
        image=image,
        axes=axes,
    )
    report = export_model(model, out, options)
    taken = report.intensities
    if as_json:
        print_json(
            {
                "formats": {
                    name: {"file": str(path), "largest_difference": report.differences[name]}
                    for name, path in report.paths().items()
                },
                "intensities": taken.as_dict(),
                "notes": list(report.notes),
            }
        )
    else:
        for name, path in report.paths().items():
            echo(
                f"{path}: differs from the model by at most {report.differences[name]:.1e} on the test tiles"
            )
    print_message(f"the graphs take {taken.takes}")
    if taken.scale is None:
        print_message(
            "no tile has what this needs, so the program that runs the graph must map the whole image "
            "first; --image FILE, or for a model that standardises --mean and --deviation, put fixed "
            "numbers into the graph"
        )


def _numbers(written: str | None, name: str) -> tuple[float, ...]:
    """Return numbers that are written with commas between them."""
    from unet2015.errors import UsageError

    try:
        return tuple(float(one) for one in written.split(",")) if written else ()
    except ValueError:
        raise UsageError(f"{name}: numbers with commas between them are needed, not {written!r}") from None
