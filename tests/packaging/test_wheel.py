"""What is installed from a wheel works where there is no checkout."""

import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile

import unet2015
from tests.packaging.conftest import ROOT, run
from unet2015.synthetic import em_stack

pytestmark = pytest.mark.slow


PACKAGE = ROOT / "unet2015"
SHIPPED = {"unet2015/models/em-membrane.safetensors"}
"""The models that the package comes with: of trainings nothing else may be built in."""
NAME = f"unet2015-{unet2015.__version__}"


def files_of_the_package():
    """Return the bytes of each file of the package in the checkout, by its path."""
    paths = [path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}


def test_the_wheel_holds_the_package_with_its_data_and_nothing_else(built):
    _, wheel = built
    assert wheel.name == f"{NAME}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    assert {name.partition("/")[0] for name in found} == {"unet2015", f"{NAME}.dist-info"}
    inside = {name: data for name, data in found.items() if name.startswith("unet2015/")}
    assert inside == files_of_the_package()
    assert {".py", ".toml", ".safetensors", ".typed", ".html", ".css"} <= {
        Path(name).suffix for name in found
    }
    assert {name for name in found if name.endswith(".safetensors")} == SHIPPED
    assert f"{NAME}.dist-info/licenses/LICENSE" in found


def test_the_source_distribution_holds_what_the_wheel_is_built_from_and_little_else(built):
    distribution, _ = built
    assert distribution.name == f"{NAME}.tar.gz"
    with tarfile.open(distribution) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        found = {
            member.name.removeprefix(f"{NAME}/"): archive.extractfile(member).read() for member in members
        }
    inside = {name: data for name, data in found.items() if name.startswith("unet2015/")}
    assert inside == files_of_the_package()
    beside = {name for name in found if not name.startswith(("unet2015/", "unet2015.egg-info/"))}
    copied = {
        "CHANGELOG.md",
        "CITATION.cff",
        "LICENSE",
        "MANIFEST.in",
        "README.md",
        "constraints.txt",
        "pyproject.toml",
    }
    assert beside == copied | {"PKG-INFO", "setup.cfg"}
    assert all(found[name] == (ROOT / name).read_bytes() for name in copied)


EXTRAS = ["matplotlib", "zarr", "distributed", "numba", "pytest", "pipelines", "tests"]
WHERE = f"""
import importlib.util, unet2015
print(unet2015.__file__)
print(*[name for name in {EXTRAS} if importlib.util.find_spec(name)])
"""


def test_the_installed_command_works_from_another_folder(installed, tmp_path):
    command = installed / "unet2015"
    place, extras = run(installed / "python", "-c", WHERE, cwd=tmp_path).stdout.splitlines()
    assert installed.parent in Path(place).parents
    assert extras == ""  # only what the wheel asks for is there
    assert run(command, "--version", cwd=tmp_path).stdout == f"unet2015 {unet2015.__version__}\n"
    image = em_stack(1, 64, 72)[0]
    tifffile.imwrite(tmp_path / "tiny.tif", image)
    run(command, "segment", "tiny.tif", "-o", "out", "--model", "em-membrane", cwd=tmp_path)
    classes = tifffile.imread(tmp_path / "out" / "tiny.classes.tif")
    assert classes.dtype == np.uint8
    assert np.array_equal(classes.squeeze(), unet2015.segment(image, "em-membrane").squeeze())
    record = json.loads((tmp_path / "out" / "tiny.record.json").read_text(encoding="utf-8"))
    assert record["versions"]["unet2015"] == unet2015.__version__
