"""The same note on many files is not said of each of them."""

import logging

import numpy as np
import tifffile

from unet2015 import segment_files


def test_the_same_note_on_many_files_comes_with_their_number(tmp_path, model, caplog):
    page = np.random.default_rng(0).integers(0, 255, (30, 30), np.uint8)
    for k in range(4):
        tifffile.imwrite(
            tmp_path / f"{k}.tif", page, photometric="minisblack", metadata=None,
            description='<OME UUID="u"><BinaryOnly MetadataFile="a.ome" UUID="v"/></OME>',
        )  # fmt: skip
    tifffile.imwrite(tmp_path / "plain.tif", page, photometric="minisblack")
    files = [*(tmp_path / f"{k}.tif" for k in range(4)), tmp_path / "plain.tif"]
    with caplog.at_level(logging.WARNING, "unet2015"):
        segment_files(files, tmp_path / "out", model)
    notes = [message for message in caplog.messages if "a.ome" in message]
    assert len(notes) == 2
    assert all(note.startswith(f"{tmp_path / '0.tif'}: ") for note in notes)
    assert notes[1] == f"{notes[0]} (and 3 more files)"
    caplog.clear()
    with caplog.at_level(logging.WARNING, "unet2015"):
        segment_files(files[3:], tmp_path / "one", model)
    assert [message for message in caplog.messages if "more file" in message] == []
