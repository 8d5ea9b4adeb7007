"""The table of the objects of all files of a command."""

import logging
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from unet2015.errors import ImageWriteError, UNet2015Error
from unet2015.images.notes import say
from unet2015.images.result_records import is_as_written, name_in_tables, record_of_result
from unet2015.objects.joined_tables import join_tables, totals_of
from unet2015.objects.table import describe_run
from unet2015.safe_files import Guard, RecordedOutput, claim_patiently, left_by_earlier_run, record_of
from unet2015.segmentation.joined_notes import Together
from unet2015.segmentation.products import PARQUET, TABLE
from unet2015.segmentation.results import FileResult
from unet2015.wording import listed, reason

RUN_TABLE = "objects"
"""The rows of all files of a run: a name without ending."""

_log = logging.getLogger("unet2015")


def join_results(
    folder: Path,
    results: Sequence[FileResult],
    command: str,
    on_results: Sequence[str] = (),
    *,
    chosen: bool = False,
) -> list[tuple[Path, ImageWriteError]]:
    """Write tables with the objects of all files of a command into its folder, and say how many there are.

    A table of this name that this program did not write, or that was changed since, stays. So does that of an
    image which is no longer as its result says: it is an error, as its rows would be of another run.

    In what the images differ is said, and stands in the record with `on_results`, what was said before.
    `chosen` says whether one channel of several was measured.

    Returns
    -------
    list of (path, ImageWriteError)
        The tables that could not be written; those of each file are there.
    """
    places: list[Path] = []
    written: list[Path] = []
    notes: list[str] = []
    failed: list[tuple[Path, ImageWriteError]] = []
    for ending in (TABLE.ending, PARQUET.ending):
        tables = {path: result for result in results for path in result.outputs if path.name.endswith(ending)}
        places.append(folder / (RUN_TABLE + Path(ending).suffix))
        if not tables:
            continue
        try:
            notes += _join(places[-1], tables, command, on_results, chosen=chosen)
            written.append(places[-1])
        except ImageWriteError as error:
            failed.append((places[-1], error))
    for note in dict.fromkeys(notes):
        say(written[0], note)
    where = f"the objects of this one are in {written[0]}" if written else "this one has no such table"
    for name in left_by_earlier_run(places, written) if any(result.outputs for result in results) else ():
        _log.warning("%s: of an earlier run, and kept; %s", folder / name, where)
    found = [result.objects for result in results if result.objects is not None]
    if len(found) > 1:
        _log.info("%s%s", describe_run(found), f"; all in {written[0]}" if written else "")
    return failed


def _join(
    path: Path, tables: Mapping[Path, FileResult], command: str, on_results: Sequence[str], *, chosen: bool
) -> list[str]:
    """Write a table with the rows of others, with a record; raise `ImageWriteError` if it cannot be written.

    `tables` has the result of each. Two runs into one folder write it one after the other; that of the
    last one stays, and its record names the tables whose rows it has. In what the images differ is returned.
    """
    images = [(name_in_tables(one.input), one.objects or {}) for one in tables.values()]
    together = Together(images, chosen)
    said = {"tables": [one.name for one in tables]} | together.as_record(on_results)
    output = RecordedOutput(path, command, said)
    try:
        with claim_patiently(path, output.paths):
            before = record_of(output.paths[1:], path) or {}
            _join_checked(path, tables, output, together.channels)
    except (OSError, ValueError, TypeError) as error:  # a table of an image may have gone or been changed
        if _is_there(output, tables, together.channels):  # and the folder has become read-only, or is full
            return together.notes
        known = isinstance(error, UNet2015Error)
        why = f"{error}" if known else f"{path}: cannot join the tables: {reason(error)}"
        raise ImageWriteError(f"{why}; the table of each image is there") from error
    # What `measure` leaves are tables alone.
    all_labels = "all label images" if command == "measure" else "this folder"
    _say_gone(path, before.get("tables"), tables, all_labels)
    return together.notes


def _join_checked(
    path: Path, tables: Mapping[Path, FileResult], guard: Guard, channels: Sequence[str] | None
) -> None:
    for table, result in tables.items():
        _check(table, result.objects or {})
    join_tables(path, [*tables], guard, channels)


def _is_there(
    output: RecordedOutput, tables: Mapping[Path, FileResult], channels: Sequence[str] | None
) -> bool:
    """Whether a table already is as it would be written."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            again = Path(folder, output.paths[0].name)
            _join_checked(again, tables, lambda _temporary, _path: None, channels)
            return output.is_there(again)
    except (OSError, ValueError, TypeError):
        return False


def _check(table: Path, summary: Mapping[str, Any]) -> None:
    """Raise `ImageWriteError` if a table is not as the run wrote it, whose `summary` this is.

    A spreadsheet may have saved it since, or another run have written it.
    """
    record = record_of_result(table)
    objects, area = totals_of(table)
    if record is not None and not is_as_written(table, record):
        change = "was changed since it was written"
    elif objects != summary.get("objects", objects):
        change = f"has {objects} objects, but this run found {summary['objects']}: it was written again since"
    elif area is not None and area != summary.get("total_area_px", area):
        change = "has objects of another area than this run found: it was written again since"
    else:
        return
    raise ImageWriteError(
        f"{table}: {change}, so that there is no table of all; move it away if it is to stay, and run the "
        "command again"
    )


def _say_gone(path: Path, before: object, tables: Collection[Path], all_labels: str) -> None:
    """Say which tables of an earlier run, which are still there, have no rows in the new one of all files.

    `all_labels` says what a table of all is made of.
    """
    names = {table.name for table in tables}
    earlier = before if isinstance(before, list) else []
    gone = [
        one for one in earlier if isinstance(one, str) and one not in names and (path.parent / one).exists()
    ]
    if gone:
        _log.warning(
            "%s: has the objects of this run alone; those of the run before are in %s; one table of all that "
            "lies there: unet2015 measure, with %s as input",
            path,
            listed(gone),
            all_labels,
        )
