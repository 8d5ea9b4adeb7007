r"""Text that may hold file names whose bytes are not UTF-8.

Python reads such a byte as a surrogate (U+DC80 to U+DCFF, PEP 383), which cannot be written as UTF-8. For
programs the byte goes out as it came in; for readers it is shown as ``\xb5``.
"""

import codecs
import glob
import os
import re
import unicodedata
from pathlib import Path

RAW = "unet2015.raw_names"
"""An error handler for `str.encode` and text files: such bytes go out as they came, all else escaped."""

_JOINERS = "\u200c\u200d"  # they belong to the spelling of words in Persian, Hindi and others
_FIRST, _LAST, _BASE = 0xDC80, 0xDCFF, 0xDC00


def shown(text: object) -> str:
    r"""Return a text for readers: a byte that is not UTF-8 as ``\xb5``, other surrogates as ``\ud800``."""
    return str(text).encode("utf-8", RAW).decode("utf-8", "backslashreplace")


def on_one_line(text: object) -> str:
    r"""Return a text in which all that would act rather than be seen is escaped; `shown` does the rest.

    A name or an entry in a file may hold what moves the cursor, colours or deletes lines, begins a new line,
    or turns the direction of writing. Each such character becomes ``\x1b``, ``\n`` or ``\u202e``.
    """
    whole = str(text)
    return whole if whole.isprintable() else "".join(map(_seen, whole))


def _seen(letter: str) -> str:
    acts = unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp") and letter not in _JOINERS
    return letter.encode("unicode_escape").decode() if acts else letter


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


def pattern_of(given: str | Path) -> str:
    """Return a pattern for `glob` in which the folder that it begins with stands for itself.

    So a folder whose name has brackets is found, though brackets stand for one of some characters.
    """
    path = Path(given)
    known = next((above for above in path.parents if above != Path() and above.is_dir()), None)
    if known is None:
        return str(given)
    return os.path.join(glob.escape(str(known)), path.relative_to(known))


def natural_order(path: str | Path) -> tuple[list[list[str | int]], str]:
    """Return a key by which paths sort with the numbers in them as numbers: t2 before t10.

    Names that differ only in leading zeros are sorted by their characters.
    """
    parts = [re.split("([0-9]+)", part) for part in Path(path).parts]
    # What re.split gives alternates, so texts are compared with texts and numbers with numbers.
    return [[int(text) if i % 2 else text for i, text in enumerate(part)] for part in parts], str(path)
