"""The command line: one file per subcommand, no logic of its own."""

from unet2015.cli.app import main

__all__ = ["main"]
