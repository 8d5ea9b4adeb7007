"""``unet2015 replay``: tests whether a segmentation gives the same bytes again."""

from pathlib import Path
from typing import Annotated

import typer

from unet2015.cli.loading import loading
from unet2015.cli.options import Json
from unet2015.cli.output import echo, print_json, show_messages


def replay(
    record: Annotated[
        Path, typer.Argument(help="Record beside a result: NAME.record.json.", metavar="RECORD")
    ],
    image: Annotated[
        Path | None,
        typer.Option("--input", help="Where the input is now.  [default: as recorded]", metavar="FILE"),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="Where the model is now.  [default: as recorded]", metavar="MODEL"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Repeat the segmentation of a record, in a temporary folder, and compare the bytes.

    What lies beside the record by the names of the results is compared as well. The exit status is 0 if all
    are the same; 1 if not, or if input or model are missing or changed.
    """
    with loading():
        from unet2015.segmentation.replay import replay as run

    show_messages()
    found = run(record, image, model)
    if as_json:
        print_json(found.as_dict())
    else:
        echo(*found.describe().split("\n"))
    if not found.same:
        raise typer.Exit(1)
