"""Whole images of many kinds, which the fuzzer then damages; small, so that most damage hits what matters."""

import io
import struct
import tempfile
from pathlib import Path
from typing import Any

import imagecodecs
import numcodecs
import numpy as np
import tifffile
import zarr
from PIL import Image as Picture

from tests.images.microscope_files import write_lif, write_nd2

SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
OME = {
    "axes": "TZYX",
    "PhysicalSizeX": 0.2,
    "PhysicalSizeXUnit": "µm",
    "PhysicalSizeY": 0.2,
    "TimeIncrement": 3,
}
GRAY = {"photometric": "minisblack"}
BARE = {"metadata": None, **GRAY}

RANDOM = np.random.default_rng(0)
STACK = RANDOM.integers(0, 4000, (4, 24, 20), np.uint16)
BYTES = (STACK >> 4).astype(np.uint8)
SMOOTH = np.repeat(np.repeat(STACK, 4, 1), 4, 2)  # so that compression shortens it
COLOUR = RANDOM.integers(0, 255, (24, 20, 3), np.uint8)


def images() -> dict[str, bytes]:
    """Return an image of each kind that is one file, by name."""
    return tiffs() | odd_samples() | compressed() | microscopes() | pngs() | mapped()


def tiffs() -> dict[str, bytes]:
    """Return the flavours and layouts of TIFF."""
    four = STACK.reshape(2, 2, 24, 20)
    return {
        "plain": tiff(BYTES[0], **BARE),
        "plain-pages": tiff(STACK, **BARE),
        "strips": tiff(STACK, rowsperstrip=5, **BARE),
        "big-endian": tiff(STACK, byteorder=">", **BARE),
        "shaped": tiff(STACK, metadata={"axes": "ZYX"}, **GRAY),
        "shaped-truncated": tiff(STACK, metadata={"axes": "ZYX"}, truncate=True, **GRAY),
        "tiled": tiff(SMOOTH[:2], tile=(16, 32), **BARE),
        "imagej": tiff(STACK, imagej=True, resolution=(4, 4), metadata={"axes": "ZYX", "unit": "um"}),
        "imagej-truncated": tiff(STACK, imagej=True, truncate=True, metadata={"axes": "TYX"}),
        "imagej-hyperstack": tiff(
            BYTES.reshape(2, 2, 24, 20), imagej=True, metadata={"axes": "TZYX"}, compression="zlib"
        ),
        "imagej-rgb": tiff(COLOUR, imagej=True, photometric="rgb"),
        "ome": tiff(four, ome=True, metadata=OME, **GRAY),
        "ome-deflate": tiff(four, ome=True, metadata=OME, compression="zlib", **GRAY),
        "ome-rgb": tiff(COLOUR, ome=True, metadata={"axes": "YXS"}, photometric="rgb"),
        "ome-shuffled": tiff(STACK, description=shuffled(), **BARE),
        "ome-pyramid": pyramid(),
        "big": tiff(STACK, bigtiff=True, **BARE),
        "big-tiled": tiff(SMOOTH[:2], bigtiff=True, tile=(32, 32), compression="zlib", **BARE),
        "big-ome": tiff(four, bigtiff=True, ome=True, metadata=OME, **GRAY),
        "rgb": tiff(COLOUR, photometric="rgb", metadata=None),
        "rgb-planar": tiff(np.moveaxis(COLOUR, -1, 0), photometric="rgb", planarconfig="separate"),
        "thumbnail": thumbnail(),
        "sparse": sparse(tiff(SMOOTH[:1], tile=(32, 32), **BARE)),
    }


def odd_samples() -> dict[str, bytes]:
    """Return TIFFs whose samples are more or less than gray of 8 or 16 bits."""
    small = BYTES[0] >> 4
    alpha = np.stack([BYTES[0], np.full_like(BYTES[0], 255)], -1)
    rgba = np.concatenate([COLOUR, np.full_like(COLOUR[..., :1], 255)], -1)
    colours = RANDOM.integers(0, 65535, (3, 256), np.uint16)
    return {
        "float": tiff(STACK.astype(np.float32) / 7, compression="zlib", predictor=True, **BARE),
        "half": tiff(STACK.astype(np.float16), **BARE),
        "double": tiff(STACK / 7, **BARE),
        "signed": tiff(STACK.astype(np.int32) - 2000, **BARE),
        "signed-bytes": tiff((BYTES.astype(int) - 100).astype(np.int8), **BARE),
        "white": tiff(BYTES[0], photometric="miniswhite", metadata=None),
        "white-16": tiff(STACK[:2], photometric="miniswhite", metadata=None),
        "bits-1": tiff(small > 7, **BARE),
        "bits-1-white": tiff(small > 7, photometric="miniswhite", metadata=None),
        "bits-4": tiff(small, bitspersample=4, **BARE),
        "bits-12": tiff(STACK[:2], bitspersample=12, **BARE),
        "palette": tiff(BYTES[0], photometric="palette", colormap=colours, metadata=None),
        "alpha": tiff(alpha, extrasamples=["unassalpha"], planarconfig="contig", **BARE),
        "rgba": tiff(rgba, photometric="rgb", extrasamples=["unassalpha"], metadata=None),
        "two-samples": tiff(alpha, extrasamples=["unspecified"], planarconfig="contig", **BARE),
    }


