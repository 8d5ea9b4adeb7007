"""The header of a TIFF, in whatever flavour: OME-XML, ImageJ's lines, or tags alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from unet2015.images import imagej, microscopes, ome, ome_metadata, plain
from unet2015.images.declared import Declared
from unet2015.images.descriptions import read_descriptions
from unet2015.images.page_sizes import with_common_size
from unet2015.images.repeated import RESOLUTION
from unet2015.images.samples import check_numbers, value_samples
from unet2015.images.unused_pages import describe_undeclared


def read_header(pages: list[Any], path: Path, axes: str | None) -> Declared:
    """Return what the header of a TIFF declares.

    Parameters
    ----------
    pages : list of tifffile.TiffPage
        Its directories, while the file is open.
    path : Path
        The file.
    axes : str or None
        What the user says the axes are; then a header that is damaged, or contradicts itself, is left aside.

    Raises
    ------
    ImageReadError
        The header is damaged or contradicts the file.
    """
    first, name = pages[0], str(path)
    check_numbers(first, name)
    descriptions = read_descriptions(first)
    tags = _resolution_tags(first)
    samples, main = int(first.samplesperpixel), descriptions[0] if descriptions else ""
    notes: tuple[str, ...] = ()
    if ome_metadata.is_ome(main):
        try:
            metadata = ome_metadata.find_metadata(main, path)
        except ome_metadata.DamagedXMLError as error:
            if axes is None:
                raise
            metadata = ome_metadata.OmeMetadata((), None, (f"not used: {error}",))
        if metadata.images:
            size = (first.imagelength, first.imagewidth)
            counted = samples, len(value_samples(first, axes))
            found = ome.read_ome(metadata, len(pages), counted, size, str(first.dtype), path)
            return replace(found, notes=found.notes + describe_undeclared(pages, found))
        notes = metadata.notes
    if imagej.is_imagej(main):
        found = imagej.read_imagej(main, tags, len(pages), samples, name, axes)
        labels = imagej.slice_labels(first) if "C" in found.lead else ()
        return replace(found, channel_names=imagej.channel_names(labels, found.lead, found.sizes))
    shape = tuple(int(length) for length in first.shape)

    def by_tags(tags: dict[int, Any]) -> Declared:
        return plain.read_plain(descriptions, tags, len(pages), shape)

    found = with_common_size(by_tags(tags), pages, lambda page: by_tags(_resolution_tags(page)).calibration)
    found = microscopes.refine(found, pages, name)
    return replace(found, notes=notes + found.notes)


def _resolution_tags(page: Any) -> dict[int, Any]:
    return {code: value for code in RESOLUTION if (value := page.tags.valueof(code)) is not None}


def merged_axes(named: Declared, page: Any, tail: str, samples: int) -> tuple[str, tuple[int, ...]]:
    """Return axes and shape of the image; if both planes and samples are channels, their numbers multiply."""
    size = dict.fromkeys(tail, samples) | {"Y": page.imagelength, "X": page.imagewidth}
    lead_sizes = named.sizes
    if "C" in named.lead and "C" in tail:
        lead_sizes = tuple(
            length * samples if letter == "C" else length
            for letter, length in zip(named.lead, lead_sizes, strict=True)
        )
        tail = "YX"
    return named.lead + tail, lead_sizes + tuple(size[letter] for letter in tail)
