"""Parts of messages: long lists, long texts and the errors of libraries, cut to what a line takes."""

from collections.abc import Sequence


def listed(items: Sequence[object], most: int = 8) -> str:
    """Return the first of `items` with commas, and how many more there are: ``1, 2, 3 and 4 more``."""
    shown = ", ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"


def counted(number: int, what: str, several: str = "") -> str:
    """Return a number with what it counts: ``1 page``, ``2 pages``; `several` where that takes no s."""
    return f"{number} {what if number == 1 else several or what + 's'}"


def pages_listed(numbers: Sequence[int], most: int = 8) -> str:
    """Return pages by their numbers, the first of them as `listed`: ``page 1``, ``pages 1, 2 and 4 more``."""
    return f"page{'s' * (len(numbers) > 1)} {listed(numbers, most)}"


def cut(text: str, most: int) -> str:
    """Return the first `most` characters of a text, and dots where it goes on."""
    return text if len(text) <= most else text[:most] + "..."


def reason(error: object, most: int = 300) -> str:
    """Return the message of an error in one short line, or its type if it has none (`MemoryError`)."""
    return cut(" ".join(str(error).split()) or type(error).__name__, most)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type if it has none; torch's have many lines."""
    return next(iter(str(error).splitlines()), type(error).__name__)
