import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent
STRAYS = (
    "run/model.safetensors",
    "run/log.jsonl",
    "out/a.classes.tif",
    "images/a.tif",
    "tests/data/a.tif",
    "site/index.html",
)
"""What lies in a checkout in which someone works, and must not be in what is built."""


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
    """A copy of the checkout, so that building leaves nothing there, with what users leave in theirs."""
    folder = tmp_path_factory.mktemp("source") / "checkout"
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    left_out = shutil.ignore_patterns(".git", *(line.rstrip("/") for line in ignored))
    shutil.copytree(ROOT, folder, ignore=left_out)
    for name in STRAYS:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left here")
    return folder


@pytest.fixture(scope="session")
def built(source, tmp_path_factory):
    """Source distribution and wheel, by the standard front end: the wheel is built from the distribution.

    It is built with the setuptools that is here: an environment of its own would need a download.
    """
    out = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source, cwd=out)
    archive, wheel = sorted(out.iterdir(), key=lambda path: path.suffix)
    return archive, wheel


@pytest.fixture(scope="session")
def installed(built, tmp_path_factory):
    """A new environment with the wheel, installed without a network; returns its programs' folder.

    What the wheel asks for is not installed again: torch and its like are hundreds of megabytes, which a test
    neither downloads nor copies. They are links to the packages of this environment, and pip sees that they
    are what the wheel asks for. Nothing else of this environment is there, neither an extra nor this project.
    """
    _, wheel = built
    folder = tmp_path_factory.mktemp("installed")
    environment, shared = folder / "env", folder / "shared"
    venv.create(environment)
    paths = {"base": str(environment), "platbase": str(environment)}
    scripts = Path(sysconfig.get_path("scripts", "venv", paths))
    packages = Path(sysconfig.get_path("purelib", "venv", paths))
    shared.mkdir()
    for place in sorted(needed_by(wheel)):
        (shared / place.name).symlink_to(place)
    (packages / "shared.pth").write_text(f"{shared}\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    pip += ["--python", scripts / Path(sys.executable).name]
    run(*pip, "install", "--no-index", wheel, cwd=folder)
    return scripts


def needed_by(wheel: Path) -> set[Path]:
    """Return where all lies that a wheel asks for, without extras: files and folders of site-packages."""
    name, version, _ = wheel.name.split("-", 2)
    asked = metadata.PathDistribution(zipfile.Path(wheel, f"{name}-{version}.dist-info/"))
    places: set[Path] = set()
    found: set[tuple[str, frozenset[str]]] = set()
    waiting = list(asked_by(asked, set()))
    while waiting:
        needed = waiting.pop()
        key = canonicalize_name(needed.name), frozenset(needed.extras)
        if key in found:
            continue
        found.add(key)
        distribution = metadata.distribution(needed.name)
        tops = {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}
        places |= {Path(str(distribution.locate_file(top))) for top in tops}
        waiting += asked_by(distribution, needed.extras)
    return places


def asked_by(distribution: metadata.Distribution, extras: set[str]) -> Iterator[Requirement]:
    """Yield what a distribution asks for on this machine, with some of its extras."""
    for line in distribution.requires or ():
        needed = Requirement(line)
        if needed.marker is None or any(needed.marker.evaluate({"extra": one}) for one in ("", *extras)):
            yield needed
