"""Pictures of a training: a bounded animation, the figure of held-out images; they never end a training."""

import numpy as np
import pytest
from PIL import Image

from tests.training.conftest import page_of
from unet2015.errors import ImageWriteError
from unet2015.report.run import report_run
from unet2015.training import pictures
from unet2015.training.loop import train
from unet2015.training.pictures import Pictures, beside, small

pytestmark = pytest.mark.usefixtures("nothing_chosen")


def page(height=40, width=60):
    truth = np.zeros((height, width), np.uint8)
    truth[:, : width // 2] = 1
    truth[0] = 255
    return page_of(np.where(truth == 1, 0.9, 0.2), truth)


def frames(path):
    with Image.open(path) as opened:
        return opened.n_frames, opened.size


def test_a_training_leaves_an_animation_and_a_figure_and_the_report_shows_them(
    tmp_path, small_set, small_settings
):
    pytest.importorskip("jinja2")
    run = tmp_path / "run"
    train(*small_set, run, settings=small_settings(), device="cpu")
    assert [path.name for path in sorted((run / "progress").iterdir())] == ["00000004.png", "00000008.png"]
    assert frames(run / "progress.gif") == (2, (2 * 56 + 4, 50))
    with Image.open(run / "examples.png") as figure:
        assert figure.size == (3 * 56 + 8, 50)
        assert figure.info["Software"] == "unet2015"
    before = (run / "examples.png").read_bytes(), (run / "progress.gif").read_bytes()
    # A run that goes on draws what it would have drawn.
    (run / "progress" / "00000400.png").write_bytes((run / "progress" / "00000008.png").read_bytes())
    (run / "progress" / ".00000008.png.0123abcd-0123456789ab.tmp").write_bytes(b"cut")
    (run / "checkpoints" / "step-00000008.safetensors").unlink()
    train(*small_set, run, settings=small_settings(), device="cpu", resume=True)
    assert ((run / "examples.png").read_bytes(), (run / "progress.gif").read_bytes()) == before
    assert [path.name for path in sorted((run / "progress").iterdir())] == ["00000004.png", "00000008.png"]
    # So does one that was killed after its last validation; what is there already stays as it is.
    (run / "progress.gif").unlink()
    kept = (run / "examples.png").stat().st_mtime_ns
    dates = []
    for _ in range(2):
        train(*small_set, run, settings=small_settings(), device="cpu", resume=True)
        assert (run / "progress.gif").read_bytes() == before[1]
        dates.append((run / "progress.gif").stat().st_mtime_ns)
    assert dates[0] == dates[1]
    assert (run / "examples.png").stat().st_mtime_ns == kept
    text = report_run(run, device="cpu").read_text(encoding="utf-8")
    assert "data:image/gif;base64," in text
    assert "Image, true classes, found classes" in text


def test_the_figure_shows_image_truth_and_what_was_found(tmp_path):
    one = page()
    drawn = Pictures(tmp_path, [one])
    probability = np.where(one.classes == 1, 0.7, 0.4).astype(np.float32)
    drawn.see(0, np.stack([1 - probability, probability]))
    drawn.after(3, 0.5, best=True)
    with Image.open(tmp_path / "examples.png") as opened:
        shown = np.asarray(opened)
    true, found = shown[:, 64:124], shown[:, 128:]
    assert set(np.unique(true[1:])) == {0, 255}
    assert (true[0] == 128).all()
    assert np.array_equal(found[1:] == 255, true[1:] == 255)
    drawn.see(0, np.stack([1 - probability, probability]))
    drawn.after(6, 0.8, best=False)
    with Image.open(tmp_path / "examples.png") as opened:
        assert np.array_equal(np.asarray(opened), shown)


def test_frames_are_few_and_spread_over_the_whole_training(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "FRAMES", 8)
    one = page()
    drawn = Pictures(tmp_path, [one])
    for step in range(1, 41):
        drawn.see(0, np.full((2, 40, 60), step / 80, np.float32))
        drawn.after(step, 0.5, best=False)
        assert len(list((tmp_path / "progress").iterdir())) <= 8
    steps = sorted(int(path.stem) for path in (tmp_path / "progress").iterdir())
    assert steps[0] <= 12
    assert steps[-1] == 40
    drawn.finish()
    assert frames(tmp_path / "progress.gif")[0] == len(steps)


@pytest.mark.parametrize("shape", [(3000, 20), (1, 5), (700, 1500), (192, 192), (193, 192)])
def test_pictures_are_small_whatever_the_page(tmp_path, shape):
    plane = np.random.default_rng(0).random(shape, dtype=np.float32)
    found = small(plane)
    assert max(found.shape) <= pictures.SIDE
    assert min(found.shape) >= 1
    assert found.mean() == pytest.approx(plane.mean(), abs=0.1)
    one = page(*shape)
    drawn = Pictures(tmp_path, [one])
    drawn.see(0, np.stack([plane, 1 - plane]))
    drawn.after(1, None, best=True)
    assert not drawn.broken
    with Image.open(tmp_path / "examples.png") as opened:
        assert max(opened.size) <= 3 * pictures.SIDE + 8


def test_more_classes_have_as_many_gray_levels():
    one = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert np.unique(pictures._of_class(one, 6)).tolist() == [0, 51, 102, 153, 204, 255]
    joined = beside([one, one[:1]])
    assert joined.shape == (2, 10)


@pytest.mark.parametrize("name", ["_write_png", "small"])
def test_what_goes_wrong_with_a_picture_is_said_once_and_ends_nothing(
    tmp_path, small_set, small_settings, monkeypatch, caplog, name
):
    def broken(*_):
        raise ImageWriteError("the disk is full")

    monkeypatch.setattr(pictures, name, broken)
    train(*small_set, tmp_path / "run", settings=small_settings(), device="cpu")
    assert caplog.text.count("no pictures of the training: the disk is full") == 1
    assert (tmp_path / "run" / "model.safetensors").exists()
    assert not (tmp_path / "run" / "progress.gif").exists()


def test_a_picture_of_somebody_else_is_not_replaced(tmp_path, caplog):
    (tmp_path / "examples.png").write_bytes(b"mine")
    drawn = Pictures(tmp_path, [page()])
    drawn.see(0, np.full((2, 40, 60), 0.5, np.float32))
    drawn.after(1, 0.5, best=True)
    assert (tmp_path / "examples.png").read_bytes() == b"mine"
    assert "no pictures of the training" in caplog.text
