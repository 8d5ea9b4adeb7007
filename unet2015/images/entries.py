"""Entries of a TIFF directory that decide how pixels are decoded: those that cannot be so are refused.

A tag of a type or number that TIFF does not have is passed over by readers, and its default taken:
differences become pixels, numbers with a fraction whole ones. libtiff stops at most of these, too.
Source: TIFF 6.0, sections 2 and 8; https://gitlab.com/libtiff/libtiff (tif_dirread.c)
"""

from collections.abc import Sequence

from unet2015.errors import ImageReadError

Entry = tuple[int, int, int, bytes]
"""Code, type, number of values, and the four or eight bytes of the value or of its place."""

_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL, _SAMPLES = 256, 257, 258, 259, 262, 266, 277
_ROWS, _PLANAR, _PREDICTOR, _TILE_WIDTH, _TILE_LENGTH, _FORMAT = 278, 284, 317, 322, 323, 339
_ONE = {
    _WIDTH: "ImageWidth",
    _LENGTH: "ImageLength",
    _COMPRESSION: "Compression",
    _PHOTOMETRIC: "PhotometricInterpretation",
    _FILL: "FillOrder",
    _SAMPLES: "SamplesPerPixel",
    _ROWS: "RowsPerStrip",
    _PLANAR: "PlanarConfiguration",
    _PREDICTOR: "Predictor",
    _TILE_WIDTH: "TileWidth",
    _TILE_LENGTH: "TileLength",
}
"""Tags with one value."""
_EACH = {_BITS: "BitsPerSample", _FORMAT: "SampleFormat"}
"""Tags with a value for each sample; many programs write one for all."""
_VALUES = {_FILL: (1, 2), _PLANAR: (1, 2), _PREDICTOR: (1, 2, 3, 34892, 34893, 34894, 34895)}
"""Those of which other values have no meaning; tifffile refuses compressions and formats it does not know."""
_WHOLE = {1: 1, 3: 2, 4: 4, 6: 1, 8: 2, 9: 4, 16: 8, 17: 8}
"""Types of whole numbers, and their bytes."""
_COLOURS = {2: "RGB", 6: "YCbCr"}
"""Photometric interpretations with three samples, or more where ExtraSamples says what they are."""


def check_entries(entries: Sequence[Entry], order: str, where: str) -> None:
    """Raise `ImageReadError` if a tag that decides how pixels are decoded has no meaning.

    Parameters
    ----------
    entries : sequence
        Of a directory.
    order : {"<", ">"}
        The file's byte order.
    where : str
        File and page, for messages.
    """
    known = {code: (kind, number, value) for code, kind, number, value in entries if code in _ONE | _EACH}
    for code, (kind, number, _) in known.items():
        name = (_ONE | _EACH)[code]
        if kind not in _WHOLE:
            raise _damaged(where, f"{name} is of type {kind}, not a whole number")
        if code in _ONE and number != 1:
            raise _damaged(where, f"{name} has {number} values, not one")
    one = {code: _first(*entry, order) for code, entry in known.items() if code in _ONE}
    for code, allowed in _VALUES.items():
        if one.get(code, allowed[0]) not in allowed:
            raise _damaged(where, f"{_ONE[code]} is {one[code]}, not one of {', '.join(map(str, allowed))}")
    samples = one.get(_SAMPLES, 1)
    for code, name in _EACH.items():
        number = known[code][1] if code in known else 1
        if number not in (1, samples):
            raise _damaged(where, f"{name} has {number} values, but a pixel {samples} sample(s)")
    colours = _COLOURS.get(one.get(_PHOTOMETRIC, 0))
    if colours and samples < 3:
        raise _damaged(where, f"its pixels are {colours}, but have {samples} sample(s)")


def _first(kind: int, number: int, value: bytes, order: str) -> int:
    signed = kind in (6, 8, 9, 17)
    return int.from_bytes(value[: _WHOLE[kind]], "little" if order == "<" else "big", signed=signed)


def _damaged(where: str, what: str) -> ImageReadError:
    return ImageReadError(f"{where}: {what}: the header is damaged; copy the file again, or save it anew")
