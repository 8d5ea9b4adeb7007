"""Whether the pages of two images go together by their numbers."""

from unet2015.images.image import Image


def other_order(one: Image, other: Image) -> str | None:
    """Return in words how the pages of two images are ordered otherwise; None if nothing speaks against them.

    Pages are counted along the axes of each file, so page 1 of TZYX is not page 1 of ZTYX. If an axis
    has no name (I), or the images name different axes (frames saved as slices), their number decides alone.
    """
    first, second = _long(one), _long(other)
    if first == second or {letter for letter, _ in first} != {letter for letter, _ in second}:
        return None
    said = [" x ".join(f"{letter} {length}" for letter, length in pages) for pages in (first, second)]
    return f"its pages are {said[1]}, those of {one.name} {said[0]}"


def _long(image: Image) -> list[tuple[str, int]]:
    pages = zip(image.page_axes, image.page_shape, strict=True)
    return [(letter, length) for letter, length in pages if length > 1]
