import errno
import signal
import subprocess
import sys

import pytest

import unet2015
from unet2015 import errors


def test_help_names_every_subcommand_and_the_exit_statuses(installed):
    ended = installed("--help")
    assert ended.status == 0
    assert ended.err == ""
    for word in ("inspect", "check", "weights", "train", "segment", "--version", "130 interrupted"):
        assert word in ended.out


@pytest.mark.parametrize(
    "subcommand", ["inspect", "check", "weights", "train", "segment", "models", "networks", "report"]
)
def test_every_subcommand_explains_itself(cli, subcommand):
    ended = cli(subcommand, "--help")
    assert ended.status == 0
    assert "[OPTIONS]" in ended.out
    assert "Exit status" in ended.out


def test_version(cli):
    assert cli("--version") == (0, f"unet2015 {unet2015.__version__}\n", "")


def test_the_module_is_the_command(installed):
    ended = subprocess.run(
        [sys.executable, "-m", "unet2015", "--help"], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == installed("--help")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["unet2015 --help"]),
        (["segmnet"], ["segmnet", "segment", "unet2015 --help"]),
        (["inspect"], ["FILE", "unet2015 inspect --help"]),
        (["segment", "a.tif", "--ouput", "b"], ["--ouput", "--out", "unet2015 segment --help"]),
        (["segment", "a.tif", "-o", "b", "--model", "m", "--tile", "large"], ["integer", "--tile"]),
        (["segment", "a.tif", "-o", "b", "--model", "m", "--average", "flip"], ["flip", "symmetries"]),
        (["weights", "a.tif", "-o", "b.tif", "--label-kind", "masks"], ["masks", "membrane"]),
        (["train", "--images", "a"], ["--labels"]),
    ],
)
def test_wrong_usage_is_one_line_with_what_is_right(cli, refused, arguments, words):
    ended = cli(*arguments)
    refused(ended, 2, *words)
    assert "Value error" not in ended.err


def raising(error):
    def function(*_, **__):
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (errors.UsageError("no such thing\n  at all"), 2, ["no such thing at all"]),
        (errors.ImageReadError("a.tif: broken"), 1, ["a.tif: broken"]),
        (errors.MemoryLimitError("too little"), 2, ["too little"]),
        (MemoryError(), 1, ["out of memory", "--max-memory"]),
        (OSError(errno.ENOSPC, "No space left on device", "b.tif"), 1, ["error: b.tif: No space left"]),
    ],
)
def test_errors_become_a_line_and_a_status(cli, refused, monkeypatch, error, status, words):
    monkeypatch.setattr("unet2015.images.reader.find_images", raising(error))
    refused(cli("inspect", "a.tif"), status, *words)


def test_a_defect_is_not_dressed_up_as_a_mistake_of_the_user(cli, monkeypatch):
    monkeypatch.setattr("unet2015.images.reader.find_images", raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli("inspect", "a.tif")


def test_an_interruption_ends_with_130(cli, monkeypatch):
    monkeypatch.setattr("unet2015.images.reader.find_images", raising(KeyboardInterrupt()))
    ended = cli("inspect", "a.tif")
    assert (ended.status, ended.out, ended.err.strip()) == (130, "", "unet2015: interrupted")


def test_control_c_ends_the_process_with_130_and_no_traceback():
    # A shell starts what it puts in the background deaf to Ctrl-C, and children inherit that.
    script = (
        "import signal, sys, time; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from unet2015.images import reader; from unet2015.cli import main; "
        "reader.find_images = lambda files: (print('waiting', flush=True), time.sleep(60)); "
        "main(['inspect', 'a.tif'])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "unet2015: interrupted\n")


def test_a_reader_that_goes_away_is_no_error_to_talk_about(data):
    process = subprocess.Popen(
        [sys.executable, "-m", "unet2015", "inspect", *[str(data / "images")] * 3],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 1


@pytest.mark.parametrize(
    "call",
    [["segment", "", "-o", "out"], ["segment", "a.tif", "-o", ""], ["measure", "a.tif", "--images="], [""]],
)
def test_an_empty_argument_is_no_path(cli, call):
    """As a path it would be the current folder."""
    ended = cli(*call)
    assert ended.status == 2
    assert "is an empty argument, as of an unset variable of the shell" in ended.err
