"""The cost of elastic augmentation of an image and its labels, next to what is usually taken for it.

``python -m benchmarks.augmentation [--quick] [--out FILE]``

A tile of 572 x 572, displaced by a bicubic field over 3 x 3 vectors; the image by bilinear interpolation,
the labels by the nearest pixel. elasticdeform and SciPy get the same vectors and must give the same image
and labels. albumentations and MONAI draw fields of other kinds and are timed with those; what they share
with the others, the interpolation, must agree when it is given the same places. A training
deforms a weight map as well; this is timed apart, elasticdeform's with three planes. All run in the memory
that a training keeps (`kept_heap`).
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.command import options
from benchmarks.machine import keep_result, row, seconds
from benchmarks.peers import peer, peer_versions
from unet2015.device import thread_count
from unet2015.heap import kept_heap
from unet2015.settings import AugmentationSettings
from unet2015.training.augment import augment
from unet2015.training.draw import Draw, draw
from unet2015.training.tile_source import TileSource, mirrored, sample_coordinates
from unet2015.training.warp import warp, warp_nearest

Image = NDArray[np.float32]
Labels = NDArray[np.uint8]
Pair = tuple[Image, Labels]
Deform = Callable[[], Pair]
AIM = 9.0
AHEAD = 1.0
"""For the peers for which nothing more was aimed at."""
NOTES = {"albumentations": "it smooths noise, and takes the nearest of 32 places between two pixels"}
TOLERANCE = 2e-4
"""Intensities run from 0 to 1; places are known to 3e-5 px in float32, and neighbours differ by 1 at most."""
EITHER = 1e-3
"""Share of labels that may differ: where rounding decides between two pixels, either is right."""
ELASTIC = AugmentationSettings(shift=False, flip=False, rotation=0, gray_scale=0, gray_shift=0)


def sample(side: int) -> tuple[Image, Labels, Image]:
    """Return an image with values from 0 to 1, its two classes, and weights."""
    random = np.random.default_rng(0)
    blobs = ndimage.gaussian_filter(random.standard_normal((side, side)), 6)
    classes = (blobs > 0).astype(np.uint8)
    image = (0.3 + 0.4 * classes + 0.3 * random.random((side, side))).astype(np.float32)
    return image, classes, random.random((side, side), dtype=np.float32) + 1


def places(drawn: Draw, side: int) -> NDArray[np.float64]:
    """Return where each pixel of the tile comes from, (2, side, side), by SciPy."""
    moved = [ndimage.zoom(v, side / v.shape[0], order=3, mode="mirror") for v in drawn.vectors]
    at: NDArray[np.float64] = np.mgrid[:side, :side] + np.stack(moved)
    return at


def ours(image: Image, labels: Labels, drawn: Draw) -> Deform:
    """What `augment` does for the image and the classes."""
    side = image.shape[0]

    def deform() -> Pair:
        source = TileSource.of(drawn, side, side, side)
        window, classes = (
            mirrored(torch.from_numpy(source.cut(plane)), source) for plane in (image[None], labels)
        )
        at = sample_coordinates(drawn, side)
        made = warp(window, at, source.origin)[0], warp_nearest(classes, at, source.origin)
        return made[0].numpy(), made[1].numpy()

    return deform


def trainings(image: Image, labels: Labels, weights: Image, drawn: Draw, output: int) -> Deform:
    """`augment` as a training calls it, with a weight map; `output` is the side of labels and weights."""
    side = image.shape[0]

    def deform() -> Pair:
        source = TileSource.of(drawn, side, side, side)
        cut, classes, map_ = (torch.from_numpy(source.cut(p)) for p in (image[None], labels, weights))
        made = augment(cut, classes, map_, source, output)
        return made.image[0, 0].numpy(), made.classes[0].numpy()

    return deform


def scipys(image: Image, labels: Labels, drawn: Draw) -> Deform:
    """The field by ``zoom``, image and labels by ``map_coordinates``."""

    def deform() -> Pair:
        return scipy_at(image, labels, places(drawn, image.shape[0]))

    return deform


def elasticdeforms(planes: Sequence[Image | Labels], drawn: Draw) -> dict[str, Deform]:
    """``deform_grid`` with each of its ways to go on beyond the border; the second plane is the labels."""
    elasticdeform = peer("elasticdeform")
    if elasticdeform is None:
        return {}
    order = [0 if plane.dtype == np.uint8 else 1 for plane in planes]

    def with_mode(mode: str) -> Deform:
        def deform() -> Pair:
            made = elasticdeform.deform_grid(list(planes), drawn.vectors, order=order, mode=mode)
            return made[0], made[1]

        return deform

    return {f"elasticdeform, {mode}": with_mode(mode) for mode in ("mirror", "nearest", "constant")}


def albumentations_(image: Image, labels: Labels, at: NDArray[np.float64], threads: int) -> dict[str, Deform]:
    """``ElasticTransform`` with its two ways to smooth; checked with the places `at`."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask for its newest version
    albumentations = peer("albumentations")
    cv2 = peer("cv2")
    if albumentations is None or cv2 is None:
        return {}
    cv2.setNumThreads(threads)
    candidates: dict[str, Deform] = {}
    for approximate in (False, True):
        transform = albumentations.ElasticTransform(
            alpha=300,
            sigma=10,
            approximate=approximate,
            interpolation=cv2.INTER_LINEAR,
            mask_interpolation=cv2.INTER_NEAREST,
            border_mode=cv2.BORDER_REFLECT_101,
            p=1,
        )
        maps = {"map_x": at[1].astype(np.float32), "map_y": at[0].astype(np.float32)}
        found = transform.apply(image, **maps), transform.apply_to_mask(labels, **maps)
        # OpenCV takes the nearest of 32 places between two pixels.
        check("albumentations", found, scipy_at(image, labels, at), 2 / 32)

        def deform(transform: Any = transform) -> Pair:
            made = transform(image=image, mask=labels)
            return made["image"], made["mask"]

        candidates[f"albumentations, approximate={approximate}"] = deform
    return candidates


