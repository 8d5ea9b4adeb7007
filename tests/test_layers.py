"""Imports run downwards only, and ``import unet2015`` loads nothing heavy."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import unet2015

PACKAGE = Path(unet2015.__file__).parent
LAYERS = [  # from the lowest; rooms of one line stand side by side and do not know each other
    {"errors", "heap", "lazy", "provenance"},
    {"device", "safe_files", "settings"},
    {"geometry", "synthetic"},
    {"images"},
    {"networks"},
    {"models"},
    {"tiling"},
    {"metrics"},
    {"training"},
    {"objects"},
    {"segmentation"},
    {"report"},
    {"cli"},
]
HEIGHT = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}


def imported(module: ast.Module, package: list[str]) -> Iterator[tuple[int, str]]:
    """Yield line and full name of all that a module imports, wherever in it, relative names too."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{name}.{alias.name}") for alias in node.names)


def violations(package: Path) -> list[str]:
    """Return every import of a package that does not run downwards, as ``file:line: what``."""
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        if len(parts) == 1 and parts[0] in ("__init__", "__main__"):
            continue  # the front door: its names load when they are used
        place = f"{path.relative_to(package)}"
        if parts[0] not in HEIGHT:
            found.append(f"{place}: the room {parts[0]} has no height")
            continue
        for line, name in imported(ast.parse(path.read_text(encoding="utf-8")), [package.name, *parts[:-1]]):
            top, *below = name.split(".")
            if top != package.name or below == ["__version__"] or (below and below[0] == parts[0]):
                continue
            room = below[0] if below else ""
            if room not in HEIGHT:
                found.append(f"{place}:{line}: {name} is no room")
            elif HEIGHT[room] >= HEIGHT[parts[0]]:
                found.append(f"{place}:{line}: {parts[0]} imports {name}")
    return found


def circles(package: Path) -> list[tuple[str, ...]]:
    """Return the groups of files that import each other, also through others or within functions."""
    files = {
        ".".join([package.name, *path.relative_to(package).with_suffix("").parts]): path
        for path in package.rglob("*.py")
        if path.name != "__init__.py"
    }
    needs: dict[str, set[str]] = {}
    for module, path in files.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [name for _, name in imported(tree, module.split(".")[:-1])]
        needs[module] = {name for name in names if name in files}
        needs[module] |= {parent for name in names if (parent := name.rpartition(".")[0]) in files}

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        waiting = [start]
        while waiting:
            new = needs[waiting.pop()] - found
            found |= new
            waiting += new
        return found

    reach = {module: reached(module) for module in needs}
    return sorted({tuple(sorted(b for b in reach[a] if a in reach[b])) for a in reach if a in reach[a]})


def test_no_two_files_import_each_other() -> None:
    assert circles(PACKAGE) == []


def test_a_circle_within_a_room_is_caught(tmp_path: Path) -> None:
    room = tmp_path / "unet2015" / "tiling"
    room.mkdir(parents=True)
    (room / "plan.py").write_text("from unet2015.tiling import sinks")
    (room / "sinks.py").write_text("def f():\n    from unet2015.tiling.engine import run")
    (room / "engine.py").write_text("from .plan import TilePlan")
    (room / "memory.py").write_text("from .plan import TilePlan")
    assert circles(tmp_path / "unet2015") == [
        ("unet2015.tiling.engine", "unet2015.tiling.plan", "unet2015.tiling.sinks")
    ]


def test_imports_run_downwards_only() -> None:
    assert len(list(PACKAGE.rglob("*.py"))) > 10
    assert violations(PACKAGE) == []


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("settings.py", "from unet2015.geometry import Geometry", "settings.py:1: settings imports"),
        ("networks/one.py", "import os\nimport unet2015.tiling.plan", "networks/one.py:2: networks imports"),
        ("tiling/plan.py", "def f():\n    from unet2015.cli import main", "tiling/plan.py:2: tiling imports"),
        (
            "errors.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import unet2015.networks",
            "errors.py:3: errors imports",
        ),
        ("images/tiff.py", "from unet2015 import training", "images/tiff.py:1: images imports"),
        ("images/tiff.py", "from ..training import loop", "images/tiff.py:1: images imports"),
        ("images/tiff.py", "from .. import training", "images/tiff.py:1: images imports"),
        ("images/deep/er.py", "from ...training.loop import train", "images/deep/er.py:1: images imports"),
        ("images/__init__.py", "from ..cli import main", "images/__init__.py:1: images imports"),
        ("geometry.py", "from unet2015.synthetic import cells", "geometry.py:1: geometry imports"),
        ("report/page.py", "from unet2015 import segment", "report/page.py:1: unet2015.segment is no room"),
        ("report/page.py", "import unet2015", "report/page.py:1: unet2015 is no room"),
        ("attic.py", "", "attic.py: the room attic has no height"),
    ],
)
def test_an_import_upwards_is_caught(tmp_path: Path, path: str, text: str, expected: str) -> None:
    file = tmp_path / "unet2015" / path
    file.parent.mkdir(parents=True)
    file.write_text(text)
    (found,) = violations(tmp_path / "unet2015")
    assert found.startswith(expected)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("networks/one.py", "import torch\nfrom unet2015.geometry import Geometry"),
        (
            "tiling/engine.py",
            "from .plan import TilePlan\nfrom unet2015.tiling import plan\nfrom . import sinks",
        ),
        ("tiling/engine.py", "from ..images import reader\nfrom unet2015 import errors"),
        ("__init__.py", "from unet2015.training.loop import train"),
        ("__main__.py", "from unet2015.cli import main"),
        ("images/tiff.py", "import unet2015extra.cli\nfrom unet2015 import __version__"),
    ],
)
def test_an_import_downwards_passes(tmp_path: Path, path: str, text: str) -> None:
    file = tmp_path / "unet2015" / path
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert violations(tmp_path / "unet2015") == []


def loaded_after(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {"torch", "numpy", "scipy", "skimage", "tifffile", "pydantic", "typer", "matplotlib", "tqdm"}
    assert "unet2015" in loaded_after("import unet2015")
    assert loaded_after("import unet2015; dir(unet2015); unet2015.__version__") & heavy == set()


def test_the_geometry_needs_the_standard_library_only() -> None:
    ours = loaded_after("import unet2015.geometry, unet2015.errors")
    assert ours & {"torch", "numpy", "scipy", "pydantic"} == set()


def test_a_name_loads_when_it_is_used() -> None:
    assert "torch" in loaded_after("import unet2015; unet2015.UNet")
    with pytest.raises(AttributeError, match=r"no attribute 'unet'; it offers Markers, .*segment"):
        _ = unet2015.unet
    assert set(unet2015.__all__) <= set(dir(unet2015))
