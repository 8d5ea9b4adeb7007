"""What the records beside results say of them together: whether one model made all, and of what images."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from unet2015.images.labelled_maps import describe_other_maps
from unet2015.images.result_names import image_around, record_places, shown_name, table_name
from unet2015.safe_files import digest_of, find_record, is_edited
from unet2015.wording import counted, cut, listed

TRAINED_ON = "trained_on"
"""Key of the pages of an image, in the record of its results, that the model was trained on.

It is null where the model does not name its files, and missing where it was trained on none.
"""
CHOSEN_ON = "chosen_on"
"""Key of those that were held out of the training: the best state and the threshold were chosen by them."""
SOURCE = "source"
"""A key of the record of labels that were made of a map: the image of that, and its SHA-256."""
SEGMENTATION = "segmentation"
"""Key within `SOURCE`: what the record beside the map told of its segmentation, and a change of the map.

It stays with the labels where the map is segmented anew, moved or deleted afterwards.
"""
CHANGED = "changed"
"""Key within `SEGMENTATION`: the map was not as its record said it was written."""
_KEPT = ("input", "input_sha256", "model_sha256", "settings", TRAINED_ON, CHOSEN_ON, "channel_names")
INPUT_NAME = "input_name"
"""What tables call the image, where that is not the name of its file: inside OME-Zarr, or by a link."""
_OBJECTS = "objects"
_DECIDING = (
    "threshold",
    "average",
    "precision",
    "skip_empty",
    "fill_value",
    "map_each",
    "channel",
    _OBJECTS,
)
"""Settings that decide on a result, and not only on how it is computed."""
_NAMED = 3


def record_of_result(path: Path) -> dict[str, Any] | None:
    """Return the record that names a result; None if there is none, or it was edited."""
    found = find_record_of_result(path)
    return None if found is None or is_edited(found[1]) else found[1]


def find_record_of_result(path: Path, group: str = "outputs") -> tuple[Path, dict[str, Any]] | None:
    """Return place and contents of the record that names a result, as `find_record`.

    Of a label image inside OME-Zarr it is the record of the image around it.
    """
    around = image_around(path)
    return find_record(record_places(around), around, group)


def name_in_tables(path: Path) -> str:
    """Return what tables call a map or labels: by its record a field of a plate, else the file.

    Of an image in a collection (``plate.zarr/A/1/0``) all results are named after its last part alone.
    """
    return name_by(record_of_result(path), path)


def name_by(record: Mapping[str, Any] | None, path: Path) -> str:
    """Return `name_in_tables` of a file whose record was read."""
    record = record or {}
    source = record.get(SOURCE) if "command" in record else record
    said = source.get(INPUT_NAME) if isinstance(source, dict) else None
    return said if isinstance(said, str) and "/" in said else table_name(path)


def describe_result(path: Path) -> str | None:
    """Return what is said of a result that is given as an image; None for other files.

    It is not refused, as somebody may mean to segment a probability map.
    """
    if record_of_result(path) is None:
        return None
    return (
        "is a result of this program, by the record beside it, and no image; it is segmented as one all the "
        "same. unet2015 label counts the objects of maps, unet2015 measure those of labels"
    )


class Recorded(NamedTuple):
    """What the records say of a result.

    Attributes
    ----------
    path : Path
        The result.
    record : dict
        Names it.
    made : dict
        Of the segmentation: of labels that were made of a map, that of the map; empty if that is not known.
    """

    path: Path
    record: dict[str, Any]
    made: dict[str, Any]


def recorded_results(paths: Iterable[Path]) -> list[Recorded]:
    """Return what the records say of those results that have one."""
    found = {path: record for path in paths if (record := record_of_result(path)) is not None}
    return [Recorded(path, record, _segmentation(record)) for path, record in found.items()]


def notes_on_results(
    paths: Iterable[Path], chosen: Mapping[Path, Mapping[str, Any]] | None = None
) -> tuple[str, ...]:
    """Return what is to be known before results are measured together, by their records.

    Parameters
    ----------
    paths : iterable of Path
        The results; those without a record say nothing.
    chosen : mapping, optional
        For maps of which objects were made anew: the settings of objects that were taken for each.

    Returns
    -------
    tuple of str
        That they are not of one model and the same settings; that `label` made some of other maps than those
        of now, or of maps that were changed; that a model was trained on the images of some.
    """
    paths = list(paths)
    return notes_on_recorded(paths, recorded_results(paths), chosen)


def notes_on_recorded(
    paths: Sequence[Path],
    recorded: Sequence[Recorded],
    chosen: Mapping[Path, Mapping[str, Any]] | None = None,
) -> tuple[str, ...]:
    """Return `notes_on_results` of what `recorded_results` has found."""
    seen = [shown_name(one.path) for one in recorded if isinstance(one.made.get(TRAINED_ON), list)]
    decided = {one.path: _decided(one.record, one.made) for one in recorded}
    anew = {path: _with_objects(decided.get(path, {}), objects) for path, objects in (chosen or {}).items()}
    notes = [
        _differences(decided | anew),
        describe_other_maps(paths),
    ]
    if seen:
        notes.append(
            f"{len(seen)} of the results are of images that their model was trained on, so what is measured "
            f"on them is too good: {listed(seen, _NAMED)}"
        )
    if changed := [shown_name(one.path) for one in recorded if one.made.get(CHANGED)]:
        notes.append(
            f"{counted(len(changed), 'result is', 'results are')} of maps that were not as the records said "
            f"that they were written: {listed(changed, _NAMED)}; where somebody corrected them, the figures "
            "are not of the model alone"
        )
    return tuple(filter(None, notes))


def is_as_written(path: Path, record: Mapping[str, Any], digest: str | None = None) -> bool:
    """Whether a result is still what a record that names it says was written.

    Parameters
    ----------
    path : Path
        The result. Of one within OME-Zarr the record tells of the image around it.
    record : mapping
        Its ``outputs`` have its name.
    digest : str, optional
        SHA-256 of `path`, where it is known.
    """
    around = image_around(path)
    now = digest if digest is not None and around == path else digest_of(around)
    return bool(record["outputs"][around.name] == now)


def is_unchanged_result(path: Path) -> bool:
    """Whether a record says that this program made a file, and nobody has changed it since."""
    record = record_of_result(path)
    return record is not None and is_as_written(path, record)


def of_segmentation(record: Mapping[str, Any], *, changed: bool) -> dict[str, Any]:
    """Return what the record of labels keeps of that of their map, which perhaps was `changed` since."""
    kept = {name: record[name] for name in _KEPT if name in record}
    return {SEGMENTATION: kept | ({CHANGED: True} if changed else {})}


def _segmentation(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record of the segmentation that a result of this record is of; see `Recorded`."""
    kept = record.get(SOURCE)
    if isinstance(kept, dict) and isinstance(kept.get(SEGMENTATION), dict):
        return dict(kept[SEGMENTATION])
    source = record.get("input")
    if "command" not in record or not isinstance(source, str):
        return record
    before = record_of_result(Path(source))
    if before is None or record.get("input_sha256") not in before["outputs"].values():
        return {}
    return before


