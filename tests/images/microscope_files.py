"""Small CZI, LIF and ND2 files: CZI by Zeiss's own writer, the others by hand after what readers expect.

For LIF and ND2 there is no writer for Python. What is written here is the least that liffile and nd2 read:
the layout of their blocks, and the elements of XML that hold sizes, channels and scales.
"""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SCALE = (0.25, 0.5, 2.0)
"""Micrometres: height and width of a pixel, distance of planes."""
NAMES = ("DAPI", "GFP")


def pixels(shape: Sequence[int], dtype: str = "u2", seed: int = 1) -> NDArray[np.integer]:
    """Return random pixels."""
    high = min(np.iinfo(dtype).max, 4000)
    return np.random.default_rng(seed).integers(0, high, shape).astype(dtype)


def write_czi(
    path: Path,
    scenes: Sequence[NDArray[np.integer]],
    *,
    names: Sequence[str] = (),
    bits: Sequence[str] = (),
) -> None:
    """Write scenes of shape (T, Z, C, Y, X, samples); `names` are those of the scenes in the metadata.

    `bits` are those in use, of each channel and then of the whole; empty where nothing is said.
    """
    from pylibCZIrw import czi

    with czi.create_czi(str(path)) as file:
        for scene, array in enumerate(scenes):
            where = {"scene": scene, "location": (scene * 1000, 0)} if len(scenes) > 1 else {}
            for t, z, c in np.ndindex(array.shape[:3]):
                file.write(data=array[t, z, c], plane={"T": t, "Z": z, "C": c}, **where)
        y, x, z = (size * 1e-6 for size in SCALE)
        file.write_metadata(
            document_name="-" * 2000 if names or bits else "a",
            channel_names=dict(enumerate(NAMES[: scenes[0].shape[2]])),
            scale_x=x,
            scale_y=y,
            scale_z=z,
        )
    if names:  # the writer names no scenes; its XML gets them in place of the long title
        listed = "".join(f'<Scene Index="{k}" Name="{name}"/>' for k, name in enumerate(names))
        said = f"<S><Scenes>{listed}</Scenes></S>".encode()
        data = path.read_bytes()
        data = data.replace(b"<Dimensions>", b"<Dimensions>" + said, 1)
        data = data.replace(b"-" * len(said), b"", 1)
        path.write_bytes(data)
    if bits:
        start, kind, *ends = path.read_bytes().partition(b"<PixelType>Gray16</PixelType>")
        parts = ends[0].split(kind)
        more = [f"<ComponentBitCount>{one}</ComponentBitCount>".encode() if one else b"" for one in bits]
        data = start + b"".join(kind + one + part for one, part in zip(more, parts, strict=True))
        path.write_bytes(data.replace(b"-" * sum(map(len, more)), b"", 1))


def write_mosaic(path: Path, tiles: Sequence[tuple[int, int, NDArray[np.integer]]]) -> None:
    """Write a CZI of one plane in tiles: x, y and pixels (Y, X) of each."""
    from pylibCZIrw import czi

    with czi.create_czi(str(path)) as file:
        for x, y, tile in tiles:
            file.write(data=tile[..., None], plane={"C": 0}, location=(x, y))
        file.write_metadata(channel_names={0: "DAPI"}, scale_x=5e-7, scale_y=5e-7)


def write_lif(
    path: Path,
    series: Sequence[tuple[str, NDArray[np.integer]]],
    tiles: int = 1,
    *,
    bits: int | None = None,
) -> None:
    """Write named images of shape (T, Z, C, Y, X); with `tiles`, tiles are in the place of times.

    `bits` are those in use. Default: all.
    """
    elements, blocks = [], []
    for number, (name, array) in enumerate(series):
        step = array.dtype.itemsize
        t, z, c, y, x = array.shape
        plane = y * x * step
        sizes = {1: (x, step), 2: (y, x * step), 3: (z, c * plane), 4: (t, z * c * plane)}
        spacing = {1: SCALE[1] * 1e-6, 2: SCALE[0] * 1e-6, 3: SCALE[2] * 1e-6, 4: 3.0, 10: 0.0}
        if tiles > 1:
            sizes[10] = sizes.pop(4)
        dimensions = "".join(
            f'<DimensionDescription DimID="{k}" NumberOfElements="{n}" Origin="0" '
            f'Length="{spacing[k] * (n - 1)}" Unit="{"s" if k == 4 else "m"}" BitInc="0" BytesInc="{inc}"/>'
            for k, (n, inc) in sizes.items()
            if n > 1 or k < 3
        )
        channels = "".join(
            f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="{bits or 8 * step}" '
            f'NameOfMeasuredQuantity="" Min="0" Max="1" Unit="" LUTName="{NAMES[k]}" IsLUTInverted="0" '
            f'BytesInc="{k * plane}" BitInc="0"/>'
            for k in range(c)
        )
        elements.append(
            f'<Element Name="{name}"><Data><Image><ImageDescription><Channels>{channels}</Channels>'
            f"<Dimensions>{dimensions}</Dimensions></ImageDescription></Image></Data>"
            f'<Memory Size="{array.nbytes}" MemoryBlockID="MemBlock_{number}"/></Element>'
        )
        blocks.append((f"MemBlock_{number}", array.tobytes()))
    header = (
        f'<LMSDataContainerHeader Version="2"><Element Name="{path.name}"><Children>'
        f"{''.join(elements)}</Children></Element></LMSDataContainerHeader>"
    )
    text = header.encode("utf-16-le")
    with path.open("wb") as file:
        file.write(struct.pack("<IIBI", 0x70, 5 + len(text), 0x2A, len(header)) + text)
        for name, data in blocks:
            head = struct.pack("<BQBI", 0x2A, len(data), 0x2A, len(name)) + name.encode("utf-16-le")
            file.write(struct.pack("<II", 0x70, len(head)) + head + data)


