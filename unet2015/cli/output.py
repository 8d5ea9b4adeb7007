"""Results go to standard output, messages to standard error."""

import json
from typing import Any

import typer

from unet2015.file_names import shown


def print_json(value: Any) -> None:
    """Print a result as JSON."""
    typer.echo(json.dumps(value, indent=2))


def print_error(error: object) -> None:
    """Print an error as one line on standard error."""
    typer.echo(f"unet2015: error: {' '.join(shown(error).split())}", err=True)


def print_rows(title: str, rows: dict[str, str]) -> None:
    """Print a title and, below it, names and their values."""
    typer.echo(title)
    wide = max(map(len, rows), default=0)
    for name, text in rows.items():
        typer.echo(f"  {name:<{wide}}  {text}")


def show_messages() -> None:
    """Show the messages of the package on standard error; calling this again does not repeat them."""
    import logging

    class Formatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return shown(super().format(record))

    logger = logging.getLogger("unet2015")
    for earlier in [handler for handler in logger.handlers if handler.get_name() == show_messages.__name__]:
        logger.removeHandler(earlier)
    handler = logging.StreamHandler()
    handler.set_name(show_messages.__name__)
    handler.setFormatter(Formatter("unet2015: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
