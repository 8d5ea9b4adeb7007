"""Whatever goes wrong with one file is the failure of that file alone."""

import pickle

import numpy as np
import pytest
import tifffile

from unet2015.errors import ImageReadError, OutOfMemoryError, UnexpectedError, failure_of
from unet2015.images.tiff import TiffImage
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.file_plan import plan_files

PAGE = np.arange(30 * 32, dtype=np.uint8).reshape(30, 32)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    for name in "abc":
        tifffile.imwrite(tmp_path / "in" / f"{name}.tif", PAGE)
    return tmp_path / "in"


@pytest.fixture
def fail(monkeypatch):
    """Let the reading of ``b.tif`` raise an error: when it is opened, or when its pixels are read."""

    def at(place, error):
        usual = getattr(TiffImage, place)

        def broken(self, path, *more, **named):
            if "b.tif" in str(path if place == "__init__" else self.name):
                raise error
            return usual(self, path, *more, **named)

        monkeypatch.setattr(TiffImage, place, broken)

    return at


@pytest.mark.parametrize("place", ["__init__", "_read"])
@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (
            ZeroDivisionError("a defect\nof two lines"),
            UnexpectedError,
            "please report it: ZeroDivisionError: a",
        ),
        (RecursionError(), UnexpectedError, "please report it: RecursionError"),
        (UnicodeEncodeError("utf-8", "\udcb5", 0, 1, "no"), UnexpectedError, "please report it: Unicode"),
        (MemoryError(), OutOfMemoryError, "out of memory; close other programs"),
        (OSError(5, "Input/output error"), ImageReadError, "Input/output error"),
    ],
)
def test_any_error_of_one_file_leaves_the_others_and_a_log(
    tmp_path, percentile_model, folder, fail, caplog, place, error, kind, words
):
    fail(place, error)
    results = segment_files([folder], tmp_path / "out", percentile_model)
    assert [result.error is None for result in results] == [True, False, True]
    assert isinstance(results[1].error, kind)
    assert str(results[1].error).startswith(f"{folder / 'b.tif'}: ")
    assert words in str(results[1].error)
    assert "\n" not in str(results[1].error)
    log = tmp_path / "out" / "failures.log"
    assert log.exists() == (kind is UnexpectedError)
    if log.exists():
        assert "Traceback" in log.read_text()
        assert type(error).__name__ in log.read_text()
        assert str(log) in caplog.text


def test_the_log_goes_when_nothing_unexpected_is_left(tmp_path, percentile_model, folder, fail, monkeypatch):
    with monkeypatch.context():
        fail("__init__", ZeroDivisionError())
        segment_files([folder / "b.tif"], tmp_path / "b.tif", percentile_model)
    log = tmp_path / "b.tif.failures.log"
    assert "ZeroDivisionError" in log.read_text()
    monkeypatch.undo()
    segment_files([folder / "b.tif"], tmp_path / "b.tif", percentile_model)
    assert not log.exists()


def test_a_log_of_somebody_else_is_left_alone(tmp_path, percentile_model, folder, fail, caplog):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "failures.log").write_text("mine")
    segment_files([folder], tmp_path / "out", percentile_model)
    fail("__init__", ZeroDivisionError())
    (_, result, _) = segment_files([folder], tmp_path / "out", percentile_model)
    assert isinstance(result.error, UnexpectedError)
    assert (tmp_path / "out" / "failures.log").read_text() == "mine"
    assert "is not changed" in caplog.text


def test_an_interruption_is_no_failure_of_a_file(tmp_path, percentile_model, folder, fail):
    fail("_read", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        segment_files([folder], tmp_path / "out", percentile_model)


def test_a_plan_names_the_file_too(tmp_path, percentile_model, folder, fail):
    fail("__init__", ZeroDivisionError())
    plans = plan_files([folder], tmp_path / "out", percentile_model)
    assert [plan.error is None for plan in plans] == [True, False, True]
    assert "please report it" in str(plans[1].error)


def test_a_failure_comes_whole_from_a_worker():
    try:
        raise ZeroDivisionError("far away")
    except ZeroDivisionError as error:
        found = failure_of(error, "a.tif")
    again = pickle.loads(pickle.dumps(found))
    assert str(again) == str(found)
    assert "Traceback" in again.details
    assert isinstance(pickle.loads(pickle.dumps(failure_of(MemoryError(), "a.tif"))), OutOfMemoryError)
