"""What the header of an image says: axes, calibration, which planes there are."""

import numpy as np
import tifffile

from tests.cases.bench import Bench, case, noise, ome
from tests.fuzz.seeds import lsm


@case("ImageJ's unit is um, the tag's is centimetre", "ome/bioformats#3676")
def imagej_centimetre(bench: Bench) -> None:
    header = "ImageJ=1.51d\nimages=3\nslices=3\nhyperstack=true\nspacing=5.0\nunit=um\n"
    options = {"description": header, "resolution": (15313.94, 15313.94), "resolutionunit": "CENTIMETER"}
    bench.tiff("a.tif", noise(3, 64, 80), **options)
    found = bench.facts("a.tif")["calibration"]
    size = found["pixel_size_x"] or 0
    bench.check(abs(size - 0.653) < 1e-3, "a pixel of 0.653 um", f"{size} {found['unit']}")


@case("a negative spacing, of a stack from top to bottom", "czbiohub-sf/iohub#263")
def negative_spacing(bench: Bench) -> None:
    header = "ImageJ=1.53t\nimages=3\nslices=3\nspacing=-1.5\nunit=micron\nloop=false\n"
    bench.tiff("a.tif", noise(3, 64, 80), description=header, resolution=(2, 2), resolutionunit="NONE")
    found = bench.facts("a.tif")["calibration"]["z_spacing"]
    bench.check(found in (1.5, -1.5), "a z spacing of 1.5", found)


@case("the metadata lie in a companion file", "cgohlke/tifffile#123")
def companion(bench: Bench) -> None:
    pointer = ome().replace("Image ID", "BinaryOnly ID")
    pointer = (
        pointer[: pointer.index("<BinaryOnly")]
        + '<BinaryOnly MetadataFile="s.companion.ome" UUID="urn:uuid:2"/></OME>'
    )
    bench.tiff("s.ome.tif", noise(6, 48, 64), description=pointer.replace("<OME", '<OME UUID="urn:uuid:1"'))
    block = '<TiffData IFD="0" PlaneCount="6"><UUID FileName="s.ome.tif">urn:uuid:1</UUID></TiffData>'
    whole = ome(block, SizeZ=3, SizeT=2, PhysicalSizeX=0.1, PhysicalSizeY=0.1, head=' UUID="urn:uuid:2"')
    (bench.folder / "s.companion.ome").write_text(whole)
    found = bench.facts("s.ome.tif")
    right = found.get("axes") == "TZYX" and found["calibration"]["pixel_size_x"] == 0.1
    bench.refused_or(right, ("companion",), "TZYX and 0.1 um", found)


@case("an OME-TIFF of several files, of which one is given", "cgohlke/tifffile#72")
def one_of_several(bench: Bench) -> None:
    blocks = "".join(
        f'<TiffData FirstZ="{z}" IFD="0" PlaneCount="1"><UUID FileName="{n}.ome.tif">urn:uuid:{z}</UUID>'
        "</TiffData>"
        for z, n in enumerate("ab")
    )
    for z, name in enumerate("ab"):
        xml = ome(blocks, SizeZ=2, head=f' UUID="urn:uuid:{z}"')
        bench.tiff(f"{name}.ome.tif", noise(48, 64, seed=z), description=xml)
    found = bench.facts("a.ome.tif")
    bench.refused_or(found.get("shape") == [2, 48, 64], ("several files",), "both planes", found)


@case("OME-XML in ISO-8859-1", "imaging-formats/ome-types#98")
def latin_ome(bench: Bench) -> None:
    plane = {
        "PhysicalSizeX": 0.1,
        "PhysicalSizeXUnit": "\u00b5m",
        "PhysicalSizeY": 0.1,
        "PhysicalSizeYUnit": "\u00b5m",
    }
    xml = ome(SizeZ=3, PhysicalSizeZ=500, PhysicalSizeZUnit="nm", **plane)
    for encoding in ("ISO-8859-1", "utf-16"):
        declared = xml.replace("UTF-8", encoding)
        data = declared.encode("latin-1" if encoding != "utf-16" else "utf-8")
        bench.tiff(f"{encoding}.ome.tif", noise(3, 48, 64), description=data)
        found = bench.facts(f"{encoding}.ome.tif")
        bench.check(found["refused"] is None, f"{encoding} is read", found["refused"])
        sizes = found.get("calibration") or {}
        right = sizes.get("unit") == "\u00b5m" and sizes.get("z_spacing") == 0.5
        bench.check(right, f"{encoding}: \u00b5m, and 0.5 as z spacing", sizes)


