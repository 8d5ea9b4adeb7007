"""Tracebacks of errors that nobody foresaw, from commands that have no output folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unet2015.errors import UNet2015Error


def keep_tracebacks(failures: "Sequence[tuple[Path, UNet2015Error]]") -> None:
    """Write the tracebacks of unexpected errors to a new folder of the system's for what is temporary.

    A message says where. Without such errors nothing is made.
    """
    import tempfile

    from unet2015.cli.output import show_messages
    from unet2015.errors import UnexpectedError

    if any(isinstance(error, UnexpectedError) for _, error in failures):
        from unet2015.segmentation.failure_log import LOG, write_failure_log

        show_messages()
        write_failure_log(Path(tempfile.mkdtemp(prefix="unet2015-")) / LOG, failures)
