"""``unet2015 report``: what a training did, as one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from unet2015.cli.loading import loading
from unet2015.cli.options import Device
from unet2015.cli.output import echo_path, show_messages


def report(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a training.", metavar="RUN_DIR")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The report.  [default: RUN_DIR/report.html]", metavar="FILE.html"),
    ] = None,
    device: Device = "auto",
) -> None:
    """Write a report of a training: one HTML file that needs no network.

    It shows curves, measures, settings and the training record. If images and labels are still at the
    same paths, it also shows the best, median and worst held-out page, with errors marked.
    """
    with loading():
        from unet2015.report.run import report_run

    show_messages()
    echo_path(report_run(run_dir, out, device=device))
