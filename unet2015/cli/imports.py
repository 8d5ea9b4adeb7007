"""``unet2015 import``: models of other programs."""

from pathlib import Path
from typing import Annotated

import typer

from unet2015.cli.loading import loading
from unet2015.cli.output import echo_path, show_messages

app = typer.Typer(help="Read a model of another program.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _only() -> None:
    """Read a model of another program."""


@app.command()
def caffe(
    file: Annotated[Path, typer.Argument(help="A .caffemodel, such as phseg_v5.caffemodel.", metavar="FILE")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Model file to write; only an earlier import is replaced.", metavar="MODEL"
        ),
    ],
) -> None:
    """Read the weights of the authors' release (Caffe, 2015) as a model of this program.

    The file is only read, nothing in it is run. Another network than that of the release is refused, and the
    message names the first layer that differs.
    """
    with loading():
        from unet2015.errors import UsageError
        from unet2015.exchange.caffe import import_caffe
        from unet2015.models.model_file import save_model
        from unet2015.safe_files import RecordedOutput, atomic_path

    show_messages()
    if out.suffix.lower() != ".safetensors":
        raise UsageError(f"{out}: a model file's name must end in .safetensors")
    model = import_caffe(file)
    came = model.info.training["imported_from"]
    output = RecordedOutput(out, "import", {"input": str(file.resolve()), "input_sha256": came["sha256"]})
    output.check()
    with atomic_path(out, output) as temporary:
        save_model(temporary, model.network, model.info)
    echo_path(out)
