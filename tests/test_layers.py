"""Imports run downwards only and never in a circle, and ``import unet2015`` loads nothing heavy."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import unet2015

PACKAGE = Path(unet2015.__file__).parent
LAYERS = [  # from the lowest; rooms of one line stand side by side and do not know each other
    {
        "csv_table",
        "errors",
        "file_names",
        "heap",
        "large_arrays",
        "lazy",
        "matrices",
        "memory",
        "provenance",
        "wording",
    },
    {"arguments", "safe_files"},
    {"device", "settings"},
    {"geometry", "synthetic"},
    {"images"},
    {"networks"},
    {"models"},
    {"tiling"},
    {"exchange", "metrics"},
    {"objects"},
    {"training"},
    {"segmentation"},
    {"napari_plugin", "report"},
    {"cli"},
]
HEIGHT = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}
ROOT = PACKAGE.parent
MAY_IMPORT: dict[str, set[str]] = {  # the top-level folders, from the lowest; tests may import all of them
    "unet2015": set(),
    "pipelines": {"unet2015"},
    "benchmarks": {"unet2015", "pipelines"},
}
FOLDERS = {*MAY_IMPORT, "tests"}


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


def foreign(root: Path) -> list[str]:
    """Return every import between top-level folders that `MAY_IMPORT` does not allow."""
    found = []
    for folder, allowed in MAY_IMPORT.items():
        for path in sorted((root / folder).rglob("*.py")):
            place = path.relative_to(root)
            for line, name in imported(ast.parse(path.read_text(encoding="utf-8")), [*place.parent.parts]):
                top = name.partition(".")[0]
                if top in FOLDERS - allowed - {folder}:
                    found.append(f"{place}:{line}: {folder} imports {name}")
    return found


def import_graph(root: Path) -> dict[str, set[str]]:
    """Return for each module of the top-level folders the modules that it names in an import, anywhere.

    The front door of `unet2015` is left out: it names what it offers, and loads it only when it is used.
    """
    files = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for folder in MAY_IMPORT
        for path in sorted((root / folder).rglob("*.py"))
    }
    del files["unet2015"]
    graph: dict[str, set[str]] = {}
    for module, path in files.items():
        named = imported(ast.parse(path.read_text(encoding="utf-8")), [*path.relative_to(root).parent.parts])
        # `from a.b import c` names the file a/b/c.py where there is one, else a/b.py.
        targets = {name if name in files else name.rpartition(".")[0] for _, name in named}
        graph[module] = (targets & files.keys()) - {module}
    return graph


def circles(graph: dict[str, set[str]]) -> list[str]:
    """Return a shortest circle through each module that lies on one, as ``a -> b -> a``, without repeats."""
    found = {}
    for start in sorted(graph):
        before, row = dict.fromkeys(graph[start], start), [*sorted(graph[start])]
        while row and start not in before:  # breadth first
            for after in sorted(graph[module := row.pop(0)]):
                if after not in before:
                    before[after] = module
                    row.append(after)
        if start in before:
            way = [start, before[start]]
            while way[-1] != start:
                way.append(before[way[-1]])
            found.setdefault(frozenset(way), " -> ".join(reversed(way)))
    return list(found.values())


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


def written(root: Path, files: dict[str, str]) -> Path:
    """Write modules, in folders that each top-level folder of the project has a stand-in of."""
    for path, text in (dict.fromkeys((f"{folder}/__init__.py" for folder in FOLDERS), "") | files).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def test_the_package_knows_no_pipeline_and_nobody_imports_the_tests() -> None:
    assert foreign(ROOT) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("unet2015/report/page.py", "import pipelines.stages"),
        ("unet2015/report/page.py", "def draw():\n    from benchmarks import machine"),
        ("pipelines/demo.py", "from benchmarks.machine import machine"),
        ("pipelines/demo.py", "from tests import reference"),
        ("benchmarks/deep/one.py", "import tests"),
    ],
)
def test_an_import_from_a_higher_folder_is_caught(tmp_path: Path, path: str, text: str) -> None:
    (found,) = foreign(written(tmp_path, {path: text}))
    assert found.startswith(f"{path}:{len(text.splitlines())}: {path.partition('/')[0]} imports ")


def test_an_import_from_a_lower_folder_passes(tmp_path: Path) -> None:
    files = {
        "benchmarks/one.py": "import pipelines.demo\nfrom unet2015 import segment\nfrom . import two",
        "pipelines/demo.py": "import unet2015\nfrom pipelines import stages\nimport benchmarksextra",
        "tests/test_one.py": "import benchmarks, pipelines, unet2015",
    }
    assert foreign(written(tmp_path, files)) == []


def test_no_files_import_each_other() -> None:
    graph = import_graph(ROOT)
    assert {"unet2015.models", "pipelines.demo", "benchmarks.machine"} < graph.keys()
    assert circles(graph) == []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {
                "unet2015/rand.py": "from unet2015.thin import thin",
                "unet2015/thin.py": "def f():\n    from unet2015.rand import g",
            },
            "unet2015.rand -> unet2015.thin -> unet2015.rand",
        ),
        (
            {
                "pipelines/a.py": "from . import b",
                "pipelines/b.py": "from .c import d",
                "pipelines/c.py": "import pipelines.a",
            },
            "pipelines.a -> pipelines.b -> pipelines.c -> pipelines.a",
        ),
        (
            {
                "unet2015/room/__init__.py": "from unet2015.room.one import f",
                "unet2015/room/one.py": "from unet2015.room import g",
            },
            "unet2015.room -> unet2015.room.one -> unet2015.room",
        ),
    ],
)
def test_a_circle_is_caught(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    assert circles(import_graph(written(tmp_path, files))) == [expected]


def test_two_ways_to_one_file_are_no_circle(tmp_path: Path) -> None:
    files = {
        "unet2015/__init__.py": "from unet2015.top import f",
        "unet2015/top.py": "from unet2015 import __version__\nfrom unet2015 import left, right",
        "unet2015/left.py": "import unet2015.base",
        "unet2015/right.py": "from .base import f\nfrom . import left",
        "unet2015/base.py": "import os",
    }
    assert circles(import_graph(written(tmp_path, files))) == []


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
