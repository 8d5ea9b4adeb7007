"""What the stored samples mean: bits, white, alpha, palettes, strips, chunks."""

import io
import json
from typing import Any

import imagecodecs
import numpy as np
import tifffile
import zarr
from PIL import Image as Picture

from tests.cases.bench import Bench, case, noise
from tests.fuzz.seeds import ome_zarr, sparse, tiff


def as_read(bench: Bench, name: str, expected: np.ndarray, words: tuple[str, ...]) -> None:
    """Check that the pixels of a file of one channel are as expected, or that a word is said about it."""
    found, right = bench.facts(name), False
    if not found["refused"]:
        pixels = bench.pixels(name)
        right = pixels.size == expected.size and np.array_equal(pixels.reshape(expected.shape), expected)
    bench.refused_or(right, words, "the values that other readers give", found)


@case("where 0 is white", "InsightSoftwareConsortium/ITK#6636, tlnagy/TiffImages.jl#134")
def white(bench: Bench) -> None:
    for kind, most in ((np.uint8, 255), (np.uint16, 65535)):
        image = noise(48, 64, dtype=kind)
        bench.tiff("a.tif", most - image, photometric="miniswhite")
        as_read(bench, "a.tif", image, ("white",))


@case("samples of 4, 12 and 1 bits", "darktable-org/darktable#18815")
def few_bits(bench: Bench) -> None:
    four, twelve = noise(48, 64) >> 4, noise(48, 63, dtype=np.uint16) >> 4
    bench.tiff("4.tif", four, bitspersample=4)
    bench.tiff("12.tif", twelve, bitspersample=12)
    bench.tiff("1.tif", four > 7)
    # The same picture in 8 or 16 bits is another scale, so the scale may be that of the bits or a full one.
    for name, values, most in (
        ("4.tif", four, 15),
        ("12.tif", twelve, 4095),
        ("1.tif", (four > 7).astype(int), 1),
    ):
        found = bench.facts(name)
        right = False
        if not found["refused"]:
            pixels = bench.pixels(name)[0, 0].astype(float)
            right = np.array_equal(pixels, values) or np.allclose(
                pixels / pixels.max(), values / most, atol=1e-6
            )
        bench.refused_or(right, ("bit",), f"{name}: the stored values", found)


@case("12 bits in each of three samples", "geotiffjs/geotiff.js#202")
def three_of_12_bits(bench: Bench) -> None:
    colour = noise(47, 33, 3, dtype=np.uint16) >> 4
    bench.tiff("a.tif", colour, bitspersample=12, photometric="rgb")
    found, right = bench.facts("a.tif"), False
    if not found["refused"]:
        right = np.array_equal(np.moveaxis(bench.pixels("a.tif")[0], 0, -1), colour)
    bench.refused_or(right, ("bit",), "the stored values", found)


@case("opaque alpha is no channel", "image-rs/image-tiff#183, MouseLand/cellpose#50")
def opaque_alpha(bench: Bench) -> None:
    image = noise(48, 64)
    both = np.stack([image, np.full_like(image, 255)], -1)
    (bench.folder / "a.png").write_bytes(imagecodecs.png_encode(both))
    bench.tiff("b.tif", both, planarconfig="contig", extrasamples=["unassalpha"])
    for name in ("a.png", "b.tif"):
        as_read(bench, name, image, ("alpha",))


@case("transparent pixels have no intensity", "MouseLand/cellpose#50")
def transparent(bench: Bench) -> None:
    image = noise(48, 64)
    both = np.stack([image, np.where(image > 9, 255, 0).astype(np.uint8)], -1)
    (bench.folder / "a.png").write_bytes(imagecodecs.png_encode(both))
    bench.tiff("b.tif", both, planarconfig="contig", extrasamples=["unassalpha"])
    for name in ("a.png", "b.tif"):
        ended = bench.segment(name)
        bench.check(
            ended.status == 1 and "alpha" in ended.err, f"{name}: an error that names alpha", ended.err
        )


@case(
    "labels with a colour table: the indices are the labels",
    "qupath/qupath#993, facebookresearch/detectron2#1760",
)
def palette(bench: Bench) -> None:
    labels = np.kron(np.arange(1, 13, dtype=np.uint8).reshape(3, 4), np.ones((20, 20), np.uint8))
    coloured = Picture.fromarray(labels, mode="P")
    coloured.putpalette(np.random.default_rng(1).integers(0, 255, 768, dtype=np.uint8).tobytes())
    bench.tiff("i.tif", noise(*labels.shape))
    for name in ("l.tif", "l.png"):
        coloured.save(bench.folder / name)
        ended = bench.run("check", "--images", "i.tif", "--labels", name, "--label-kind", "instances")
        said = ended.out + ended.err
        helpful = "palette" in said and "ind" in said and "gray values" not in said
        bench.check(ended.status == 0 or helpful, f"{name}: the indices, or how to keep them", said)


