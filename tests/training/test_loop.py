import logging
import os
import signal
import time
from contextlib import contextmanager

import numpy as np
import pytest
import tifffile
import torch

from tests.forks import loaded_context
from tests.training.conftest import equal
from unet2015.errors import (
    DataSetError,
    GeometryError,
    ImageWriteError,
    SettingsError,
    TrainingError,
    UsageError,
)
from unet2015.models.model_file import read_model_file
from unet2015.models.tensors import load_tensors
from unet2015.settings import OptimisationSettings
from unet2015.training import completion, course, log, loop, losses, muon, steps
from unet2015.training.augment import augment
from unet2015.training.interruption import interruptible
from unet2015.training.log import read_log
from unet2015.training.loop import train
from unet2015.training.page_names import describe_held_out
from unet2015.training.schedules import learning_rate
from unet2015.training.state import save_state


def tensors(folder):
    last = sorted((folder / "checkpoints").glob("*.safetensors"))[-1]
    return load_tensors(last)[0]


def lines(folder):
    return read_log(folder / "log.jsonl")


def test_a_run_leaves_model_checkpoints_log_events_and_settings(tmp_path, small_set, small_settings):
    model = train(*small_set, tmp_path / "run", settings=small_settings(), device="cpu")
    run = tmp_path / "run"
    assert sorted(path.name for path in run.iterdir()) == [
        "checkpoints", "examples.png", "log.jsonl", "model.safetensors", "progress", "progress.gif",
        "settings.json", "tensorboard",
    ]  # fmt: skip
    assert [path.name for path in sorted((run / "checkpoints").iterdir())] == [
        "step-00000006.safetensors", "step-00000008.safetensors",
    ]  # fmt: skip
    losses = [line["loss"] for line in lines(run) if "loss" in line]
    assert len(losses) == 8
    assert all(np.isfinite(losses))
    best = max(line["validation_f1"] for line in lines(run) if "validation_f1" in line)
    assert model.info.training["validation"]["f1"] == best
    assert model.info.thresholds["f1"] == model.info.training["validation"]["threshold"]
    assert model.info.threshold == model.info.thresholds["rand"]
    assert model.info.class_names == ("membrane", "cell")
    assert model.info.mapping.method == "standardise"
    assert model.info.training["training_pages"] == 3
    assert model.info.training["validation_pages"] == 1
    assert list((run / "tensorboard").iterdir())


def test_a_model_of_masks_tells_cells_from_background(tmp_path, small_set, small_settings):
    model = train(
        *small_set, tmp_path / "run", settings=small_settings(labels={"kind": "mask"}), device="cpu"
    )
    assert model.info.class_names == ("background", "cell")
    assert set(model.info.thresholds) == {"f1"}


