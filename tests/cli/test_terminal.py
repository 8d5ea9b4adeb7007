"""Names and entries of files steer no terminal and no spreadsheet; closed or full streams lose no work."""

import csv
import io
import json
import os
import pty
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
import tifffile
import torch

from unet2015.cli.streams import _Swallowing
from unet2015.csv_table import csv_table
from unet2015.file_names import on_one_line, shown
from unet2015.models.model_file import ModelInfo, save_model
from unet2015.networks.unet2015 import UNet
from unet2015.settings import Mapping, NetworkSettings
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.progress import tile_bar

HOSTILE = "=a\x1b[2J\x9b1m\r\nunet2015: error: \x07\u202egpj\u2028.tif"
PAGE = np.arange(40 * 48, dtype=np.uint8).reshape(40, 48)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to work in, with a model, an image and, of a hostile name, an image that is none."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)
    info = ModelInfo(
        mapping=Mapping(method="image-percentiles", low=(1,), high=(99,)),
        class_names=("a", "b"),
        network=NetworkSettings(width=1, depth=1),
    )
    save_model("m.safetensors", UNet(1, 2, width=1, depth=1), info)
    tifffile.imwrite("good.tif", PAGE)
    (tmp_path / HOSTILE).write_bytes(b"no image")
    return tmp_path


def acting(text):
    return {
        letter for letter in text if letter != "\n" and unicodedata.category(letter) in ("Cc", "Cf", "Zl")
    }


def test_what_would_act_is_escaped_and_all_else_stays():
    assert on_one_line("a\x1b[0m\n\t\x9b\u202e\u2028\x7f") == r"a\x1b[0m\n\t\x9b\u202e\u2028\x7f"
    for plain in ("µm ü 細胞 a'b\"c\\d", "می\u200cخواهم", "👩\u200d🔬"):
        assert on_one_line(plain) == plain
    assert on_one_line(shown("\udcb5\n")) == r"\xb5\n"


@pytest.mark.parametrize(
    "call",
    [
        ["inspect", "."],
        ["segment", ".", "-o", "out", "--model", "m.safetensors"],
        ["segment", ".", "-o", "out", "--model", "m.safetensors", "--plan"],
        ["segment", "good.tif", "-o", HOSTILE, "--model", HOSTILE],
        ["check", "--images", HOSTILE, "--labels", "good.tif"],
        ["weights", HOSTILE, "-o", "w.tif"],
        ["replay", HOSTILE],
        ["report", HOSTILE],
        ["train", "--images", HOSTILE, "--labels", HOSTILE, "-o", "run"],
        ["evaluate", "em", "--labels", HOSTILE, "--prediction", "good.tif"],
        ["evaluate", "seg", "--truth", HOSTILE, "--result", HOSTILE],
        [HOSTILE],
        ["segment", "--a\x1b[2J"],
    ],
    ids=lambda call: " ".join(call[:2])[:12],
)
def test_a_hostile_name_is_seen_and_does_nothing(place, cli, call):
    ended = cli(*call)
    assert ended.status
    assert not acting(ended.out + ended.err)
    assert not [line for line in ended.out.splitlines() if line.startswith("unet2015: error")]
    assert "a" + r"\x1b" in ended.out + ended.err


def test_json_and_paths_for_programs_are_exact(place, cli):
    ended = cli("inspect", ".", "--json")
    assert HOSTILE in [item["file"] for item in json.loads(ended.out)]
    ended = cli("segment", "good.tif", "-o", "a\x1b.tif", "--model", "m.safetensors")
    assert ended.out == "a\x1b.tif\n"


def test_paths_on_a_terminal_are_readable(place, cli, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    cli("segment", "good.tif", "-o", "a\x1b\udcb5.tif", "--model", "m.safetensors")
    assert sys.stdout.getvalue() == "a\\x1b\\xb5.tif\n"


def test_entries_of_a_file_are_seen_and_do_nothing(place, cli):
    tifffile.imwrite("unit.tif", PAGE, imagej=True, resolution=(2, 2), metadata={"unit": "\x1b]0;title\x07m"})
    ended = cli("inspect", "unit.tif")
    assert not acting(ended.out + ended.err)


def test_a_progress_bar_shows_a_name_on_one_line(capsys, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    plan = TilePlan(1, 40, 48, (60, 60), 1, UNet(1, 2, width=1, depth=1).geometry)
    with tile_bar(plan, HOSTILE) as progress:
        progress(1)
    assert r"=a\x1b[2J\x9b1m\r\n" in sys.stderr.getvalue()
    assert "\x1b[2J" not in sys.stderr.getvalue()


def test_the_list_of_failures_has_no_formula_and_still_names_the_file(place, cli):
    cli("segment", HOSTILE, "-o", "out", "--model", "m.safetensors")
    with (place / "out" / "failures.csv").open(newline="", encoding="utf-8") as file:
        ((name, kind, reason),) = list(csv.reader(file))[1:]
    assert name == f"./{HOSTILE}"
    assert os.path.samefile(name, HOSTILE)
    assert (kind, reason[:2]) == ("ImageReadError", "'=")


@pytest.mark.parametrize("first", ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "＝1", "'-1"])
def test_a_text_is_no_formula_in_a_table(first):
    ((cell, number, empty, other),) = csv.reader(
        io.StringIO(csv_table([(first, -1.5, None, "a;=1")]), newline="")
    )
    assert (cell, number, empty, other) == (f"'{first}", "-1.5", "", "a;=1")
    assert csv_table([("a;=1", 'b"c', "d", 1)]) == '"a;=1","b""c",d,1\r\n'


@pytest.mark.parametrize(
    "arguments", [["inspect", "good.tif"], ["inspect", "good.tif", "--json"], ["--help"]]
)
def test_a_full_disk_under_standard_output(place, cli, monkeypatch, arguments):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        ended = cli(*arguments)
        monkeypatch.undo()
    assert ended.status == 1
    assert "No space left on device" in ended.err
    assert all(line.startswith("unet2015: error: ") for line in ended.err.splitlines())


def test_a_reader_of_standard_output_that_has_ended(place, cli, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as broken:
        monkeypatch.setattr(sys, "stdout", broken)
        ended = cli("segment", "good.tif", "-o", "out", "--model", "m.safetensors", "--json")
        monkeypatch.undo()
    assert (ended.status, "error" in ended.err) == (1, False)
    assert (place / "out" / "good.record.json").exists()


def test_messages_that_nobody_can_take_are_no_error():
    with open("/dev/full", "wb") as full, _Swallowing(full.fileno(), "w", closefd=False) as stream:
        assert stream.write(b"123") == 3


@pytest.mark.parametrize("streams", ["<&- >&- 2>&-", "2>&1"])
def test_a_segmentation_goes_on_without_streams_or_with_a_terminal_that_is_gone(place, streams):
    call = [sys.executable, "-m", "unet2015", "segment", "good.tif", "-o", "out", "--model", "m.safetensors"]
    host, terminal = pty.openpty()
    os.close(host)
    ended = subprocess.run(
        ["sh", "-c", f'"$@" {streams}', "sh", *call, "--tile", "20"],
        stdout=terminal,
        check=False,
        timeout=120,
    )
    os.close(terminal)
    assert ended.returncode == 1  # its results could not be printed
    assert sorted(path.name for path in (place / "out").iterdir()) == ["good.classes.tif", "good.record.json"]
    assert tifffile.imread(place / "out" / "good.classes.tif").shape == PAGE.shape
