"""What is written: names, batches, folders and mounts of all kinds."""

import errno
import os
from unittest import mock

import imagecodecs
import numpy as np

from tests.cases.bench import Bench, case, noise


@case("two inputs whose results would have one name", "axondeepseg/axondeepseg#69")
def one_name(bench: Bench) -> None:
    bench.tiff("in/a.tif", noise(48, 64))
    (bench.folder / "in" / "a.png").write_bytes(imagecodecs.png_encode(noise(48, 64, seed=1)))
    ended = bench.segment("in")
    names = (
        {path.name for path in (bench.folder / "out").glob("*.tif")}
        if (bench.folder / "out").exists()
        else set()
    )
    both = ended.status == 0 and len(names) == 2
    bench.check(
        both or ("a.png" in ended.err and "a.tif" in ended.err and not names),
        "two results, or an error",
        ended,
    )


@case("the result would replace the input")
def over_input(bench: Bench) -> None:
    path = bench.tiff("out/a.tif", noise(48, 64))
    before = path.read_bytes()
    bench.model()
    ended = bench.run("segment", "out/a.tif", "-o", "out/a.tif", "--model", "m.safetensors")
    bench.check(path.read_bytes() == before, "the input untouched", "another file")
    bench.check(ended.status == 2, "an error", ended)


@case("a bad file in a batch", "3dem/relion#928")
def bad_in_batch(bench: Bench) -> None:
    for name in "abc":
        bench.tiff(f"in/{name}.tif", noise(48, 64))
    path = bench.folder / "in" / "b.tif"
    path.write_bytes(path.read_bytes()[:700])
    ended = bench.segment("in")
    bench.check(ended.status == 1 and "b.tif" in ended.err, "exit status 1 and the name", ended)
    done = [bench.classes(name) is not None for name in "abc"]
    bench.check(done == [True, False, True], "the others done", done)
    listed = bench.folder / "out" / "failures.csv"
    bench.check(listed.exists() and "b.tif" in listed.read_text(), "it is listed", "not")


@case("a file name whose bytes are not UTF-8", "ahupp/python-magic#144, arsenetar/dupeguru#335")
def latin_name(bench: Bench) -> None:
    data = bench.tiff("plain.tif", noise(48, 64)).read_bytes()
    (bench.folder / "in").mkdir()
    for name in (b"10\xb5m.tif", b"zz.tif"):
        with open(os.fsencode(bench.folder / "in") + b"/" + name, "wb") as file:
            file.write(data)
    ended = bench.segment("in")
    bench.check(bench.classes("zz") is not None, "the other file is done", ended)


@case("a mount that refuses fsync", "syncthing/syncthing#5704, untitaker/python-atomicwrites#27")
def no_fsync(bench: Bench) -> None:
    bench.tiff("a.tif", noise(48, 64))
    bench.model()
    for number in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):

        def refuse(handle: int, number: int = number) -> None:
            raise OSError(number, os.strerror(number))

        with mock.patch.object(os, "fsync", refuse):
            ended = bench.segment("a.tif")
        bench.check(bench.classes("a") is not None, f"{os.strerror(number)}: a result", ended.err)
        for path in (bench.folder / "out").glob("*") if (bench.folder / "out").exists() else []:
            path.unlink()


@case("BigTIFF under the endings of the OME-TIFF specification", "ome/bioformats#2565")
def endings(bench: Bench) -> None:
    for name in ("a.tif", "b.btf", "c.ome.btf", "d.tf8", "e.tf2", "f.lsm"):
        bench.tiff(f"in/{name}", noise(48, 64), bigtiff=name[0] not in "af")
    ended = bench.segment("in")
    for name in ("b", "c", "d", "e", "f"):
        ends = ("btf", "ome.btf", "tf8", "tf2", "lsm")
        named = any(f"{name}.{end}" in ended.out + ended.err for end in ends)
        bench.check(bench.classes(name) is not None or named, f"{name}: done or named", ended)


@case("the same command twice does nothing twice", "MouseLand/cellpose#151")
def twice(bench: Bench) -> None:
    bench.tiff("a.tif", noise(48, 64))
    bench.segment("a.tif")
    path = bench.folder / "out" / "a.classes.tif"
    before = (path.stat().st_mtime_ns, path.stat().st_ino)
    ended = bench.segment("a.tif")
    bench.check(
        (path.stat().st_mtime_ns, path.stat().st_ino) == before and ended.status == 0,
        "untouched",
        "written anew",
    )


@case("a result that was changed by hand is not taken for done", "MouseLand/cellpose#151")
def changed_result(bench: Bench) -> None:
    bench.tiff("a.tif", noise(48, 64))
    bench.segment("a.tif")
    path = bench.folder / "out" / "a.classes.tif"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    ended = bench.segment("a.tif")
    made_again = ended.status == 0 and path.read_bytes() == whole
    bench.check(made_again or ended.status == 1, "made again, or an error", ended)


@case("the command and Python give the same", "MouseLand/cellpose#843, MouseLand/cellpose#1026")
def same_as_python(bench: Bench) -> None:
    import unet2015

    bench.tiff("a.tif", noise(100, 90))
    bench.segment("a.tif")
    found = unet2015.segment(bench.folder / "a.tif", bench.folder / "m.safetensors", device="cpu")
    bench.check(np.array_equal(found, bench.classes("a")), "the same class map", "another")


@case("seams between tiles", "prism-oncology/sopa#257, wolny/pytorch-3dunet#34")
def seams(bench: Bench) -> None:
    bench.tiff("a.tif", noise(150, 130))
    bench.segment("a.tif", "--tile", "44")
    tiled = bench.classes("a")
    for path in (bench.folder / "out").iterdir():
        path.unlink()
    bench.segment("a.tif", "--tile", "180")
    bench.check(np.array_equal(tiled, bench.classes("a")), "the same class map for any tile", "another")
