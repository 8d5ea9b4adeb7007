"""Names of a package that load when they are first used: importing it loads nothing heavy."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def lazy_names(
    package: str, files: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    Parameters
    ----------
    package : str
        Its full name.
    files : mapping of str to sequence of str
        For each file of the package, without ``.py``, the names that the package offers from it.
    """
    homes = homes_of(package, files)

    def load(name: str) -> object:
        if name not in homes:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}; it offers {', '.join(sorted(homes))}"
            )
        return getattr(import_module(homes[name]), name)

    return load, lambda: sorted(homes)


def homes_of(package: str, files: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return for each name that a package offers the full name of the module that has it."""
    return {name: f"{package}.{file}" for file, names in files.items() for name in names}
