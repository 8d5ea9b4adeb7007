"""Results go to standard output, messages to standard error.

What is printed may come from a file: its name, its metadata, an error about them. It is shown on one line,
and can neither steer the terminal nor look like another message. Programs read results as JSON, or paths.

Where standard output takes no more (a full disk, a reader that has ended), the command goes on, because its
files matter more than what it prints; `unprinted` tells `unet2015.cli.app` at the end.
"""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from unet2015.file_names import on_one_line, shown

if TYPE_CHECKING:
    from unet2015.segmentation.results import FileResult

_unprinted: list[OSError] = []


def echo(*lines: object) -> None:
    """Print lines of a result."""
    for line in lines:
        _print(_readable(line) if _is_terminal() else on_one_line(line))


def echo_path(path: object) -> None:
    """Print a path, exactly as it is for a program, in a readable form on a terminal."""
    _print(_readable(path) if _is_terminal() else str(path))


def print_json(value: Any) -> None:
    """Print a result as JSON."""
    _print(json.dumps(value, indent=2))


def print_message(message: object) -> None:
    """Print a message as one line on standard error."""
    typer.echo(f"unet2015: {_readable(' '.join(str(message).split()))}", err=True)


def print_error(error: object) -> None:
    """Print an error as one line on standard error."""
    print_message(f"error: {error}")


def print_files(results: "Sequence[FileResult]", as_json: bool) -> bool:
    """Print the outputs of each file, or all that is known of it as JSON, and the errors.

    Returns
    -------
    bool
        Whether a file failed.
    """
    if as_json:
        print_json([result.as_dict() for result in results])
    else:
        for path in dict.fromkeys(path for result in results for path in result.outputs):
            echo_path(path)
    errors = [result.error for result in results if result.error]
    for error in errors:
        print_error(error)
    if errors:
        print_error(f"{len(errors)} of {len(results)} files failed")
    return bool(errors)


def print_rows(title: str, rows: dict[str, str]) -> None:
    """Print a title and, below it, names and their values."""
    wide = max(map(len, rows), default=0)
    echo(title, *(f"  {name:<{wide}}  {text}" for name, text in rows.items()))


def unprinted() -> OSError | None:
    """Return why results could not be printed, once; None if all were."""
    found = _unprinted[0] if _unprinted else None
    _unprinted.clear()
    return found


def _readable(text: object) -> str:
    return on_one_line(shown(text))


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _print(text: str) -> None:
    if not _unprinted:
        try:
            typer.echo(text)
        except OSError as error:
            _unprinted.append(error)


def show_messages() -> None:
    """Show the messages of the package on standard error; calling this again does not repeat them."""
    import logging

    class Formatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return _readable(super().format(record))

    logger = logging.getLogger("unet2015")
    for earlier in [handler for handler in logger.handlers if handler.get_name() == show_messages.__name__]:
        logger.removeHandler(earlier)
    handler = logging.StreamHandler()
    handler.set_name(show_messages.__name__)
    handler.setFormatter(Formatter("unet2015: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