@case("a colour table gives colours, and a model of one channel says so", "MouseLand/cellpose#446")
def palette_image(bench: Bench) -> None:
    image = noise(48, 64)
    colours = np.random.default_rng(1).integers(0, 65535, (3, 256), dtype=np.uint16)
    bench.tiff("a.tif", image, photometric="palette", colormap=colours)
    ended = bench.segment("a.tif")
    bench.check(ended.status == 1 and "channel" in ended.err, "an error that names the channels", ended.err)


@case("a gray colour table is intensity, or an error")
def gray_palette(bench: Bench) -> None:
    image = noise(48, 64)
    gray = np.repeat((np.arange(256) * 257).astype(np.uint16)[None], 3, 0)
    bench.tiff("a.tif", image, photometric="palette", colormap=gray)
    as_read(bench, "a.tif", image, ("palette",))


@case("unsigned values above 2**31", "jkriege2/TinyTIFF#18")
def large_values(bench: Bench) -> None:
    image = noise(48, 64, dtype=np.uint32)
    bench.tiff("a.tif", image)
    as_read(bench, "a.tif", image, ("32 bit",))


@case("signed values below 0", "cgohlke/tifffile#29")
def signed(bench: Bench) -> None:
    image = (noise(48, 64, dtype=np.uint16).astype(int) - 30_000).astype(np.int16)
    bench.tiff("a.tif", image)
    as_read(bench, "a.tif", image, ("signed",))


@case("pages stored in different ways", "DylanMuir/TIFFStack#18")
def mixed_storage(bench: Bench) -> None:
    stack = noise(3, 50, 64, dtype=np.uint16)
    options: list[dict[str, Any]] = [{"rowsperstrip": 7}, {"compression": "zlib"}, {"tile": (16, 32)}]
    with tifffile.TiffWriter(bench.folder / "a.tif") as writer:
        for page, more in zip(stack, options, strict=True):
            writer.write(page, metadata=None, photometric="minisblack", **more)
    as_read(bench, "a.tif", stack, ("one size and type",))


@case("strips whose rows do not divide the height", "jkriege2/TinyTIFF#8")
def last_strip(bench: Bench) -> None:
    image = noise(101, 77, dtype=np.uint16)
    for more in ({}, {"compression": "lzw", "predictor": True}, {"byteorder": ">"}):
        bench.tiff("a.tif", image, rowsperstrip=13, **more)
        as_read(bench, "a.tif", image, ())


@case("pages of different sizes", "DylanMuir/TIFFStack#18")
def mixed_sizes(bench: Bench) -> None:
    with tifffile.TiffWriter(bench.folder / "a.tif") as writer:
        for side in (40, 60):
            writer.write(noise(side, side), metadata=None, photometric="minisblack")
    bench.refused_or(False, ("40 x 40", "size"), "an error that names the sizes", bench.facts("a.tif"))


@case("a stack cut short", "3dem/relion#928")
def cut_short(bench: Bench) -> None:
    path = bench.tiff("a.tif", noise(5, 48, 64))
    path.write_bytes(path.read_bytes()[:9000])
    ended = bench.segment("a.tif")
    bench.check(ended.status == 1 and "a.tif" in ended.err, "an error that names the file", ended.err)
    bench.check(bench.classes("a") is None, "no result", "one")


@case("tiles that were never written")
def absent_tiles(bench: Bench) -> None:
    image = np.kron(noise(2, 3), np.ones((32, 32), np.uint8))
    (bench.folder / "a.tif").write_bytes(
        sparse(tiff(image, tile=(32, 32), photometric="minisblack", metadata=None))
    )
    found = bench.facts("a.tif")
    expected = image.copy()
    expected[:32, 32:64] = 0
    right = not found["refused"] and np.array_equal(bench.pixels("a.tif")[0, 0], expected) and found["notes"]
    bench.refused_or(right, ("tile",), "zeros there, with a note", found)


@case("NaN in an image of floats")
def not_a_number(bench: Bench) -> None:
    image = np.random.default_rng(0).random((48, 64), dtype=np.float32)
    image[5, 6] = np.nan
    bench.tiff("a.tif", image)
    ended = bench.segment("a.tif")
    bench.check(ended.status == 1 and "a.tif" in ended.err and "NaN" in ended.err, "an error: NaN", ended.err)


@case("double precision beyond single precision")
def beyond_single(bench: Bench) -> None:
    image = np.random.default_rng(0).random((48, 64))
    image[5, 6] = 1e300
    bench.tiff("a.tif", image)
    ended = bench.segment("a.tif")
    bench.check(ended.status == 1 and "a.tif" in ended.err and "Errno" not in ended.err, "an error", ended)


# OME-Zarr.


