r"""Text that may hold file names whose bytes are not UTF-8.

Python reads such a byte as a surrogate (U+DC80 to U+DCFF, PEP 383), which cannot be written as UTF-8. For
programs the byte goes out as it came in; for readers it is shown as ``\xb5``.
"""

import codecs

RAW = "unet2015.raw_names"
"""An error handler for `str.encode` and text files: such bytes go out as they came, all else escaped."""

_FIRST, _LAST, _BASE = 0xDC80, 0xDCFF, 0xDC00


def shown(text: object) -> str:
    r"""Return a text for readers: a byte that is not UTF-8 as ``\xb5``, other surrogates as ``\ud800``."""
    return str(text).encode("utf-8", RAW).decode("utf-8", "backslashreplace")


def _raw(error: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return b"".join(_bytes_of(letter) for letter in letters), error.end


def _bytes_of(letter: str) -> bytes:
    if _FIRST <= ord(letter) <= _LAST:
        return bytes([ord(letter) - _BASE])
    return letter.encode("ascii", "backslashreplace")


codecs.register_error(RAW, _raw)