@pytest.mark.usefixtures("nothing_chosen")
def test_the_heap_is_kept_while_training_and_changes_no_bit(tmp_path, small_set, small_settings, monkeypatch):
    entered = []

    @contextmanager
    def noted():
        entered.append("in")
        yield
        entered.append("out")

    settings = small_settings()
    train(*small_set, tmp_path / "kept", settings=settings, device="cpu")
    monkeypatch.setattr(loop, "kept_heap", noted)
    train(*small_set, tmp_path / "plain", settings=settings, device="cpu")
    assert entered == ["in", "out"]
    assert equal(tensors(tmp_path / "kept"), tensors(tmp_path / "plain"))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_resumed_equals_uninterrupted_to_the_last_bit(
    precision, tmp_path, small_set, small_settings, monkeypatch
):
    optimizer = {"float32": "sgd", "bfloat16": "muon"}[precision]
    monkeypatch.setattr(muon, "has_matrix_units", lambda: True)  # so that bfloat16 is used where it can be
    monkeypatch.setattr(muon, "_LEAST_ROWS", 2)
    settings = small_settings(optimisation={"precision": precision, "optimizer": optimizer})
    train(*small_set, tmp_path / "whole", settings=settings, device="cpu")

    class Killed(BaseException):
        pass

    step, count, ended = loop.Training._step, [], []

    def dying(self, *arguments):
        count.append(1)
        if len(count) in (5, 9):
            raise Killed
        return step(self, *arguments)

    for _ in range(3):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop.Training, "_step", dying)
            try:
                train(*small_set, tmp_path / "parts", settings=settings, device="cpu", resume=True)
            except Killed:
                model = tmp_path / "parts" / "model.safetensors"
                ended.append(read_model_file(model).info.ended)
                continue
    assert ended == [False, False], "the model of a training that goes on says so"
    # Killed in steps 5 and 7: begun again after the checkpoints of steps 3 and 6.
    assert len(count) == 4 + 1 + 3 + 1 + 2
    assert equal(tensors(tmp_path / "whole"), tensors(tmp_path / "parts"))
    assert lines(tmp_path / "whole") == lines(tmp_path / "parts")
    one, other = (read_model_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    assert equal(one.network.state_dict(), other.network.state_dict())
    assert one.info.threshold == other.info.threshold
    assert one.info.ended is other.info.ended is True


@pytest.mark.usefixtures("nothing_chosen")
@pytest.mark.slow
def test_a_training_follows_from_its_seed(tmp_path, small_set, small_settings):
    runs = [
        train(*small_set, tmp_path / name, settings=small_settings(seed=seed), device="cpu")
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    a, b, c = (model.network.state_dict() for model in runs)
    assert equal(a, b)
    assert not equal(a, c)


def test_a_damaged_checkpoint_falls_back_to_the_one_before(small_set, small_settings, small_run, caplog):
    good = tensors(small_run)
    newest = sorted((small_run / "checkpoints").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:500])
    with caplog.at_level(logging.WARNING, "unet2015"):
        train(*small_set, small_run, settings=small_settings(), device="cpu", resume=True)
    assert "taking the checkpoint before it" in caplog.text
    assert equal(good, tensors(small_run))


@pytest.mark.usefixtures("nothing_chosen")
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_finishes_the_step_and_saves(
    tmp_path, small_set, small_settings, ended_run, caplog, number
):
    step = loop.Training._step

    def interrupting(self, *arguments):
        if self.state.step == 4:
            os.kill(os.getpid(), number)
        return step(self, *arguments)

    run = tmp_path / "run"
    # A process that was started in the background may ignore the signal, and then goes on ignoring it.
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop.Training, "_step", interrupting)
            with pytest.raises(KeyboardInterrupt):
                train(*small_set, run, settings=small_settings(), device="cpu")
    finally:
        signal.signal(number, before)
    assert sorted((run / "checkpoints").iterdir())[-1].name == "step-00000005.safetensors"
    train(*small_set, run, settings=small_settings(), device="cpu", resume=True)
    assert "had ended before" not in caplog.text
    assert equal(tensors(run), tensors(ended_run))


def test_under_nohup_a_hang_up_changes_nothing():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible(alone=True) as event:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert not event.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("nothing_chosen")
@pytest.mark.slow
def test_a_second_training_into_the_folder_is_refused(tmp_path, small_set, small_settings):
    step, tried = loop.Training._step, []

    def second(self, *arguments):
        if not tried:
            tried.append("once")
            for resume in (False, True):
                with pytest.raises(UsageError) as refused:
                    train(*small_set, tmp_path / "run", settings=settings, device="cpu", resume=resume)
                # The folder is named, and no file in it that nobody ever sees.
                assert str(refused.value).startswith(
                    f"{tmp_path / 'run'}: another training is running in this"
                )
                assert refused.value.exit_status == 2
        return step(self, *arguments)

    settings = small_settings()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Training, "_step", second)
        train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    assert tried
    train(*small_set, tmp_path / "whole", settings=settings, device="cpu")
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")


@pytest.mark.usefixtures("nothing_chosen")
@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 2])
def test_the_loss_of_tiles_that_teach_nothing_is_null(tmp_path, small_set, small_settings, batch):
    """Every other step teaches nothing; in a batch one of the others' tiles does not either."""
    augmented, count = loop.Training._augment, []

    def note(self, prepared):
        sample, name = augmented(self, prepared)
        count.append(name)
        sample.weights[batch // 2 if len(count) % 2 else 0 :] = 0
        return sample, name

    def one(scores, classes, weights, rule):
        return scores.sum() * 0 + float(weights.any())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Training, "_augment", note)
        patch.setitem(losses.LOSSES, "cross-entropy", one)
        settings = small_settings(optimisation={"batch": batch})
        train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    logged = [line["loss"] for line in lines(tmp_path / "run") if "loss" in line]
    assert logged == ([None] * 8 if batch == 1 else [1.0, None] * 4)


