"""Label files and training sets: what `check`, `weights` and `evaluate` say of what would spoil a result."""

import numpy as np
import tifffile

from tests.cases.bench import Bench, case, noise
from tests.fuzz.commands import Ended


def squares(height: int = 64, width: int = 64, shift: int = 0) -> np.ndarray:
    """Return labels of two cells."""
    labels = np.zeros((height, width), np.uint8)
    labels[8:24, 8:24] = 1
    labels[34:56, 30:50] = 2
    return np.roll(labels, shift, 1)


def picture(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return an image of labelled cells, brighter than their background."""
    grain = np.random.default_rng(seed).normal(0, 12, labels.shape)
    return np.clip(60 + 100 * (labels > 0) + grain, 0, 255).astype(np.uint8)


def checked(bench: Bench, labels: np.ndarray, *more: str, image: np.ndarray | None = None) -> Ended:
    """Check one image and its labels."""
    bench.tiff("l.tif", labels)
    bench.tiff("i.tif", picture(labels) if image is None else image)
    axes = ("--axes", "ZYX") if labels.ndim == 3 else ()
    return bench.run("check", "--images", "i.tif", "--labels", "l.tif", *axes, *more)


def says(bench: Bench, ended: Ended, status: int | None, *words: str) -> None:
    """Check the exit status, and that one of the words is said."""
    text = ended.out + ended.err
    good = (status is None or ended.status == status) and any(word in text for word in words)
    bench.check(good, f"exit status {status}, and a word of {words}", ended)


@case("classes coded 0 and 255", "MIC-DKFZ/nnUNet#1777, milesial/Pytorch-UNet#95")
def mask_255(bench: Bench) -> None:
    settings = bench.folder / "s.toml"
    settings.write_text('[labels]\nkind = "classes"\nclasses = 2\n')
    labels = np.where(squares() > 0, 255, 0).astype(np.uint8)
    ended = checked(bench, labels, "--settings", str(settings), "--ignore", "254")
    says(bench, ended, 1, "255")


@case("labels saved as JPEG: every value there is", "MIC-DKFZ/nnUNet#2404")
def blurred_labels(bench: Bench) -> None:
    labels = np.clip(squares().astype(int) * 100 + np.random.default_rng(0).integers(-9, 9, (64, 64)), 0, 255)
    ended = checked(bench, labels.astype(np.uint8), "--label-kind", "instances", image=picture(squares()))
    says(bench, ended, 1, "l.tif")


@case("labels below 0", "MIC-DKFZ/nnUNet#1007")
def negative_labels(bench: Bench) -> None:
    ended = checked(
        bench, squares().astype(np.int16) - 1, "--label-kind", "instances", image=picture(squares())
    )
    says(bench, ended, 1, "-1")


@case("labels that are not whole numbers", "MIC-DKFZ/nnUNet#1007")
def broken_labels(bench: Bench) -> None:
    ended = checked(
        bench, squares().astype(np.float32) * 0.5, "--label-kind", "instances", image=picture(squares())
    )
    says(bench, ended, 1, "whole", "integer", "0.5")


@case("classes with a gap between their numbers", "MIC-DKFZ/nnUNet#1757, MIC-DKFZ/nnUNet#309")
def gap_in_classes(bench: Bench) -> None:
    settings = bench.folder / "s.toml"
    settings.write_text('[labels]\nkind = "classes"\nclasses = 3\n')
    labels = squares()
    labels[labels == 2] = 4
    says(bench, checked(bench, labels, "--settings", str(settings)), 1, "4")


@case(
    "more than 255 and more than 65,535 cells",
    "qupath/qubalab#23, MouseLand/cellpose#741, napari/napari#8200",
)
def many_cells(bench: Bench) -> None:
    from unet2015.images.reader import read_pages

    for side, kind in ((20, np.uint16), (270, np.uint32)):
        labels = np.zeros((side * 4, side * 4), kind)
        labels[1::4, 1::4] = labels[1::4, 2::4] = np.arange(1, side * side + 1, dtype=kind).reshape(
            side, side
        )
        path = bench.tiff("l.tif", labels)
        bench.check(np.array_equal(read_pages(path)[0], labels), f"{side * side} cells read", "others")
    bench.tiff("a/man_seg000.tif", labels)
    bench.tiff("b/mask000.tif", labels)
    ended = bench.run("evaluate", "seg", "--truth", "a", "--result", "b")
    last = ended.out.splitlines()[-1] if ended.out else ended.err
    bench.check(str(270 * 270) in last and "1.0" in last, "72,900 of 72,900 objects matched, SEG 1", last)


@case("pairs by name, whatever the order of the files", "urakubo/UNI-EM#35, Dana-Farber-AIOS/pathml#56")
def pairs(bench: Bench) -> None:
    for name in ("t1", "t10", "t2"):
        bench.tiff(f"i/{name}.tif", noise(64, 64))
        bench.tiff(f"l/{name}.tif", squares())
    ended = bench.run("check", "--images", "i", "--labels", "l", "--json")
    import json

    found = json.loads(ended.out)["pairs"]
    bench.check(all(one["image"][2:] == one["labels"][2:] for one in found), "pairs of one name", found)
    order = [one["image"] for one in found]
    bench.check(order == ["i/t1.tif", "i/t2.tif", "i/t10.tif"], "t1, t2, t10", order)
    (bench.folder / "l" / "t2.tif").rename(bench.folder / "l" / "t3.tif")
    ended = bench.run("check", "--images", "i", "--labels", "l")
    says(bench, ended, 0, "left out: 1 image without labels: i/t2.tif")


@case("labels of another size than their image", "milesial/Pytorch-UNet#341")
def other_size(bench: Bench) -> None:
    ended = checked(bench, squares(), image=picture(squares())[:-1])
    says(bench, ended, 1, "63")


@case("an image that is labelled as one class everywhere", "milesial/Pytorch-UNet#370")
def one_class(bench: Bench) -> None:
    says(bench, checked(bench, np.ones((64, 64), np.uint8), image=noise(64, 64)), None, "every", "one", "all")


@case("held-out pages without any cell", "MIC-DKFZ/nnUNet#770, wolny/pytorch-3dunet#27")
def empty_held_out(bench: Bench) -> None:
    labels = np.stack([squares(shift=i) if i < 8 else np.zeros((64, 64), np.uint8) for i in range(10)])
    says(bench, checked(bench, labels, "--label-kind", "instances"), None, "held out", "held-out")


@case("cells on held-out pages alone", "MIC-DKFZ/nnUNet#770, MouseLand/cellpose#341")
def empty_training(bench: Bench) -> None:
    labels = np.stack([squares(shift=i) if i > 7 else np.zeros((64, 64), np.uint8) for i in range(10)])
    says(bench, checked(bench, labels, "--label-kind", "instances"), 1, "class", "cell")


@case("an image twice, once trained on and once held out", "CAREamics/careamics#981")
def twice(bench: Bench) -> None:
    for k in range(5):
        bench.tiff(f"l/{k}.tif", squares(shift=k % 4))
        bench.tiff(f"i/{k}.tif", picture(squares(shift=k % 4), seed=k % 4))
    ended = bench.run("check", "--images", "i", "--labels", "l", "--label-kind", "instances")
    says(bench, ended, None, "same", "twice")


@case("most pages of a stack are not annotated", "MIC-DKFZ/nnUNet#1926")
def mostly_empty(bench: Bench) -> None:
    labels = np.zeros((30, 64, 64), np.uint8)
    labels[[3, 14, 22]] = squares()
    says(bench, checked(bench, labels, "--label-kind", "instances"), None, "27", "no cell")


@case("cells that the separation border would erase", "jakeret/tf_unet#257")
def erased(bench: Bench) -> None:
    labels = np.zeros((60, 60), np.uint16)
    labels[5:55] = np.arange(1, 61)
    says(
        bench,
        checked(bench, labels, "--label-kind", "instances", image=noise(60, 60)),
        None,
        "border",
        "vanish",
    )


@case("percentiles that make a sparse image blank", "MouseLand/cellpose#1041, MouseLand/cellpose#645")
def sparse_image(bench: Bench) -> None:
    settings = bench.folder / "s.toml"
    settings.write_text('[mapping]\nmethod = "image-percentiles"\n')
    labels = np.zeros((512, 512), np.uint8)
    labels[100:104, 100:104] = 1
    labels[300:304, 300:304] = 2
    image = np.where(labels > 0, 9000, 0).astype(np.uint16)
    ended = checked(bench, labels, "--label-kind", "instances", "--settings", str(settings), image=image)
    says(bench, ended, None, "blank", "percentile", "constant")


@case("more files than a process may have open", "NKI-AI/ahcore#96, CellCognition/cecog#119")
def open_files(bench: Bench) -> None:
    import os
    import resource

    for k in range(80):
        bench.tiff(f"i/{k}.tif", picture(squares(), seed=k))
        bench.tiff(f"l/{k}.tif", squares())
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 40, before[1]))
    try:
        ended = bench.run("check", "--images", "i", "--labels", "l", "--label-kind", "instances")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    bench.check(ended.status == 0, "all pairs looked at", ended)


@case("the second term of the weight map raises the gaps", "jakeret/tf_unet#257, mehta-lab/microDL#106")
def gaps(bench: Bench) -> None:
    labels = np.zeros((40, 60), np.uint8)
    labels[5:35, 5:28], labels[5:35, 31:55] = 1, 2
    bench.tiff("l.tif", labels)
    for name, w0 in (("flat.tif", 0), ("w.tif", 10)):
        bench.run("weights", "l.tif", "-o", name, "--w0", w0)
    flat, map_ = (tifffile.imread(bench.folder / name) for name in ("flat.tif", "w.tif"))
    term = map_ - flat
    bench.check(
        term[20, 29] > 5 and abs(term[labels > 0]).max() == 0,
        "weight in the gap, none inside",
        term[20, 25:35],
    )


@case("a result folder that lacks a frame")
def absent_frame(bench: Bench) -> None:
    for t in range(2):
        bench.tiff(f"a/man_seg00{t}.tif", squares())
    bench.tiff("b/mask000.tif", squares())
    ended = bench.run("evaluate", "seg", "--truth", "a", "--result", "b")
    bench.check(ended.status == 1 and "seg001" in ended.err, "an error that names the frame", ended)


@case("a prediction in 0 to 255 and one in 0 to 1 measure alike")
def scale_of_prediction(bench: Bench) -> None:
    truth = np.where(squares() > 0, 255, 0).astype(np.uint8)
    bench.tiff("t.tif", truth)
    found = np.where(np.roll(truth, 2, axis=1) > 0, 140, 60).astype(np.uint8)
    said = []
    for name, pixels in (("a.tif", found), ("b.tif", (found / 255).astype(np.float32))):
        bench.tiff(name, pixels)
        said.append(bench.run("evaluate", "em", "--labels", "t.tif", "--prediction", name, "--json"))
    bench.check(said[0].out == said[1].out and said[0].status == 0, "the same measures", said)