@case("Zeiss LSM: thumbnails among the pages, sizes in a private tag", "cgohlke/tifffile#269")
def zeiss(bench: Bench) -> None:
    (bench.folder / "a.lsm").write_bytes(lsm())
    found = bench.facts("a.lsm")
    right = found.get("axes") == "TZYX" and abs((found["calibration"]["pixel_size_x"] or 0) - 0.1) < 1e-9
    bench.refused_or(right, ("LSM",), "TZYX and 0.1 um", found)


@case(
    "FEI SEM: the pixel size in a private tag, a screen's in the public one",
    "AllenCellModeling/aicsimageio#558",
)
def fei(bench: Bench) -> None:
    text = "[User]\r\nDate=01/01/2020\r\n[Scan]\r\nPixelWidth=4e-09\r\nPixelHeight=4e-09\r\n"
    tag = [(34682, 2, 0, text, True)]
    bench.tiff("a.tif", noise(48, 64), resolution=(96, 96), resolutionunit="INCH", extratags=tag)
    found = bench.facts("a.tif")
    sizes = found["calibration"]
    right = (sizes["pixel_size_x"], sizes["unit"]) in ((4.0, "nm"), (0.004, "\u00b5m"), (None, None))
    bench.refused_or(right, ("FEI",), "4 nm or nothing", found)


@case("Olympus: 72 pixels per inch are a screen's, not the camera's", "ome/bioformats#3535")
def screen(bench: Bench) -> None:
    bench.tiff("a.tif", noise(48, 64), resolution=(72, 72), resolutionunit="INCH")
    found = bench.facts("a.tif")["calibration"]
    bench.check(found["pixel_size_x"] is None, "no pixel size", found)


@case("an OME-TIFF without UUID was renamed", "micro-manager/micro-manager#910")
def renamed(bench: Bench) -> None:
    blocks = "".join(
        f'<TiffData FirstZ="{z}" IFD="{z}" PlaneCount="1"><UUID FileName="run_MMStack.ome.tif">'
        "urn:uuid:d</UUID></TiffData>"
        for z in range(3)
    )
    stack = noise(3, 48, 64)
    for name in ("run_MMStack.ome.tif", "control.ome.tif"):
        bench.tiff(name, stack, description=ome(blocks, SizeZ=3))
        found = bench.facts(name)
        bench.check(found.get("axes") == "ZYX", f"{name}: axes ZYX", found["refused"] or found["axes"])


@case("DimensionOrder of four letters and no SizeT", "ilastik/ilastik#1310")
def four_letters(bench: Bench) -> None:
    blocks = "".join(f'<TiffData FirstC="0" FirstZ="{z}" IFD="{z}" PlaneCount="1"/>' for z in range(4))
    xml = ome(blocks, order="XYCZ", SizeZ=4).replace(' SizeT="1"', "")
    bench.tiff("a.ome.tif", noise(4, 48, 64), description=xml)
    found = bench.facts("a.ome.tif")
    bench.refused_or(found.get("axes") == "ZYX", ("OME-XML",), "axes ZYX", found)


@case("channels and z planes in the order that OME-XML names", "CellProfiler/python-bioformats#117")
def plane_order(bench: Bench) -> None:
    stack = noise(6, 48, 64)
    bench.tiff("a.ome.tif", stack, description=ome(order="XYCZT", SizeC=2, SizeZ=3))
    found, pixels = bench.facts("a.ome.tif"), bench.pixels("a.ome.tif")
    bench.check(found.get("axes") == "ZCYX", "axes ZCYX", found)
    bench.check(np.array_equal(pixels, stack.reshape(3, 2, 48, 64)), "the planes in this order", "others")


@case("planes that OME-XML declares and no file holds", "czbiohub-sf/iohub#82")
def absent_planes(bench: Bench) -> None:
    bench.tiff("a.ome.tif", noise(2, 48, 64), description=ome(SizeZ=3))
    found = bench.facts("a.ome.tif")
    bench.refused_or(False, ("2 of them", "planes"), "an error that counts the planes", found)