@pytest.mark.usefixtures("nothing_chosen")
def test_held_out_pages_are_named_in_messages_log_and_record(tmp_path, small_set, small_settings, caplog):
    settings = small_settings(validation={"pages": "1,3"})
    with caplog.at_level(logging.INFO, "unet2015"):
        model = train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    names = ["images.tif page 1", "images.tif page 3"]
    assert lines(tmp_path / "run")[0]["held_out"] == model.info.training["held_out"] == names
    assert describe_held_out(names) in caplog.text


def test_a_gradient_that_is_not_finite_stops_with_step_and_file(tmp_path, small_set, small_settings):
    def endless(scores, *rest):
        return (scores - scores.detach()).clamp(min=0).sqrt().sum()  # 0, but infinitely steep

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(losses.LOSSES, "cross-entropy", endless)
        with pytest.raises(TrainingError, match=r"gradient is (nan|inf) at step 1, on .*images.tif page \d"):
            train(*small_set, tmp_path / "run", settings=small_settings(), device="cpu")
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_all_files_of_a_batch_are_named(tmp_path, small_set, small_settings):
    settings = small_settings(optimisation={"batch": 2})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(losses.LOSSES, "cross-entropy", lambda scores, *rest: scores.sum() * float("inf"))
        with pytest.raises(
            TrainingError, match=r"step 1, on .*page \d, tile.*; .*page \d, tile.*; there is no"
        ):
            train(*small_set, tmp_path / "run", settings=settings, device="cpu")


@pytest.mark.usefixtures("nothing_chosen")
@pytest.mark.slow
def test_kill_9_and_resume(tmp_path, small_set, small_settings):
    settings = small_settings(optimisation={"steps": 60})
    # As many threads as here: another number may round in another way.
    script = f"torch.set_num_threads({torch.get_num_threads()})\ntrain(*files, run, **options)\n"
    run, options = tmp_path / "run", {"settings": settings, "device": "cpu", "resume": True}
    given = {"files": small_set, "run": run, "options": options}
    code = f"import torch\nfrom unet2015.training.loop import train\n{script}"
    process = loaded_context().Process(target=exec, args=(code, given))
    process.start()
    while len(lines(run)) < 12 and process.is_alive():
        time.sleep(0.01)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    train(*small_set, run, settings=settings, device="cpu", resume=True)
    train(*small_set, tmp_path / "whole", settings=settings, device="cpu")
    assert equal(tensors(run), tensors(tmp_path / "whole"))
    assert lines(run) == lines(tmp_path / "whole")


def test_a_loss_that_is_not_finite_stops_with_step_and_file(tmp_path, small_set, small_settings):
    settings = small_settings(
        optimisation={"learning_rate": 1e30, "warmup": 0, "schedule": "constant", "steps": 50},
        checkpoint_interval=1,
    )
    run = tmp_path / "run"
    with pytest.raises(TrainingError, match=r"(loss|gradient).*at step \d+.*") as caught:
        train(*small_set, run, settings=settings, device="cpu")
    assert "lower learning rate" in str(caught.value)
    for path in (run / "checkpoints").iterdir():
        assert all(bool(torch.isfinite(tensor).all()) for tensor in load_tensors(path)[0].values())


def test_the_file_of_a_bad_loss_is_named(tmp_path, small_set, small_settings):
    settings = small_settings()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(losses.LOSSES, "cross-entropy", lambda scores, *rest: scores.sum() * float("nan"))
        with pytest.raises(TrainingError, match=r"step 1, on .*images.tif page \d"):
            train(*small_set, tmp_path / "run", settings=settings, device="cpu")


def test_other_settings_do_not_resume_and_are_named(small_set, small_settings, small_run):
    other = small_settings(optimisation={"momentum": 0.9})
    with pytest.raises(SettingsError, match=r"optimisation.momentum: 0.99 then, 0.9 now"):
        train(*small_set, small_run, settings=other, device="cpu", resume=True)


