"""Formats that are recognised by their first bytes and not read: what they are, and what to do instead."""

from typing import NamedTuple

_EXPORT = "export it as OME-TIFF, with the microscope's program or with Bio-Formats in Fiji"
_SAVE = "save it as TIFF or PNG"
_UNPACK = "unpack it first"


class _Format(NamedTuple):
    name: str
    starts: tuple[bytes, ...]
    advice: str
    endings: tuple[str, ...] = ()
    """Where given, the name must have one of these, as other files begin alike."""


_FORMATS = (
    _Format("an ND2 file of Nikon of the time before 2010", (b"\0\0\0\x0cjP",), _EXPORT, (".nd2",)),
    _Format("an OIB or ZVI file", (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",), _EXPORT),
    _Format("an HDF5 file, such as of Imaris or ilastik", (b"\x89HDF\r\n\x1a\n",), _EXPORT),
    _Format("a JPEG 2000 file", (b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51"), _SAVE),
    _Format("a JPEG XL file", (b"\0\0\0\x0cJXL", b"\xff\x0a"), _SAVE),
    _Format("a GIF file", (b"GIF8",), _SAVE),
    _Format("a BMP file", (b"BM",), _SAVE, (".bmp", ".dib")),
    _Format("a WebP or another RIFF file", (b"RIFF",), _SAVE),
    _Format("an NRRD file", (b"NRRD",), _SAVE),
    _Format("an array of NumPy", (b"\x93NUMPY",), _SAVE),
    _Format("a ZIP archive", (b"PK\3\4",), _UNPACK),
    _Format("a compressed file (gzip)", (b"\x1f\x8b",), _UNPACK),
)


def describe_not_read(name: str, start: bytes) -> str | None:
    """Return what a file is that is not read, and what to do; None if that is not known.

    Parameters
    ----------
    name : str
        Of the file.
    start : bytes
        Its first eight bytes.
    """
    for one in _FORMATS:
        if start.startswith(one.starts) and (not one.endings or name.lower().endswith(one.endings)):
            return f"this is {one.name}, which is not read; {one.advice}"
    return None
