"""What every result states: the machine, the versions, and how times were taken."""

import json
import statistics
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unet2015 import provenance

if TYPE_CHECKING:  # loaded where it is used: what is measured in a process of its own may not need torch
    import torch

    from unet2015.networks.cpu.row_strips import RowStripUNet
    from unet2015.networks.unet2015 import UNet

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """Return what the times depend on."""
    from unet2015.device import accelerator_names

    return provenance.machine(accelerator_names())


def cpu_kind() -> str:
    """Return this processor's kind in the words of the table.

    Matrix units change what bfloat16 costs, and without AVX-512 trainings in float32 take another way.
    """
    return _kind()[0]


def result_of_kind(name: str) -> str:
    """Return the name of a result that is kept for each kind of processor."""
    return f"{name}{_kind()[1]}"


def _kind() -> tuple[str, str]:
    from unet2015.device import has_matrix_units
    from unet2015.networks.cpu_training import stops_at_avx2

    if has_matrix_units():
        return "CPU with AMX", "_amx"
    return ("CPU with AVX2 alone", "_avx2") if stops_at_avx2() else ("CPU", "")


def seconds(*candidates: Callable[[], object], repeats: int = 5) -> list[dict[str, Any]]:
    """Time candidates in turn, round after round, so that a busy moment of the machine meets them all.

    Returns
    -------
    list of dict
        For each candidate, in seconds: the ``median``, ``least`` and ``most`` of ``repeats`` times by the
        clock, and ``cpu`` and ``cpu_least``, median and least of the processor time of all threads, which
        other work on the machine disturbs less.
    """
    clock: list[list[float]] = [[] for _ in candidates]
    cpu: list[list[float]] = [[] for _ in candidates]
    for _ in range(repeats):
        for i, candidate in enumerate(candidates):
            start, cpu_start = time.perf_counter(), time.process_time()
            candidate()
            clock[i].append(time.perf_counter() - start)
            cpu[i].append(time.process_time() - cpu_start)
    return [
        {**summary(c), "cpu": statistics.median(p), "cpu_least": min(p)}
        for c, p in zip(clock, cpu, strict=True)
    ]


def fastest(network: "UNet", dtype: "torch.dtype") -> "RowStripUNet":
    """Return the scores of a network as a segmentation on this machine computes them."""
    from unet2015.networks.architecture import FASTEST
    from unet2015.networks.cpu.convolution_choice import least_product, way_of
    from unet2015.networks.cpu.row_strips import RowStripUNet

    way = way_of(network, dtype, FASTEST)
    return RowStripUNet(network, dtype, winograd_from=0 if way is None else least_product(way))


def matrix_product(dtype: "torch.dtype", size: int, repeats: int) -> float:
    """Return the best rate of a square matrix product, in GFLOP/s: torch's, or oneDNN's if that is faster.

    On processors of AMD, torch's in float32 (MKL's) uses half of each vector.
    """
    import torch

    from unet2015.networks.cpu.packed_weights import can_pack
    from unet2015.networks.cpu.winograd_weights import can_multiply

    a, b = torch.rand(2, size, size).to(dtype)
    products: list[Callable[[], object]] = [lambda: a @ b]
    if can_pack(dtype) and can_multiply(torch.float32):
        packed = torch.ops.mkldnn._reorder_linear_weight(b, size)
        products.append(lambda: torch.ops.mkldnn._linear_pointwise(a, packed, None, "none", [], ""))
    for product in products:
        product()
    kind = "cpu_least" if torch.get_num_threads() == 1 else "least"
    least: float = min(each[kind] for each in seconds(*products, repeats=repeats))
    return 2 * size**3 / least / 1e9


def summary(times: Sequence[float]) -> dict[str, Any]:
    """Return median and spread of `times`."""
    return {
        "median": statistics.median(times),
        "least": min(times),
        "most": max(times),
        "repeats": len(times),
    }


def said(times: dict[str, Any], digits: int = 2, cpu: bool = True) -> str:
    """Return median and spread of `times` for a line of text, and with `cpu` the processor time."""
    median, least, most = (f"{times[key]:.{digits}f}" for key in ("median", "least", "most"))
    processor = f"; CPU {times['cpu']:.{digits}f}" if cpu else ""
    return f"{median} s ({least} to {most}{processor})"


def row(
    question: str,
    against: str,
    figure: float,
    unit: str,
    aim: float,
    *,
    at_least: bool = True,
    note: str = "",
) -> dict[str, Any]:
    """Return a row of the table that ``python -m benchmarks.summary`` makes of all results.

    Parameters
    ----------
    question, against : str
        What was measured, and next to what.
    figure, aim : float
        What came out, and what was wanted, both in `unit` ("x" for so many times as fast, "%", "s").
    at_least : bool
        Whether more is better; False where the aim is a bound from above.
    note : str
        Why the aim was missed, or what else a reader must know.
    """
    met = figure >= aim if at_least else figure <= aim
    return {
        "question": question,
        "against": against,
        "figure": figure,
        "unit": unit,
        "aim": aim,
        "at_least": at_least,
        "met": met,
        "note": note,
    }


def write_result(path: Path, question: str, answer: dict[str, Any]) -> None:
    """Write a result as JSON, with the machine and the date."""
    path.parent.mkdir(parents=True, exist_ok=True)
    measured = datetime.now(UTC).isoformat(timespec="seconds")
    result = {"question": question, "measured": measured, "machine": machine(), **answer}
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def keep_result(given: Namespace, name: str, description: str, answer: dict[str, Any]) -> None:
    """Write a result to ``--out``; without it to ``results/NAME.json``, but not that of ``--quick``.

    The first line of the description is the question that it answers. Rows for the table of all results stand
    in `answer` under ``table``.
    """
    out = given.out or (None if given.quick else RESULTS / f"{name}.json")
    if out is not None:
        write_result(out, description.partition("\n")[0], answer)
        print(f"written to {out}")
