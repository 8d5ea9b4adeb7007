"""A run among the images or labels is said before it is written, and nothing of it becomes an image."""

import pytest

from unet2015.training.loop import train
from unet2015.training.pairing import pair_images
from unet2015.training.run_folder import say_place

SAID = "the run goes into the folder of the"


@pytest.fixture
def folders(tmp_path):
    """Folders of images and of labels, empty."""
    for name in ("images", "labels", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "images" / "t0.tif").touch()
    (tmp_path / "link").symlink_to(tmp_path / "images")
    return tmp_path


@pytest.mark.parametrize(
    ("out", "what"),
    [
        ("images", "images"),
        ("images/run", "images"),
        ("images/a/run", "images"),
        ("link/run", "images"),
        ("labels", "labels"),
        ("labels/run", "labels"),
        ("run", None),
        ("out", None),
        (".", None),
        ("images2/run", None),
    ],
)
def test_a_run_in_a_folder_that_is_given_is_said(folders, caplog, out, what):
    say_place(folders / out, [folders / "images"], [folders / "labels"])
    if what is None:
        assert not caplog.messages
        return
    (message,) = caplog.messages
    assert message.startswith(f"{folders / out}: {SAID} {what} ({folders / what})")


@pytest.mark.parametrize(("out", "said"), [("images", True), ("images/run", False), ("run", False)])
@pytest.mark.parametrize("given", ["t0.tif", "*.tif"])
def test_beside_a_file_or_pattern_only_the_folder_itself_is_said(folders, caplog, given, out, said):
    say_place(folders / out, [folders / "images" / given], [folders / "labels" / given])
    assert bool(caplog.messages) == said


def test_after_a_run_among_its_images_the_same_pairs_are_found(small_set, small_settings, caplog):
    folders = []
    for path, name in zip(small_set, ("images", "labels"), strict=True):
        folders.append(path.parent / name)
        folders[-1].mkdir()
        path.rename(folders[-1] / "stack.tif")
    images, labels = folders
    before = pair_images([images], [labels])
    train(images, labels, images, settings=small_settings(), device="cpu")
    assert [message for message in caplog.messages if SAID in message]
    drawn = {path.name for path in images.iterdir()}
    assert {"model.safetensors", "progress.gif", "examples.png"} <= drawn
    caplog.clear()
    assert pair_images([images], [labels]) == before
    assert pair_images([images / "**" / "*"], [labels]) == before
    assert not [message for message in caplog.messages if "give images among them" in message]
