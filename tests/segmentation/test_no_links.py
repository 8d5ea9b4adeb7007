"""File systems without second names for a file (exFAT, FAT, many shares) get every result."""

import errno
import os

import pytest
import tifffile

from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import ObjectSettings


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
@pytest.mark.parametrize("target", ["r.zarr", "r.tif"])
def test_results_are_the_same_where_files_cannot_be_linked(
    tmp_path, model, stack, monkeypatch, error, target
):
    tifffile.imwrite(tmp_path / "a.tif", stack[0])
    options = SegmentOptions(products=("probability",), objects=ObjectSettings())

    def made(folder):
        (result,) = segment_files([tmp_path / "a.tif"], tmp_path / folder / target, model, options)
        assert result.error is None
        map_file = tmp_path / folder / ("r.zarr" if target == "r.zarr" else "r.probability.tif")
        (counted,) = label_files([map_file], tmp_path / folder / "counted")
        assert counted.error is None
        files = sorted(path for path in (tmp_path / folder).rglob("*") if path.is_file())
        return {
            path.relative_to(tmp_path / folder): path.read_bytes()
            for path in files
            if not path.name.endswith(".record.json")
        }

    with_links = made("one")

    def refused(*paths, **more):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "link", refused)
    without = made("two")
    assert without.keys() == with_links.keys()
    assert without == with_links
