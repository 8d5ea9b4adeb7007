"""Every command of the documentation runs, tiny where it takes long, or at least exists with its options."""

import inspect
import re
import tomllib
from functools import cache

import numpy as np
import pytest

import unet2015
from tests.docs.conftest import TINY, TRAIN, TRAINED
from tests.docs.markdown import DOCUMENTS, ROOT, blocks, commands, inline_commands
from tests.docs.run import command, module_help, options, parse

OTHERS = {"source", "python3", "git", "dask"}
"""Programs that are not ours."""
ELSEWHERE = re.compile(r"--dask local:|/shared/")
"""What needs other machines, or starts processes (seconds each), is parsed and not run."""
SAMPLES = {"array": np.zeros((2, 64, 72), np.uint8), "labels": np.ones((2, 64, 72), np.uint8)}
EACH = [
    pytest.param(words, id=f"{document.name}:{line}")
    for document in DOCUMENTS
    for line, words in commands(document)
]


@cache
def help_of(module):
    return module_help(module)


@cache
def make_targets():
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def check_module(words):
    """``python -m MODULE ...`` has the options that are named, and a path that is named exists."""
    module, *given = words
    if module == "pytest":
        assert all((ROOT / word).exists() for word in given if not word.startswith("-"))
        return
    if module == "unet2015":
        parse(given)
        return
    assert module.split(".")[0] in ("pipelines", "benchmarks", "tests")
    said = help_of(module)
    for word in given:
        if word.startswith("-"):
            assert re.search(rf"(?<![\w-]){word}(?![\w-])", said), f"python -m {module} has no {word}"


def check_pip(words):
    assert words[0] == "install"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for word in words[1:]:
        named = re.fullmatch(r"\.\[(.*)\]", word)
        assert named is None or set(named[1].split(",")) <= set(extras)
    assert "-c" not in words or (ROOT / words[words.index("-c") + 1]).is_file()


def train(words, folder):
    """Run a training as it is given, but of one tiny step, into a folder of its own.

    What is to go on has to be begun before. What the reader has run already is not run again.
    """
    if words == TRAIN:
        return
    given = [*words, *TINY]
    given[given.index("-o") + 1] = str(folder)
    if "--resume" in given:
        begun = command([word for word in given if word != "--resume"])
        assert begun.status in TRAINED, begun.said
    ended = command(given)
    assert ended.status in TRAINED, ended.said
    assert (folder / "model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("words", EACH)
def test_a_command_of_a_block(request, reader, tmp_path, words):
    program, *given = words
    if program == "unet2015" and ELSEWHERE.search(" ".join(words)):
        parse(given)
    elif program == "unet2015" and given[0] == "train":
        train(given, tmp_path / "run")
    elif program == "unet2015":
        there = request.getfixturevalue("cluster") if "--dask" in given else None
        ended = command([there if word == "tcp://HOST:8786" else word for word in given])
        assert ended.status == 0, ended.said
    elif program == "torchrun":
        check_module(given[given.index("-m") + 1 :])
    elif program == "python":
        assert given[0] == "-m"
        check_module(given[1:])
    elif program == "pytest":
        check_module(words)
    elif program == "make":
        assert set(given) <= make_targets()
    elif program == "pip":
        check_pip(given)
    else:
        assert program in OTHERS, f"say here how {program} is checked"


INLINE = sorted({tuple(words) for document in DOCUMENTS for words in inline_commands(document)})


@pytest.mark.parametrize("words", INLINE, ids=" ".join)
def test_a_command_in_a_line(words):
    program, *given = words
    if program == "make":
        assert {word for word in given if "=" not in word} <= make_targets()
    elif program == "python" and given[1].split(".")[-1] != "NAME":
        check_module([word for word in given[1:] if word != "..."])
    elif program == "unet2015" and not given[0].startswith("-") and given[0] != "COMMAND":
        named = {word for word in given if word.startswith("-")}
        assert named <= options(given) | {"--help"}


PYTHON = [
    pytest.param(block, id=f"{block.document.name}:{block.line}")
    for document in DOCUMENTS
    for block in blocks(document)
    if block.language == "python" and document.name != "extending.md"
]
FOREIGN = ("napari", "dask_jobqueue")


@pytest.mark.slow
@pytest.mark.parametrize("block", PYTHON)
def test_code_of_a_block(reader, monkeypatch, block):
    code = compile(block.text, str(block.document), "exec")
    if any(f"import {name}" in block.text or f"from {name}" in block.text for name in FOREIGN):
        return
    signature = inspect.signature(unet2015.train)

    def train(*given, **named):
        signature.bind(*given, **named)
        return unet2015.load_model("run/model.safetensors")

    monkeypatch.setitem(vars(unet2015), "train", train)
    exec(code, dict(SAMPLES))
