"""Chooses tile size and batch so that a job stays under a memory cap, and says how much it will need."""

import logging
from dataclasses import dataclass

import torch

from unet2015.device import available_memory
from unet2015.errors import MemoryLimitError
from unet2015.geometry import Geometry
from unet2015.networks import Network, architecture_of
from unet2015.tiling.engine import AHEAD
from unet2015.tiling.plan import TilePlan, count_tiles
from unet2015.tiling.tile_sizes import batches, by_work, search

_log = logging.getLogger("unet2015")


class PlanMemoryError(MemoryLimitError):
    """No plan fits in the cap.

    Attributes
    ----------
    needed : int
        Bytes that the smallest plan needs.
    what : str
        That plan, in words.
    smaller : str
        The options, if any, that need less if they are smaller: ``--tile``, ``--batch``.
    """

    def __init__(self, message: str, needed: int = 0, what: str = "", smaller: str = "") -> None:
        super().__init__(message)
        self.needed, self.what, self.smaller = needed, what, smaller


GiB = 2**30
LIBRARIES = 640 * 2**20
"""Resident memory of a process with torch, SciPy and the rest loaded, before any work."""
GPU_LIBRARIES = 64 * 2**20
"""What cuBLAS and cuDNN keep on a GPU for the sums of one product."""
KEPT = 128 * 2**20
"""Bytes that are kept beside what is in use: decoded strips and tiles of the input, 64 MiB, and free parts of
the heap. Measured; it grows with the width of an image to about this."""
SPAN_BYTES = 256
"""Memory of one tile along one axis: a plan lists its rows and its columns of tiles."""
_SHORT_LISTS = 2**20
"""Lists of tiles of so many bytes are no reason to refuse a plan."""


@dataclass(frozen=True)
class Stored:
    """What is read of each image, and what is written in rows over its whole width.

    Attributes
    ----------
    file_tile : int
        Side of the tiles of the file, in pixels: a row of them is held until it is full. 0: no such file.
    pixel_bytes : int or None
        Bytes of a pixel, over all maps that are computed. None: of the probabilities of all classes.
    value_bytes : int
        Bytes of a value, of one pixel and channel, as the image has it.
    """

    file_tile: int = 0
    pixel_bytes: int | None = None
    value_bytes: int = 4