@case("several images in an OME-TIFF: the first is not taken for all", "filippocastelli/pyometiff#7")
def several_images(bench: Bench) -> None:
    one = ome('<TiffData IFD="0"/>')
    image = one[one.index("<Image") : one.index("</OME>")]
    xml = one.replace("</OME>", image.replace("Image:0", "Image:1").replace('IFD="0"', 'IFD="1"') + "</OME>")
    bench.tiff("a.ome.tif", noise(2, 48, 64), description=xml)
    found = bench.facts("a.ome.tif")
    bench.refused_or(False, ("2", "images"), "an error that counts the images", found)


@case("pages appended one by one to a described TIFF", "cgohlke/tifffile#180, cgohlke/tifffile#30")
def appended(bench: Bench) -> None:
    stack = noise(3, 48, 64)
    for page in stack:
        tifffile.imwrite(bench.folder / "a.tif", page, append=True, photometric="minisblack")
    found = bench.facts("a.tif")
    bench.refused_or(found.get("pages") == 3, ("3", "pages"), "three pages", found)


@case("a large ImageJ stack with one directory, of channels", "ome/bioformats#2957, scifio/scifio#317")
def one_directory(bench: Bench) -> None:
    stack = noise(4, 48, 64, dtype=np.uint16)
    tifffile.imwrite(bench.folder / "a.tif", stack, imagej=True, truncate=True, metadata={"axes": "CYX"})
    found = bench.facts("a.tif")
    bench.check(found.get("shape") == [4, 48, 64], "four channels", found.get("shape") or found["refused"])
    if not found["refused"]:
        bench.check(np.array_equal(bench.pixels("a.tif")[0], stack), "their pixels", "others")


@case("a stack that napari saved: its axis is not taken for time", "ome/bioformats#3920")
def napari_stack(bench: Bench) -> None:
    bench.tiff("a.tif", noise(5, 48, 64), metadata={"axes": "ZYX"})
    found = bench.facts("a.tif")
    bench.check(found.get("axes") in ("ZYX", "IYX"), "ZYX", found.get("axes"))


@case("nanometres stay nanometres", "ome/bioformats#3127, scifio/scifio#325")
def nanometres(bench: Bench) -> None:
    units = {"PhysicalSizeX": 100, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 100, "PhysicalSizeYUnit": "nm"}
    bench.tiff("a.ome.tif", noise(48, 64), ome=True, metadata={"axes": "YX", **units})
    ended = bench.segment("a.ome.tif")
    bench.check(ended.status == 0, "a result", ended.err)
    found = [bench.facts(name)["calibration"] for name in ("a.ome.tif", "out/a.classes.ome.tif")]
    for sizes in found:
        size = (sizes["pixel_size_x"] or 0) * {"nm": 1, "\u00b5m": 1000}.get(sizes["unit"], 0)
        bench.check(abs(size - 100) < 1e-6, "100 nm", sizes)


@case("picometres are a unit, too", "IMBalENce/EM-tool#1")
def picometres(bench: Bench) -> None:
    xml = ome(PhysicalSizeX=488, PhysicalSizeXUnit="pm", PhysicalSizeY=488, PhysicalSizeYUnit="pm")
    bench.tiff("a.ome.tif", noise(48, 64), description=xml)
    found = bench.facts("a.ome.tif")["calibration"]
    bench.check(found["pixel_size_x"] == 488 and found["unit"] == "pm", "488 pm", found)


@case("lengths of one image in different units", "ome/openmicroscopy#4202")
def mixed_units(bench: Bench) -> None:
    xml = ome(SizeZ=2, PhysicalSizeX=66, PhysicalSizeXUnit="nm", PhysicalSizeY=66, PhysicalSizeYUnit="nm",
              PhysicalSizeZ=0.2)  # fmt: skip
    bench.tiff("a.ome.tif", noise(2, 48, 64), description=xml)
    found = bench.facts("a.ome.tif")["calibration"]
    scale = {"nm": 1.0, "\u00b5m": 1000.0}.get(found["unit"], 0)
    right = abs(found["pixel_size_x"] * scale - 66) < 1e-6 and abs(found["z_spacing"] * scale - 200) < 1e-6
    bench.check(right, "66 nm and 200 nm", found)
