"""``unet2015 report``: what a training did, as one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from unet2015.cli.options import Device
from unet2015.cli.output import show_messages


def report(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a training.", metavar="RUN_DIR")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The report.  [default: RUN_DIR/report.html]", metavar="FILE.html"),
    ] = None,
    device: Device = "auto",
) -> None:
    """Write a report of a training: one HTML file that needs no network.

    Curves, measures, settings and the training record; and, where images and labels are still where they
    were, the best, median and worst held-out page with what is wrong marked.
    """
    from unet2015.report.run import report_run

    show_messages()
    typer.echo(report_run(run_dir, out, device=device))
