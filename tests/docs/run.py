"""Running commands of the documentation in this process."""

import contextlib
import io
import logging
import runpy
import sys
import warnings
from typing import NamedTuple
from unittest import mock

import typer.main

from unet2015.cli import main
from unet2015.cli.app import app


class Ended(NamedTuple):
    """How a command ended: exit status, and all that it said."""

    status: int
    said: str


def command(words):
    """Run ``unet2015 WORDS``."""
    said, logger = io.StringIO(), logging.getLogger("unet2015")
    level = logger.level
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main(words)
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            for handler in list(logger.handlers):
                logger.removeHandler(handler)
            logger.setLevel(level)
    return Ended(status, said.getvalue())


def parse(words):
    """Have ``unet2015 WORDS`` parsed, with all its values, but do nothing; raise where it is wrong."""
    parser = typer.main.get_group(app)  # its own, as it is changed
    _silence(parser)
    parser(list(words), prog_name="unet2015", standalone_mode=False)


def _silence(parser):
    for inner in getattr(parser, "commands", {}).values():
        _silence(inner)
        if not hasattr(inner, "commands"):
            inner.callback = lambda **values: None


def options(words):
    """Return the options of the subcommand of ``unet2015`` that words begin with."""
    parser, path = typer.main.get_command(app), list(words)
    while hasattr(parser, "commands"):
        parser = parser.commands[path.pop(0)]
    return {name for parameter in parser.params for name in (*parameter.opts, *parameter.secondary_opts)}


def module_help(name):
    """Return what ``python -m NAME --help`` says."""
    said = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(said):
        warnings.simplefilter("ignore", RuntimeWarning)  # that a module is loaded already
        with mock.patch.object(sys, "argv", [name, "--help"]), contextlib.suppress(SystemExit):
            runpy.run_module(name, run_name="__main__", alter_sys=True)
    return said.getvalue()
