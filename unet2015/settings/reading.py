"""From TOML to settings; an error names the file, the key, the value and the rule."""

import difflib
import re
import reprlib
import tomllib
from collections.abc import Iterator, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

from pydantic import ValidationError

from unet2015.errors import SettingsError
from unet2015.safe_files import open_regular
from unet2015.settings.frozen import Frozen
from unet2015.settings.names import closest
from unet2015.settings.network import NETWORK_KINDS, AnyNetworkSettings, kind_of_network
from unet2015.wording import cut

MOST_BYTES = 1 << 20
_LONGEST, _LONGEST_LINE, _MOST = 200, 1000, 10

_REPR = reprlib.Repr()
"""Shows a value of any size and depth in short."""
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = _LONGEST
_REPR.maxlevel = 4

S = TypeVar("S", bound=Frozen)


def read_toml(path: Path | Traversable, name: str) -> dict[str, Any]:
    """Return the values of a TOML file; `name` is its name in a `SettingsError`."""
    try:
        with open_regular(path) if isinstance(path, Path) else path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise SettingsError(
                f"{name}: expected settings, a TOML file of at most {MOST_BYTES >> 20} MiB, but it is longer"
            )
        return tomllib.loads(data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n"))
    except OSError as error:
        raise SettingsError(f"{name}: cannot read the settings: {error.strerror or error}") from error
    except RecursionError as error:
        raise SettingsError(f"{name}: expected settings, but its values are nested too deep") from error
    except SettingsError:
        raise
    except ValueError as error:  # of TOML, of UTF-8, or a number of too many digits
        raise SettingsError(f"{name}: not a TOML file: {cut(str(error), _LONGEST)}") from error


def parse_settings(kind: type[S], values: dict[str, Any], name: str) -> S:
    """Return `values` as settings of one kind. A `SettingsError` tells `name`, key, value and rule."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise SettingsError(f"{name}: {_problems(kind, values, error.errors(include_url=False))}") from error


def checked_again(settings: S, name: str) -> S:
    """Return settings that somebody may have changed unchecked, as pydantic's `model_copy` does.

    Raises
    ------
    SettingsError
        As `parse_settings`; or a section is a dict, perhaps meant to change some of its values only.
    """
    return parse_settings(type(settings), _given(settings, name), name)


def _given(settings: Frozen, place: str) -> dict[str, Any]:
    """Return what was given of settings, nested, for a new check; what was not is as by default."""
    given: dict[str, Any] = {}
    for name, value in vars(settings).items():
        field = type(settings).model_fields.get(name)
        said = field is None or name in settings.model_fields_set or value != field.default
        if said or name == "kind":  # which says what the other settings of a network are
            section = None if field is None else _section(field.annotation)
            if isinstance(value, dict) and isinstance(section, type) and issubclass(section, Frozen):
                raise SettingsError(
                    f"{place}: {name}: expected {section.__name__}, got a dict, which would put defaults in "
                    "place of all that it does not say; give a changed copy of the one that there is"
                )
            given[name] = _nested(value, f"{place}: {name}")
    return given


def _nested(value: Any, place: str) -> Any:
    if isinstance(value, Frozen):
        return _given(value, place)
    return [_nested(one, place) for one in value] if isinstance(value, tuple | list) else value


def _problems(kind: type[Frozen], values: Any, details: Sequence[Any]) -> str:
    """Return the first problems in one line, and how many more there are."""
    problems: list[str] = []
    listed: set[str] = set()
    for detail in details[:_MOST]:
        problem = _problem(kind, values, detail, listed)
        if problems and sum(map(len, problems)) + len(problem) > _LONGEST_LINE:
            break
        problems.append(problem)
    if left := len(details) - len(problems):
        problems.append(f"and {left} more")
    return "; ".join(problems)


def _problem(kind: type[Frozen], values: Any, detail: Any, listed: set[str]) -> str:
    """Return a problem in words; `listed` has the sections whose settings were listed before."""
    loc = detail["loc"]  # phases are counted from 1
    counted = [part + 1 if isinstance(part, int) and loc[0] == "phase" else part for part in loc]
    place = cut(".".join(map(str, counted)), _LONGEST)
    if detail["type"] != "extra_forbidden":
        words = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "literal_error":
            words += closest(detail["input"], re.findall("'([^']*)'", detail["ctx"]["expected"]))
        return f"{place} = {' '.join(_REPR.repr(detail['input']).split())}: {words}" if place else str(words)
    known: Any = kind
    for part in detail["loc"][:-1]:
        if isinstance(part, str):  # a number is that of a table in a list, all of one kind
            known = _section(known.model_fields[part].annotation)
            known = get_args(known)[0] if get_origin(known) is tuple else known
        values = values[part]
        if known is AnyNetworkSettings:
            known = NETWORK_KINDS[kind_of_network(values)]
    names, name = list(known.model_fields), str(detail["loc"][-1])
    # The same name elsewhere, then one like it here, then one like it elsewhere.
    hint = _elsewhere(kind, name, place) or closest(name, names) or _elsewhere(kind, name, place, 0.8)
    section = place.rpartition(".")[0]
    known_here = "" if section in listed else f"; known here: {', '.join(names)}"
    listed.add(section)
    return f"{place}: no such setting{known_here}{hint}"


def _elsewhere(kind: type[Frozen], name: str, place: str, least: float = 1.0) -> str:
    """Return a text with the same name (or, below 1, one as similar) in another section; empty if none."""
    every = {path: path.rsplit(".", 1)[-1] for path in _paths(kind) if path != place}
    close = difflib.get_close_matches(name[:100], every.values(), 1, least)
    found = [path for path, last in every.items() if last in close]
    meant = " or ".join(repr(path) + ", above all sections," * (path in _alone(kind)) for path in found)
    return f"; did you mean {meant.removesuffix(',')}?" if found else ""


def _alone(kind: type[Frozen]) -> set[str]:
    """Return the names of the settings that are in no section."""
    every = list(_paths(kind))
    return {name for name in kind.model_fields if not any(path.startswith(f"{name}.") for path in every)}


def _paths(kind: type[Frozen], prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of all settings; for networks, those of every kind of network."""
    for name, field in kind.model_fields.items():
        yield prefix + name
        below = _section(field.annotation)
        kinds = list(NETWORK_KINDS.values()) if below is AnyNetworkSettings else [below]
        for deeper in kinds:
            if isinstance(deeper, type) and issubclass(deeper, Frozen):
                yield from _paths(deeper, f"{prefix}{name}.")


def _section(annotation: Any) -> Any:
    """Return what a field holds where it holds something: of ``X | None`` that is X."""
    held = [one for one in get_args(annotation) if one is not type(None)]
    return held[0] if isinstance(annotation, UnionType) and len(held) == 1 else annotation
