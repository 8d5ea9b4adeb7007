"""The bytes of every output, and of short trainings, are those of the golden file.

A difference that is meant: ``python -m tests.golden --write``, and the commit says why.
"""

import copy
import json

import pytest

from tests.golden import outcome

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def golden():
    return outcome.read()


@pytest.fixture(scope="module")
def now(tmp_path_factory):
    return outcome.run(tmp_path_factory.mktemp("golden"))


@pytest.fixture
def elsewhere(golden):
    """The golden run as another machine might give it: other last bits, other bytes of the files."""
    other = copy.deepcopy(golden)
    other["machine"]["numbers"] = "another machine"
    for found in other["found"].values():
        found |= {part: "another digest" for part in ("file", "values") if part in found}
    return other


def test_every_output_is_as_it_was(golden, now):
    changed = outcome.differences(golden, now)
    machines = f"golden file: {golden['machine']}\nhere: {now['machine']}"
    assert not changed, "\n".join([f"{len(changed)} outputs are not as they were", *changed, machines])


def test_resumed_is_as_uninterrupted_and_the_function_as_the_command(now):
    assert outcome.unlike(now) == []


def test_each_kind_of_output_is_there(golden):
    found = golden["found"]
    assert sum("file" in item for item in found.values()) > 30
    assert sum("values" in item for item in found.values()) > 40
    assert {item["tolerance"] for item in found.values()} == outcome.TOLERANCES.keys()
    # Where and when it was is no part of what must stay.
    assert not any(word in json.dumps(found) for word in (': "/', '["/', ', "/', '"date"', '"seconds"'))


@pytest.mark.parametrize(("part", "said"), [("file", "other bytes in the file"), ("values", "other values")])
def test_another_digest_is_found_where_the_numbers_are_the_same(golden, part, said):
    changed = copy.deepcopy(golden)
    changed["found"]["segment stack: deep.probability.tif"][part] = "another"
    assert outcome.differences(golden, changed) == [f"segment stack: deep.probability.tif: {said}"]


def test_the_files_may_have_other_bytes_where_other_libraries_write_them(golden):
    changed = copy.deepcopy(golden)
    changed["machine"]["files"] = "other libraries"
    changed["found"]["segment stack: deep.probability.tif"]["file"] = "another"
    assert outcome.differences(golden, changed) == []


def test_elsewhere_rounding_passes(golden, elsewhere):
    assert outcome.differences(golden, elsewhere) == []
    elsewhere["found"]["segment gray: gray.probability.tif"]["says"]["means"][3] *= 1 + 1e-6
    elsewhere["found"]["train membrane: log"]["says"][1]["loss"] *= 1 + 1e-6
    assert outcome.differences(golden, elsewhere) == []


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("segment gray: gray.probability.tif", lambda says: says["means"].__setitem__(5, 0.5)),
        (
            "segment stack: deep.classes.tif",
            lambda says: says["means"].__setitem__(5, says["means"][5] + 0.1),
        ),
        ("segment bfloat16: gray.probability.tif", lambda says: says["means"].__setitem__(5, 0.1)),
        ("train membrane: log", lambda says: says[1].__setitem__("loss", says[1]["loss"] * 1.001)),
        ("train classes: log", lambda says: says[1].__setitem__("loss", says[1]["loss"] * 1.1)),
        ("segment gray: gray.record.json", lambda says: says["plan"].__setitem__("tiles", 1)),
        ("segment gray: gray.record.json", lambda says: says.pop("plan")),
        ("segment gray: gray.record.json", lambda says: says.__setitem__("more", None)),
    ],
)
def test_elsewhere_a_change_is_found(golden, elsewhere, name, change):
    change(elsewhere["found"][name]["says"])
    (line,) = outcome.differences(golden, elsewhere)
    assert line.startswith(f"{name}: ")


def test_an_output_more_or_less_is_found(golden, elsewhere):
    elsewhere["found"]["new"] = elsewhere["found"].pop("models: printed")
    assert outcome.differences(golden, elsewhere) == ["models: printed: missing", "new: not there before"]
