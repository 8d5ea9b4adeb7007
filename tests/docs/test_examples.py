"""The worked examples of docs/extending.md fit the code of today: applied to a copy, they do what they say.

A block of Python with a path as its title is a new file, a diff with a title is a change of a file that is
there (its lines must occur once), and a block called "try it" runs in the copy.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, blocks

PAGE = ROOT / "docs" / "extending.md"
BLOCKS = blocks(PAGE)
TRIALS = [block for block in BLOCKS if block.title == "try it"]
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.safetensors", "results")
DRIVER = """
import json, sys, traceback
import unet2015
assert unet2015.__file__.startswith(sys.argv[1]), unet2015.__file__
ended = {}
for line, code in json.load(sys.stdin).items():
    try:
        exec(compile(code, f"line {line} of extending.md", "exec"), {})
        ended[line] = ""
    except BaseException:
        ended[line] = traceback.format_exc()
print("\\n" + json.dumps(ended))
"""


def change(text: str, diff: str) -> str:
    """Return a text with the hunks of a diff applied; hunks stand apart by an empty line."""
    for hunk in diff.strip("\n").split("\n\n"):
        lines = hunk.splitlines()
        assert {line[0] for line in lines} <= set(" +-"), hunk
        before, after = ("".join(f"{line[1:]}\n" for line in lines if line[0] != sign) for sign in "+-")
        assert text.count(before) == 1, f"these lines must be in the file once:\n{before}"
        text = text.replace(before, after)
    return text


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the code with all examples applied; the paths that they touched."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("unet2015", "pipelines"):
        shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
    shutil.copy(ROOT / "pyproject.toml", folder)
    touched = []
    for block in BLOCKS:
        if not block.title or block.title == "try it":
            continue
        path = folder / block.title
        if block.language == "diff":
            path.write_text(change(path.read_text(), block.text))
        else:
            assert block.language == "python"
            assert not path.exists()
            assert path.parent.is_dir()
            path.write_text(block.text)
        touched.append(path)
    return folder, touched


@pytest.fixture(scope="module")
def trials(copy):
    """What came of each block called "try it", by its line: nothing, or what went wrong."""
    folder, _ = copy
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", DRIVER, str(folder)],
        input=json.dumps({block.line: block.text for block in TRIALS}),
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "", "OMP_NUM_THREADS": "1"},
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("block", TRIALS, ids=lambda block: f"line {block.line}")
def test_an_example_does_what_it_says(trials, block):
    assert trials[str(block.line)] == ""


def test_the_examples_are_in_the_style_of_the_code(copy):
    folder, touched = copy
    files = [str(path) for path in {*touched} if path.suffix == ".py"]
    ruff = [sys.executable, "-m", "ruff"]
    for words in (["check"], ["format", "--check", "--diff"]):
        done = subprocess.run(
            [*ruff, *words, *files], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_heading_has_an_example():
    text = PAGE.read_text(encoding="utf-8")
    parts = text.split("\n## ")[1:]
    assert len(parts) >= 8
    for part in parts:
        assert 'title="try it"' in part, part.splitlines()[0]
        assert "```python" in part or "```diff" in part


def test_a_diff_must_fit(tmp_path: Path):
    assert change("a\nb\nc\n", " a\n+x\n\n-c\n+d\n") == "a\nx\nb\nd\n"
    with pytest.raises(AssertionError, match="once"):
        change("a\na\n", " a\n+x\n")
