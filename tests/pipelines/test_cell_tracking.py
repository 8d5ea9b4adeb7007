"""The cell experiments at a tiny size, on drawn cells: splits, partial annotation, SEG, the report."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.draw import disk

pytest.importorskip("doit")

from pipelines import cell_tracking
from pipelines.base.settings import FOLDER
from pipelines.cells.frames import IGNORE
from pipelines.cells.objects import THRESHOLDS, score
from pipelines.cells.sequences import Sequence, with_ignored
from pipelines.cells.splits import Split
from unet2015.errors import DataSetError
from unet2015.images.axes import Calibration
from unet2015.images.reader import read_pages
from unet2015.images.writer import write_image
from unet2015.metrics import evaluate_seg
from unet2015.models.model_file import read_model_file

SIDE = 96
CENTRES = [(24, 26), (30, 70), (70, 34), (68, 74)]


def draw(folder, name, frames, gold, missing=()):
    """Draw a sequence of four cells that move; in the frames `missing` the last has a marker alone."""
    rng = np.random.default_rng(int(name) + frames)
    for frame in range(frames):
        objects, markers = np.zeros((SIDE, SIDE), np.uint16), np.zeros((SIDE, SIDE), np.uint16)
        image = rng.integers(60, 80, (SIDE, SIDE)).astype(np.uint8)
        for number, (y, x) in enumerate(CENTRES, 1):
            where = disk((y + frame, x), 11, shape=(SIDE, SIDE))
            image[where] += 70
            markers[disk((y + frame, x), 3, shape=(SIDE, SIDE))] = number
            if frame not in missing or number < len(CENTRES):
                objects[where] = number
        write(folder / name / f"t{frame:03d}.tif", image)
        write(folder / f"{name}_GT/TRA/man_track{frame:03d}.tif", markers)
        if frame in gold:
            write(folder / f"{name}_GT/SEG/man_seg{frame:03d}.tif", objects)
        write(folder / f"{name}_ST/SEG/man_seg{frame:03d}.tif", objects)


def write(path, page):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, page, "YX", Calibration())


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    for name in ("01", "02"):
        draw(folder / "ctc" / "Both", name, 4, (0, 2, 3), missing=(2,))
    draw(folder / "ctc" / "Single", "01", 6, (0, 1, 2, 4, 5))
    return folder


def experiment(drawn, tiny_settings, tmp_path, head=""):
    settings = tiny_settings('data_sets = ["Both", "Single"]\n' + head, "instances", f"ignore = {IGNORE}")
    return cell_tracking.CellExperiment(drawn, tmp_path / "out", settings, "cpu"), settings


def test_a_cell_with_a_marker_and_no_object_is_ignored_and_nothing_else(drawn):
    sequence = Sequence(drawn / "ctc" / "Both", "01")
    whole, partial = sequence.labels(0), sequence.labels(2)
    assert not (whole == IGNORE).any()
    ignored = partial == IGNORE
    y, x = CENTRES[-1]
    assert ignored[disk((y + 2, x), 11, shape=ignored.shape)].all()
    assert not ignored[:20].any()
    truth = sequence.truth(2)
    assert np.array_equal(partial[~ignored], truth[~ignored])


@pytest.mark.slow
@given(
    hnp.arrays(np.uint16, (9, 11), elements=st.sampled_from([0, 0, 0, 1, 2])),
    hnp.arrays(np.uint16, (9, 11), elements=st.sampled_from([0, 0, 0, 0, 3, 4])),
)
def test_what_is_ignored_equals_brute_force(truth, markers):
    found = with_ignored(truth, markers)
    missing = [
        m
        for m in (3, 4)
        if (markers == m).any() and 2 * (truth[markers == m] > 0).sum() < (markers == m).sum()
    ]
    places = np.moveaxis(np.indices(truth.shape), 0, -1)

    def nearest(points):
        return ((places[..., None, :] - points) ** 2).sum(axis=-1).min(axis=-1, initial=10**6)

    near = nearest(np.argwhere(np.isin(markers, missing) & (truth == 0)))
    closer = near < nearest(np.argwhere(truth > 0))
    assert np.array_equal(found, np.where((truth == 0) & closer, IGNORE, truth))


def test_both_sequences_are_swapped_and_a_single_one_is_split_in_time(drawn, tiny_settings, tmp_path):
    made, _ = experiment(drawn, tiny_settings, tmp_path)
    both, swapped, single = made.splits
    assert (both.title, swapped.title) == ("01 -> 02", "02 -> 01")
    assert "first 60%" in single.title
    assert single.frames(drawn / "ctc" / "Single") == ([0, 1, 2], [4, 5])
    assert both.frames(drawn / "ctc" / "Both") == ([0, 2, 3], [0, 2, 3])


@pytest.mark.slow
@pytest.mark.parametrize("gold", [2, 3, 7, 20])
@pytest.mark.parametrize("first", [0.01, 0.5, 0.6, 0.99])
def test_a_split_in_time_trains_and_measures_something(tmp_path, gold, first):
    draw(tmp_path / "Set", "01", gold, range(gold))
    train, test = Split("Set", "01", "01", first).frames(tmp_path / "Set")
    assert train + test == list(range(gold))
    assert train
    assert test


@pytest.mark.slow
def test_every_stage_leaves_its_files_and_the_figures_are_those_of_the_masks(
    drawn, tiny_settings, tmp_path, capsys
):
    made, settings = experiment(drawn, tiny_settings, tmp_path, "frame = 5\n")
    out = made.out
    words = ["--data", str(drawn), "--out", str(out), "--settings", str(settings), "--device", "cpu"]
    status = cell_tracking.main(words)
    result = json.loads((out / "result.json").read_text())
    assert status == (3 if result["not_learned"] else 0)
    assert set(result["not_learned"]) == {
        name for name, part in result["splits"].items() if part["training"]["learned"] is False
    }
    assert json.dumps(result["mean"], indent=2) in capsys.readouterr().out
    for split in made.splits[:2]:
        measured = evaluate_seg(drawn / f"ctc/Both/{split.test}_GT", out / split.name / f"{split.test}_RES")
        assert result["splits"][split.name]["seg"] == measured.value
        assert measured.value > 0
        assert (
            read_model_file(out / split.name / "run/model.safetensors").info.training["training_pages"] == 3
        )
        for which, name in (("train", split.train), ("test", split.test)):
            source = Sequence(drawn / "ctc" / "Both", name)
            assert np.array_equal(
                read_pages(made.files.stack(split.name, which)),
                np.stack([source.image(frame) for frame in (0, 2, 3)]),
            )
        # The threshold is that of the frames trained on.
        gold = [Sequence(drawn / "ctc" / "Both", split.train).truth(frame) for frame in (0, 2, 3)]
        maps = read_pages(made.files.stack(split.name, "train", ".probability"))
        values = {t: score(gold, maps, t, made.settings).value for t in THRESHOLDS}
        assert result["splits"][split.name]["threshold_of_training"] == max(values, key=values.__getitem__)
    assert result["mean"]["Both"]["seg"] == pytest.approx(
        np.mean([result["splits"][split.name]["seg"] for split in made.splits[:2]])
    )
    assert result["data_sets"]["Both"]["01"]["share_ignored"].keys() == {"2"}
    labels = read_pages(out / made.splits[0].name / "train-labels.tif")
    assert (labels[1] == IGNORE).any()
    page = (out / "report.html").read_text()
    assert "u-net 2015 (paper, Table 2)" in page
    assert page.count("data:image/png;base64") == 3 * 3 + 1
    before = {path: path.stat().st_mtime_ns for stage in made.stages() for path in stage.outputs}
    assert cell_tracking.main(words) == status
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.slow
@pytest.mark.parametrize("changed", ["01/t002.tif", "01_GT/TRA/man_track002.tif", "01_ST/SEG/man_seg001.tif"])
def test_stages_run_again_when_a_frame_a_marker_or_silver_truth_changes(tiny_settings, tmp_path, changed):
    draw(tmp_path / "Set", "01", 4, (0, 2, 3), missing=(2,))
    settings = tiny_settings('data_sets = ["Set"]\nsilver = true\n', "instances")
    made = cell_tracking.CellExperiment(tmp_path, tmp_path / "out", settings, "cpu")
    words = ["--data", str(tmp_path), "--out", str(made.out), "--settings", str(settings)]
    prepare = [f"prepare-{made.splits[0].name}"]
    assert cell_tracking.main([*words, *prepare]) == 0
    stacks = [made.files.stack(made.splits[0].name, "train", end) for end in ("", "-labels")]
    before = [path.read_bytes() for path in stacks]
    path = tmp_path / "Set" / changed
    write(path, np.roll(read_pages(path)[0], 5, axis=0))
    assert cell_tracking.main([*words, *prepare]) == 0
    if changed != "01_ST/SEG/man_seg001.tif":
        assert [path.read_bytes() for path in stacks] != before
    else:
        assert stacks[1].read_bytes() != before[1]


def test_silver_frames_train_and_never_those_after_the_split(drawn, tiny_settings, tmp_path):
    made, settings = experiment(drawn, tiny_settings, tmp_path, "silver = true\n")
    words = ["--data", str(drawn), "--out", str(made.out), "--settings", str(settings)]
    prepare = [f"prepare-{split.name}" for split in made.splits]
    assert cell_tracking.main([*words, *prepare]) == 0
    pages = [len(read_pages(made.files.stack(split.name, "train"))) for split in made.splits]
    assert pages == [4, 4, 3]
    assert [len(read_pages(made.files.stack(split.name, "test"))) for split in made.splits] == [3, 3, 2]


def test_a_data_set_that_is_not_there_is_an_error_that_names_the_folder(tiny_settings, tmp_path):
    with pytest.raises(DataSetError, match=r"Missing: expected 01/tTTT\.tif"):
        cell_tracking.CellExperiment(
            tmp_path, tmp_path / "out", tiny_settings('data_sets = ["Missing"]\n', "instances"), "cpu"
        )


@pytest.mark.parametrize("name", ["cell_tracking.toml", "cell_tracking-cpu.toml", "cell_tracking-quick.toml"])
def test_the_settings_that_are_shipped_hold_nothing_out_to_choose_from(name, tmp_path):
    chain = cell_tracking.CellExperiment(None, tmp_path, FOLDER / name).stages()
    trainings = [stage for stage in chain if stage.name.startswith("train-")]
    assert len(trainings) == 4
    for stage in trainings:
        assert stage.settings["validation"]["fraction"] == 0
        assert stage.settings["labels"]["ignore"] == IGNORE
