"""A small file of every flavour of TIFF whose header or private tags are read, written with tifffile."""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

PAGES = np.random.default_rng(0).integers(0, 255, (6, 9, 16), dtype=np.uint8)
"""Two times of three planes."""

SCREEN: dict[str, Any] = {"resolution": (96, 96), "resolutionunit": "INCH"}
"""What programs write that know no pixel size; the private tag knows one."""


@dataclass(frozen=True)
class Flavour:
    """How a file is made, and what is in it; lengths in micrometres, the interval in seconds."""

    write: Callable[[Path], None]
    axes: str
    x: float | None = 0.25
    y: float | None = 0.5
    z: float | None = None
    interval: float | None = None
    pixels: np.ndarray = field(default_factory=lambda: PAGES)
    name: str = "a.tif"


def _imwrite(path: Path, pixels: np.ndarray, *tags: tuple, **options: Any) -> None:
    options = {"metadata": None, "photometric": "minisblack", **SCREEN, **options}
    tifffile.imwrite(path, pixels, extratags=[(*tag, True) for tag in tags], **options)


def record(fields: list, **values: Any) -> bytes:
    """Return a structure of tifffile's, zero where no value is given."""
    made = np.zeros(1, np.dtype(fields).newbyteorder("<"))
    for name, value in values.items():
        made[name] = value
    return made.tobytes()


def lsm(
    path: Path, scan: int = 6, sizes: tuple[int, int] = (2, 3), pixels: np.ndarray = PAGES, **values: Any
) -> None:
    """Write an LSM file: after each plane comes its thumbnail."""
    times, depth = sizes
    size = {
        "DimensionX": 16,
        "DimensionY": 9,
        "DimensionZ": depth,
        "DimensionChannels": 1,
        "DimensionTime": times,
    }
    known = {"VoxelSizeX": 0.25e-6, "VoxelSizeY": 0.5e-6, "VoxelSizeZ": 2e-6, "TimeIntervall": 2.5}
    head = {"MagicNumber": 0x400494C, "StructureSize": 500, "DataType": 1, "ScanType": scan}
    data = record(tifffile.TIFF.CZ_LSMINFO, **{**head, **size, **known, **values})
    options: dict[str, Any] = {"metadata": None, "photometric": "minisblack", "software": False}
    with tifffile.TiffWriter(path, byteorder="<") as writer:
        for i, page in enumerate(pixels):
            tags = [(34412, 1, len(data), data, True)] if i == 0 else []
            writer.write(page, extratags=tags, **options)
            writer.write(page[::4, ::4], subfiletype=1, **options)


def fei(
    path: Path, code: int = 34682, text: str = "[Scan]\r\nPixelWidth=2.5e-07\r\nPixelHeight=5e-07\r\n"
) -> None:
    _imwrite(path, PAGES[0], (code, 2, 0, "[User]\r\nDate=01/01/2020\r\n" + text))


def zeiss_sem(path: Path, text: str = "AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 250.0 nm\r\n") -> None:
    # 3.90625 nm on a screen of 1024 pixels are 0.25 µm in an image of 16.
    first = "0\r\n0\r\n0\r\n3.90625e-09\r\n"
    data = (first + "AP_PIXEL_SIZE\r\nPixel Size = 3.90625 nm\r\n" + text).encode("latin-1")
    _imwrite(path, PAGES[0], (34118, 2, len(data) + 1, data + b"\0"))


def sis(path: Path) -> None:
    """Write the tag; the structure points at another by its place in the file."""
    head = struct.pack("<4s6xhhhhh6x32sH", b"SIS0", 0, 0, 1, 0, 120, b"", 1) + struct.pack("<hhI", 1, 1, 0)
    body = struct.pack("<10xhdd8xd2x34s32s", -6, 0.25, 0.5, 20.0, b"camera", b"picture")
    _imwrite(path, PAGES[0], (33560, 1, len(head + body), head + body))
    with tifffile.TiffFile(path) as tif:
        place = tif.pages[0].tags[33560].valueoffset
    with path.open("r+b") as file:
        file.seek(place + len(head) - 4)
        file.write(struct.pack("<I", place + len(head)))


