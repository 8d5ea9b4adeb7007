"""``unet2015 weights``: the weight map as an image to look at."""

from pathlib import Path
from typing import Annotated

import typer

from unet2015.cli.loading import loading
from unet2015.cli.options import KIND_HELP, Axes, Ignore
from unet2015.cli.output import echo_path, print_message, show_messages
from unet2015.settings.choices import Gaps, LabelKind


def weights(
    labels: Annotated[Path, typer.Argument(help="Label image.", metavar="LABELS")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="TIFF to write; only an earlier weight map is replaced.", metavar="OUT"
        ),
    ],
    w0: Annotated[float, typer.Option(help="Weight of the gaps between cells.")] = 10.0,
    sigma: Annotated[float, typer.Option(help="Width of the gaps that matter, in pixels.")] = 5.0,
    gaps: Annotated[
        Gaps,
        typer.Option(
            help="Where the second term is added: on background alone, as the authors' later plugin does, or "
            "everywhere, as the equation is printed."
        ),
    ] = "background",
    label_kind: Annotated[LabelKind, typer.Option(help=KIND_HELP)] = "instances",
    ignore: Ignore = None,
    axes: Axes = None,
) -> None:
    """Write a weight map to look at.

    It is the weight map of the paper's equation 2, as a 32-bit TIFF with the axes and pixel size of the
    labels, and a record beside it. The labels are not changed: no separation border is drawn between
    touching cells.
    """
    with loading():
        from unet2015.errors import LabelError, UsageError
        from unet2015.images.reader import open_image, read_pages
        from unet2015.images.writer import ImageWriter
        from unet2015.safe_files import RecordedOutput, Unchanged, claim_outputs
        from unet2015.training.checks.label_file import doubts
        from unet2015.training.weight_map import weigh

    show_messages()
    if out.suffix.lower() not in (".tif", ".tiff"):
        raise UsageError(f"{out}: the weight map is a TIFF, so its name must end in .tif or .tiff")
    if out.exists() and out.samefile(labels):
        raise UsageError(f"{out}: the weight map would replace the labels; choose another name")
    watch = Unchanged(labels)
    pages = read_pages(labels, axes)
    settings = {
        "w0": w0,
        "sigma": sigma,
        "gaps": gaps,
        "label_kind": label_kind,
        "ignore": ignore,
        "axes": axes,
    }
    said = {"input": str(labels.resolve()), "input_sha256": watch.sha256, "settings": settings}
    output = RecordedOutput(out, "weights", said)
    output.check()
    try:
        weighed = weigh(pages, w0, sigma, gaps=gaps, kind=label_kind, class_weights="balanced", ignore=ignore)
    except LabelError as error:
        raise LabelError(f"{labels}: {str(error).removeprefix('labels: ')}") from error
    for line in doubts(pages, str(labels), label_kind, ignore):
        print_message(line)
    with (
        claim_outputs(out, output.paths),
        open_image(labels, axes, labels=True) as like,
        ImageWriter(out, like, weighed.dtype, guard=output) as writer,
    ):
        for note in writer.lost:
            print_message(f"{labels}: {note}")
        for page in weighed:
            writer.write(page)
    echo_path(out)
