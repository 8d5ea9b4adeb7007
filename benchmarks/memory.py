"""Peak memory of tiled inference, next to the stated cap and to MONAI's sliding windows.

``python -m benchmarks.memory [--quick] [--out FILE]``

Each case is a process of its own: it segments one image held in memory to probabilities, and its
resident memory is followed from outside, libraries included.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.command import options
from benchmarks.machine import keep_result, row
from benchmarks.peak import MIB, peak_of
from benchmarks.peers import peer, peer_versions
from benchmarks.tiled_inference import OVERLAPS, Windows, model_of, network_of
from unet2015.arguments import parse_size
from unet2015.networks.cpu.memory import weight_values, workspace_values
from unet2015.segmentation.in_memory import segment

CAPS = ("1200M", "2G", "4G")


def one(name: str, width: int, side: int, window: int) -> None:
    """Segment the image once, under a cap or as MONAI does with an overlap."""
    image = np.random.default_rng(0).random((side, side), np.float32)
    network = network_of(width)
    kind, _, value = name.partition("=")
    if kind == "cap":
        model = model_of(network)
        segment(image, model, probabilities=True, device="cpu", max_memory=parse_size(value))
    else:
        Windows(network, "float32", window, float(value), last=False)(image)


def measure(width: int, side: int, window: int, caps: Sequence[str]) -> dict[str, Any]:
    """Run each case in a process of its own."""
    names = [f"cap={cap}" for cap in caps]
    if peer("monai"):
        names += [f"monai={overlap}" for overlap in OVERLAPS]
    rows = {}
    for name in names:
        sizes = [str(number) for number in (width, side, window)]
        rows[name] = peak_of([sys.executable, "-m", "benchmarks.memory", "--one", name, *sizes])
        print(f"{name}: {rows[name]['peak_mib']:.0f} MiB, {rows[name]['seconds']} s", flush=True)
    return rows


def table(rows: dict[str, Any], width: int, side: int) -> list[dict[str, Any]]:
    """Return how full the fullest cap was, and how much more MONAI takes than ours at the largest cap."""
    what = f"peak memory, width {width}, {side} x {side}, CPU, float32"
    caps = {name: parse_size(name[4:]) / 2**20 for name in rows if name.startswith("cap=")}
    shares = {name: 100 * rows[name]["peak_mib"] / cap for name, cap in caps.items()}
    fullest = max(shares, key=shares.__getitem__)
    against = f"the stated cap; the fullest of {', '.join(name[4:] for name in caps)}: {fullest[4:]}"
    found = [row(what, against, shares[fullest], "%", 100, at_least=False)]
    largest, parts = list(caps)[-1], _parts(width, side)
    for name in rows:
        if name.startswith("monai="):
            ratio = rows[name]["peak_mib"] / rows[largest]["peak_mib"]
            peaks = f"{rows[name]['peak_mib']:.0f} and {rows[largest]['peak_mib']:.0f} MiB"
            less = f"with a cap of {fullest[4:]} ours takes {rows[fullest]['peak_mib']:.0f}"
            note = f"{peaks}, {parts}; {less}"
            windows = f"MONAI sliding windows, overlap {name[6:]}; ours with a cap of {largest[4:]}"
            found.append(row(what, windows, ratio, "x", 1, note=note))
    return found


def _parts(width: int, side: int) -> str:
    """Return what the largest parts of ours are, as the plan counts them."""
    network = network_of(width)
    tile = network.geometry.input_for(side)
    weights, maps = (4 * n / MIB for n in (weight_values(network), workspace_values(network, tile, tile)))
    return (
        f"of ours {weights:.0f} MiB weights in the order that kernels read and {maps:.0f} maps of a tile of "
        f"{tile} px"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the result file."""
    parser = options("memory", __doc__, "a small network and image")
    parser.add_argument("--one", nargs=4, metavar=("CASE", "WIDTH", "SIDE", "WINDOW"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.one:
        name, *sizes = given.one
        one(name, *(int(size) for size in sizes))
        return 0
    width, side, window, caps = (2, 260, 204, ("900M",)) if given.quick else (64, 2048, 572, CAPS)
    rows = measure(width, side, window, caps)
    answer = {
        "width": width,
        "side": side,
        "window": window,
        "peers": peer_versions("monai"),
        "cases": rows,
        "table": table(rows, width, side),
    }
    keep_result(given, "memory", __doc__, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
