"""A small file of every flavour that is read, with all that the flavour can tell."""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

STACK = np.random.default_rng(0).integers(0, 255, (2, 3, 3, 9, 16), dtype=np.uint8)
"""TZCYX."""

PAGES = STACK[:, :, 0].reshape(6, 9, 16)
BLOCKS = np.repeat(np.array([60, 200], np.uint8), 8)[None].repeat(9, 0)
"""Even within the blocks of JPEG, which so keeps them."""
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
    pixels: np.ndarray = field(default_factory=lambda: PAGES[0])
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
    path: Path,
    scan: int = 6,
    sizes: tuple[int, int] = (2, 3),
    compression: str | None = None,
    thumbnail: int = 4,
    **values: Any,
) -> None:
    """Write an LSM file: after each plane comes its thumbnail, every so many of its pixels."""
    times, depth = sizes
    size = {
        "DimensionX": 16,
        "DimensionY": 9,
        "DimensionZ": depth,
        "DimensionChannels": 3,
        "DimensionTime": times,
    }
    known = {"VoxelSizeX": 0.25e-6, "VoxelSizeY": 0.5e-6, "VoxelSizeZ": 2e-6, "TimeIntervall": 2.5}
    head = {"MagicNumber": 0x400494C, "StructureSize": 500, "DataType": 1, "ScanType": scan}
    data = record(tifffile.TIFF.CZ_LSMINFO, **{**head, **size, **known, **values})
    options: dict[str, Any] = {"metadata": None, "photometric": "minisblack", "software": False}
    with tifffile.TiffWriter(path, byteorder="<") as writer:
        for i, page in enumerate(STACK.reshape(6, 3, 9, 16)):
            tags = [(34412, 1, len(data), data, True)] if i == 0 else []
            writer.write(page, extratags=tags, planarconfig="separate", compression=compression, **options)
            writer.write(page[0, ::thumbnail, ::thumbnail], subfiletype=1, **options)


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
    dimensions[:5] = [
        (b"x", 16, 0, 0.25, b"um"),
        (b"y", 9, 0, 0.5, b"um"),
        (b"Ch", 3, 0, 1.0, b"Ch"),
        (b"z", 3, 0, 2.0, b"um"),
        (b"Time", 2, 0, 2.5, b"s"),
    ]
    data = record(tifffile.TIFF.MM_HEADER, Dimensions=dimensions)
    tags = [(34361, 1, len(data), data), (34362, 12, 8, (0.0,) * 8)]
    _imwrite(path, STACK.reshape(18, 9, 16), *tags, byteorder="<")


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
    values = {"Version": 160, "XScale": 4.0, "UnitsID": 6, "PixelAspectRatio": 0.5, "nSlices": 6}
    data = record(tifffile.TIFF.NIH_IMAGE_HEADER, FileID=b"IPICIMAG", **values)
    swapped = np.frombuffer(data, np.dtype(tifffile.TIFF.NIH_IMAGE_HEADER).newbyteorder("<"))
    data = swapped.astype(swapped.dtype.newbyteorder(">")).tobytes().ljust(512, b"\0")
    _imwrite(path, PAGES.reshape(54, 16), (43314, 3, 256, tuple(np.frombuffer(data, ">u2"))), byteorder=">")
    with tifffile.TiffFile(path, mode="r+b") as tif:  # one directory stands for all planes
        for code, value in ((257, 9), (278, 9), (279, 9 * 16)):
            tif.pages[0].tags[code].overwrite(value)


def gatan(path: Path, unit: str = "nm") -> None:
    tags = [(65003, 2, 0, unit), (65004, 2, 0, unit), (65009, 12, 1, 250.0), (65010, 12, 1, 500.0)]
    _imwrite(path, PAGES[0], *tags)


def tvips(path: Path) -> None:
    data = record(tifffile.TIFF.TVIPS_HEADER_V1, Version=2)
    data += record(tifffile.TIFF.TVIPS_HEADER_V2, PixelSizeX=250.0, PixelSizeY=500.0, Magic=0xAAAAAAAA)
    _imwrite(path, PAGES[0], (37706, 1, len(data), data), byteorder="<")


def micromanager(path: Path) -> None:
    _imwrite(path, PAGES[0], (51123, 2, 0, json.dumps({"PixelSizeUm": 0.25})))


def with_header(**options: Any) -> Callable[[Path], None]:
    """Write all axes with a header in the way of tifffile."""
    lengths = {"resolution": (4, 2), "resolutionunit": "NONE"}
    return lambda path: tifffile.imwrite(path, STACK, photometric="minisblack", **{**lengths, **options})


def plain(path: Path) -> None:
    tags = {"resolution": (40000, 20000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, PAGES, metadata=None, photometric="minisblack", **tags)


def png(path: Path) -> None:
    Pillow.fromarray(PAGES[0]).save(path, dpi=(300, 300))


def jpeg(path: Path) -> None:
    Pillow.fromarray(BLOCKS).save(path, quality=100, dpi=(300, 300))


def ome_zarr(path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(path, mode="w", zarr_format=2)
    level = group.create_array("0", shape=STACK.shape, dtype=STACK.dtype)
    level[...] = STACK
    micrometres = {"type": "space", "unit": "micrometer"}
    axes = [{"name": "t", "type": "time", "unit": "second"}, {"name": "c", "type": "channel"}]
    axes[1:1] = [{"name": "z", **micrometres}]
    axes += [{"name": name, **micrometres} for name in "yx"]
    scale = [{"type": "scale", "scale": [2.5, 2.0, 1.0, 0.5, 0.25]}]
    levels = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": levels}]


HEADER = {"axes": "TZCYX", "unit": "um", "spacing": 2, "finterval": 2.5}
OME = {"axes": "TZCYX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2, "TimeIncrement": 2.5}
ALL: dict[str, Any] = {"axes": "TZCYX", "z": 2, "interval": 2.5, "pixels": STACK}
MAKERS = {
    "Zeiss LSM": Flavour(lsm, name="a.lsm", **ALL),
    "FEI": Flavour(fei, "YX"),
    "Zeiss SEM": Flavour(zeiss_sem, "YX", y=0.25),
    "Olympus SIS": Flavour(sis, "YX"),
    "Olympus FluoView": Flavour(fluoview, **ALL),
    "MetaMorph (MetaSeries)": Flavour(metaseries, "YX"),
    "Aperio SVS": Flavour(aperio, "YX", y=0.25, name="a.svs"),
    "Hamamatsu NDPI": Flavour(ndpi, "YX"),
    "NIH Image": Flavour(nih, "IYX", pixels=PAGES),
    "Gatan": Flavour(gatan, "YX"),
    "TVIPS": Flavour(tvips, "YX"),
    "Micro-Manager": Flavour(micromanager, "YX", y=0.25),
}
FLAVOURS = {
    "ImageJ": Flavour(with_header(imagej=True, metadata=HEADER), **ALL),
    "OME-TIFF": Flavour(with_header(ome=True, metadata=OME), **ALL),
    "tifffile": Flavour(with_header(metadata=HEADER), **ALL),
    "plain TIFF": Flavour(plain, "IYX", pixels=PAGES),
    **MAKERS,
    "PNG": Flavour(png, "YX", None, None, name="a.png"),
    "JPEG": Flavour(jpeg, "YX", None, None, pixels=BLOCKS, name="a.jpg"),
    "OME-Zarr": Flavour(ome_zarr, name="a.zarr", **ALL),
}
