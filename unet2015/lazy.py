"""Names of a package that load when they are first used: importing it loads nothing heavy."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def lazy_names(
    package: str, files: Mapping[str, Sequence[str]], others: Sequence[str] = ()
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    Parameters
    ----------
    package : str
        Its full name.
    files : mapping of str to sequence of str
        For each file of the package, without ``.py``, the names that the package offers from it.
    others : sequence of str
        What it offers beside them: subpackages, and names that it sets itself.
    """
    homes = homes_of(package, files)
    offered = sorted([*homes, *others])

    def load(name: str) -> object:
        if name in homes:
            return getattr(import_module(homes[name]), name)
        if name in others:
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}; it offers {', '.join(offered)}")

    return load, offered.copy


def homes_of(package: str, files: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return for each name that a package offers the full name of the module that has it."""
    return {name: f"{package}.{file}" for file, names in files.items() for name in names}
