"""The table of conformance in the documentation, from the results of `benchmarks.conformance`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent.parent / "docs" / "export.md"
BEGIN, END = "<!-- made by python -m benchmarks.conformance -->", "<!-- end of what is made -->"
SAME = 1e-5
"""Probabilities that differ by less are the same answer: float32 sums in another order."""

ROWS = {
    "onnxruntime": ("ONNX Runtime", "`model.onnx`, the image as one tile"),
    "torch.export": ("PyTorch", "`model.pt2`, one tile"),
    "torch.jit": ("PyTorch", "`model.torchscript.pt`, one tile"),
    "openvino: float32": ("OpenVINO", "`model.onnx`, one tile, asked for float32"),
    "openvino: as it comes": ("OpenVINO", "`model.onnx`, one tile, its own choice of precision"),
    "opencv: one tile": ("OpenCV 5", "`model.onnx`, one tile"),
    "java: model": ("OpenCV 4 in Java, which QuPath has", "`model.onnx`, one tile"),
    "java: model-opencv": ("OpenCV 4 in Java", "`model-opencv.onnx`, one tile of another size than stated"),
    "bioimageio: valid, one tile": ("bioimageio.core", "`model.bioimageio.zip`, ONNX, one tile"),
    "bioimageio: valid, one tile, TorchScript": ("bioimageio.core", "the same, TorchScript"),
    "bioimageio: valid, another size": ("bioimageio.core", "the same, an image of a size that is not legal"),
    "bioimageio: valid, blocks": ("bioimageio.core", "the same, cut into blocks"),
    "bioimageio: halo, one block": ("bioimageio.core", "`model-halo.bioimageio.zip`, the image as one block"),
    "bioimageio: halo, blocks": (
        "bioimageio.core",
        "the same, cut into blocks; the image's sides are multiples of 16",
    ),
    "bioimageio: halo, blocks, whole image standardised": (
        "bioimageio.core",
        "the same, standardised by bioimageio.core",
    ),
    "bioimageio: halo, blocks, off the grid": (
        "bioimageio.core",
        "cut into blocks; sides are no multiples of 16",
    ),
}
"""What each result is of: program, and what it was given."""
NOT_RUN = {
    "QuPath, deepImageJ": "the programs themselves come from Maven and their own sites, which could not be "
    "reached where this was measured; of what runs graphs in them OpenCV was run in Java, ONNX Runtime and "
    "PyTorch in Python",
    "ilastik": "neither it nor its server for networks, tiktorch, is in the registries that could be reached "
    "where this was measured (PyPI, Debian)",
    "ImageJ, napari": "neither runs graphs by itself: deepImageJ is what adds them to ImageJ; the panel of "
    "this program in napari calls the program, and `make napari` compares its labels with the command's",
}


def table(found: dict[str, Any]) -> str:
    """Return what stands between the markers of the page."""
    high, wide = found["images"]["on-grid"]
    lines = [
        f"`em-membrane`, a drawn image of {high} x {wide} px "
        f"({' x '.join(map(str, found['images']['off-grid']))} where it is off the grid), probabilities "
        "next to those of `unet2015 segment`:",
        "",
        "| program | given | largest difference | further than 96 px from the border | |",
        "| --- | --- | --- | --- | --- |",
        *(f"| {' | '.join(cells)} |" for cells in _rows(found)),
        *(f"| {program} | | | | not run: {why} |" for program, why in NOT_RUN.items()),
        "",
        _tested(found),
        "",
        f"Versions: {', '.join(f'{name} {version}' for name, version in sorted(_versions(found).items()))}.",
        "",
        "Every network of the table, small, at export: the largest difference of its probabilities, or "
        "why there is no file.",
        "",
        "| network | ONNX | ExportedProgram | TorchScript |",
        "| --- | --- | --- | --- |",
        *_networks(found),
    ]
    return "\n".join(lines)


def _versions(found: dict[str, Any]) -> dict[str, str]:
    return {"torch": str(found["machine"]["versions"]["torch"]), **found["programs"]}


def _rows(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for key, (program, given) in ROWS.items():
        row = found["rows"].get(key)
        if row is None:
            continue
        if "error" in row:
            yield (
                program,
                given,
                "",
                "",
                f"refuses: {_reason(row['error'])}",
            )
            continue
        largest, inside = row["largest"], row["inside"]
        verdict = (
            "same answer"
            if largest < SAME
            else "same answer but near the border"
            if inside < SAME
            else "another answer"
        )
        if largest >= SAME:
            verdict += f": {100 * row['pixels']:.1f} % of the pixels differ by more than 1e-4"
        yield program, given, f"{largest:.1e}", f"{inside:.1e}", verdict


def _reason(error: str) -> str:
    """Return the beginning of an error, without where OpenCV has it from."""
    said = error.rpartition(" handleNode ")[2]
    return said.partition(" (")[0].replace("|", " ")[:110]


def _tested(found: dict[str, Any]) -> str:
    tests = {key: row for key, row in found["rows"].items() if "passed" in row}
    good = sum(row["valid"] and row["passed"] for row in tests.values())
    return (
        "bioimageio.spec validates the packages, and bioimageio.core's own test of them passes in "
        f"{good} of {len(tests)} cases (three packages, ONNX and TorchScript, tolerance 1e-5)."
    )


def _networks(found: dict[str, Any]) -> Iterator[str]:
    for kind, said in found["networks"].items():
        cells = [
            said[name] if isinstance(said[name], str) else f"{said[name]:.1e}"
            for name in ("onnx", "pt2", "torchscript")
        ]
        yield f"| `{kind}`: {said['network']} | {' | '.join(cells)} |"


def write_page(found: dict[str, Any], page: Path = PAGE) -> None:
    """Put the table between the markers of the page."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{table(found)}\n\n{END}{after}", encoding="utf-8")
