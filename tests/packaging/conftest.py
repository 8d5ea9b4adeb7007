import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command where nothing but its own installation can be imported; fail with what it said."""
    hidden = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    words = [str(word) for word in command]
    ended = subprocess.run(
        words, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == 0, (words, ended.stdout, ended.stderr)
    return ended


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """A copy of what is built from, so that building leaves nothing in the checkout."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("LICENSE", "README.md", "pyproject.toml", "constraints.txt", "Makefile"):
        shutil.copy(ROOT / name, folder)
    for name in ("unet2015", "pipelines", "benchmarks", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "results"))
    return folder


@pytest.fixture(scope="session")
def wheel(source, tmp_path_factory):
    """The wheel, built with the setuptools that is here: nothing is downloaded."""
    out = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "--no-index"]
    run(*pip, "--no-build-isolation", "--wheel-dir", out, source, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """A new environment with the wheel, and with the dependencies of this one; returns its programs' folder.

    The dependencies are found through a .pth file behind the environment's own packages. This project's
    own installation among them, if editable, is found by a hook of another .pth, which is not read there.
    """
    folder = tmp_path_factory.mktemp("installed") / "env"
    venv.create(folder)
    paths = {"base": str(folder), "platbase": str(folder)}
    scripts = Path(sysconfig.get_path("scripts", "venv", paths))
    python = scripts / Path(sys.executable).name
    packages = Path(sysconfig.get_path("purelib", "venv", paths))
    here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "dependencies.pth").write_text(
        "".join(f"{path}\n" for path in sorted(here)), encoding="utf-8"
    )
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    run(*pip, "install", "--no-deps", "--no-index", "--ignore-installed", wheel, cwd=folder)
    return scripts
