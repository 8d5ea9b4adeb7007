"""Files that come to their names whole or not at all."""

import pytest

from unet2015.errors import ImageWriteError
from unet2015.safe_files import atomic_path, writing


def test_a_folder_that_vanishes_after_the_file_got_its_name_is_an_error_of_the_file(tmp_path, monkeypatch):
    folder, real = tmp_path / "out", writing._publish
    folder.mkdir()

    def vanishing(*given):
        real(*given)
        folder.rename(tmp_path / "gone")

    monkeypatch.setattr(writing, "_publish", vanishing)
    with pytest.raises(ImageWriteError, match="cannot write the file"), atomic_path(folder / "a.txt"):
        pass
