"""Trainings: what is kept, resumed, noticed and said."""

import json
import shutil
from pathlib import Path
from unittest import mock

import numpy as np
import tifffile

from tests.cases.bench import Bench, case
from tests.cases.labels import picture, squares
from tests.fuzz.commands import Ended
from tests.fuzz.runs import stopped_after
from unet2015.training import loop
from unet2015.training.pool import Reading

SETTINGS = """checkpoint_interval = 2
[labels]
kind = "instances"
[network]
width = 2
depth = 1
[optimisation]
steps = 6
tile = 36
warmup = 1
[validation]
pages = "{pages}"
interval = 3
attempts = 1
[augmentation]
elastic_std = 1.0
"""


def prepared(bench: Bench, count: int = 5, pages: str = "0", digits: int = 1) -> None:
    """Write pairs ``t1`` and so on, and settings."""
    for k in range(1, count + 1):
        labels = squares(shift=3 * k)
        bench.tiff(f"l/t{k:0{digits}}.tif", labels)
        bench.tiff(f"i/t{k:0{digits}}.tif", picture(labels, seed=k))
    (bench.folder / "s.toml").write_text(SETTINGS.format(pages=pages))


def trained(bench: Bench, out: str, *more: str) -> Ended:
    """Train on the pairs."""
    data = ("--images", "i", "--labels", "l", "--settings", "s.toml", "--device", "cpu", "--axes", "YX")
    return bench.run("train", *data, "-o", out, *more)


def stopped(bench: Bench, out: str, steps: int = 3) -> None:
    """Train as if killed after some steps."""
    with mock.patch.object(loop.Training, "_step", stopped_after(steps)):
        ended = trained(bench, out)
    assert ended.status == 130, ended


def done(ended: Ended) -> bool:
    """Whether a training ran to its end; such a short one learns nothing."""
    return ended.status in (0, 3)


@case(
    "held-out images are named, in natural order",
    "ugent-korea/pytorch-unet-segmentation#2, CAREamics/careamics#416",
)
def named(bench: Bench) -> None:
    prepared(bench, count=12, pages="9-10")
    ended = trained(bench, "run")
    texts = ended.err + (bench.folder / "run" / "log.jsonl").read_text()
    bench.check(done(ended) and "t10.tif" in texts and "t11.tif" in texts, "t10 and t11 named", ended.err)


@case("interrupted and resumed is as if it had not been", "MIC-DKFZ/nnUNet#324, MIC-DKFZ/nnUNet#211")
def resumed(bench: Bench) -> None:
    prepared(bench)
    trained(bench, "whole")
    stopped(bench, "run")
    ended = trained(bench, "run", "--resume")
    bench.check(done(ended), "an end", ended)
    files = [bench.folder / name / "checkpoints" for name in ("whole", "run")]
    weights = [_tensors(max(folder.iterdir())) for folder in files]
    bench.check(weights[0] == weights[1], "the same weights to the last bit", "others")


def _tensors(path: Path) -> bytes:
    data = path.read_bytes()
    return data[8 + int.from_bytes(data[:8], "little") :]


@case("resumed after the files were renamed so that others would be held out", "CAREamics/careamics#416")
def renamed(bench: Bench) -> None:
    prepared(bench, count=10, pages="9")
    stopped(bench, "run")
    for folder in "il":
        (bench.folder / folder / "t10.tif").rename(bench.folder / folder / "t0.tif")
    ended = trained(bench, "run", "--resume")
    bench.check(ended.status == 1, "an error", ended)


@case("resumed with the labels of two images exchanged", "milesial/Pytorch-UNet#376")
def exchanged(bench: Bench) -> None:
    prepared(bench)
    stopped(bench, "run")
    one, other = bench.folder / "l" / "t2.tif", bench.folder / "l" / "t3.tif"
    a, b = one.read_bytes(), other.read_bytes()
    one.write_bytes(b)
    other.write_bytes(a)
    ended = trained(bench, "run", "--resume")
    bench.check(ended.status == 1, "an error", ended)


@case("resumed with another number of threads", "pytorch/pytorch#35047")
def threads(bench: Bench) -> None:
    prepared(bench)
    stopped(bench, "run")
    with mock.patch("unet2015.training.state.thread_count", return_value=3):
        ended = trained(bench, "run", "--resume")
    bench.check("thread" in ended.err, "a word about threads", ended.err)