def monais(image: Image, labels: Labels, at: NDArray[np.float64]) -> dict[str, Deform]:
    """``Rand2DElasticd`` with a grid of 3 x 3 vectors; its ``Resample`` is checked with the places `at`."""
    transforms = peer("monai.transforms")
    if transforms is None:
        return {}
    middle = (image.shape[0] - 1) / 2
    grid = torch.from_numpy(np.concatenate([at - middle, np.ones_like(at[:1])]))
    found, classes = (
        transforms.Resample(mode=mode, padding_mode="reflection")(torch.from_numpy(plane[None]), grid)[
            0
        ].numpy()
        for mode, plane in (("bilinear", image), ("nearest", labels))
    )
    # It mirrors about the edge of the last pixel, the others about its centre.
    check("MONAI", inside((found, classes), at), inside(scipy_at(image, labels, at), at))
    elastic = transforms.Rand2DElasticd(
        keys=["image", "label"],
        spacing=image.shape[0] / 2,
        magnitude_range=(10, 10),
        prob=1,
        mode=["bilinear", "nearest"],
        padding_mode="reflection",
    )
    data = {"image": torch.from_numpy(image[None]), "label": torch.from_numpy(labels[None])}

    def deform() -> Pair:
        made = elastic(data)
        return made["image"], made["label"]

    return {"MONAI": deform}


def scipy_at(image: Image, labels: Labels, at: NDArray[np.float64]) -> Pair:
    """Return image and labels by SciPy at given places."""
    return (
        ndimage.map_coordinates(image, at, order=1, mode="mirror"),
        ndimage.map_coordinates(labels, at, order=0, mode="mirror"),
    )


def inside(pair: Pair, at: NDArray[np.float64]) -> Pair:
    """Return image and labels with 0 where the pixel comes from beyond the border, or nearly so."""
    last = at.shape[1] - 1
    beyond = (at < 0.5).any(axis=0) | (at > last - 0.5).any(axis=0)
    return pair[0] * ~beyond, pair[1] * ~beyond