@case("an unknown time interval is written as a scale of 0", "glencoesoftware/bioformats2raw#280")
def scale_of_zero(bench: Bench) -> None:
    pixels = noise(1, 1, 1, 96, 112)
    group = zarr.open_group(bench.folder / "a.zarr", mode="w", zarr_format=2)
    keys = {"name": "v2", "separator": "/"}
    group.create_array("0", data=pixels, chunks=(1, 1, 1, 64, 64), chunk_key_encoding=keys)
    axes = [
        {"name": name, "type": kind}
        for name, kind in zip("tczyx", ("time", "channel", *["space"] * 3), strict=True)
    ]
    scale = [{"type": "scale", "scale": [0.0, 1.0, 1.0, 0.3, 0.3]}]
    group.attrs["multiscales"] = [
        {"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    ]
    for more in ((), ("--axes", "TCZYX")):
        found = bench.facts("a.zarr", *more)
        bench.check(found["refused"] is None, "read, with no interval", found["refused"])


@case("axes of OME-Zarr in an order that the specification forbids", "glencoesoftware/bioformats2raw#276")
def odd_order(bench: Bench) -> None:
    stack = noise(2, 3, 48, 64)
    group = zarr.open_group(bench.folder / "a.zarr", mode="w", zarr_format=2)
    group.create_array(
        "0", data=stack, chunks=(1, 1, 48, 64), chunk_key_encoding={"name": "v2", "separator": "/"}
    )
    kinds = {"c": "channel", "t": "time", "y": "space", "x": "space"}
    group.attrs["multiscales"] = [
        {"version": "0.4", "axes": [{"name": n, "type": k} for n, k in kinds.items()],
         "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0] * 4}]}]}
    ]  # fmt: skip
    found, right = bench.facts("a.zarr"), False
    if not found["refused"]:
        right = np.array_equal(bench.pixels("a.zarr"), stack.swapaxes(0, 1))
    bench.refused_or(right, ("axes",), "two channels at three times", found)


@case("a chunk of OME-Zarr that is not there", "zarr-developers/zarr-python#486, pydata/xarray#5197")
def absent_chunk(bench: Bench) -> None:
    ome_zarr(bench.folder / "a.zarr", zarr_format=3)
    (bench.folder / "a.zarr" / "0" / "c" / "1" / "0" / "0").unlink()
    found = bench.facts("a.zarr")
    bench.refused_or(False, ("1 of 16 chunks",), "a note that counts", found)


@case("a chunk of no bytes", "saalfeldlab/n5-zarr#92")
def empty_chunk(bench: Bench) -> None:
    for form in (2, 3):
        ome_zarr(bench.folder / f"{form}.zarr", zarr_format=form)
        chunk = bench.folder / f"{form}.zarr" / "0" / ("1/0/0" if form == 2 else "c/1/0/0")
        chunk.write_bytes(b"")
        ended = bench.segment(f"{form}.zarr")
        bench.check(
            ended.status == 1 and f"{form}.zarr" in ended.err, "an error that names the image", ended.err
        )


@case("a shard whose checksum is wrong", "acquire-project/acquire-zarr#158")
def bad_shard(bench: Bench) -> None:
    ome_zarr(bench.folder / "a.zarr", zarr_format=3, shards=(1, 24, 20))
    shard = bench.folder / "a.zarr" / "0" / "c" / "1" / "0" / "0"
    data = bytearray(shard.read_bytes())
    data[-1] ^= 255
    shard.write_bytes(bytes(data))
    ended = bench.segment("a.zarr")
    bench.check(ended.status == 1 and "a.zarr" in ended.err, "an error that names the image", ended.err)
    bench.check(not (bench.folder / "out" / "a.classes.zarr").exists(), "no result", "one")


@case("a level of OME-Zarr that its metadata name is not there")
def absent_level(bench: Bench) -> None:
    ome_zarr(bench.folder / "a.zarr", zarr_format=3)
    path = bench.folder / "a.zarr" / "zarr.json"
    said = json.loads(path.read_text())
    said["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = "9"
    path.write_text(json.dumps(said))
    bench.refused_or(False, ("9",), "an error that names the level", bench.facts("a.zarr"))


@case("PNG of 16 bits in colour keeps its lower half")
def deep_colour(bench: Bench) -> None:
    colour = noise(48, 64, 3, dtype=np.uint16)
    (bench.folder / "a.png").write_bytes(imagecodecs.png_encode(colour))
    bench.check(np.array_equal(np.moveaxis(bench.pixels("a.png")[0], 0, -1), colour), "all bits", "others")


@case("PNG of one bit")
def png_bits(bench: Bench) -> None:
    file = io.BytesIO()
    Picture.fromarray(noise(48, 64) > 100).save(file, "png")
    (bench.folder / "a.png").write_bytes(file.getvalue())
    bench.refused_or(False, ("bit",), "an error about the bits", bench.facts("a.png"))