def write_nd2(
    path: Path,
    positions: Sequence[NDArray[np.integer]],
    *,
    calibrated: bool = True,
    missing: int | None = None,
    colours: bool = False,
    times: int | None = None,
    bits: int | None = None,
) -> None:
    """Write positions of shape (T, Z, C, Y, X), version 2; without the frame `missing`, if given.

    `colours`: the three channels are the components of one. `times`: so many are declared, 1 without a loop.
    `bits`: so many are in use. Default: all.
    """
    t, z, c, y, x = positions[0].shape
    step = positions[0].dtype.itemsize
    attributes = {
        "uiWidth": x, "uiWidthBytes": x * c * step, "uiHeight": y, "uiComp": c, "uiBpcInMemory": 8 * step,
        "uiBpcSignificant": 8 * step if bits is None else bits,
        "uiSequenceCount": len(positions) * t * z, "eCompression": 2,
    }  # fmt: skip
    count = 1 if colours else c
    probe = {"uiCompCount": c // count, "pFluorescentProbe": {"m_uiColor": 1}}
    planes = {f"a{k}": {"sDescription": NAMES[k], **probe} for k in range(count)}
    picture = {
        "bCalibrated": calibrated, "dCalibration": SCALE[1] if calibrated else 0.0,
        "sPicturePlanes": {"uiCount": count, "sPlaneNew": planes},
    }  # fmt: skip
    names = [f"well {k}" for k in range(len(positions))]
    place = {"dPosX": 0.0, "dPosY": 0.0, "dPosZ": 0.0}
    points = {f"i{k:010}": {**place, "dPosName": name} for k, name in enumerate(names)}
    declared = t if times is None else times
    period = {"uiCount": declared, "dStart": 0.0, "dPeriod": 3000.0, "dDuration": 3000.0 * t}
    loops = [
        (1, declared, period),
        (2, len(positions), {"uiCount": len(positions), "bUseZ": False, "Points": points}),
        (4, z, {"uiCount": z, "dZLow": 0.0, "dZHigh": SCALE[2] * (z - 1), "dZStep": SCALE[2]}),
    ]
    experiment: dict[str, object] = {}
    for kind, count, settings in reversed(loops):
        if count > 1:
            inner = {"ppNextLevelEx": {"i0000000000": experiment}} if experiment else {}
            experiment = {"eType": kind, "uLoopPars": settings, **inner}
    chunks = [("ImageAttributes!", _xml(attributes)), ("ImageMetadataSeq|0!", _xml(picture))]
    if experiment:
        chunks.append(("ImageMetadata!", _xml(experiment)))
    seconds = np.arange(len(positions) * t * z, dtype=np.float64)
    chunks.append(("CustomData|AcqTimesCache!", seconds.tobytes()))
    frames = [array[i, k].transpose(1, 2, 0) for i in range(t) for array in positions for k in range(z)]
    for number, frame in enumerate(frames):
        if number != missing:
            chunks.append((f"ImageDataSeq|{number}!", struct.pack("<d", 0.0) + frame.tobytes()))
    with path.open("wb") as file:
        signature = b"ND2 FILE SIGNATURE CHUNK NAME01!"
        file.write(struct.pack("<IIQ32s64s", 0x0ABECEDA, 32, 64, signature, b"Ver2.1"))
        entries = b""
        for name, data in chunks:
            file.write(b"\0" * (-file.tell() % 4096))
            entries += name.encode() + struct.pack("<QQ", file.tell(), len(data))
            # The data of a chunk begin 4096 - 8 bytes after it does; so pixels, after their time, at 4096.
            file.write(struct.pack("<IIQ", 0x0ABECEDA, 4096 - 16 - 8, len(data)))
            file.write(name.encode().ljust(4096 - 16 - 8, b"\0") + data)
        place, end = file.tell(), b"ND2 CHUNK MAP SIGNATURE 0000001!"
        entries += end + struct.pack("<Q", place)
        file.write(struct.pack("<IIQ", 0x0ABECEDA, 32, len(entries)) + b"ND2 FILEMAP SIGNATURE NAME 0001!")
        file.write(entries)


def _xml(values: dict[str, object]) -> bytes:
    """Return values as the XML of version 2."""

    def node(name: str, value: object) -> str:
        if isinstance(value, dict):
            return f"<{name}>{''.join(node(key, one) for key, one in value.items())}</{name}>"
        kind = {bool: "bool", int: "lx_uint32", float: "double", str: "CLxStringW"}[type(value)]
        return f'<{name} runtype="{kind}" value="{value}"/>'

    return node("variant", values).encode()
