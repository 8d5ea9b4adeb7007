"""What is odd about a label file, or about how its pages go with an image, is said by every command."""

import json
import logging

import numpy as np
import pytest
import tifffile

from unet2015.errors import UsageError

NOTE = "1 of 8 strips or tiles are not there and read as 0"
CELLS = np.kron(np.arange(12, dtype=np.uint8).reshape(1, 3, 4), np.ones((2, 16, 16), np.uint8))
NOISE = np.random.default_rng(0).integers(0, 255, CELLS.shape, np.uint8)


def write(path, pages, letter="Z", gone=True, **options):
    """Write pages along an axis; one of their strips is not there."""
    path.parent.mkdir(exist_ok=True)
    tifffile.imwrite(
        path, pages, metadata={"axes": f"{letter}YX"}, photometric="minisblack", rowsperstrip=12, **options
    )
    with tifffile.TiffFile(path, mode="r+") as tif:
        for name in ("StripOffsets", "StripByteCounts") if gone else ():
            tag = tif.pages[1].tags[name]
            tag.overwrite([*tag.value[:-1], 0])


@pytest.fixture
def run(cli, tmp_path, monkeypatch):
    """Run a command on labels, and a partner of them whose pages may be along another axis."""

    def stop(*_, **__):
        raise UsageError("stop")

    monkeypatch.setattr("unet2015.training.loop.load_training_set", stop)

    def call(command, letter="Z", gone=True, width=1):
        partner = {"gone": False, "resolution": (1e4 / width, 1e4 / width), "resolutionunit": 3}
        own = partner | {"gone": gone, "resolution": (1e4, 1e4)}
        write(tmp_path / "l" / "a.tif", CELLS, **own)
        write(tmp_path / "i" / "a.tif", NOISE, letter, **partner)
        write(tmp_path / "m" / "a.tif", (CELLS % 2).astype(np.float32), letter, **partner)
        write(tmp_path / "s" / "man_seg1.tif", CELLS, **own)
        write(tmp_path / "r" / "mask1.tif", CELLS, letter, **partner)
        places = {f"{name}/": f"{tmp_path / name}/" for name in "limsro"}
        words = [next((word.replace(*p, 1) for p in places.items() if word.startswith(p[0])), word)
                 for word in command.split()]  # fmt: skip
        ended = cli(*words)
        logging.getLogger("unet2015").setLevel(logging.NOTSET)
        call.ended = ended
        return ended.out + ended.err

    return call


LABELS_ALONE = ("weights l/a.tif -o o/w.tif", "label l/a.tif -o o/ --class 3")
BOTH = (
    "check --images i/ --labels l/",
    "train --images i/ --labels l/ -o o/",
    "measure l/ -o o/ --images i/",
    "evaluate objects --truth l/ --result r/mask1.tif",
    "evaluate pixels --truth l/ --result r/mask1.tif",
    "evaluate em --labels l/a.tif --prediction m/a.tif",
    "evaluate seg --truth s/ --result r/",
)


@pytest.mark.parametrize("command", [*LABELS_ALONE, *BOTH])
def test_a_lost_strip_of_labels_is_said(run, command, tmp_path):
    (tmp_path / "o").mkdir()
    assert NOTE in run(command)
    assert NOTE not in run(command, gone=False)


@pytest.mark.parametrize("command", BOTH)
def test_frames_beside_slices_are_said(run, command):
    said = "they are taken to go together by their number"
    assert said in run(command, "T", gone=False)
    for letter in "ZI":
        assert said not in run(command, letter, gone=False)


@pytest.mark.parametrize("command", BOTH)
def test_other_pixel_sizes_are_said(run, command):
    said = run(command, gone=False, width=2)
    assert "2 x 2 µm" in said
    assert "1 x 1 µm" in said
    assert "1 x 1 µm" not in run(command, gone=False)


@pytest.mark.parametrize("command", [one for one in BOTH if one.startswith("evaluate")])
def test_what_the_screen_says_of_files_stands_in_json(run, command):
    run(command, "T", width=2)
    shown = [line.removeprefix("unet2015: ") for line in run.ended.err.splitlines()]
    assert (
        len([line for line in shown if NOTE in line or "2 x 2 µm" in line or "by their number" in line]) == 3
    )
    run(f"{command} --json", "T", width=2)
    notes = json.loads(run.ended.out)["notes"]
    assert [line for line in shown if line not in notes and "paired by their names" not in line] == []
    assert len(set(notes)) == len(notes)