def compressed() -> dict[str, bytes]:
    """Return TIFFs of each compression, in strips and in tiles."""
    files = {}
    for name in ("lzw", "zlib", "zstd", "packbits", "lzma"):
        files[name] = tiff(SMOOTH[:2], compression=name, rowsperstrip=32, **BARE)
        options = {} if name == "packbits" else {"predictor": True}
        files[f"{name}-tiled"] = tiff(SMOOTH[:1], compression=name, tile=(32, 32), **options, **BARE)
    smooth = (SMOOTH[0] >> 4).astype(np.uint8)
    files["jpeg"] = tiff(BYTES[0], compression="jpeg", **BARE)
    files["jpeg-tiled"] = tiff(smooth, compression="jpeg", tile=(32, 32), **BARE)
    files["jpeg-rgb"] = tiff(COLOUR, compression="jpeg", photometric="rgb", metadata=None)
    for name in ("jpeg2000", "png"):
        files[name] = tiff(STACK[:2], compression=name, **BARE)
    files["webp"] = tiff(COLOUR, compression="webp", photometric="rgb", metadata=None)
    return files


def microscopes() -> dict[str, bytes]:
    """Return files with private tags of microscopes."""
    text = "[User]\r\nDate=01/01/2020\r\n[Scan]\r\nPixelWidth=4e-09\r\nPixelHeight=4e-09\r\n"
    return {
        "lsm": lsm(),
        "sem": tiff(BYTES[0], resolution=(96, 96), extratags=[(34682, 2, 0, text, True)], **BARE),
    }


def mapped() -> dict[str, bytes]:
    """Return LIF and ND2. CZI is left out: Zeiss's library may end the process over damage in a block."""
    with tempfile.TemporaryDirectory() as folder:
        lif, nd2 = Path(folder, "a.lif"), Path(folder, "a.nd2")
        write_lif(lif, [("a", STACK.reshape(2, 2, 1, 24, 20))])
        write_nd2(nd2, [STACK.reshape(2, 2, 1, 24, 20)])
        return {"lif": lif.read_bytes(), "nd2": nd2.read_bytes()}


def pngs() -> dict[str, bytes]:
    """Return a PNG of each kind of pixel."""
    both = np.stack([STACK[0], np.full_like(STACK[0], 65535)], -1)
    files = {
        "png-gray": bytes(imagecodecs.png_encode(STACK[0])),
        "png-bytes": bytes(imagecodecs.png_encode(BYTES[0])),
        "png-rgb": bytes(imagecodecs.png_encode(COLOUR)),
        "png-rgb-16": bytes(imagecodecs.png_encode(COLOUR.astype(np.uint16) * 257)),
        "png-alpha": bytes(imagecodecs.png_encode(both)),
    }
    pictures = {
        "png-bit": Picture.fromarray(BYTES[0] > 100),
        "png-palette": Picture.fromarray(COLOUR).quantize(9),
    }
    for name, picture in pictures.items():
        file = io.BytesIO()
        picture.save(file, "png")
        files[name] = file.getvalue()
    return files


def tiff(array: np.ndarray, **options: object) -> bytes:
    """Return a TIFF."""
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def ome_xml(inside: str, root: str = "", planes: tuple[int, int] = (2, 2)) -> str:
    """Return OME-XML for pages of `STACK` as T and Z, with `inside` as blocks of Pixels."""
    t, z = planes
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{SCHEMA}"{root}><Image ID="Image:0">'
        f'<Pixels ID="Pixels:0" DimensionOrder="XYZTC" Type="uint16" SizeX="20" SizeY="24" SizeZ="{z}"'
        f' SizeT="{t}" SizeC="1" PhysicalSizeX="0.1" PhysicalSizeY="0.1" PhysicalSizeZ="0.5">{inside}'
        "</Pixels></Image></OME>"
    )


def shuffled() -> str:
    """Return OME-XML that names the directories in another order."""
    places = [(1, 1), (0, 1), (1, 0), (0, 0)]
    return ome_xml(
        "".join(
            f'<TiffData FirstT="{t}" FirstZ="{z}" IFD="{i}" PlaneCount="1"/>'
            for i, (t, z) in enumerate(places)
        )
    )


def pyramid() -> bytes:
    """Return an OME-TIFF with a smaller copy in SubIFDs."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file, ome=True) as writer:
        writer.write(SMOOTH[:2], subifds=1, tile=(32, 32), metadata={"axes": "ZYX"}, **GRAY)
        writer.write(SMOOTH[:2, ::2, ::2], subfiletype=1, tile=(32, 32), **GRAY)
    return file.getvalue()


def thumbnail() -> bytes:
    """Return a TIFF with a page and its thumbnail."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(STACK[0], **BARE)
        writer.write(STACK[0, ::4, ::4], subfiletype=1, **BARE)
    return file.getvalue()


