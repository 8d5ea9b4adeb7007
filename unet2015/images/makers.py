"""What makers of microscopes write into private tags and descriptions of otherwise plain TIFFs.

The tags are parsed by tifffile. What they mean: ``tifffile.py`` (LSM, FluoView, SIS, MetaSeries, Aperio);
RosettaSciIO's ``tiff/_api.py`` (FEI, Zeiss SEM, Gatan, TVIPS); OpenSlide (Aperio, NDPI); ``TiffDecoder.java``
of ImageJ (NIH Image).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import tifffile

from unet2015.images.axes import UNCALIBRATED, Calibration, unit_factor
from unet2015.images.declared import as_number
from unet2015.images.resolution import read_resolution

_LSM_BITS = {1: 8, 2: 12}
"""By the type of data that Zeiss LSM notes; others are varying or no whole numbers."""
_SECONDS = {"s": 1.0, "sec": 1.0, "ms": 1e-3}


@dataclass(frozen=True)
class Found:
    """What a maker's tags give: lengths in `unit`, and axes of planes, slowest first, with their lengths.

    `first_only`: the directories after the first are other images. `contiguous`: one directory stands for all
    planes, which lie one after the other. `bits`: how many of a pixel are used.
    """

    x: object = None
    y: object = None
    z: object = None
    interval: object = None
    unit: str | None = "m"
    lead: str = ""
    sizes: tuple[int, ...] = ()
    first_only: bool = False
    contiguous: bool = False
    bits: int | None = None
    notes: tuple[str, ...] = ()

    def calibration(self) -> Calibration:
        """Return the lengths in micrometres and the interval in seconds; UNCALIBRATED if there are none."""
        y, x, z = (self._micrometres(length) for length in (self.y, self.x, self.z))
        interval = None if self.interval is None else as_number(self.interval)
        if x is None and y is None and z is None and interval is None:
            return UNCALIBRATED
        lengths = None if x is None and y is None and z is None else "µm"
        return Calibration(y, x, z, interval, lengths, None if interval is None else "s")

    def _micrometres(self, length: object) -> float | None:
        factor, number = unit_factor(self.unit, "µm"), None if length is None else as_number(length)
        # Metres are stored as decimals that floats do not have: 1e-7 * 1e6 is not 0.1.
        return None if factor is None or number is None else float(f"{number * factor:.12g}")


def _has(*codes: int) -> Callable[[Any], bool]:
    return lambda page: any(code in page.tags for code in codes)


def _is(flag: str) -> Callable[[Any], bool]:
    def there(page: Any) -> bool:
        try:
            return bool(getattr(page, flag))
        except Exception:  # tifffile looks into values that may be of any type
            return False

    return there


def _lsm_bits(info: Mapping[str, Any]) -> int | None:
    """Return the bits of a pixel where all channels have the same."""
    kinds = info.get("ChannelDataTypes")
    found = {int(kind) for kind in (info.get("DataType"),) if kind} if kinds is None else {*map(int, kinds)}
    return _LSM_BITS.get(found.pop()) if len(found) == 1 else None


def _lsm(page: Any) -> Found:
    info = page.tags[34412].value
    axes = tifffile.TIFF.CZ_LSMINFO_SCANTYPE.get(info["ScanType"], "")
    lead, sizes = "", ()  # type: tuple[str, tuple[int, ...]]
    notes: tuple[str, ...] = ()
    if axes.endswith("YX"):
        # Channels are the samples of a pixel. Mosaic parts and positions come before all other axes.
        lead = axes[:-2].replace("C", "")
        sizes = tuple(max(1, int(info[tifffile.TIFF.CZ_LSMINFO_DIMENSIONS[letter]])) for letter in lead)
        others = max(1, info.get("DimensionM", 1)) * max(1, info.get("DimensionP", 1))
        if others > 1:
            lead, sizes = "I" + lead, (others, *sizes)
    else:
        notes = (f"Zeiss LSM: a scan of type {info['ScanType']} is not of XY planes: its axes are left out",)
    interval = info.get("TimeIntervall")
    stamps = info.get("TimeStamps")
    if not interval and stamps is not None and len(stamps) > 1:
        interval = float(stamps[-1] - stamps[0]) / (len(stamps) - 1)
    bits = _lsm_bits(info)
    if not axes.endswith("YX"):
        return Found(interval=interval, bits=bits, notes=notes)
    x, y, z = (info.get(f"VoxelSize{letter}") for letter in "XYZ")
    z, interval = (z if "Z" in lead else None), (interval if "T" in lead else None)
    return Found(x, y, z, interval, "m", lead, sizes, bits=bits)


def _fei(page: Any) -> Found:
    info: dict[str, Any] = {}
    for code in (34680, 34682):
        info |= page.tags.valueof(code) or {}
    scan = info.get("Scan", {})
    if "PixelWidth" in scan:
        return Found(scan["PixelWidth"], scan.get("PixelHeight"))
    beam, size = info["IRBeam"], info["Image"]
    return Found(beam["HFW"] / size["ResolutionX"], beam["VFW"] / size["ResolutionY"])


def _zeiss_sem(page: Any) -> Found:
    info = page.tags[34118].value
    named = info.get("ap_image_pixel_size", ())
    if len(named) == 3:
        return Found(named[1], named[1], unit=named[2])
    # Metres on a screen of 1024 pixels, as is "ap_pixel_size".
    size = info[""][3] * 1024 / page.imagewidth
    return Found(size, size)


def _sis(page: Any) -> Found:
    info: dict[str, Any] = {}
    for code in (33471, 33560):
        value = page.tags.valueof(code)
        info |= value if isinstance(value, dict) else {}
    lead = "".join(_letter(axis) for axis in info.get("axes", ""))
    return Found(info.get("pixelsizex"), info.get("pixelsizey"), lead=lead, sizes=info.get("shape", ()))


def _fluoview(page: Any) -> Found:
    info = page.tags[34361].value
    lead, sizes = "", ()  # type: tuple[str, tuple[int, ...]]
    lengths: dict[str, float | None] = {}
    for dimension, size, _, resolution, unit in info["Dimensions"][::-1]:
        if size < 1 or not dimension:
            continue
        letter = tifffile.TIFF.MM_DIMENSIONS.get(dimension.upper(), "?")
        factor = _SECONDS.get(unit) if letter == "T" else unit_factor(unit, "µm")
        lengths[letter] = None if factor is None else resolution * factor
        if letter not in ("X", "Y"):
            lead, sizes = lead + _letter(letter), (*sizes, int(size))
    x, y, z = (lengths.get(letter) for letter in "XYZ")
    return Found(x, y, z, lengths.get("T"), "µm", lead, sizes)


def _letter(axis: str) -> str:
    """Return a letter of an axis of planes, "?" where the axis has none."""
    return axis if axis in ("T", "Z", "C") else "?"


def _metaseries(page: Any) -> Found:
    info = tifffile.tifffile.metaseries_description_metadata(page.description)["PlaneInfo"]
    if not info.get("spatial-calibration-state", True):
        return Found()
    x, y = info["spatial-calibration-x"], info["spatial-calibration-y"]
    return Found(x, y, unit=info.get("spatial-calibration-units", "um"))


def _aperio(page: Any) -> Found:
    size = tifffile.tifffile.svs_description_metadata(page.description).get("MPP")
    return Found(size, size, unit="µm", first_only=True)


def _ndpi(page: Any) -> Found:
    tags = {code: page.tags.valueof(code) for code in (282, 283, 296)}
    found = read_resolution(tags)
    return Found(found.x, found.y, unit=found.unit, first_only=True)


def _nih(page: Any) -> Found:
    info = page.tags[43314].value
    scale, version = info["XScale"], info["Version"]
    units = info["UnitsID"] + (5 if version <= 153 else 0)
    unit = {5: "nm", 6: "µm", 7: "mm", 8: "cm", 9: "m", 11: "in"}.get(units)
    size = 1 / scale if version > 106 and scale else None
    ratio = (info["PixelAspectRatio"] if version > 140 else 0) or 1
    slices = int(info["nSlices"])
    lead, sizes = ("?", (slices,)) if slices > 1 else ("", ())
    return Found(size, size and size / ratio, unit=unit, lead=lead, sizes=sizes, contiguous=True)


def _gatan(page: Any) -> Found:
    values = [page.tags.valueof(code, "") for code in (65003, 65004)]
    texts = [value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in values]
    units = {text.strip("\0 ") for text in texts}
    unit = units.pop() if len(units) == 1 else None
    return Found(page.tags.valueof(65009), page.tags.valueof(65010), unit=unit)


def _tvips(page: Any) -> Found:
    info = page.tags[37706].value
    return Found(info.get("PixelSizeX"), info.get("PixelSizeY"), unit="nm")


def _micromanager(page: Any) -> Found:
    size = page.tags[51123].value.get("PixelSizeUm")
    return Found(size, size, unit="µm")


MAKERS: tuple[tuple[str, Callable[[Any], bool], Callable[[Any], Found]], ...] = (
    ("Zeiss LSM", _has(34412), _lsm),
    ("FEI", _has(34680, 34682), _fei),
    ("Zeiss SEM", _has(34118), _zeiss_sem),
    ("Olympus SIS", _has(33560, 33471), _sis),
    ("Olympus FluoView", _has(34361), _fluoview),
    ("MetaMorph (MetaSeries)", _is("is_metaseries"), _metaseries),
    ("Aperio SVS", _is("is_svs"), _aperio),
    ("Hamamatsu NDPI", _is("is_ndpi"), _ndpi),
    ("NIH Image", _has(43314), _nih),
    ("Gatan", _has(65009), _gatan),
    ("TVIPS", _has(37706), _tvips),
    ("Micro-Manager", _has(51123), _micromanager),
)
"""Name, how it is recognised, and what reads it."""

UNREAD: tuple[tuple[str, Callable[[Any], bool]], ...] = (
    ("FEI Titan or Phenom", _has(34683)),
    ("Andor", _has(4864)),
    ("MetaMorph", _has(33628, 33629, 33630, 33631)),
    ("Molecular Dynamics GEL", _has(33445, 33446)),
    ("IPLab", _has(34122)),
    ("Agilent", _has(37701)),
    ("Media Cybernetics", _has(50288)),
    ("Nikon NIS-Elements", _has(65330, 65331, 65332)),
    ("Philips", _is("is_philips")),
    ("EER", _is("is_eer")),
    ("ScanImage", _is("is_scanimage")),
    ("Leica SCN", _is("is_scn")),
    ("Ventana BIF", _is("is_bif")),
    ("PerkinElmer QPI", _is("is_qpi")),
    ("Indica Labs", _is("is_indica")),
    ("Argos AVS", _is("is_avs")),
    ("ISS Vista", _is("is_vista")),
    ("Nuvu", _is("is_nuvu")),
    ("Pilatus", _is("is_pilatus")),
    ("Hamamatsu streak", _is("is_streak")),
    ("GeoTIFF", _is("is_geotiff")),
)
"""Name of what is recognised and not read, and how it is recognised."""
