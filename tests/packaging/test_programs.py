"""What `.ci/chromium` and `.ci/imagej` do where there is the program, may be installed, and may not."""

import re
import shutil
import subprocess
import sys

import pytest

from tests.packaging.conftest import ROOT
from tests.report.browser import NAMES

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script, for make")
PROGRAMS = {  # packages, and what is skipped without them
    "Chromium": ("chromium", "the tests of reports in a browser"),
    "ImageJ": ("libij-java default-jre-headless", "the tests with ImageJ"),
}


@pytest.fixture(params=PROGRAMS)
def program(request):
    return request.param


@pytest.fixture
def machine(tmp_path, program):
    """A machine with a few programs, of which those that would change something write down their call."""

    def make(user, **programs):
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in ("bash", "env"):
            (folder / name).symlink_to(shutil.which(name))
        for name, text in {"id": f"echo {user}", **programs}.items():
            (folder / name).write_text(f"#!{shutil.which('bash')}\n{text}\n")
            (folder / name).chmod(0o755)

        def run(*arguments):
            command = [shutil.which("bash"), ROOT / ".ci" / program.lower(), *arguments]
            environment = {"PATH": str(folder), "CALLS": str(tmp_path / "calls")}
            environment["IJ_JAR"] = str(tmp_path / "ij.jar")
            ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            assert ended.stdout == ""
            calls = tmp_path / "calls"
            return ended.stderr, calls.read_text().splitlines() if calls.exists() else []

        return run

    return make


APT = 'echo "apt-get $*" >> "$CALLS"'
SUDO = 'echo "sudo $*" >> "$CALLS"; shift; "$@"'


@pytest.mark.parametrize(("program", "name"), [("Chromium", name) for name in NAMES], indirect=["program"])
def test_nothing_is_done_where_the_tests_find_a_browser(machine, name):
    assert machine(0, **{name: "true", "apt-get": APT})("--sudo") == ("", [])


@pytest.mark.parametrize("program", ["ImageJ"], indirect=True)
def test_nothing_is_done_where_the_tests_find_imagej(machine, tmp_path):
    (tmp_path / "ij.jar").touch()
    assert machine(0, **{"java": "true", "apt-get": APT})("--sudo") == ("", [])


@pytest.mark.parametrize("program", ["ImageJ"], indirect=True)
def test_imagej_needs_java(machine, tmp_path):
    (tmp_path / "ij.jar").touch()
    assert "no ImageJ: installing it" in machine(0, **{"apt-get": APT})()[0]


def test_root_installs_it_and_says_so(machine, program):
    packages = PROGRAMS[program][0]
    said, calls = machine(0, **{"apt-get": APT, "sudo": SUDO})()
    assert said == f"no {program}: installing it: apt-get install --yes {packages}\n"
    assert [re.sub(r" --\S+", "", call) for call in calls] == [
        "apt-get update",
        f"apt-get install {packages}",
    ]


def test_sudo_is_asked_only_when_told_to(machine, program):
    run = machine(1000, **{"apt-get": APT, "sudo": SUDO})
    said, calls = run()
    assert said.count("\n") == 1
    assert f"{PROGRAMS[program][1]} are skipped; as root: apt-get install {PROGRAMS[program][0]}" in said
    assert calls == []
    said, calls = run("--sudo")
    assert "sudo -n apt-get install" in said
    assert [call.split()[0] for call in calls] == ["sudo", "sudo", "apt-get", "sudo", "apt-get"]


@pytest.mark.parametrize("sudo", [{}, {"sudo": "exit 1"}], ids=["no sudo", "sudo wants a password"])
def test_without_leave_a_line_says_what_is_skipped(machine, sudo):
    said, calls = machine(1000, **{"apt-get": APT, **sudo})("--sudo")
    assert (said.count("\n"), calls) == (1, [])
    assert "skipped" in said


@pytest.mark.parametrize("programs", [{}, {"apt-get": "echo one; echo 'E: no network' >&2; exit 100"}])
def test_a_failed_installation_is_told_and_stops_nothing(machine, programs):
    said, _ = machine(0, **programs)()
    assert "could not be had" in said
    assert said.count("\n") == 2
    assert ("E: no network" in said) == bool(programs)
