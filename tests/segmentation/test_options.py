"""The options in one place: what contradicts itself is refused, and a record gives them back."""

import pytest

from unet2015.errors import UsageError
from unet2015.segmentation.jobs import plan_jobs
from unet2015.segmentation.options import RECORDED, SegmentOptions


def test_a_record_gives_the_options_back():
    options = SegmentOptions(
        tile=60, batch=2, max_memory=2**30, device="cpu", precision="bfloat16", average="flips",
        threshold="f1", skip_empty=True, axes="TYX", products=("classes", "probability"), pyramid=True,
    )  # fmt: skip
    said = options.as_record(0.25)
    assert tuple(said) == RECORDED
    assert said["threshold"] == 0.25
    assert said["probability"] is True
    assert SegmentOptions.from_record(said).as_record(0.25) == said
    assert SegmentOptions.from_record(SegmentOptions().as_record(None)) == SegmentOptions()
    del said["axes"]
    with pytest.raises(KeyError, match="axes"):
        SegmentOptions.from_record(said)


def test_the_class_map_is_always_written_and_the_order_is_that_of_the_table():
    for products in (("probability",), ("probability", "classes"), ("classes", "probability")):
        assert SegmentOptions(products=products).products == ("classes", "probability")
    assert SegmentOptions(products=()).products == ("classes",)


def test_what_contradicts_itself_or_is_not_there_is_refused():
    with pytest.raises(UsageError, match="pyramid is always tiled"):
        SegmentOptions(tiled=False, pyramid=True)
    with pytest.raises(UsageError, match="classes, probability, not 'depth'"):
        SegmentOptions(products=("depth",))


def test_a_job_in_another_folder_is_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    (job,) = plan_jobs([Path("a.tif")], Path("out"), SegmentOptions(products=("probability",)))
    assert job.absolute().input == tmp_path / "a.tif"
    outputs = job.absolute().outputs
    assert outputs.paths == (tmp_path / "out" / "a.classes.tif", tmp_path / "out" / "a.probability.tif")
    assert outputs.record == tmp_path / "out" / "a.record.json"
    assert all(path.is_absolute() for path in outputs.files)
    assert job.absolute().options == job.options