def fluoview(path: Path) -> None:
    fields = dict(entry[:2] for entry in tifffile.TIFF.MM_HEADER)
    dimensions = np.zeros(10, fields["GrayChannel"])
    lengths = {b"x": (16, 0.25, b"um"), b"y": (9, 0.5, b"um"), b"z": (3, 2.0, b"um"), b"Time": (2, 2.5, b"s")}
    for i, (name, (size, step, unit)) in enumerate(lengths.items()):
        dimensions[i] = (name, size, 0, step, unit)
    data = record(tifffile.TIFF.MM_HEADER, Dimensions=dimensions)
    _imwrite(path, PAGES, (34361, 1, len(data), data), (34362, 12, 8, (0.0,) * 8), byteorder="<")


def metaseries(path: Path) -> None:
    values = {
        "state": ("bool", "on"),
        "x": ("float", "0.25"),
        "y": ("float", "0.5"),
        "units": ("string", "um"),
    }
    lines = [
        f'<prop id="spatial-calibration-{key}" type="{t}" value="{v}"/>' for key, (t, v) in values.items()
    ]
    xml = f"<MetaData><PlaneInfo>{''.join(lines)}</PlaneInfo></MetaData>"
    _imwrite(path, PAGES[0], description=xml, software="MetaSeries")


def aperio(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        for i, page in enumerate((PAGES[0], PAGES[0, ::2, ::2])):
            text = "Aperio Image Library v1.0\r\n16x9|AppMag = 20|MPP = 0.25" if i == 0 else None
            writer.write(page, metadata=None, photometric="minisblack", description=text)


def ndpi(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        for page in (PAGES[0], PAGES[0, ::2, ::2]):
            tags = [(65420, 4, 1, 1, True), (271, 2, 0, "Hamamatsu", True)]
            options = {"resolution": (40000, 20000), "resolutionunit": "CENTIMETER"}
            writer.write(page, metadata=None, photometric="minisblack", extratags=tags, **options)


def nih(path: Path) -> None:
    values = {"Version": 160, "XScale": 4.0, "UnitsID": 6, "PixelAspectRatio": 0.5}
    data = record(tifffile.TIFF.NIH_IMAGE_HEADER, FileID=b"IPICIMAG", **values)
    swapped = np.frombuffer(data, np.dtype(tifffile.TIFF.NIH_IMAGE_HEADER).newbyteorder("<"))
    data = swapped.astype(swapped.dtype.newbyteorder(">")).tobytes()
    data += bytes(256 - len(data)) if len(data) < 256 else b""
    _imwrite(path, PAGES[0], (43314, 1, len(data), data), byteorder=">")


def gatan(path: Path, unit: str = "nm") -> None:
    tags = [(65003, 2, 0, unit), (65004, 2, 0, unit), (65009, 12, 1, 250.0), (65010, 12, 1, 500.0)]
    _imwrite(path, PAGES[0], *tags)


def tvips(path: Path) -> None:
    data = record(tifffile.TIFF.TVIPS_HEADER_V1, Version=2)
    data += record(tifffile.TIFF.TVIPS_HEADER_V2, PixelSizeX=250.0, PixelSizeY=500.0, Magic=0xAAAAAAAA)
    _imwrite(path, PAGES[0], (37706, 1, len(data), data), byteorder="<")


def micromanager(path: Path) -> None:
    _imwrite(path, PAGES[0], (51123, 2, 0, json.dumps({"PixelSizeUm": 0.25})))


ONE = PAGES[:1]
FLAVOURS = {
    "Zeiss LSM": Flavour(lsm, "TZYX", z=2, interval=2.5, name="a.lsm"),
    "FEI": Flavour(fei, "YX", pixels=ONE),
    "Zeiss SEM": Flavour(zeiss_sem, "YX", y=0.25, pixels=ONE),
    "Olympus SIS": Flavour(sis, "YX", pixels=ONE),
    "Olympus FluoView": Flavour(fluoview, "TZYX", z=2, interval=2.5),
    "MetaMorph (MetaSeries)": Flavour(metaseries, "YX", pixels=ONE),
    "Aperio SVS": Flavour(aperio, "YX", y=0.25, pixels=ONE, name="a.svs"),
    "Hamamatsu NDPI": Flavour(ndpi, "YX", pixels=ONE),
    "NIH Image": Flavour(nih, "YX", pixels=ONE),
    "Gatan": Flavour(gatan, "YX", pixels=ONE),
    "TVIPS": Flavour(tvips, "YX", pixels=ONE),
    "Micro-Manager": Flavour(micromanager, "YX", y=0.25, pixels=ONE),
}