@case("the newest checkpoint is damaged", "milesial/Pytorch-UNet#376")
def damaged_checkpoint(bench: Bench) -> None:
    prepared(bench)
    trained(bench, "whole")
    stopped(bench, "run", 5)
    newest = max((bench.folder / "run" / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-9])
    ended = trained(bench, "run", "--resume")
    bench.check(done(ended) and newest.name in ended.err, "the one before, and a word", ended)
    folders = [bench.folder / name / "checkpoints" for name in ("whole", "run")]
    same = [_tensors(max(folder.iterdir())) for folder in folders]
    bench.check(same[0] == same[1], "the same weights", "others")


@case("an image is replaced while the training runs", "HenriquesLab/ZeroCostDL4Mic#179")
def replaced(bench: Bench) -> None:
    for how in ("saved again", "another size", "cut short"):
        shutil.rmtree(bench.folder / "i", ignore_errors=True)
        prepared(bench)
        real, seen = loop.Training._step, []

        def step(self, *arguments, real=real, seen=seen, how=how):  # type: ignore[no-untyped-def]
            seen.append(1)
            if len(seen) == 1:
                for path in (bench.folder / "i").iterdir():
                    pixels = tifffile.imread(path) // 2
                    if how == "cut short":
                        path.write_bytes(path.read_bytes()[:600])
                    else:
                        tifffile.imwrite(path, pixels[:48, :48] if how == "another size" else pixels)
            return real(self, *arguments)

        with mock.patch.object(loop.Training, "_step", step):
            ended = trained(bench, f"run {how}")
        bench.check(ended.status == 1 and ".tif" in ended.err, f"{how}: an error that names the file", ended)


@case("a training that learned nothing says so", "milesial/Pytorch-UNet#518, axondeepseg/axondeepseg#994")
def nothing_learned(bench: Bench) -> None:
    prepared(bench)
    for path in (bench.folder / "i").iterdir():
        tifffile.imwrite(path, np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8))
    ended = trained(bench, "run")
    bench.check(ended.status == 3 and "learned" in ended.err, "exit status 3", ended)
    used = bench.run(
        "segment", "i/t1.tif", "-o", "out", "--model", "run/model.safetensors", "--device", "cpu"
    )
    bench.check("learned" in used.err, "a word at each use", used.err)


@case("a run folder is not used twice without a word", "MIC-DKFZ/nnUNet#2513")
def second_run(bench: Bench) -> None:
    prepared(bench)
    trained(bench, "run")
    before = (bench.folder / "run" / "model.safetensors").read_bytes()
    ended = trained(bench, "run")
    bench.check(ended.status == 2 and "resume" in ended.err, "an error that names --resume", ended)
    bench.check(
        (bench.folder / "run" / "model.safetensors").read_bytes() == before, "the model untouched", "another"
    )


@case("settings with a misspelt name", "MIC-DKFZ/nnUNet#2749")
def misspelt(bench: Bench) -> None:
    prepared(bench)
    path = bench.folder / "s.toml"
    path.write_text(path.read_text().replace("warmup", "warm_up"))
    ended = trained(bench, "run")
    bench.check(
        ended.status == 2 and "warmup" in ended.err and "s.toml" in ended.err, "the nearest name", ended
    )
    bench.check(not (bench.folder / "run").exists(), "no folder", "one")


@case("NaN among the pixels of a training", "milesial/Pytorch-UNet#507")
def nan_pixels(bench: Bench) -> None:
    prepared(bench)
    image = tifffile.imread(bench.folder / "i" / "t2.tif").astype(np.float32)
    image[3, 3] = np.nan
    tifffile.imwrite(bench.folder / "i" / "t2.tif", image)
    for words in (("check", "--images", "i", "--labels", "l", "--settings", "s.toml"),):
        ended = bench.run(*words)
        bench.check(
            ended.status == 1 and "t2.tif" in ended.out + ended.err, "an error that names the file", ended
        )
    ended = trained(bench, "run")
    bench.check(ended.status == 1 and "t2.tif" in ended.err, "an error that names the file", ended)


@case(
    "what the best model was chosen on is in the model", "milesial/Pytorch-UNet#241, Project-MONAI/MONAI#7504"
)
def recorded(bench: Bench) -> None:
    from unet2015 import load_model

    prepared(bench, pages="1,3")
    trained(bench, "run")
    said = json.dumps(load_model(bench.folder / "run" / "model.safetensors").info.training)
    bench.check("t2" in said and "t4" in said, "t2 and t4 in its record", said[:300])


