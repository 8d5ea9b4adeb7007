"""``unet2015 inspect``: what a file holds, and what would be refused and why."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unet2015.cli.loading import loading
from unet2015.cli.options import Axes, Json, Scene
from unet2015.cli.output import print_json, print_rows, show_messages
from unet2015.cli.unexpected import keep_tracebacks

if TYPE_CHECKING:
    from unet2015.images.image import Image

_SOURCES = {
    "ome": "from the file's OME metadata",
    "imagej": "from the file's ImageJ header",
    "file": "from the file",
    "--axes": "from --axes",
}


def inspect(
    files: Annotated[
        list[Path], typer.Argument(help="Files, folders or patterns in quotes.", metavar="FILE...")
    ],
    axes: Axes = None,
    scene: Scene = None,
    pixels: Annotated[
        bool, typer.Option("--pixels", help="Also read every pixel, to find what is wrong with them.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what a file holds, or why it is refused.

    It shows the axes and where they come from, the pages, the type of the pixels and the calibration.
    Without --pixels it does not see damage within the pixels, transparent ones, or NaN, for which segment
    refuses a file.
    """
    with loading():
        from unet2015.errors import UNet2015Error, failure_of
        from unet2015.images.every_pixel import check_pixels
        from unet2015.images.reader import find_images, open_image
        from unet2015.images.recorded_size import describe_taken, missing_size

    show_messages()
    found: list[dict[str, Any]] = []
    failures: list[tuple[Path, UNet2015Error]] = []
    for path in find_images(files):
        try:
            with open_image(path, axes, scene=scene) as image:
                values = check_pixels(image) if pixels else None
                if (known := missing_size(image)).size is not None:
                    known.applied(image).add_notes(describe_taken(known.size))
                found.append(_facts(image, values))
        except Exception as error:
            failures.append((path, failure_of(error, path)))
            said = str(failures[-1][1]).removeprefix(f"{path}: ")
            found.append({"file": str(path), "refused": said})
    if as_json:
        print_json(found)
    else:
        for facts in found:
            print_rows(facts["file"], _rows(facts))
    keep_tracebacks(failures)
    if any(facts["refused"] for facts in found):
        raise typer.Exit(1)


def _facts(image: "Image", values: tuple[float, float] | None) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "file": image.name,
        "refused": None,
        "axes": image.axes,
        "axes_source": image.axes_source,
        "shape": list(image.shape),
        "pages": image.pages,
        "channels": image.channels,
        "channel_names": list(image.channel_names),
        "height": image.height,
        "width": image.width,
        "dtype": str(image.dtype),
        "bits": image.bits,
        **({} if image.significant_bits is None else {"significant_bits": image.significant_bits}),
        **({} if values is None else {"values": list(values)}),
        "calibration": asdict(image.calibration),
        "notes": list(image.notes),
    }


def _rows(facts: dict[str, Any]) -> dict[str, str]:
    if facts["refused"]:
        return {"refused": facts["refused"]}
    shape = " x ".join(map(str, facts["shape"]))
    return {
        "axes": f"{facts['axes']} ({shape}), {_SOURCES.get(facts['axes_source'], facts['axes_source'])}",
        "pages": f"{facts['pages']} of {facts['height']} x {facts['width']} px (height x width)",
        "channels": _channels(facts),
        "type": _type(facts),
        "calibration": _calibration(facts["calibration"]),
    } | ({"note": "; ".join(facts["notes"])} if facts["notes"] else {})


def _type(facts: dict[str, Any]) -> str:
    """Return the type of the pixels and, where they are known, its bits in use and the values."""
    import numpy as np

    said, whole = facts["dtype"], 8 * np.dtype(facts["dtype"]).itemsize
    if facts["bits"] < whole:
        said += f", {facts['bits']} bits of a pixel, as the file says"
    if used := facts.get("significant_bits"):
        said += f", of which {used} are used, by its metadata" * (used < facts["bits"])
    if "values" not in facts:
        return str(said)
    low, high = facts["values"]
    said += f", values {low:.10g} to {high:.10g}"
    if used or said[0] != "u" or high < 1 or (fits := int(high).bit_length()) >= facts["bits"]:
        return str(said)
    return f"{said}, which fit into {fits} bits; that the camera has no more, nothing says"


def _channels(facts: dict[str, Any]) -> str:
    names = [
        f"{number}:{name}" if name else str(number) for number, name in enumerate(facts["channel_names"])
    ]
    return f"{facts['channels']} ({', '.join(names)})" if names else str(facts["channels"])


def _calibration(of: dict[str, Any]) -> str:
    unit, time_unit = of["unit"] or "(no unit)", of["time_unit"] or "(no unit)"
    parts = [
        f"{name} {of[key]:g} {of_unit}"
        for name, key, of_unit in (
            ("pixel height", "pixel_size_y", unit),
            ("pixel width", "pixel_size_x", unit),
            ("z spacing", "z_spacing", unit),
            ("time interval", "time_interval", time_unit),
        )
        if of[key] is not None
    ]
    return ", ".join(parts) or "none"
