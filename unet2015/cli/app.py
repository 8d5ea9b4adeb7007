"""The command ``unet2015``: its subcommands, and how errors become messages and exit statuses.

Nothing heavy is imported here or at the top of a subcommand's file, so that ``--help`` is fast.
"""

import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn, cast

import typer

from unet2015 import __version__
from unet2015.cli.check import check
from unet2015.cli.evaluate import app as evaluate
from unet2015.cli.export import export
from unet2015.cli.imports import app as imports
from unet2015.cli.inspect import inspect
from unet2015.cli.label import label, measure
from unet2015.cli.models import models
from unet2015.cli.networks import networks
from unet2015.cli.output import print_error, print_message, unprinted
from unet2015.cli.replay import replay
from unet2015.cli.report import report
from unet2015.cli.segment import segment
from unet2015.cli.streams import give_up, steady_streams
from unet2015.cli.train import train
from unet2015.cli.weights import weights
from unet2015.errors import LESS_MEMORY, UNet2015Error

# Typer's only public name among its parser's errors, whose module differs between versions.
_BadCall = cast(type[Exception], typer.BadParameter.__base__)

_ENDING = (
    "Exit status: 0 all done, 1 some inputs failed, 2 wrong usage or settings, 3 a training that has not "
    "learned, 130 interrupted."
)

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_ENDING,
)
for command in (
    inspect,
    check,
    weights,
    train,
    segment,
    label,
    measure,
    replay,
    report,
    models,
    networks,
    export,
):
    app.command(epilog=_ENDING)(command)
app.add_typer(evaluate, name="evaluate", epilog=_ENDING)
app.add_typer(imports, name="import", epilog=_ENDING)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave Python with its exit status."""
    with steady_streams():
        status = _run(arguments)
        failed = unprinted()
        try:
            sys.stdout.flush()
        except OSError as error:
            failed = failed or error
        if failed:
            give_up(sys.stdout)
            if not isinstance(failed, BrokenPipeError):  # then the reader, such as head, has what it wanted
                print_error(f"standard output: {failed.strerror or failed}; not all results were printed")
    sys.exit(status or int(failed is not None))


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"unet2015 {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop."),
    ] = False,
) -> None:
    """Train the U-Net of 2015, and segment microscopy images of any size with it."""


def _run(arguments: Sequence[str] | None) -> int:
    """Run a subcommand; return the exit status, with one line on standard error where it is not 0."""
    given = sys.argv[1:] if arguments is None else arguments
    if empty := next((one or '""' for one in given if re.fullmatch("|--[a-z0-9-]+=", one)), None):
        # As a path it would be the current folder, with all images in it.
        return _fail(f"{empty} is an empty argument, as of an unset variable of the shell; give a value", 2)
    try:
        status = app(args=arguments, prog_name="unet2015", standalone_mode=False)
    except UNet2015Error as error:
        return _fail(str(error), error.exit_status)
    except _BadCall as error:
        return _fail(_call_message(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    except MemoryError:
        return _fail(f"out of memory; {LESS_MEMORY}", 1)
    except BrokenPipeError:
        return 1
    except OSError as error:
        named = isinstance(error.filename, str) and error.strerror
        return _fail(f"{error.filename}: {error.strerror}" if named else str(error), 1)
    if status == 130:  # older parsers raise, newer ones return it
        print_message("interrupted")
    return int(status or 0)


def _fail(message: str, status: int) -> int:
    print_error(message)
    return status


def _call_message(error: Any) -> str:
    """Say what is wrong with the call, and which help to read."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "unet2015"
    message = error.format_message().rstrip(".").replace(": Value error, ", ": ")
    if "extra argument" in message:
        message += "; put a pattern in quotes, or repeat its option"
    return f"{message} (see {command} --help)"
