"""napari finds the plug-in: entry point, manifest and class fit together, and are in the wheel."""

import ast
import tomllib
from pathlib import Path

import yaml

import unet2015.napari_plugin

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOLDER = Path(unet2015.napari_plugin.__file__).parent


def test_the_entry_point_names_the_manifest():
    ((name, place),) = PROJECT["project"]["entry-points"]["napari.manifest"].items()
    module, _, file = place.partition(":")
    assert (name, module) == (PROJECT["project"]["name"], unet2015.napari_plugin.__name__)
    assert yaml.safe_load((FOLDER / file).read_text(encoding="utf-8"))["name"] == name
    assert f"{FOLDER.name}/{file}" in PROJECT["tool"]["setuptools"]["package-data"]["unet2015"]


def test_every_command_is_a_class_that_takes_the_viewer():
    offered = yaml.safe_load((FOLDER / "napari.yaml").read_text(encoding="utf-8"))["contributions"]
    commands = {command["id"]: command["python_name"] for command in offered["commands"]}
    assert {widget["command"] for widget in offered["widgets"]} == commands.keys()
    for name in commands.values():
        module, _, wanted = name.partition(":")
        tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
        (made,) = (one for one in tree.body if isinstance(one, ast.ClassDef) and one.name == wanted)
        (init,) = (f for f in made.body if isinstance(f, ast.FunctionDef) and f.name == "__init__")
        assert [argument.arg for argument in init.args.args] == ["self", "napari_viewer"]


def test_the_extra_asks_for_no_qt():
    """A plug-in that does breaks environments in which there is another Qt."""
    (wanted,) = PROJECT["project"]["optional-dependencies"]["napari"]
    assert wanted.startswith("napari>=")
