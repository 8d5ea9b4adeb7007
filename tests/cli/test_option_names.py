"""Options have the same names with every version of Typer that may be installed."""

from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import typer
from typer.models import OptionInfo

from unet2015.cli.app import app


def commands(group: typer.Typer) -> Iterator[Any]:
    """Yield the functions of all commands."""
    yield from (command.callback for command in group.registered_commands)
    for below in group.registered_groups:
        assert below.typer_instance is not None
        yield from commands(below.typer_instance)


def test_no_option_takes_its_name_from_what_stands_for_its_value():
    """Typer 0.27 makes --MODEL of an option `model` whose value is shown as MODEL, and --model is unknown."""
    named = [
        (command.__name__, name, option)
        for command in commands(app)
        for name, hint in get_type_hints(command, include_extras=True).items()
        for option in get_args(hint)
        if isinstance(option, OptionInfo)
    ]
    assert len({name for _, name, _ in named}) > 40
    wrong = [
        f"{command} {name}"
        for command, name, option in named
        # Typer keeps the first name that is given in an annotation as the default, until it is used.
        if (option.metavar or "").lower() == name and not f"{option.default}".startswith("-")
    ]
    assert wrong == []
