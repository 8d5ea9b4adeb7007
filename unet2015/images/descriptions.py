"""The ImageDescription of a TIFF as text, in whatever encoding it was written."""

import codecs
import re
from typing import Any

_DESCRIPTION = 270

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"", "utf-8"),
)


def read_descriptions(page: Any) -> list[str]:
    """Return every ImageDescription of a directory, while its file is open.

    They are read again from the file, because tifffile knows UTF-8 and Windows-1252 alone, and takes only
    a description of type ASCII as text.
    """
    handle, found = page.parent.filehandle, []
    for tag in page.tags.getall(_DESCRIPTION, default=[]):
        if isinstance(tag.value, str | bytes):
            handle.seek(tag.valueoffset)
            found.append(decode_description(handle.read(tag.valuebytecount)))
    return found


def decode_description(data: bytes) -> str:
    """Return text up to its first NUL, without white space around it.

    A byte order mark says what the encoding is. Text that is valid as UTF-8 is UTF-8, whatever it declares:
    programs that build a text in UTF-16 declare that, but store something else. Otherwise it is what an
    XML declaration says, or Windows-1252.
    """
    if data[:2] in (b"<\0", b"\0<"):  # UTF-16 without a mark
        data = (codecs.BOM_UTF16_LE if data[0] else codecs.BOM_UTF16_BE) + data
    mark, first = next((mark, encoding) for mark, encoding in _MARKS if data.startswith(mark))
    data = data[len(mark) :]
    if first == "utf-8":
        data = data.partition(b"\0")[0]
    elif len(data) % 2:  # a NUL of one byte ends the tag
        data = data[:-1]
    declared = re.match(rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]+)", data)
    said = declared[1].decode() if declared else "cp1252"
    for encoding in (first, "cp1252" if said.lower().startswith(("utf", "ucs")) else said, "cp1252"):
        try:
            return data.decode(encoding).partition("\0")[0].strip()
        except (LookupError, ValueError):
            continue
    return data.decode("latin-1").partition("\0")[0].strip()