def check(name: str, found: Pair, expected: Pair, tolerance: float = TOLERANCE) -> float:
    """Return the largest difference of two images; too much, or too many other labels, is an error."""
    off = float(np.abs(found[0] - expected[0].astype(float)).max())
    others = float(np.mean(found[1] != expected[1]))
    if not (off <= tolerance and others <= EITHER):
        raise RuntimeError(
            f"{name}: the image is off by {off:.2g} (at most {tolerance:.2g}) and {others:.2%} of the labels "
            f"are others (at most {EITHER:.2%})"
        )
    return off


def compare(side: int, output: int, repeats: int, threads: int) -> dict[str, Any]:
    """Check that the results agree, then time all candidates with a number of threads."""
    image, labels, weights = sample(side)
    drawn = draw(ELASTIC, 0, 1, side, side)
    at = places(drawn, side)
    expected = scipys(image, labels, drawn)()
    candidates: dict[str, Deform] = {
        "ours": ours(image, labels, drawn),
        "ours, three planes": trainings(image, labels, weights, drawn, side),
        "ours, as trained": trainings(image, labels, weights, drawn, output),
        "SciPy": scipys(image, labels, drawn),
    }
    differences = {name: check(name, candidates[name](), expected) for name in ("ours", "ours, three planes")}
    three = elasticdeforms((image, labels, weights), drawn)
    for name, deform in {
        **elasticdeforms((image, labels), drawn),
        **{f"three planes: {name}": deform for name, deform in three.items()},
    }.items():
        whole = name.endswith("mirror")  # which SciPy's image is, beyond the border as well
        pairs = (deform(), expected) if whole else (inside(deform(), at), inside(expected, at))
        differences[name] = check(name, *pairs)
        candidates[name] = deform
    candidates |= albumentations_(image, labels, at, threads) | monais(image, labels, at)
    torch.set_num_threads(threads)
    with kept_heap():
        for deform in candidates.values():
            deform()
        times = dict(zip(candidates, seconds(*candidates.values(), repeats=repeats), strict=True))
    for name, taken in times.items():
        print(
            f"{threads} threads, {name:37}: {1e3 * taken['median']:7.2f} ms ({1e3 * taken['least']:.2f} to "
            f"{1e3 * taken['most']:.2f}; CPU {1e3 * taken['cpu']:.2f})",
            flush=True,
        )
    return {"side": side, "threads": threads, "seconds": times, "largest_difference": differences}


def table(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows: against each peer at its fastest."""
    rows = []
    two, three = "image and labels", "image, labels and weight map"
    for question, mine, theirs, aim in (
        (two, "ours", "elasticdeform", AIM),
        (three, "ours, three planes", "three planes: elasticdeform", AIM),
        (two, "ours", "SciPy", AHEAD),
        (two, "ours", "albumentations", AHEAD),
        (two, "ours", "MONAI", AHEAD),
    ):
        times = [t["median"] for name, t in result["seconds"].items() if name.startswith(theirs)]
        if times:
            figure = min(times) / result["seconds"][mine]["median"]
            what = f"elastic augmentation, {question}, {result['side']} x {result['side']}"
            name = theirs.removeprefix("three planes: ")
            rows.append(row(what, f"{name}, one thread", figure, "x", aim, note=NOTES.get(name, "")))
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Check that the results agree, measure, print, and write the result file."""
    parser = options("augmentation", __doc__, "a small tile")
    given = parser.parse_args(arguments)
    threads = thread_count()
    side, output, repeats = (108, 4, 2) if given.quick else (572, 388, 25)
    try:
        rows = [compare(side, output, repeats, count) for count in sorted({1, threads})]
    finally:
        torch.set_num_threads(threads)
    answer = {
        "runs": rows,
        "peers": peer_versions("elasticdeform", "albumentations", "opencv-python-headless", "monai", "scipy"),
        "table": table(rows[0]),
    }
    keep_result(given, "augmentation", __doc__, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