def test_other_images_do_not_resume(small_set, small_settings, small_run):
    images = tifffile.imread(small_set[0])
    tifffile.imwrite(small_set[0], images + np.uint8(1), photometric="minisblack")
    with pytest.raises(DataSetError, match=r"other images .* \(.*; new: \S*images\.tif\)"):
        train(*small_set, small_run, settings=small_settings(), device="cpu", resume=True)


def test_another_companion_file_of_an_image_does_not_resume(small_set, small_settings, tmp_path):
    pixels = tifffile.imread(small_set[0])
    depth, height, width = pixels.shape
    image = small_set[0].with_name("images.ome.tif")
    about = '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">{}</OME>'
    pointer = about.format('<BinaryOnly MetadataFile="images.companion.ome" UUID="urn:uuid:2"/>')
    tifffile.imwrite(image, pixels, description=pointer, metadata=None, photometric="minisblack")
    companion = image.with_name("images.companion.ome")
    companion.write_text(
        about.format(
            f'<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="{width}" '
            f'SizeY="{height}" SizeZ="{depth}" SizeC="1" SizeT="1"><Channel ID="Channel:0:0" '
            f'SamplesPerPixel="1"/><TiffData IFD="0" PlaneCount="{depth}"><UUID FileName="images.ome.tif">'
            "urn:uuid:1</UUID></TiffData></Pixels></Image>"
        )
    )
    given, settings = (image, small_set[1], tmp_path / "run"), small_settings()
    train(*given, settings=settings, device="cpu")
    train(*given, settings=settings, device="cpu", resume=True)  # it is done
    companion.write_text(companion.read_text() + "\n")
    with pytest.raises(DataSetError, match=r"begun with other companion files .* of the images"):
        train(*given, settings=settings, device="cpu", resume=True)


def test_a_run_is_no_folder_with_the_name_of_a_model(small_set, small_settings, tmp_path):
    with pytest.raises(UsageError, match=r"model\.safetensors: .* give a folder for the run"):
        train(*small_set, tmp_path / "model.safetensors", settings=small_settings(), device="cpu")
    assert not (tmp_path / "model.safetensors").exists()


def test_a_run_is_not_overwritten(small_set, small_settings, small_run):
    with pytest.raises(SettingsError, match="already holds a training"):
        train(*small_set, small_run, settings=small_settings(), device="cpu")


def test_an_illegal_tile_is_refused_before_anything_is_read(tmp_path, small_set, small_settings):
    with pytest.raises(GeometryError, match="nearest legal"):
        train(*small_set, tmp_path / "run", settings=small_settings(optimisation={"tile": 61}), device="cpu")


def test_labels_of_another_size_are_refused(tmp_path, small_set, small_settings):
    tifffile.imwrite(small_set[1], np.zeros((4, 50, 55), np.uint8), photometric="minisblack")
    with pytest.raises(DataSetError, match="50 x 55"):
        train(*small_set, tmp_path / "run", settings=small_settings(), device="cpu")
    assert not (tmp_path / "run").exists()


def test_instances_with_an_ignore_value_and_two_channels(tmp_path, small_settings):
    random = np.random.default_rng(0)
    labels = np.zeros((2, 48, 48), np.uint16)
    labels[:, 5:20, 5:20], labels[:, 20:40, 5:30], labels[:, :, 40:] = 7, 9, 99
    images = random.integers(0, 60000, (2, 2, 48, 48)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "i.tif", images, metadata={"axes": "ZCYX"}, imagej=True)
    tifffile.imwrite(tmp_path / "l.tif", labels, metadata={"axes": "ZYX"}, imagej=True)
    settings = small_settings(labels={"kind": "instances", "ignore": 99})
    model = train(tmp_path / "i.tif", tmp_path / "l.tif", tmp_path / "run", settings=settings, device="cpu")
    assert model.info.in_channels == 2
    assert model.info.axes == "CYX"
    assert model.info.mapping.method == "standardise"


