"""OME-XML: parsed without trusting it, found in a companion file, and reduced to the image of one TIFF.

Source: https://docs.openmicroscopy.org/ome-model/latest/ome-tiff/specification.html
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

import tifffile

from unet2015.errors import ImageReadError
from unet2015.images import encoding
from unet2015.images.descriptions import decode_description
from unet2015.safe_files import open_regular
from unet2015.wording import first_line

LARGEST_COMPANION = 2**26
"""Bytes of the largest companion file that is read; parsed, it needs some twenty times as much memory."""

_PROLOG = re.compile(r"(?>\s+|<\?.*?\?>|<!--.*?-->)*+", re.DOTALL)
_ROOT = re.compile(r"<(?:[\w.-]+:)?OME[\s/>]")
_END = re.compile(r"</(?:[\w.-]+:)?OME\s*>")


class DamagedXMLError(ImageReadError):
    """OME-XML that cannot be parsed."""


@dataclass(frozen=True)
class OmeMetadata:
    """The images that OME-XML declares, and what it calls the file that we read.

    Attributes
    ----------
    images : tuple of Element
        Those whose planes may lie in this file; empty where there is no metadata to read.
    uuid : str or None
        Of this file.
    notes : tuple of str
        Remarks, such as a companion file that is not there.
    companion : str or None
        The SHA-256 of the companion file that they come from; of an OME-TIFF, of the metadata in it.
    """

    images: tuple[ElementTree.Element, ...]
    uuid: str | None
    notes: tuple[str, ...] = ()
    companion: str | None = None


def is_ome(description: str) -> bool:
    """Whether this ImageDescription is OME-XML."""
    begin = _PROLOG.match(description)
    assert begin is not None  # it may be empty
    if description.startswith("<!DOCTYPE", begin.end()):  # of OME-XML it is refused, not overlooked
        return _ROOT.search(description) is not None
    return _ROOT.match(description, begin.end()) is not None


def find_metadata(description: str, path: Path) -> OmeMetadata:
    """Return what the OME-XML of a TIFF declares, or what its companion file does.

    Parameters
    ----------
    description : str
        The ImageDescription.
    path : Path
        The TIFF.

    Raises
    ------
    DamagedXMLError
        The XML is damaged, here or in the companion file.
    """
    root = _parse(description, str(path))
    uuid = root.get("UUID")
    pointer = root.find("{*}BinaryOnly")
    notes: tuple[str, ...] = ()
    digest = None
    if pointer is not None:
        named = pointer.get("MetadataFile", "")
        root, notes, digest = _companion(named, path)
        if digest is not None and not _is_about(root, pointer.get("UUID"), uuid, path.name):
            root, notes, digest = _nothing(
                f"and {named}, which has that name, is of another image (its UUID is another, and it does "
                "not name this file), so it is not read; put the right one beside this file, or give --axes"
            )
    images = tuple(root.findall("{*}Image")) if _name(root) == "OME" else ()
    if not images and not notes:
        notes = ("its OME-XML declares no image, so it says nothing on axes and pixel size",)
    return OmeMetadata(images, uuid, notes, digest)


def _is_about(root: ElementTree.Element, wanted: str | None, own: str | None, name: str) -> bool:
    """Whether a companion file is the one that a TIFF asks for by its UUID, or names the TIFF."""
    found = root.get("UUID")
    if not wanted or not found or wanted.strip().lower() == found.strip().lower():
        return True
    references = map(_reference, root.findall("{*}Image/{*}Pixels/{*}TiffData"))
    return any(one is not None and (one[1] == name or (own and one[0] == own)) for one in references)


def _nothing(why: str) -> tuple[ElementTree.Element, tuple[str, ...], None]:
    """Return no metadata, and the note why."""
    return ElementTree.Element("none"), (f"its metadata (axes, pixel size) are in another file, {why}",), None


def _companion(named: str, path: Path) -> tuple[ElementTree.Element, tuple[str, ...], str | None]:
    """Return the root of the companion file that a TIFF names, and its SHA-256; or why there is none.

    It is OME-XML, or the OME-TIFF of several that has the metadata of all.
    """
    # A name only: what a file says must not make us read elsewhere.
    if not named or len(named) > 255 or named in (".", "..") or set(named) & set("/\\:\0"):
        return _nothing(f"{named[:99]!r}, which is no name of a file beside it, so they are not read")
    other = path.with_name(named)
    try:
        if not other.is_file():
            why = "is no regular file" if other.exists() else "is not there"
            return _nothing(f"{named}, which {why}; put it beside this one, or give --axes")
        with open_regular(other) as file:
            data = _metadata_in(file)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return _nothing(f"{named}, which cannot be read ({why}); give --axes")
    if len(data) > LARGEST_COMPANION:
        most = LARGEST_COMPANION // 2**20
        return _nothing(f"{named}, which has more than {most} MiB and is not read; give --axes")
    root = _parse(decode_description(data), f"{path}: {named}")
    if _name(root) != "OME" or root.find("{*}Image") is None:
        return _nothing(f"{named}, but that declares no image; give --axes")
    return root, (), hashlib.sha256(data).hexdigest()


def _metadata_in(file: BinaryIO) -> bytes:
    """Return the OME-XML of a companion file: its bytes or, of an OME-TIFF, its first ImageDescription.

    Of more than `LARGEST_COMPANION` only as much is returned that this is seen.
    """
    data = file.read(LARGEST_COMPANION + 1)
    if not data.startswith(encoding.SIGNATURES):
        return data
    file.seek(0)
    try:
        with tifffile.TiffFile(file) as tif:
            tag = tif.pages.first.tags[270]
            file.seek(tag.valueoffset)
            return file.read(min(tag.valuebytecount, LARGEST_COMPANION + 1))
    except Exception as error:  # of a damaged TIFF, or one without a description
        raise ValueError(f"it is a TIFF without metadata: {first_line(error)}") from error


class _Builder(ElementTree.TreeBuilder):
    """Builds a tree, and stops at a document type.

    Only there can entities be declared, which may expand without end or name other files.
    """

    def doctype(self, *_: object) -> None:
        raise ElementTree.ParseError("it declares a document type, which OME-XML never has")


def _parse(text: str, name: str) -> ElementTree.Element:
    """Return the root of OME-XML, whatever stands after it."""
    ends = [match.end() for match in _END.finditer(text)]
    try:
        parser = ElementTree.XMLParser(target=_Builder(), encoding="utf-8")  # whatever the text declares
        parser.feed(text[text.index("<") : ends[-1] if ends else len(text)].encode())
        root: ElementTree.Element = parser.close()
    except (ElementTree.ParseError, ValueError) as error:
        raise DamagedXMLError(
            f"{name}: the OME-XML is damaged: {error}; copy the file again, or give --axes to read it "
            "without its OME-XML, and so without the pixel size that stands there"
        ) from error
    return root


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def own_images(metadata: OmeMetadata, path: Path) -> list[tuple[ElementTree.Element, list[bool]]]:
    """Return the images that have planes in this file and, for each TiffData, whether it is about this file.

    A TiffData says by UUID, or else by name, in which file its planes lie. If all of them name one and the
    same file, which is not called so, this is that file, renamed; not where both have a UUID, these differ,
    and the other file lies beside this one. An empty list: they name other files.
    """
    blocks = [image.findall("{*}Pixels/{*}TiffData") for image in metadata.images]
    references = {one for inner in blocks for block in inner if (one := _reference(block)) is not None}
    by_uuid = {one for one in references if metadata.uuid and one[0] == metadata.uuid}
    by_name = {one for one in references if one[1] == path.name}
    renamed = references if len(references) == 1 and not _lies_beside(metadata, path, *references) else set()
    # Copies of one file may share their UUID; then the name decides.
    chosen = (by_uuid & by_name) or by_uuid or by_name or renamed
    found = []
    for image, inner in zip(metadata.images, blocks, strict=True):
        here = [(one := _reference(block)) is None or one in chosen for block in inner]
        if any(here) or not here:
            found.append((image, here))
    return found


def _lies_beside(metadata: OmeMetadata, path: Path, reference: tuple[str, str]) -> bool:
    """Whether another file is meant, by its UUID, and there is one of its name."""
    uuid, name = reference
    other = bool(metadata.uuid and uuid and uuid != metadata.uuid and name)
    return other and path.with_name(Path(name).name).is_file()


def _reference(block: ElementTree.Element) -> tuple[str, str] | None:
    """Return UUID and name of the file in which a TiffData says that its planes lie."""
    uuid = block.find("{*}UUID")
    return None if uuid is None else ((uuid.text or "").strip(), uuid.get("FileName", ""))
