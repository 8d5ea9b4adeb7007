"""Many images, few of them open, none of which may change."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from unet2015.errors import DataSetError, ImageReadError
from unet2015.images.reader import open_image
from unet2015.training.pool import ImagePool, Reading

RNG = np.random.default_rng(0)


def handles():
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc")


def save(path, pixels):
    """Write an image whose pixels are decoded when they are read."""
    if path.suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(pixels))
    else:
        tifffile.imwrite(path, pixels, compression="zlib", photometric="minisblack")


@pytest.fixture
def files(tmp_path):
    """Twelve images, every other a PNG."""
    paths = [tmp_path / f"{number}.{('tif', 'png')[number % 2]}" for number in range(12)]
    for path in paths:
        save(path, RNG.integers(0, 256, (20, 30), np.uint8))
    few = RNG.integers(0, 16, (20, 30), np.uint8)
    tifffile.imwrite(paths[0], few, bitspersample=4, photometric="minisblack")
    return paths


def test_images_of_a_pool_are_read_as_others_are(files):
    pool = ImagePool(most=3)
    images = [pool.add(path, Reading("YX")) for path in files]
    common = ("name", "path", "axes", "axes_source", "shape", "dtype", "bits", "kind", "calibration", "notes")
    for number in RNG.integers(0, len(files), 40).tolist():
        with open_image(files[number], "YX") as expected:
            image = images[number]
            for name in (*common, "channel_names", "companion"):
                assert getattr(image, name) == getattr(expected, name)
            assert (image.band_rows, image.decoding_bytes) == (expected.band_rows, expected.decoding_bytes)
            np.testing.assert_array_equal(image.read(0, 2, 9, 3, 30), expected.read(0, 2, 9, 3, 30))
    pool.close()
    images[0].read(0, 0, 1, 0, 1)  # opens it again
    pool.close()


@needs_proc
@pytest.mark.parametrize("most", [1, 4])
def test_no_more_files_are_open_than_told(files, most):
    tiffs = files[::2]
    before, pool = handles(), ImagePool(most=most)
    images = [pool.add(path) for path in tiffs]
    assert handles() == before
    for image in images * 2:
        with pool.lent(image):
            assert handles() <= before + most
    assert handles() == before + most
    pool.close()
    assert handles() == before


@pytest.mark.parametrize("kept", [0, 1000, 10**6])
def test_decoded_pixels_are_forgotten_beyond_what_may_be_kept(files, kept):
    pool = ImagePool(kept_bytes=kept)
    images = [pool.add(path) for path in files]
    for image in images:
        image.read(0, 0, 1, 0, 1)
        held = sum(opened.image.kept_bytes for opened in pool._opened.values())
        assert held <= max(kept, 20 * 30)  # those of the last one read in any case
    assert held == min(len(files), max(1, kept // 600)) * 600
    pool.close()


def test_several_threads_read_while_images_are_closed(files):
    pool = ImagePool(most=1, kept_bytes=0)
    images = [pool.add(path) for path in files]
    expected = [image.read(0, 0, 20, 0, 30) for image in images]

    def read(number):
        return np.array_equal(images[number].read(0, 0, 20, 0, 30), expected[number])

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(read, RNG.integers(0, len(files), 200).tolist()))
    pool.close()


def test_an_image_that_is_being_read_stays_open(files):
    pool = ImagePool(most=1)
    first, other = pool.add(files[0]), pool.add(files[2])
    with pool.lent(first) as image:
        reader = threading.Thread(target=other.read, args=(0, 0, 20, 0, 30))
        reader.start()
        reader.join()
        image.forget()
        assert image.read(0, 0, 20, 0, 30).shape == (1, 20, 30)
    pool.close()


def rewritten(path):
    save(path, RNG.integers(0, 256, (20, 30), np.uint8))


def replaced(path):
    save(path.with_name("new" + path.suffix), RNG.integers(0, 256, (20, 30), np.uint8))
    path.with_name("new" + path.suffix).replace(path)


def larger(path):
    save(path, np.zeros((25, 40), np.uint8))


def smaller(path):
    save(path, np.zeros((5, 4), np.uint8))


def other_type(path):
    save(path, np.ones((20, 30), np.uint16))


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-60])


def emptied(path):
    path.write_bytes(b"")


def removed(path):
    path.unlink()


def no_image(path):
    path.write_bytes(b"something else altogether")


CHANGES = [rewritten, replaced, larger, smaller, other_type, cut_short, emptied, removed, no_image]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("number", [0, 1])  # TIFF, PNG
@pytest.mark.parametrize("opened", [False, True])
def test_a_change_is_an_error_that_names_the_file(files, change, number, opened):
    pool = ImagePool()
    image = pool.add(files[number])
    assert len(image.sha256) == 64
    if opened:
        image.read(0, 0, 20, 0, 30)
    change(files[number])
    for _ in range(2):
        with pytest.raises(DataSetError, match=f"{files[number]}: the file was changed or replaced"):
            image.read(0, 0, 20, 0, 30)
    pool.close()


def test_a_folder_that_is_an_image_is_watched_too(tmp_path):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=3)
    axes = [{"name": name, "type": "space"} for name in "yx"]
    scale = [{"type": "scale", "scale": [1.0, 1.0]}]
    level = {"path": "0", "coordinateTransformations": scale}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [level]}]}
    array = group.create_array("0", shape=(20, 30), chunks=(10, 30), dtype="u1")
    array[:] = 7
    pool = ImagePool()
    image = pool.add(tmp_path / "a.zarr")
    assert image.sha256
    assert (image.read(0, 0, 20, 0, 30) == 7).all()
    array[:] = 9
    image._look_again = 0.0  # folders of many files are not looked at each time
    with pytest.raises(DataSetError, match=r"a\.zarr: the file was changed"):
        image.read(0, 0, 20, 0, 30)


def test_what_does_not_change_the_bytes_does_no_harm(files):
    pool = ImagePool()
    image = pool.add(files[0])
    assert image.sha256
    files[0].touch()
    files[0].chmod(0o600)
    os.link(files[0], files[0].with_name("link"))
    image.read(0, 0, 20, 0, 30)
    pool.close()


def test_a_change_before_the_digest_is_taken_is_an_error_too(files):
    image = ImagePool().add(files[0])
    rewritten(files[0])
    with pytest.raises(ImageReadError, match=str(files[0])):
        _ = image.sha256


def test_another_kind_of_image_in_the_place_is_never_read_as_the_first(files):
    pool = ImagePool(most=1)
    image = pool.add(files[0])
    larger(files[0])  # no digest was taken, so nothing is watched
    with pytest.raises(DataSetError, match=r"expected uint8 of shape \(20, 30\)"):
        image.read(0, 0, 20, 0, 30)
