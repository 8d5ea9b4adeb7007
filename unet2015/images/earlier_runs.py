"""Results that a later segmentation into the same folder did not make again, and so are not of its maps."""

import logging
from collections.abc import Sequence
from pathlib import Path

from unet2015.errors import DataSetError
from unet2015.images.labelled_maps import other_map
from unet2015.images.result_names import (
    LABELS,
    LABELS_ZARR,
    OVERLAY,
    OVERLAY_JPEG,
    PROBABILITY,
    name_before,
    record_places,
)
from unet2015.safe_files import is_of_earlier_run
from unet2015.wording import listed

_ENDINGS = (PROBABILITY, LABELS, LABELS_ZARR, OVERLAY, OVERLAY_JPEG)
_ALONE = "or give such a file alone to take it"
_AGAIN = f"segment again with the same options, {_ALONE}"
_LABEL_AGAIN = f"label these again, {_ALONE}"
_OTHER_MAPS = "unet2015 label made them of other maps than those of the last run that lie beside them"
_log = logging.getLogger("unet2015")


def without_earlier(files: Sequence[Path], given: Sequence[str | Path], *, maps: bool = False) -> list[Path]:
    """Leave out results of an earlier run, and name them; a file that alone is given stays.

    So are those that `label` made of maps that a later run has replaced.

    Parameters
    ----------
    files : sequence of Path
        What the inputs name.
    given : sequence of path
        The inputs: files, folders, patterns.
    maps : bool
        Whether maps are meant, and nothing is to be said of what `label` made of them.

    Raises
    ------
    DataSetError
        All are of an earlier run.
    """
    if [*map(Path, given)] == list(files) and len(files) == 1:
        return list(files)
    results = [path for path in files if name_before(path.name, _ENDINGS) is not None]
    earlier = [path for path in results if is_of_earlier_run(path, dict.fromkeys(record_places(path)))]
    labelled = [] if maps else [path for path in results if path not in earlier and _of_replaced(path)]
    left_out = {*earlier, *labelled}
    if left_out and len(left_out) == len(files):
        why = (
            (earlier, f"by the record of the last one, which did not make them; {_AGAIN}"),
            (labelled, f"as {_OTHER_MAPS}; {_LABEL_AGAIN}"),
        )
        raise DataSetError(
            "; ".join(f"{listed(some)}: of an earlier run, {text}" for some, text in why if some)
        )
    for some, text in ((earlier, _AGAIN), (labelled, f"{_OTHER_MAPS}: {_LABEL_AGAIN}")):
        if some:
            _log.warning("of an earlier run, and left out: %s; %s", listed(some), text)
    return [path for path in files if path not in left_out]


def _of_replaced(path: Path) -> bool:
    other = other_map(path)
    return other is not None and other.replaced
