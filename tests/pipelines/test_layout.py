"""The files of the pipelines: who imports whom, and how long they are."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pipelines

FOLDER = Path(pipelines.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(FOLDER.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """Yield the full names of all that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_file_imports_one_that_imports_it() -> None:
    names = {name_of(path) for path in FILES}
    graph: dict[str, set[str]] = {}
    for path in FILES:
        found = imported(path)
        graph[name_of(path)] = {n if n in names else n.rpartition(".")[0] for n in found} & names
    assert graph["pipelines.isbi2012"] >= {"pipelines.base.experiment", "pipelines.em.report"}
    list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_pipelines_do_not_need_the_benchmarks() -> None:
    found = {(path.name, name) for path in FILES for name in imported(path) if "benchmarks" in name}
    assert found == set()


def test_every_file_is_short() -> None:
    counts = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: count for name, count in counts.items() if count > 200} == {}
