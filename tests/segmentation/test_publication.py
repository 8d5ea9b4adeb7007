"""What a killed or damaged run has left: finished where it is whole, computed again where it is not."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
import zarr

from unet2015.errors import ImageWriteError
from unet2015.images import zarr_layout, zarr_writer
from unet2015.images.array_image import ArrayImage
from unet2015.images.zarr_layout import plan_layout
from unet2015.images.zarr_writer import ZarrSegmentation
from unet2015.models.model_file import ModelInfo, save_model
from unet2015.networks.unet2015 import UNet
from unet2015.safe_files import sha256
from unet2015.segmentation import publication, zarr_output
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.products import PRODUCTS
from unet2015.settings import Mapping, NetworkSettings
from unet2015.tiling import plan
from unet2015.tiling.predictor import Predictor

OPTIONS = SegmentOptions(tile=44, products=("classes", "probability"))
INFO = ModelInfo(
    network=NetworkSettings(width=2, depth=1),
    mapping=Mapping(method="image-percentiles", low=(1.0,), high=(99.0,)),
    class_names=("membrane", "cell"),
)
OTHER = replace(OPTIONS, threshold=0.3)
ROWS, TILES = 6, 12  # each row of two tiles is a part


class Killed(BaseException):
    """Ends a run as a kill does."""


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(plan, "PART_PIXELS", 2 * 44 * 44)
    for name, value in {"SMALLEST_LEVEL": 64, "_CHUNK": 32, "_SHARD": 64}.items():
        monkeypatch.setattr(zarr_layout, name, value)


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """Image, model, and the results of a run that was not disturbed."""
    folder = tmp_path_factory.mktemp("job")
    pixels = np.random.default_rng(0).integers(0, 60_000, (ROWS * 28 - 3, 2 * 28 - 3)).astype(np.uint16)
    tifffile.imwrite(folder / "a.tif", pixels)
    torch.manual_seed(0)
    network = UNet(width=2, depth=1)
    with torch.no_grad():
        network.head.weight.mul_(3)  # so that classes differ over the image
    save_model(folder / "m.safetensors", network, INFO)
    return folder / "a.tif", folder / "m.safetensors"


@pytest.fixture(scope="module")
def made(job, tmp_path_factory):
    """Give the folder with the results of a run that nothing disturbed; each is made once."""
    found = {}

    def make(name, options=OPTIONS):
        if (name, options) not in found:
            folder = tmp_path_factory.mktemp("made")
            run(job, folder / name, options)
            found[name, options] = folder
        return found[name, options]

    return make


@pytest.fixture(params=["tiff", "zarr"])
def form(request, tmp_path):
    """The output, and where its results and record lie."""
    out = tmp_path / "out"
    out.mkdir()
    if request.param == "tiff":
        return out, [out / "a.classes.tif", out / "a.probability.tif"]
    return out / "a.zarr", [out / "a.zarr"]


def dies(*arguments):
    raise Killed


def run(job, out, options=OPTIONS):
    """Segment; return the tiles that went through the network."""
    real, seen = Predictor.__call__, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Predictor, "__call__", lambda self, batch: (seen.extend(batch), real(self, batch))[1])
        (result,) = segment_files([job[0]], out, job[1], options)
    if result.error:
        raise result.error
    return len(seen)


def killed_at_move(job, out, number, options=OPTIONS):
    """Kill a run before it moves a file out of the work folder, or into it, for the `number`-th time."""
    folder, moves = out.parent if out.suffix else out, []

    def dying(real):
        def move(self, target):
            if folder in (self.parent, Path(target).parent):
                moves.append(target)
                if len(moves) == number:
                    raise Killed
            return real(self, target)

        return move

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", dying(Path.replace))
        patch.setattr(Path, "rename", dying(Path.rename))
        patch.setattr(publication, "move_new", dying(publication.move_new))
        with pytest.raises(Killed):
            run(job, out, options)


def killed_after(job, out, tiles, options=OPTIONS):
    """Kill a run after so many tiles; return its work folder."""
    real, seen = Predictor.__call__, []

    def dying(self, batch):
        if len(seen) >= tiles:
            raise Killed
        seen.extend(batch)
        return real(self, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Predictor, "__call__", dying)
        with pytest.raises(Killed):
            run(job, out, options)
    (work,) = (out.parent if out.suffix else out).glob(".*.parts")
    return work


@pytest.fixture
def whole(made, form):
    """The digests of a run that was not disturbed."""
    out, paths = form
    return [sha256(made(out.name if out.suffix else "") / path.name) for path in paths]


@pytest.fixture
def zarr_form(made, tmp_path):
    """The same for OME-Zarr alone: the output and its paths, and the digests."""
    out = tmp_path / "out" / "a.zarr"
    return (out, [out]), [sha256(made("a.zarr") / "a.zarr")]


def check_end(form, whole):
    _, paths = form
    assert [sha256(path) for path in paths] == whole
    folder = paths[0].parent
    assert {path.name for path in folder.iterdir()} == {*(path.name for path in paths), "a.record.json"}
    record = json.loads((folder / "a.record.json").read_text())
    assert list(record["outputs"].values()) == whole


@pytest.mark.parametrize("earlier", [False, True])
def test_a_publication_is_finished_and_nothing_computed_again(job, made, form, whole, earlier):
    out, paths = form
    moves = len(paths) + 1 + (earlier and out.suffix == ".zarr")
    for number in range(1, moves + 1):
        shutil.rmtree(paths[0].parent)
        if earlier:
            shutil.copytree(made(out.name if out.suffix else "", OTHER), paths[0].parent)
        else:
            paths[0].parent.mkdir()
        killed_at_move(job, out, number)
        assert run(job, out) == 0
        check_end(form, whole)


def test_a_run_with_other_options_finishes_it_too_and_then_makes_its_own(job, form, whole):
    out, paths = form
    killed_at_move(job, out, len(paths) + 1, OTHER)
    assert run(job, out) == TILES
    check_end(form, whole)


def test_a_record_that_was_changed_in_the_work_folder_publishes_nothing(job, form, whole):
    out, _ = form
    killed_at_move(job, out, 1)
    (record,) = (out.parent if out.suffix else out).glob(".*.parts/record.json")
    record.write_text(record.read_text().replace('"learned": null', '"learned": true'))
    run(job, out)
    check_end(form, whole)
    (said,) = (out.parent if out.suffix else out).glob("*.record.json")
    assert json.loads(said.read_text())["learned"] is None


def test_what_was_moved_aside_comes_back_if_nothing_follows(job, made, tmp_path):
    shutil.copytree(made("a.zarr", OTHER), tmp_path, dirs_exist_ok=True)
    out = tmp_path / "a.zarr"
    before = sha256(out)
    killed_at_move(job, out, 2)
    assert not out.exists()
    (work,) = tmp_path.glob(".*.parts")
    (work / "record.json").write_text("{")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unet2015.segmentation.run.write_products", dies)
        with pytest.raises(Killed):
            run(job, out)
    assert sha256(out) == before


def test_a_file_of_another_is_not_replaced_by_finishing(job, form):
    out, paths = form
    killed_at_move(job, out, 1)
    if out.suffix == ".zarr":
        (out / "data").mkdir(parents=True)
        with pytest.raises(ImageWriteError, match="not replaced"):
            run(job, out)
        assert (out / "data").is_dir()
    else:
        paths[1].write_bytes(b"mine")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("unet2015.segmentation.run.check_free", dies)
            with pytest.raises(Killed):
                run(job, out)
        assert paths[1].read_bytes() == b"mine"


def chunks(folder):
    return [path for path in sorted(folder.rglob("c/**/*")) if path.is_file()]


def lose(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def alter(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 64
    path.write_bytes(data)


def damage_three(paths):
    for damage, path in zip((lose, cut, alter), paths[:3], strict=True):
        damage(path)


def test_damaged_parts_are_computed_again(job, form, whole):
    out, _ = form
    work = killed_after(job, out, 10)
    kept = sorted(work.glob("*.part"))
    damage_three(kept)
    assert run(job, out) == TILES - 2 * (len(kept) - 3)
    check_end(form, whole)


@pytest.mark.parametrize("name", ["labels/classes/0", "0"])
def test_damaged_chunks_are_computed_again(job, zarr_form, name):
    form, whole = zarr_form
    out = form[0]
    work = killed_after(job, out, 10)
    kept = len(list(work.glob("*.part")))
    each = [
        sorted(path.iterdir())[0] for path in sorted((work / "finished" / "a.zarr" / name / "c").iterdir())
    ]
    damage_three(each)
    assert run(job, out) == TILES - 2 * (kept - 3)
    check_end(form, whole)


def test_a_part_of_another_place_is_not_used(job, form, whole):
    out, _ = form
    work = killed_after(job, out, 6)
    kept = sorted(work.glob("*.part"))
    shutil.copy(kept[0], kept[1])
    assert run(job, out) == TILES - 2 * (len(kept) - 1)
    check_end(form, whole)


@pytest.mark.parametrize("what", ["image", "metadata", "job"])
def test_a_work_folder_that_lacks_its_image_begins_anew(job, zarr_form, what):
    form, whole = zarr_form
    work = killed_after(job, form[0], 6)
    kept = len(list(work.glob("*.part")))
    image = work / "finished" / "a.zarr"
    if what == "image":
        shutil.rmtree(image)
    elif what == "job":
        (work / "job.json").unlink()
    else:
        for path in image.rglob("zarr.json"):
            path.write_text("{")
    assert run(job, form[0]) == TILES - (2 * kept if what == "metadata" else 0)
    check_end(form, whole)


def test_levels_begun_by_a_killed_run_are_made_anew(job, zarr_form):
    form, whole = zarr_form
    halved, calls = zarr_writer._halved, []

    def dying(pixels, mean):
        calls.append(mean)
        if len(calls) == 3:
            raise Killed
        return halved(pixels, mean)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zarr_writer, "_halved", dying)
        with pytest.raises(Killed):
            run(job, form[0])
    (work,) = form[0].parent.glob(".*.parts")
    begun = [path for path in chunks(work) if "/1/c/" in path.as_posix()]
    assert begun
    for path in begun:
        cut(path)
    assert run(job, form[0]) == 0
    check_end(form, whole)


def test_a_chunk_that_goes_while_the_run_goes_on_is_an_error(job, zarr_form):
    form, whole = zarr_form
    write = ZarrSegmentation.write

    def losing(self, page, top, rows):
        write(self, page, top, rows)
        if top == 28:
            chunks(next(form[0].parent.glob(".*.parts")))[0].unlink()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ZarrSegmentation, "write", losing)
        with pytest.raises(ImageWriteError, match="run again"):
            run(job, form[0])
    assert not form[0].exists()
    assert run(job, form[0]) == 2
    check_end(form, whole)


def test_a_chunk_that_goes_as_it_is_written_is_not_taken_for_zeros(tmp_path):
    layout = plan_layout(ArrayImage(np.zeros((40, 60), np.uint8)), 28, [PRODUCTS["classes"].zarr_map(INFO)])
    image = ZarrSegmentation(tmp_path / "a.zarr", layout)
    image.create(ArrayImage(np.zeros((40, 60), np.uint8)))
    image.write(0, 0, {"classes": np.zeros((28, 60), np.uint8)})
    assert len(chunks(image.folder)) == 1, "zeros are written, too"
    setitem = zarr.Array.__setitem__

    def losing(self, *arguments):
        setitem(self, *arguments)
        chunks(image.folder)[-1].unlink()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zarr.Array, "__setitem__", losing)
        with pytest.raises(ImageWriteError, match="run again"):
            image.write(0, 28, {"classes": np.zeros((12, 60), np.uint8)})


def test_chunks_are_on_the_disk_before_their_note(job, tmp_path, monkeypatch):
    """So that after a power cut a note is never there without them."""
    synced, notes, write = [], [], zarr_output.write_json

    def noting(path, note):
        image = tmp_path / path.parent.name / "finished" / "a.zarr"
        files = [image / name for name in note["files"]]
        wanted = {
            place for file in files for place in (file, *file.parents) if image in (place, *place.parents)
        }
        assert files
        assert wanted | {image.parent} <= {*synced}
        bytes_there = max(map(synced.index, files))
        assert all(synced.index(place) > bytes_there for place in wanted - {*files})
        synced.clear()
        notes.append(path)
        write(path, note)

    monkeypatch.setattr(zarr_output, "flush", synced.append)
    monkeypatch.setattr(zarr_output, "flush_all", synced.extend)
    monkeypatch.setattr(zarr_output, "write_json", noting)
    run(job, tmp_path / "a.zarr")
    assert len(notes) == ROWS


def test_results_are_on_the_disk_before_their_record_and_their_names_before_its(job, form, disk):
    """So that after a power cut a record is never there without what it names."""
    run(job, form[0])
    said = disk.index(("name", next(path for what, path in disk if path.name == publication._RECORD)))
    work, out = disk[said][1].parent, form[1][0].parent
    assert not [path for _, path in disk[said:] if path.is_relative_to(work / "finished")]
    end = [(what, path) for what, path in disk[said:] if path == out or path.parent in (work, out)]
    assert end == [
        ("name", work / publication._RECORD),
        ("flush", work),
        *(("name", path) for path in form[1]),
        ("flush", out),
        ("name", out / "a.record.json"),
        ("flush", out),
    ]
