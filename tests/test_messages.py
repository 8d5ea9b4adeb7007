"""What messages advise exists (options, subcommands, settings, extras), and does no harm."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import typer
from pydantic import BaseModel

import unet2015
from unet2015.cli.app import app
from unet2015.settings import TrainingSettings as Settings

ROOT = Path(unet2015.__file__).parent.parent

COMMANDS_OF = {
    "unet2015/cli/": (),
    "unet2015/training/": ("train", "check", "weights"),
    "unet2015/segmentation/": ("segment", "replay"),
    "unet2015/tiling/": ("segment", "replay"),
    "unet2015/objects/": ("segment", "replay"),
    "unet2015/metrics/": ("evaluate objects", "evaluate pixels", "evaluate em", "evaluate seg"),
    "unet2015/report/": ("report",),
}
"""The commands that show the messages of a room; all commands, where none is named."""

OTHER_PROGRAMS = {"--memory-limit": "dask worker", "--nproc-per-node": "torchrun"}


def texts(root: Path, *folders: str) -> Iterator[tuple[str, str]]:
    """Yield every text in the source, with its place; docstrings are no messages."""
    for path in sorted(path for folder in folders for path in (root / folder).rglob("*.py")):
        yield from ((path.relative_to(root).as_posix(), text) for text in texts_of(path))


@cache
def texts_of(path: Path) -> list[str]:
    """Return every text of a file that may be part of a message."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped.update(map(id, node.values))
    found = []
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
            found.append("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


def command_options() -> dict[str, set[str]]:
    """Return the long options of each subcommand."""
    found: dict[str, set[str]] = {}

    def walk(command: object, names: tuple[str, ...]) -> None:
        found[" ".join(names)] = {
            option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
        } | {"--help"}
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, (*names, name))

    walk(typer.main.get_command(app), ())
    return found


def pipeline_options() -> set[str]:
    """Return the options that the pipelines' parsers take."""
    found = {"--help"}
    for path in (ROOT / "pipelines").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
                found |= {one.value for one in node.args if isinstance(one, ast.Constant)}
    return found


def unknown_options(root: Path, commands: dict[str, set[str]], pipelines: set[str]) -> list[str]:
    """Return the options in messages that no command has which shows the message."""
    found = []
    for place, text in texts(root, "unet2015", "pipelines"):
        shown = next((names for room, names in COMMANDS_OF.items() if place.startswith(room)), ())
        known = set().union(*(commands[name] for name in shown or commands), OTHER_PROGRAMS)
        if place.startswith("pipelines/"):
            known = pipelines
        found += [
            f"{place}: {option}"
            for option in re.findall(r"(?<![-\w])--[a-z][a-z0-9-]*", text)
            if option not in known
        ]
    return found


def test_every_option_in_a_message_exists():
    assert unknown_options(ROOT, command_options(), pipeline_options()) == []


def test_an_option_that_does_not_exist_is_found(tmp_path):
    for room, text in (
        ("unet2015/training", "f'{name}: give --max-memory {size}'"),  # train has none
        ("unet2015/images", "'give --bits'"),
        ("pipelines/em", "'give --axes'"),
    ):
        (tmp_path / room).mkdir(parents=True)
        (tmp_path / room / "a.py").write_text(f'"""Not --this."""\nraise ValueError({text})\n')
    found = unknown_options(tmp_path, command_options(), pipeline_options())
    assert found == [
        "pipelines/em/a.py: --axes",
        "unet2015/images/a.py: --bits",
        "unet2015/training/a.py: --max-memory",
    ]


def test_options_of_other_programs_exist():
    from distributed.cli.dask_worker import main as dask_worker
    from torch.distributed.run import get_args_parser

    known = {
        "dask worker": {option for parameter in dask_worker.params for option in parameter.opts},
        "torchrun": {option for action in get_args_parser()._actions for option in action.option_strings},
    }
    for option, program in OTHER_PROGRAMS.items():
        assert option in known[program]


def test_every_command_in_a_message_exists():
    commands, found = command_options(), set()
    for place, text in texts(ROOT, "unet2015", "pipelines"):
        for name in re.findall(
            r"(?:\(|with |: |use )(?:unet2015 )?(evaluate [a-z]+|(?<=unet2015 )[a-z]+)", text
        ):
            found.add(name)
            assert name in commands, f"{place}: {text}"
    assert {"check", "inspect", "evaluate objects"} <= found


def test_every_extra_in_a_message_exists():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {
        name
        for _, text in texts(ROOT, "unet2015", "pipelines")
        for name in re.findall(r"unet2015\[([a-z0-9]+)\]", text)
    }
    assert named
    assert named <= set(extras)


def settings_names(model: type[BaseModel] = Settings) -> set[str]:
    """Return the names of all settings and their sections."""
    names = set(model.model_fields)
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names |= settings_names(field.annotation)
    return names


def test_every_setting_that_a_message_gives_a_value_exists():
    known, found = settings_names(), set()
    for place, text in texts(ROOT, "unet2015/training"):
        for name in re.findall(r"\b(?:set|need) ([a-z_.]+) = ", text):
            found.add(name)
            assert name.split(".")[-1] in known, f"{place}: {text}"
    assert {"kind", "classes", "ignore", "separation_border"} <= found


HARM = {
    r"as (8 or 16 bit )?gray": "other numbers for labels",
    r"[Cc]onvert (it|the image)( to|$|\.)": "other intensities",
    r"divide an? \S+ map by 255": "labels would become 0 or a fraction",
    r"; remove it": "may be somebody's only copy, or hours of work",
    r'for a mask set kind = "membrane"': "0 is background in most masks, not membrane",
}


def test_no_message_advises_what_harms():
    for place, text in texts(ROOT, "unet2015", "pipelines"):
        for pattern, why in HARM.items():
            assert not re.search(pattern, text), f"{place}: {text!r}: {why}"
