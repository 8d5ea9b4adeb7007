"""From TOML to settings; an error names the file, the key, the value and the rule."""

import re
import tomllib
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from unet2015.errors import SettingsError
from unet2015.safe_files import read_text
from unet2015.settings.frozen import Frozen
from unet2015.settings.names import closest
from unet2015.settings.network import NETWORK_KINDS, AnyNetworkSettings, kind_of_network

S = TypeVar("S", bound=Frozen)


def read_toml(path: Path | Traversable, name: str) -> dict[str, Any]:
    """Return the values of a TOML file; `name` is its name in a `SettingsError`."""
    try:
        text = read_text(path) if isinstance(path, Path) else path.read_text(encoding="utf-8")
        return tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"{name}: cannot read the settings: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}: not a TOML file: {error}") from error


def parse_settings(kind: type[S], values: dict[str, Any], name: str) -> S:
    """Return `values` as settings of one kind. A `SettingsError` tells `name`, key, value and rule."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems = "; ".join(_problem(kind, values, detail) for detail in details)
        raise SettingsError(f"{name}: {problems}") from error


def _problem(kind: type[Frozen], values: Any, detail: Any) -> str:
    place = ".".join(str(part) for part in detail["loc"])
    if detail["type"] != "extra_forbidden":
        words = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "literal_error":
            words += closest(detail["input"], re.findall("'([^']*)'", detail["ctx"]["expected"]))
        return f"{place} = {detail['input']!r}: {words}" if place else str(words)
    known: Any = kind
    for part in detail["loc"][:-1]:
        known, values = known.model_fields[part].annotation, values[part]
        if known is AnyNetworkSettings:
            known = NETWORK_KINDS[kind_of_network(values)]
    names = list(known.model_fields)
    return f"{place}: no such setting; known here: {', '.join(names)}{closest(detail['loc'][-1], names)}"