def test_several_classes(tmp_path, small_settings):
    labels = np.zeros((2, 48, 48), np.uint8)
    labels[:, :20], labels[:, 30:] = 1, 2
    images = labels * 80
    tifffile.imwrite(tmp_path / "i.tif", images, photometric="minisblack")
    tifffile.imwrite(tmp_path / "l.tif", labels, photometric="minisblack")
    settings = small_settings(labels={"kind": "classes", "classes": 3})
    model = train(tmp_path / "i.tif", tmp_path / "l.tif", tmp_path / "run", settings=settings, device="cpu")
    assert model.info.classes == 3
    assert model.info.threshold is None


@pytest.mark.usefixtures("nothing_chosen")
def test_bfloat16_trains(tmp_path, small_set, small_settings):
    settings = small_settings(optimisation={"precision": "bfloat16"})
    train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    assert all(tensor.dtype == torch.float32 for tensor in tensors(tmp_path / "run").values())


@pytest.mark.usefixtures("nothing_chosen")
@pytest.mark.slow
def test_the_loss_falls_on_the_paper_s_recipe(tmp_path, small_set, small_settings):
    settings = small_settings(
        network={"width": 4}, optimisation={"steps": 160, "warmup": 20, "learning_rate": 1e-2},
        validation={"interval": 160}, checkpoint_interval=160,
    )  # fmt: skip
    model = train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    losses = [line["loss"] for line in lines(tmp_path / "run") if "loss" in line]
    assert np.mean(losses[-20:]) < 0.8 * np.mean(losses[:20])
    inside = (tifffile.imread(small_set[1]) > 0).mean()
    everything = 1 - 2 * inside / (1 + inside)  # the pixel error of calling every pixel cell
    assert model.info.training["validation"]["pixel_error"] < 0.85 * everything


def test_a_refused_resume_leaves_the_run_s_settings(small_set, small_settings, small_run):
    before = (small_run / "settings.json").read_text()
    with pytest.raises(SettingsError):
        train(*small_set, small_run, settings=small_settings(seed=9), device="cpu", resume=True)
    assert (small_run / "settings.json").read_text() == before


def test_a_lost_model_is_written_again(small_set, small_settings, small_run):
    (small_run / "model.safetensors").unlink()
    train(*small_set, small_run, settings=small_settings(), device="cpu", resume=True)
    assert (small_run / "model.safetensors").exists()


def flip_a_byte(path):
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


SPOILT = {
    "a byte is another": flip_a_byte,
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:700]),
    "empty": lambda path: path.write_bytes(b""),
}


@pytest.mark.slow
@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_a_damaged_model_of_a_finished_run_is_written_again(
    small_set, small_settings, small_run, caplog, spoil
):
    spoil(small_run / "model.safetensors")
    with caplog.at_level(logging.WARNING, "unet2015"):
        model = train(*small_set, small_run, settings=small_settings(), device="cpu", resume=True)
    assert f"{small_run / 'model.safetensors'}: " in caplog.text
    assert "it is removed, and the next validation writes another" in caplog.text
    assert model.info.training["step"] == 8
    assert "rand" in read_model_file(small_run / "model.safetensors").info.thresholds
    weights = {key: value for key, value in tensors(small_run).items() if key.startswith("network.")}
    assert equal(weights, {f"network.{key}": value for key, value in model.network.state_dict().items()})


@pytest.mark.slow
def test_a_model_damaged_half_way_is_written_by_the_next_validation_as_a_lost_one(
    tmp_path, small_set, small_settings
):
    class Killed(BaseException):
        pass

    step = loop.Training._step

    def dying(self, *arguments):
        if self.state.step == 7:
            raise Killed
        return step(self, *arguments)

    for name, spoil in (("damaged", flip_a_byte), ("lost", lambda path: path.unlink())):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop.Training, "_step", dying)
            with pytest.raises(Killed):
                train(*small_set, tmp_path / name, settings=small_settings(), device="cpu")
        spoil(tmp_path / name / "model.safetensors")
        model = train(*small_set, tmp_path / name, settings=small_settings(), device="cpu", resume=True)
        assert model.info.training["step"] == 8
    one, other = (read_model_file(tmp_path / name / "model.safetensors") for name in ("damaged", "lost"))
    assert equal(one.network.state_dict(), other.network.state_dict())


