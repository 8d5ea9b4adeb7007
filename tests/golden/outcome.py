"""Run the worker, and compare what it found with `golden.json`.

How much must be the same depends on where the numbers are computed, so that nothing is ever skipped:

- Where plain torch computes the same bits as on the machine that wrote the golden file (the same versions
  and the same digest of a probe, which has none of this package's code): every number, to the last bit.
- Where the libraries that write files are those of the golden file, too: every byte of every file.
- Elsewhere: what the documents say, and the means of 4 x 4 blocks of each array, within `TOLERANCES`.

The environment makes processors compute alike: x86-64 with AVX2 takes one path through torch, oneDNN and
MKL, on one thread, whatever else the processor could do.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from math import isclose, isnan
from pathlib import Path
from typing import Any

from tests.golden.inputs import write_inputs

HERE = Path(__file__).parent
GOLDEN = HERE / "golden.json"

ENVIRONMENT = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
_DROPPED = (
    "ATEN",
    "ONEDNN",
    "DNNL",
    "MKL",
    "OMP",
    "GOMP",
    "KMP",
    "OPENBLAS",
    "NPY",
    "TORCH",
    "PYTORCH",
    "NUMBA",
)

# Relative and absolute, where the bits may differ. Measured against the golden file's AVX2 path: with
# ATEN_CPU_CAPABILITY=default and ONEDNN_MAX_CPU_ISA=SSE41, and with AVX-512 (which has bfloat16 of its own).
TOLERANCES = {
    # Texts, whole numbers and yes or no are the same everywhere, whatever the tolerance.
    "exact": (0.0, 0.0),
    # Sums in another order: 5e-7 was seen.
    "float32": (1e-5, 1e-7),
    # A bfloat16 has 8 bits, 4e-3; in the mean of a block 2e-3 was seen.
    "bfloat16": (2e-2, 1e-4),
    # A block has some 270 pixels or more: 5 of them may lie on the other side of a threshold. One was seen.
    "classes": (0.0, 2e-2),
    # Losses 2e-7, root mean squares of the weights 4e-6 after 12 steps.
    "training": (1e-4, 1e-6),
    # Losses 6e-5, measures 1e-3, root mean squares of the weights 2e-2: Adam divides by what rounding moves.
    "training in bfloat16": (5e-2, 1e-3),
}

# The same as another output, to the last bit, on every machine: a training that was resumed as one that was
# not, the function as the command.
ALIKE = {
    **{f"resume {kind}: {what}": f"train {kind}: {what}" for kind in ("membrane", "instances")
       for what in ("exit status", "log", "settings", "model's description", "model")},
    **{f"unet2015.train: {what}": f"train instances: {what}"
       for what in ("log", "settings", "model's description", "model")},
    "unet2015.segment": "segment gray: gray.classes.tif",
    "unet2015.segment: probabilities": "segment gray: gray.probability.tif",
}  # fmt: skip


def run(folder: Path) -> dict[str, Any]:
    """Run the worker in an empty folder; return the machine, and by name what came out."""
    write_inputs(folder)
    for model in HERE.glob("*.safetensors"):
        shutil.copy(model, folder)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
    paths = [str(HERE.parents[1]), *filter(None, [environment.get("PYTHONPATH")])]
    environment |= ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-P", str(HERE / "worker.py"), "found.json"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the worker ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return dict(json.loads((folder / "found.json").read_text()))


def differences(golden: dict[str, Any], outcome: dict[str, Any]) -> list[str]:
    """Return a line for each output that is not as it was, with its name and what differs."""
    there, here = golden["machine"], outcome["machine"]
    same_numbers = there["numbers"] == here["numbers"]
    same_files = same_numbers and there["files"] == here["files"]
    old, new = golden["found"], {name: found for name, found in outcome["found"].items() if name not in ALIKE}
    lines = [f"{name}: missing" for name in old if name not in new]
    lines += [f"{name}: not there before" for name in new if name not in old]
    for name in old.keys() & new.keys():
        tolerance = (0.0, 0.0) if same_numbers else TOLERANCES[old[name]["tolerance"]]
        said = list(_unlike(old[name]["says"], new[name]["says"], tolerance))
        if same_numbers and old[name].get("values") != new[name].get("values"):
            said.insert(0, "other values")
        elif same_files and old[name].get("file") != new[name].get("file"):
            said.insert(0, "other bytes in the file")
        if said:
            lines.append(f"{name}: {'; '.join(said[:4])}{' ...' if said[4:] else ''}")
    return sorted(lines)


def unlike(outcome: dict[str, Any]) -> list[str]:
    """Return the names of outputs of one run that should be like another, and are not."""
    found = outcome["found"]
    return [
        f"{name} is not as {other}"
        for name, other in ALIKE.items()
        if any(found[name].get(part) != found[other].get(part) for part in ("values", "says"))
    ]


def write(outcome: dict[str, Any]) -> None:
    """Write the golden file, an output a line."""
    lines = [
        f"  {json.dumps(name)}: {json.dumps(found)}"
        for name, found in outcome["found"].items()
        if name not in ALIKE
    ]
    machine = json.dumps(outcome["machine"])
    GOLDEN.write_text(f'{{"machine": {machine},\n "found": {{\n' + ",\n".join(lines) + "\n}}\n")


def read() -> dict[str, Any]:
    """Return the golden file."""
    return dict(json.loads(GOLDEN.read_text()))


def _unlike(old: Any, new: Any, tolerance: tuple[float, float], where: str = "") -> Iterator[str]:
    """Yield where two documents differ; numbers with a fraction may by the tolerance."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            absent = object()
            yield from _unlike(
                old.get(key, absent), new.get(key, absent), tolerance, f"{where}.{key}".lstrip(".")
            )
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _unlike(one, other, tolerance, f"{where}[{index}]")
    elif isinstance(old, float) and isinstance(new, float):
        close = isclose(old, new, rel_tol=tolerance[0], abs_tol=tolerance[1])
        if not close and not (isnan(old) and isnan(new)):
            yield f"{where} was {old!r}, is {new!r}"
    elif type(old) is not type(new) or old != new:
        yield f"{where or 'all'} was {_short(old)}, is {_short(new)}"


def _short(value: Any) -> str:
    return "absent" if type(value) is object else f"{json.dumps(value):.60}"
