"""Files, functions and lists of parameters stay small enough to be read at once."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import unet2015

ROOT = Path(unet2015.__file__).parent.parent
FOLDERS = ("unet2015", "pipelines", "benchmarks")
FILE, FUNCTION, PARAMETERS = 300, 50, 7
"""The most lines of a file, the most of a function without its docstring, and the most parameters."""
KEYWORDS_OF_THE_API = {
    "unet2015/segmentation/in_memory.py:segment",
    "unet2015/segmentation/label_files.py:measure_files",
    "unet2015/segmentation/map_files.py:label_files",
    "unet2015/training/loop.py:train",
}
"""Called with keywords, by people; its parameters are a user's choices and each has a default."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST, names: tuple[str, ...] = ()) -> Iterator[tuple[str, Function, bool]]:
    """Yield the dotted name of each function, the function, and whether it is a method."""
    for node in ast.iter_child_nodes(tree):
        named = (*names, node.name) if isinstance(node, (Function, ast.ClassDef)) else names
        if isinstance(node, Function):
            yield ".".join(named), node, isinstance(tree, ast.ClassDef)
        yield from functions(node, named)


def parameters(function: Function, method: bool) -> int:
    """Return how many parameters a call may give; ``self`` is none."""
    every = function.args
    count = len(every.posonlyargs) + len(every.args) + len(every.kwonlyargs)
    static = any(isinstance(name, ast.Name) and name.id == "staticmethod" for name in function.decorator_list)
    return count + bool(every.vararg) + bool(every.kwarg) - (method and not static)


def is_command(place: str, function: Function) -> bool:
    """Tell whether a function is a subcommand: its parameters are the options, with their help."""
    named = [ast.unparse(decorator) for decorator in function.decorator_list]
    return (
        place == f"unet2015/cli/{function.name}.py"
        or "app.command()" in named
        or "typer." in ast.unparse(function.args)
    )


def length(function: Function, command: bool) -> int:
    """Return the lines of a function without its docstring; of a subcommand without its options too."""
    first, *_ = function.body
    lines = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines - (first.lineno - function.lineno - 1 if command else 0)


def too_large(root: Path) -> list[str]:
    """Return whatever in the folders is above its bound, as ``file:name: what``."""
    found = []
    for path in sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py")):
        place, text = path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")
        if (lines := len(text.splitlines())) > FILE:
            found.append(f"{place}: {lines} lines")
        for name, function, method in functions(ast.parse(text)):
            command = is_command(place, function)
            if (lines := length(function, command)) > FUNCTION:
                found.append(f"{place}:{name}: {lines} lines")
            free = command or f"{place}:{name}" in KEYWORDS_OF_THE_API
            if (count := parameters(function, method)) > PARAMETERS and not free:
                found.append(f"{place}:{name}: {count} parameters")
    return found


def test_nothing_is_too_large() -> None:
    assert too_large(ROOT) == []


LONG = "\n".join(["    pass"] * 50)
DOCSTRING = '    """Do.\n\n    And more.\n    """'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\n" * 301, "pipelines/a.py: 301 lines"),
        (f"def f():\n{LONG}", "pipelines/a.py:f: 51 lines"),
        (
            f"class A:\n  async def f(self):\n{LONG}",
            "pipelines/a.py:A.f: 51 lines",
        ),
        ("def f(a, b, c, d, e, f, *, g, h): ...", "pipelines/a.py:f: 8 parameters"),
        ("def f(a, b, /, *c, d, e, f, g, **h): ...", "pipelines/a.py:f: 8 parameters"),
        ("class A:\n    def f(self, a, b, c, d, e, f, g, h): ...", "pipelines/a.py:A.f: 8 parameters"),
        ("def f():\n    def g(a, b, c, d, e, f, g, h): ...", "pipelines/a.py:f.g: 8 parameters"),
    ],
)
def test_what_is_too_large_is_found(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "a.py").write_text(text)
    assert too_large(tmp_path) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "x = 1\n" * 300,
        f"def f():\n{DOCSTRING}\n{LONG[9:]}",
        f"def f(\n    a: Annotated[int, typer.Option()],\n    b: int,\n):\n{DOCSTRING}\n{LONG[9:]}",
        f"def f(a: Annotated[int, typer.Option()], {', '.join('bcdefgh')}): ...",
        "class A:\n    def f(self, a, b, c, d, e, f, g): ...",
        "class A:\n    @staticmethod\n    def f(a, b, c, d, e, f, g): ...",
    ],
)
def test_what_is_not_too_large_passes(tmp_path: Path, text: str) -> None:
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "a.py").write_text(text)
    assert too_large(tmp_path) == []
