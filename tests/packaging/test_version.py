"""The version stands in one place, and whoever tells it reads it there."""

import ast
import subprocess
import sys
import tomllib

import unet2015
from tests.packaging.conftest import ROOT
from unet2015.provenance import versions


def test_the_project_file_reads_the_version_from_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "unet2015.__version__"}
    # A plain literal is read without running the file, which could need what is not installed yet.
    tree = ast.parse((ROOT / "unet2015" / "__init__.py").read_text(encoding="utf-8"))
    (value,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
    )
    assert ast.literal_eval(value) == unet2015.__version__


def test_the_records_name_the_version_of_the_code_that_runs():
    assert versions()["unet2015"] == unet2015.__version__


def test_a_checkout_without_an_installation_knows_its_version(tmp_path):
    # -I and -S: neither this folder nor any installed package; only the path that is given.
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import unet2015, unet2015.provenance\n"
        "print(unet2015.__version__, unet2015.provenance.versions()['unet2015'])"
    )
    command = [sys.executable, "-I", "-S", "-c", code, str(ROOT)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == [unet2015.__version__] * 2