def sparse(data: bytes) -> bytes:
    """Return a tiled TIFF of which a tile has no bytes (GDAL's sparse files)."""
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        tags = tif.pages[0].tags
        places = [(tags[code].valueoffset, tags[code].dtype) for code in (324, 325)]
    out = bytearray(data)
    for place, kind in places:
        size = {3: 2, 4: 4}[int(kind)]
        out[place + size : place + 2 * size] = bytes(size)
    return bytes(out)


def lsm() -> bytes:
    """Return a file as Zeiss's LSM: each page with a thumbnail after it, sizes in a private tag."""
    values: dict[str, Any] = {
        "MagicNumber": 0x400494C, "StructureSize": 500, "DimensionX": 20, "DimensionY": 24, "DimensionZ": 2,
        "DimensionChannels": 1, "DimensionTime": 2, "DataType": 2, "ThumbnailX": 5, "ThumbnailY": 6,
        "VoxelSizeX": 1e-7, "VoxelSizeY": 1e-7, "VoxelSizeZ": 5e-7, "ScanType": 6, "TimeIntervall": 2.5,
    }  # fmt: skip
    data = b""
    for name, kind in tifffile.TIFF.CZ_LSMINFO:
        form = {"u4": "I", "i4": "i", "f8": "d", "u2": "H"}.get(kind)
        data += bytes(4 * int(kind[:-2])) if form is None else struct.pack("<" + form, values.get(name, 0))
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for number, page in enumerate(STACK):
            extra = [] if number else [(34412, 1, len(data), data, True)]
            writer.write(page, extratags=extra, software=False, **BARE)
            writer.write(page[::4, ::4], subfiletype=1, software=False, **BARE)
    return file.getvalue()


def image_folders(folder: Path) -> dict[str, Path]:
    """Make an image of each kind that is a folder; return their folders. Each holds ``image.*`` to open."""
    made = {}
    for name, options in {
        "zarr-2": {"zarr_format": 2},
        "zarr-2-gzip": {"zarr_format": 2, "compressors": numcodecs.GZip(level=1)},
        "zarr-3": {"zarr_format": 3},
        "zarr-3-shards": {"zarr_format": 3, "shards": (1, 24, 20)},
        "zarr-3-bare": {"zarr_format": 3, "compressors": None},
    }.items():
        made[name] = folder / name
        ome_zarr(made[name] / "image.zarr", **options)
    pointer = f'<?xml version="1.0"?><OME xmlns="{SCHEMA}" UUID="urn:uuid:1"><BinaryOnly ' \
        'MetadataFile="set.companion.ome" UUID="urn:uuid:2"/></OME>'  # fmt: skip
    block = '<TiffData IFD="0" PlaneCount="4"><UUID FileName="image.ome.tif">urn:uuid:1</UUID></TiffData>'
    made["companion"] = folder / "companion"
    made["companion"].mkdir()
    (made["companion"] / "image.ome.tif").write_bytes(tiff(STACK, description=pointer, **BARE))
    (made["companion"] / "set.companion.ome").write_text(ome_xml(block, ' UUID="urn:uuid:2"'))
    made["several"] = folder / "several"
    made["several"].mkdir()
    blocks = "".join(
        f'<TiffData FirstT="{t}" FirstZ="0" IFD="0" PlaneCount="2"><UUID FileName="{name}.ome.tif">'
        f"urn:uuid:{t}</UUID></TiffData>"
        for t, name in enumerate(("image", "other"))
    )
    for t, name in enumerate(("image", "other")):
        xml = ome_xml(blocks, f' UUID="urn:uuid:{t}"')
        data = tiff(STACK[2 * t : 2 * t + 2], description=xml, **BARE)
        (made["several"] / f"{name}.ome.tif").write_bytes(data)
    return made


def ome_zarr(path: Path, zarr_format: int, **options: Any) -> None:
    """Write an OME-Zarr image of two levels, ZYX."""
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    for level, pixels in enumerate((STACK, STACK[:, ::2, ::2])):
        more = dict(options)
        if "shards" in more:
            more["shards"] = (1, *pixels.shape[1:])
        chunks = (1, *(n // 2 for n in pixels.shape[1:]))
        keys = {"name": "v2", "separator": "/"} if zarr_format == 2 else {"name": "default", "separator": "/"}
        array = group.create_array(
            str(level), shape=pixels.shape, chunks=chunks, dtype=pixels.dtype, chunk_key_encoding=keys, **more
        )
        array[...] = pixels
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scales = [[0.5, 0.1 * factor, 0.1 * factor] for factor in (1, 2)]
    datasets = [
        {"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": scale}]}
        for level, scale in enumerate(scales)
    ]
    image = {"axes": axes, "datasets": datasets, "name": "image"}
    if zarr_format == 2:
        group.attrs["multiscales"] = [image | {"version": "0.4"}]
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
