"""The public names: each loads, is documented, and has a signature that a person can read."""

import importlib
import inspect
import pydoc
import re
from enum import Enum

import pytest

import unet2015


def is_built(thing: object) -> bool:
    """Tell whether a user makes objects of a class; errors are caught, and enumerations have members."""
    return inspect.isclass(thing) and not issubclass(thing, (Exception, Enum))


MODULES = (unet2015, unet2015.metrics)
PUBLIC = [(module, name) for module in MODULES for name in module.__all__]
NAMES = [f"{module.__name__}.{name}" for module, name in PUBLIC]
CALLED = [pair for pair in PUBLIC if inspect.isfunction(thing := getattr(*pair)) or is_built(thing)]
FUNCTIONS = [pair for pair in PUBLIC if inspect.isfunction(getattr(*pair))]


def sections(docstring: str) -> dict[str, str]:
    """Split a numpydoc docstring at its underlined headings; what comes first is the summary."""
    first, *rest = re.split(r"^(\w[\w ]*)\n-{3,}\n", docstring, flags=re.M)
    return {"Summary": first, **dict(zip(rest[::2], rest[1::2], strict=True))}


@pytest.mark.parametrize(("module", "name"), PUBLIC, ids=NAMES)
def test_a_public_name_loads_and_says_what_it_is(module, name):
    thing = getattr(module, name)
    assert name in dir(module)
    if name != "__version__":
        assert (inspect.getdoc(thing) or "").strip()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_public_name_is_what_its_own_file_calls_so(module):
    for name, home in module._HOMES.items():
        assert getattr(module, name) is getattr(importlib.import_module(home), name)
    assert set(module._HOMES) == set(module.__all__) - {"__version__", "metrics"}
    assert list(module.__all__) == sorted(module.__all__)


def test_the_front_door_offers_a_subpackage_and_names_all_that_it_has():
    assert unet2015.__getattr__("metrics") is unet2015.metrics
    assert dir(unet2015) == unet2015.__all__
    with pytest.raises(AttributeError, match="'unet2015' has no attribute 'unet'; it offers Markers, Obj"):
        unet2015.unet  # noqa: B018


@pytest.mark.parametrize(("module", "name"), FUNCTIONS, ids=[f"{m.__name__}.{n}" for m, n in FUNCTIONS])
def test_a_public_function_says_what_goes_in_and_what_comes_out(module, name):
    function = getattr(module, name)
    found, signature = sections(inspect.getdoc(function)), inspect.signature(function)
    described = re.findall(r"^(\w+(?:, \w+)*)(?: :|$)", found.get("Parameters", ""), flags=re.M)
    words = [word for group in described for word in group.split(", ")]
    assert sorted(words) == sorted(signature.parameters)
    assert ("Returns" in found) == (signature.return_annotation != "None")


@pytest.mark.parametrize(("module", "name"), CALLED, ids=[f"{m.__name__}.{n}" for m, n in CALLED])
def test_a_signature_has_plain_names_of_types(module, name):
    signature = str(inspect.signature(getattr(module, name)))
    assert not re.search(r"\b(numpy|pathlib|typing|collections|unet2015|torch)\b[._]", signature), signature


def test_the_help_of_segment_can_be_read():
    text = re.sub(r"\s+", " ", pydoc.plain(pydoc.render_doc(unet2015.segment)))
    assert "segment(image: 'str | Path | NDArray[Any]', model: 'Model | str | Path'" in text
    assert "axes : str, optional" in text
