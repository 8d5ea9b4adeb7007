"""One hierarchy of errors. Each says what was expected, what came, and what to do.

``exit_status`` is what the command line ends with: 1 where an input failed, 2 where the command or
the settings were wrong, 3 where a training has not learned.
"""

import traceback
from pathlib import Path


class UNet2015Error(Exception):
    """Base class of all errors that this package raises on purpose."""

    exit_status = 1


class UsageError(UNet2015Error, ValueError):
    """The call makes no sense: a wrong option, argument or combination."""

    exit_status = 2


class ArgumentError(UsageError, TypeError):
    """An argument of the wrong type; the message says what was expected and what came."""


class SettingsError(UsageError):
    """A settings file, or a value in it, is not allowed."""


class OtherSettingsError(SettingsError):
    """A training to resume was begun with other settings, other first weights or other processes."""


class GeometryError(UsageError):
    """A size that the network cannot take; the message names the nearest legal ones."""


class MemoryLimitError(UsageError, MemoryError):
    """No plan fits in the allowed memory, or the device ran out of memory."""


class OutOfMemoryError(MemoryLimitError):
    """The memory ran out at one file."""

    exit_status = 1


class UnexpectedError(UNet2015Error, RuntimeError):
    """An error that nobody foresaw, while one file was worked on: a defect of this program or of a library.

    Attributes
    ----------
    details : str
        The traceback.
    """

    details: str = ""


class ImageError(UNet2015Error):
    """Base class of errors about an image file or array."""


class ImageReadError(ImageError, OSError):
    """An image cannot be read, or contradicts itself."""


class LossyLabelsError(ImageReadError):
    """Labels are in a compression that changes values; a mask can still be cut at a threshold."""


class ImageWriteError(ImageError, OSError):
    """An output cannot be written; nothing is left at its path."""


class AxesError(ImageError, ValueError):
    """The axes are not known, or do not fit the data."""


class ImageValueError(ImageError, ValueError):
    """Pixels that cannot be used: NaN, infinity, the wrong number of channels."""


class LabelError(UNet2015Error, ValueError):
    """Labels that would spoil a training: wrong coding, out of range, empty."""


class DataSetError(UNet2015Error, ValueError):
    """Images and labels that do not go together."""


class OtherDataError(DataSetError):
    """A training to resume was begun with other images or labels."""


class ModelError(UNet2015Error, ValueError):
    """A model or checkpoint file that is missing, damaged or does not fit."""

    exit_status = 2


class WorkerError(UNet2015Error, RuntimeError):
    """Workers of a cluster died, or a result that they reported is missing; finished parts stay."""


class TrainingError(UNet2015Error, RuntimeError):
    """A training that cannot go on; the last good checkpoint stays."""


class NothingLearnedError(TrainingError):
    """A training that has not learned when it is checked, and should stop then."""

    exit_status = 3


class OtherProcessError(TrainingError):
    """Another process of a training has failed and shows its error; the command line adds nothing."""

    def __init__(self, message: str, exit_status: int = 1) -> None:
        super().__init__(message)
        self.exit_status = exit_status


LESS_MEMORY = (
    "close other programs; segment takes a smaller --max-memory or --tile, train a smaller --tile or --batch"
)
"""What can be done where the memory ran out; inspect, check and evaluate have no such option."""

_LONGEST = 300


def failure_of(error: Exception, name: object) -> UNet2015Error:
    """Return any exception as the failure of the one file that was worked on.

    Parameters
    ----------
    error : Exception
        One of this package is returned as it is.
    name : object
        The file.

    Returns
    -------
    UNet2015Error
        `OutOfMemoryError` for `MemoryError`, `ImageReadError` for `OSError`, else `UnexpectedError`, which
        keeps the traceback.
    """
    if isinstance(error, UNet2015Error):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemoryError(f"{name}: out of memory; {LESS_MEMORY}")
    if isinstance(error, OSError):
        return ImageReadError(str(error) if str(name) in str(error) else f"{name}: {error}")
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    words = " ".join(str(error).split())[:_LONGEST]
    found = UnexpectedError(
        f"{name}: unexpected error, please report it: {type(error).__name__}: {words}{place}"
    )
    found.details = "".join(traceback.format_exception(error))
    return found