def default_cap(device: torch.device) -> int:
    """Return the default memory cap: half of what is free, as a power of two, at most 4 GiB on a CPU.

    It is a power of two, so that small changes of the free memory do not change the plan. On a CPU the cap
    is for the whole process; its libraries are loaded already, so they are added to the free memory.
    """
    half = max(1, available_memory(device) // 2)
    power = 1 << (half.bit_length() - 1)
    return LIBRARIES + min(power, 4 * GiB) if device.type == "cpu" else power


def warn_over(needed: int) -> None:
    """Warn that a plan needs more than the default cap, and is taken all the same."""
    _log.warning(
        "going on with a plan that needs %s, more than what is taken by default: half of the free memory, on "
        "a CPU 4 GiB at most",
        mib(needed),
    )


def job_bytes(network: Network, plan: TilePlan, device: torch.device, stored: Stored = Stored()) -> int:
    """Return the peak memory of a job in bytes, on `device`; on a CPU that of the whole process.

    Parameters
    ----------
    network : Network
    plan : TilePlan
    device : torch.device
    stored : Stored
        Default: the probabilities, not in tiles.
    """
    batch = min(plan.batch, plan.tiles)
    entry = architecture_of(network)
    weights = sum(p.numel() * p.element_size() for p in (*network.parameters(), *network.buffers()))
    size = max(4, next(network.parameters()).element_size())  # float64 stays float64
    if device.type == "cuda":
        return batch * entry.gpu_peak_values(network, *plan.tile) * size + weights + GPU_LIBRARIES
    if device.type != "cpu":
        return batch * entry.peak_values(network, *plan.tile) * size + weights
    ways = (plan.tile, plan.tile[::-1])  # upright and turned: averaging has both
    if entry.fast is None:
        work = max(batch * entry.peak_values(network, *sides) * size for sides in ways)
    else:  # one tile of a batch after the other, each in the same workspace
        # In bfloat16 a network of few channels needs more: the map that the head reads is there twice.
        widths = (2, 4) if size == 4 else (size,)
        work = max(
            entry.fast.workspace_values(network, *sides, each) * each for sides in ways for each in widths
        )
    return LIBRARIES + network_bytes(network) + work + image_bytes(network, plan, stored)


def network_bytes(network: Network) -> int:
    """Return the bytes of a network on a CPU that computes nothing: its weights, and their copies."""
    weights = sum(p.numel() * p.element_size() for p in (*network.parameters(), *network.buffers()))
    fast = architecture_of(network).fast
    if fast is None:
        return 2 * weights
    return weights + fast.weight_values(network) * max(4, next(network.parameters()).element_size())


def image_bytes(network: Network, plan: TilePlan, stored: Stored = Stored()) -> int:
    """Return the part of `job_bytes` on a CPU that each image has for itself: to be read and written."""
    lists = sum(plan.down_and_across) * SPAN_BYTES
    batch, area = min(plan.batch, plan.tiles), plan.tile[0] * plan.tile[1]
    size = max(4, next(network.parameters()).element_size())
    # Reading: raw pixels of the batches ahead, and mapped ones (float32) of the one in the network. Writing:
    # probabilities of the batches behind, and, of scores that are averaged, the sum, new ones and their turn.
    # Band: a row of tiles over the whole width, and its encoded copy; or rows of the tiles of the file,
    # joined, encoded and halved. Bands counted as all probabilities are larger, with room for what is kept.
    reading = (AHEAD * max(4, stored.value_bytes) + 4) * batch * area * network.in_channels
    writing = (AHEAD + 3) * batch * area * network.classes * size
    tallest, low = plan.tallest, min(stored.file_tile, plan.height)
    band = 2 * max(tallest, low) * plan.width * 4 * network.classes
    if stored.pixel_bytes is not None:  # small bands leave nothing that could be measured
        band = min(band, (tallest + max(tallest, 4 * low)) * plan.width * stored.pixel_bytes + KEPT)
    return reading + writing + band + lists


def choose_plan(
    network: Network,
    shape: tuple[int, int, int],
    device: torch.device,
    *,
    tile: int | None = None,
    batch: int | None = None,
    cap: int | None = None,
    stored: Stored = Stored(),
) -> TilePlan:
    """Choose the tiles that do the least work under the memory cap.

    Parameters
    ----------
    network : Network
        Declares its geometry and how many values it holds at once.
    shape : tuple of int
        (pages, height, width) in pixels.
    tile : int, optional
        Side of the tile, in pixels; along a short axis the smallest legal side that covers it is used.
    batch : int, optional
        Tiles that go through the network together.
    cap : int, optional
        Bytes. Default: :func:`default_cap`.
    stored : Stored
        As in :func:`job_bytes`.

    Raises
    ------
    GeometryError
        `tile` is not legal, or too small to cover the image in phase.
    PlanMemoryError
        Not even the smallest plan fits; the message says what would. Without `cap` only where the lists of
        tiles alone are too large.
    """
    geometry = network.geometry
    fast = architecture_of(network).fast
    best = geometry if fast is None or device.type != "cpu" else fast.tile_geometry(network)
    limit = default_cap(device) if cap is None else cap
    pages, height, width = shape
    together = 1 if batch is None else batch

    def plan_of(sides: tuple[int, int], tiles: int = 1) -> TilePlan:
        return TilePlan(pages, height, width, sides, tiles, geometry)

    def needed(plan: TilePlan) -> int:
        return job_bytes(network, plan, device, stored)

    given = None if tile is None else _given_sides(tile, shape, best, geometry)
    candidates = [given] if given else by_work(best, shape, batched=device.type == "cuda")
    # Counted before any list is made: a file of a few bytes may declare 10**12 rows.
    listed = [(_list_bytes(shape, sides, geometry), sides) for sides in candidates]
    possible = [sides for size, sides in listed if size <= max(limit, _SHORT_LISTS)]
    if not possible:
        raise _too_many_tiles(limit, shape, *min(listed))

    fitting = search(
        possible,
        lambda sides: needed(plan_of(sides, together)) <= limit,
        lambda sides: needed(plan_of(sides)) - _list_bytes(shape, sides, geometry) <= limit,
    )
    if fitting is None:
        lowest, narrowest = (min(sides[i] for sides in possible) for i in range(2))  # these need least, about
        small = [(y, x) for y, x in possible if y == lowest or x == narrowest]
        least = min((plan_of(sides, together) for sides in small), key=needed)
        if cap is None:
            # The cap is only a default, half of the free memory: the plan may still fit.
            warn_over(needed(least))
            return least
        raise _refusal(limit, least, needed(least), tile is not None)
    chosen = plan_of(fitting, together)
    if batch is None and device.type != "cpu":
        sizes = (plan_of(fitting, count) for count in batches(fitting, chosen.tiles))
        chosen = next((plan for plan in sizes if needed(plan) <= limit), chosen)
    return chosen


def _given_sides(
    tile: int, shape: tuple[int, int, int], best: Geometry, geometry: Geometry
) -> tuple[int, int]:
    """Return the sides of a tile that the user gives: along a short axis the smallest that cover it."""
    geometry.check(tile, least=geometry.smallest_covering)
    fit = best if best.is_legal(tile) else geometry
    return min(tile, fit.input_for(shape[1])), min(tile, fit.input_for(shape[2]))


def _refusal(limit: int, least: TilePlan, needed: int, tile_given: bool) -> PlanMemoryError:
    """Return the error for a cap that is too small for the plan that needs least."""
    batch = min(least.batch, least.tiles)
    what = f"tiles of {least.tile[0]} x {least.tile[1]} px in batches of {batch} need {mib(needed)}"
    smaller = ["--tile"] * tile_given + ["--batch"] * (batch > 1)
    return PlanMemoryError(
        f"a memory cap of {mib(limit)} is too small: {what}; give --max-memory {mib(needed, '')}M or more"
        + "".join(f", or a smaller {option}" for option in smaller),
        needed,
        what,
        " or ".join(smaller),
    )


def _list_bytes(shape: tuple[int, int, int], sides: tuple[int, int], geometry: Geometry) -> int:
    """Return the memory of the lists of a plan; 0 if such tiles cannot cover the image (said later)."""
    try:
        counts = [count_tiles(shape[1 + i], sides[i], geometry) for i in range(2)]
    except ZeroDivisionError:
        return 0
    return sum(counts) * SPAN_BYTES


def _too_many_tiles(
    limit: int, shape: tuple[int, int, int], size: int, sides: tuple[int, int]
) -> PlanMemoryError:
    """Return the error for an image whose tiles cannot even be listed."""
    needed = LIBRARIES + size
    what = (
        f"the image declares {shape[0]} pages of {shape[1]} x {shape[2]} px; the list of its tiles of "
        f"{sides[0]} x {sides[1]} px alone needs {mib(needed)}"
    )
    return PlanMemoryError(f"a memory cap of {mib(limit)} is too small: {what}", needed, what)


def mib(size: int, unit: str = " MiB") -> str:
    """Return a size in MiB, rounded up, in words."""
    return f"{-(-size // 2**20)}{unit}"