def test_a_damaged_model_that_cannot_be_removed_is_named(small_set, small_settings, small_run):
    path = small_run / "model.safetensors"
    path.unlink()
    path.mkdir()
    with pytest.raises(
        ImageWriteError, match=r"model\.safetensors: exists, is not a model .* is not replaced"
    ):
        train(*small_set, small_run, settings=small_settings(), device="cpu", resume=True)


def test_the_rand_threshold_is_chosen_on_the_training_pages(tmp_path, small_set, small_settings, monkeypatch):
    """What is held out measures the model; a threshold chosen there would make that too good."""
    seen = []

    def noted(network, pages, *rest):
        seen.append([page.name for page in pages])
        return 0.85

    monkeypatch.setattr(completion, "rand_threshold", noted)
    settings = small_settings(validation={"pages": "1,3"})
    model = train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    assert [[name.split("/")[-1] for name in names] for names in seen] == [
        ["images.tif page 0", "images.tif page 2"]
    ]
    assert (model.info.threshold, model.info.thresholds["rand"]) == (0.85, 0.85)


def test_a_model_without_checkpoints_is_not_overwritten(small_set, small_settings, small_run):
    for path in (small_run / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(SettingsError, match="already holds a training"):
        train(*small_set, small_run, settings=small_settings(), device="cpu")


def test_a_diverged_network_is_never_kept_as_the_best(tmp_path, small_set, small_settings):
    settings = small_settings(
        optimisation={"learning_rate": 1e37, "warmup": 0, "schedule": "constant"}, validation={"interval": 1}
    )
    with pytest.raises(TrainingError):
        train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_model_and_checkpoints_can_be_read_by_others(tmp_path, small_run):
    (tmp_path / "plain").touch()
    expected = (tmp_path / "plain").stat().st_mode
    for path in (
        small_run / "model.safetensors",
        small_run / "settings.json",
        *(small_run / "checkpoints").iterdir(),
    ):
        assert path.stat().st_mode == expected


def test_the_learning_rate_rises_and_falls():
    rule = OptimisationSettings(steps=110, warmup=10, learning_rate=2.0, schedule="cosine", momentum_ramp=0)
    rates = [learning_rate(rule, step) for step in range(110)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[9] == rates[10] == 2.0
    assert rates[60] == pytest.approx(1.0)
    assert 0 < rates[-1] < 0.01
    assert sorted(rates[10:], reverse=True) == rates[10:]
    constant = rule.model_copy(update={"schedule": "constant"})
    assert {learning_rate(constant, step) for step in range(10, 110)} == {2.0}


def test_an_open_log_drops_what_comes_after_the_checkpoint_and_a_cut_line(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    with loop.TrainingLog(tmp_path, 2) as log:
        log.write(3, loss=1.0)
    assert lines(tmp_path) == [{"step": 1}, {"step": 2}, {"step": 3, "loss": 1.0}]


@pytest.mark.usefixtures("nothing_chosen")
def test_the_log_is_on_the_disk_before_a_checkpoint_of_its_steps(
    tmp_path, small_set, small_settings, monkeypatch
):
    """Else a power cut leaves a checkpoint beside a log without the steps before it."""
    done = []

    def flushed(path):
        done.append(("log", lines(path.parent)[-1]["step"]))

    def saved(folder, learner, state):
        done.append(("checkpoint", state.step))
        return save_state(folder, learner, state)

    monkeypatch.setattr(log, "flush", flushed)
    monkeypatch.setattr(course, "save_state", saved)
    settings = small_settings(optimisation={"steps": 5}, checkpoint_interval=2)
    train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    assert done == [(what, step) for step in (2, 4, 5) for what in ("log", "checkpoint")]


@pytest.mark.usefixtures("nothing_chosen")
def test_gray_values_shift_in_deviations_of_the_mapped_image(
    tmp_path, small_set, small_settings, monkeypatch
):
    seen = []

    def noted(*arguments, deviation):
        seen.append(deviation)
        return augment(*arguments, deviation=deviation)

    monkeypatch.setattr(steps, "augment", noted)
    settings = small_settings(mapping={"method": "integer-range"}, optimisation={"steps": 2})
    train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    spread = tifffile.imread(small_set[0]).std() / 255
    assert seen == [pytest.approx((spread,))] * 2
