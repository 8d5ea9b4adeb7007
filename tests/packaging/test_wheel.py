"""What is installed from a wheel works where there is no checkout."""

import json
import sys
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


def test_the_wheel_holds_the_package_with_its_data_and_nothing_else(wheel):
    assert wheel.name == f"unet2015-{unet2015.__version__}-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"unet2015", f"unet2015-{unet2015.__version__}.dist-info"}
    package = ROOT / "unet2015"
    expected = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.relative_to(ROOT).as_posix() for path in expected} == {
        name for name in names if name.startswith("unet2015/")
    }
    endings = {Path(name).suffix for name in names}
    assert {".py", ".toml", ".safetensors", ".typed", ".html", ".css"} <= endings


def test_the_source_distribution_builds_the_same_wheel(source, wheel, tmp_path):
    build = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    run(sys.executable, "-c", build, tmp_path, cwd=source)
    (archive,) = tmp_path.glob("*.tar.gz")
    assert archive.name == f"unet2015-{unet2015.__version__}.tar.gz"
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    run(sys.executable, "-c", build, tmp_path, cwd=unpacked)
    (again,) = tmp_path.glob("*.whl")
    first, second = (zipfile.ZipFile(path) for path in (wheel, again))
    assert sorted(first.namelist()) == sorted(second.namelist())
    files = [name for name in first.namelist() if name.startswith("unet2015/")]
    assert all(first.read(name) == second.read(name) for name in files)


def test_the_installed_command_works_from_another_folder(installed, tmp_path):
    command = installed / "unet2015"
    code = "import unet2015; print(unet2015.__file__)"
    place = Path(run(installed / "python", "-c", code, cwd=tmp_path).stdout.strip())
    assert installed.parent in place.parents
    assert run(command, "--version", cwd=tmp_path).stdout == f"unet2015 {unet2015.__version__}\n"
    models = json.loads(run(command, "models", "--json", cwd=tmp_path).stdout)
    assert "em-membrane" in json.dumps(models)
    image = em_stack(1, 64, 72)[0]
    tifffile.imwrite(tmp_path / "tiny.tif", image)
    run(command, "segment", "tiny.tif", "-o", "out", "--model", "em-membrane", cwd=tmp_path)
    classes = tifffile.imread(tmp_path / "out" / "tiny.classes.tif")
    assert classes.dtype == np.uint8
    assert np.array_equal(classes.squeeze(), unet2015.segment(image, "em-membrane").squeeze())
    record = json.loads((tmp_path / "out" / "tiny.record.json").read_text(encoding="utf-8"))
    assert record["versions"]["unet2015"] == unet2015.__version__
