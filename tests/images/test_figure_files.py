"""A figure by this program is known by the digest in it: it alone is replaced or removed."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from unet2015.errors import ImageWriteError, UsageError
from unet2015.images.figure_files import SOFTWARE, remove_figure, write_figure
from unet2015.images.reader import find_images

SVG = b'<?xml version="1.0" encoding="utf-8"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>\n'
TEXTS = {"svg": SVG, "pdf": b"%PDF-1.4\n%%EOF\n", "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%EOF\n"}
KINDS = ["png", "gif", *TEXTS]


def picture(kind: str, level: int = 9) -> bytes:
    """Return a figure of a kind as a library makes it."""
    if kind in TEXTS:
        return TEXTS[kind]
    buffer, about = BytesIO(), PngImagePlugin.PngInfo()
    about.add_text("Software", SOFTWARE)
    Image.fromarray(np.full((4, 5), level, np.uint8)).save(
        buffer, kind, **({"pnginfo": about} if kind == "png" else {})
    )
    return buffer.getvalue()


def redrawn(path):
    """Save the pixels of a picture otherwise, with all remarks in it, as a careful editor does."""
    with Image.open(path) as opened:
        about = PngImagePlugin.PngInfo()
        for key, value in opened.info.items():
            if isinstance(value, str):
                about.add_text(key, value)
        pixels, said = 255 - np.asarray(opened), opened.info.get("comment")
    kind = path.suffix[1:]
    Image.fromarray(pixels).save(path, **({"pnginfo": about} if kind == "png" else {"comment": said}))


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_replaces_itself_and_says_which_pixels_it_has(tmp_path, kind):
    path = tmp_path / f"f.{kind}"
    for level in (9, 200):
        write_figure(path, picture(kind, level))
    if kind not in TEXTS:
        with Image.open(path) as opened:
            opened.load()
            assert (np.asarray(opened.convert("L")) == 200).all()
    remove_figure(path)
    assert not path.exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", ["byte", "more", "less", "unsealed", "redrawn"])
def test_a_figure_that_somebody_changed_stays(tmp_path, kind, change):
    path = tmp_path / f"f.{kind}"
    write_figure(path, picture(kind))
    content = bytearray(path.read_bytes())
    if change == "redrawn":
        if kind in TEXTS:
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n", 1))
        else:
            redrawn(path)
    else:
        content[len(picture(kind)) // 2] ^= 1
        changed = {"byte": content, "more": path.read_bytes() + b" ", "less": path.read_bytes()[:-1]}
        path.write_bytes(changed.get(change, picture(kind)))
    before = path.read_bytes()
    with pytest.raises(
        ImageWriteError, match=r"not a figure by this program, or was changed since, .* not replaced"
    ):
        write_figure(path, picture(kind))
    remove_figure(path)
    assert path.read_bytes() == before


def test_figures_are_no_images_of_a_folder_or_pattern(tmp_path, caplog):
    image = tmp_path / "t0.tif"
    image.touch()
    figure, changed, own = (tmp_path / name for name in ("curves.PNG", "examples.png", "own.png"))
    write_figure(figure, picture("png"))
    write_figure(changed, picture("png"))
    redrawn(changed)
    own.write_bytes(picture("png"))
    assert find_images([tmp_path]) == [changed, own, image]
    assert "left out" in caplog.text
    assert str(figure) in caplog.text
    assert "examples" not in caplog.text
    assert find_images([figure, image, changed]) == [image, changed], "as a shell gives *"


def test_figures_alone_are_images_only_by_their_names(tmp_path, caplog):
    figures = [tmp_path / "curves.png", tmp_path / "examples.png"]
    for path in figures:
        write_figure(path, picture("png"))
    assert find_images(figures) == figures
    assert find_images(figures[:1]) == figures[:1]
    assert not caplog.text
    for given in ([tmp_path], [tmp_path / "*.png"], [tmp_path, figures[0]]):
        with pytest.raises(UsageError, match=r"no image, but figures .* give the folder of the images"):
            find_images(given)


def test_what_a_training_draws_and_writes_is_not_named_as_images_that_are_left_out(tmp_path, caplog):
    (tmp_path / "t0.tif").touch()
    for name, kind in (("progress.gif", "gif"), ("curves.svg", "svg")):
        write_figure(tmp_path / name, picture(kind))
    (tmp_path / "events.out.tfevents.1.vm.2.0").write_bytes(b"events")
    assert find_images([tmp_path]) == find_images([tmp_path / "*"]) == [tmp_path / "t0.tif"]
    assert not caplog.messages
    redrawn(tmp_path / "progress.gif")
    find_images([tmp_path])
    assert "give images among them by name: progress.gif" in caplog.text
