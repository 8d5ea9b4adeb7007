"""What `make` says where pip fails, and what has to be green before a change lands."""

import shutil
import subprocess
import sys

import pytest

from tests.packaging.conftest import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script, for make")
PIP = "#!/bin/sh\necho 'ERROR: No matching distribution found for mkdocs-material' >&2\nexit 1\n"


@pytest.fixture
def folder(tmp_path):
    """A folder with the Makefile, and an environment whose pip reaches no index."""
    (tmp_path / ".ci").mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt", ".ci/no-index"):
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PIP)
    python.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("target", ["docs", "lint"])
def test_a_pip_without_an_index_is_told_with_what_to_do(folder, target):
    marker = folder / ".venv" / {"docs": ".ready-docs", "lint": ".ready"}[target]
    if target == "docs":
        (folder / ".venv" / ".ready").touch()
    # Without PYTHON an environment would be made, by the real one; it is there already.
    command = ["make", "PYTHON=true", target]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    own, said = ended.stderr.splitlines()[:2]
    assert own == "ERROR: No matching distribution found for mkdocs-material"
    assert said.startswith("pip could not install what this needs; why, it says above.")
    assert "PIP_FIND_LINKS=FOLDER" in said
    assert not marker.exists()


def test_style_documents_and_tests_must_be_green():
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    made = [word for line in lines if line.startswith("make ") for word in line.split()[1:]]
    assert "set -euo pipefail" in lines
    assert [word for word in made if not word.startswith("-")] == [
        *(".venv/.ready-docs", "lint", "docs", "napari", "test")
    ]
    assert not {"-k", "-i", "--keep-going", "--ignore-errors"} & set(made)
