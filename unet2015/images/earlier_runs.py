"""Results that a later segmentation into the same folder did not make again, and so are not of its maps."""

import logging
from collections.abc import Sequence
from pathlib import Path

from unet2015.errors import DataSetError
from unet2015.images.result_names import (
    LABELS,
    OVERLAY,
    OVERLAY_JPEG,
    PROBABILITY,
    name_before,
    record_places,
)
from unet2015.safe_files import is_of_earlier_run
from unet2015.wording import listed

_ENDINGS = (PROBABILITY, LABELS, OVERLAY, OVERLAY_JPEG)
_ADVICE = "segment again with the same options, or give such a file alone to take it"
_log = logging.getLogger("unet2015")


def without_earlier(files: Sequence[Path], given: Sequence[str | Path]) -> list[Path]:
    """Leave out results of an earlier run, and name them; a file that alone is given stays.

    Parameters
    ----------
    files : sequence of Path
        What the inputs name.
    given : sequence of path
        The inputs: files, folders, patterns.

    Raises
    ------
    DataSetError
        All are of an earlier run.
    """
    if [*map(Path, given)] == list(files) and len(files) == 1:
        return list(files)
    earlier = [path for path in files if _is_earlier(path)]
    if not earlier:
        return list(files)
    named = listed(earlier)
    if len(earlier) == len(files):
        raise DataSetError(
            f"{named}: of an earlier run, by the record of the last one, which did not make them; {_ADVICE}"
        )
    _log.warning("of an earlier run, and left out: %s; %s", named, _ADVICE)
    return [path for path in files if path not in earlier]


def _is_earlier(path: Path) -> bool:
    if name_before(path.name, _ENDINGS) is None:
        return False
    return is_of_earlier_run(path, dict.fromkeys(record_places(path)))