def _decided(record: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, str]:
    """Return what decided on a result, by its name, as texts."""
    said = {"model": str(made["model_sha256"])[:12]} if "model_sha256" in made else {}
    for place, of, names in (("", made, _DECIDING), ("label's ", record, None)):
        values = of.get("settings")
        if isinstance(values, dict) and not (place and made is record):
            for name in names or values:
                said |= _single(f"{place}{name}", _meant_by(of, values, name))
    return said


def _with_objects(decided: Mapping[str, str], objects: Mapping[str, Any]) -> dict[str, str]:
    """Return what decided on objects of a map: of its segmentation not what was taken for its objects."""
    of_objects = f"{_OBJECTS} "
    kept = {name: value for name, value in decided.items() if not f"{name} ".startswith(of_objects)}
    if objects.get("threshold") is not None:  # as of a probability map, which that of its segmentation left
        kept.pop("threshold", None)
    return kept | _single(_OBJECTS, dict(objects))


def _meant_by(record: Mapping[str, Any], settings: Mapping[str, Any], name: str) -> object:
    """Return a setting; of the channel its name, where that is known, and not how it was asked for."""
    given = settings.get(name)
    return (record.get("channel_names") or given) if name == "channel" and given is not None else given


def _single(name: str, value: object) -> dict[str, str]:
    """Return a setting as text; each of several that belong together by its own name."""
    if isinstance(value, dict) and value:
        return {name: "given"} | {f"{name} {key}": json.dumps(one) for key, one in value.items()}
    return {name: json.dumps(value)}


def _differences(decided: Mapping[Path, Mapping[str, str]]) -> str:
    """Say in what results were made differently; empty where they were not."""
    names = dict.fromkeys(name for said in decided.values() for name in said)
    differ = []
    for name in names:
        by_value: dict[str, list[str]] = defaultdict(list)
        for path, said in decided.items():
            if name in said:
                by_value[said[name]].append(shown_name(path))
        if len(by_value) > 1:
            ways = [f"{cut(value, 60)} for {listed(files, _NAMED)}" for value, files in by_value.items()]
            differ.append(f"{name} {listed(ways, _NAMED)}")
    if not differ:
        return ""
    return (
        "the results are not all of one model and the same settings, so figures of all together are of none: "
        + "; ".join(differ)
    )