@case("the log of a run is damaged", "MIC-DKFZ/nnUNet#2513")
def damaged_log(bench: Bench) -> None:
    prepared(bench)
    stopped(bench, "run")
    path = bench.folder / "run" / "log.jsonl"
    path.write_text("{" + path.read_text())
    ended = bench.run("report", "run", "-o", "r.html")
    page = bench.folder / "r.html"
    said = ended.err + (page.read_text(encoding="utf-8") if page.exists() else "")
    bench.check("log.jsonl" in said, "report: a word that names it", ended)
    ended = trained(bench, "run", "--resume")
    bench.check("log.jsonl" in ended.err, "resume: a word that names it", ended)


@case("rare cells: the classes weigh the same", "lmb-freiburg/Unet-Segmentation#40, MIC-DKFZ/nnUNet#1965")
def balance(bench: Bench) -> None:
    from unet2015.settings import load_settings
    from unet2015.training.pages import load_training_set
    from unet2015.training.pairing import pair_images

    rare = np.zeros((300, 300), np.uint8)
    rare[20:30, 20:30] = 1
    for name, labels in (("a", rare), ("b", squares())):
        bench.tiff(f"i/{name}.tif", picture(labels))
        bench.tiff(f"l/{name}.tif", labels)
    chosen = load_settings(None, {"validation": {"fraction": 0.0}, "weight_map": {"w0": 0.0}})
    data = load_training_set(pair_images([bench.folder / "i"], [bench.folder / "l"]), chosen, Reading("YX"))
    totals = [sum(float(page.weights[page.classes == c].sum()) for page in data.training) for c in (0, 1)]
    data.close()
    share = totals[1] / sum(totals)
    bench.check(abs(share - 0.5) < 0.01, "half of the weight on cells", share)


@case(
    "a training whose held-out pages have no cell",
    "milesial/Pytorch-UNet#241, wolny/pytorch-3dunet#27, Project-MONAI/MONAI#7504",
)
def no_cells_held_out(bench: Bench) -> None:
    prepared(bench, pages="0")
    bench.tiff("l/t1.tif", np.zeros((64, 64), np.uint8))
    ended = bench.run("check", "--images", "i", "--labels", "l", "--settings", "s.toml", "--axes", "YX")
    bench.check("no held-out page holds a cell" in ended.out, "check: a word that nothing is measured", ended)
    ended = trained(bench, "run")
    bench.check(
        "no held-out page holds a cell" in ended.err and "F1 1.0" not in ended.err,
        "train: the same, and no F1 of pages without cells",
        ended,
    )


@case(
    "several classes, and background alone is held out",
    "MIC-DKFZ/nnUNet#770, MIC-DKFZ/nnUNet#2438, qubvel/segmentation_models#407",
)
def classes_not_held_out(bench: Bench) -> None:
    from unet2015 import load_model

    prepared(bench, pages="0")
    for path in (bench.folder / "l").iterdir():
        labels = tifffile.imread(path)
        tifffile.imwrite(path, np.where(labels > 0, 1 + labels % 2, 0).astype(np.uint8))
    bench.tiff("l/t1.tif", np.zeros((64, 64), np.uint8))
    path = bench.folder / "s.toml"
    path.write_text(path.read_text().replace('kind = "instances"', 'kind = "classes"\nclasses = 3'))
    ended = trained(bench, "run")
    bench.check("no held-out page holds" in ended.err, "a word that no class is measured", ended)
    said = load_model(bench.folder / "run" / "model.safetensors").info.training["validation"]
    bench.check(said["f1"] is None, "no F1 of finding nothing in the model", said)


@case("images of very different size in one set", "jocicmarko/ultrasound-nerve-segmentation#19")
def sizes(bench: Bench) -> None:
    from unet2015.training.sampling import draw_pages

    small, large = 64 * 64, 600 * 600
    areas = [large, *[small] * 12]
    drawn = [page for turn in range(40) for page in draw_pages(0, turn, areas)]
    share = drawn.count(0) / len(drawn)
    bench.check(abs(share - large / sum(areas)) < 0.02, "pages drawn in proportion to their area", share)
