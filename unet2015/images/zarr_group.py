"""The group of an OME-Zarr image and its arrays: opened, and checked against what the metadata declare."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unet2015.errors import AxesError, ImageReadError, UNet2015Error, UsageError
from unet2015.images.declared import Declared
from unet2015.images.ngff import Multiscale
from unet2015.images.zarr_bounds import bounded_codecs
from unet2015.images.zarr_formats import format_of, has_marker, other_metadata
from unet2015.images.zarr_store import careful_store
from unet2015.wording import first_line


def is_zarr(path: Path) -> bool:
    """Whether a folder is an image, or claims to be one, rather than a folder of files."""
    return path.is_dir() and (path.name.lower().endswith(".zarr") or has_marker(path))


def is_inside_zarr(path: Path) -> bool:
    """Whether a path lies in a Zarr, such as a field of a plate or a series of bioformats2raw."""
    return any(is_zarr(parent) for parent in path.parents)


def zarr_library() -> Any:
    """Return the module zarr.

    Raises
    ------
    UsageError
        It is not installed.
    """
    try:
        import zarr
    except ImportError as error:
        raise UsageError("OME-Zarr needs zarr: pip install 'unet2015[zarr]'") from error
    return zarr


@contextmanager
def damage_is_told(name: str) -> Iterator[None]:
    """Make whatever goes wrong inside, on metadata that are damaged, an `ImageReadError`."""
    try:
        yield
    except UNet2015Error:
        raise
    except Exception as error:  # damaged metadata make zarr fail in any way, at any use of them
        raise ImageReadError(f"{name}: the Zarr metadata cannot be read: {first_line(error)}") from error


def open_group(path: Path) -> Any:
    """Return the group of an image, as zarr opens it.

    Raises
    ------
    ImageReadError
        There is none, or its metadata cannot be read.
    UsageError
        zarr is not installed.
    """
    zarr = zarr_library()
    try:
        with bounded_codecs():
            store, form = careful_store()(path, read_only=True), format_of(path)
            node = zarr.open(store=store, mode="r", zarr_format=form, use_consolidated=False)
    except ImageReadError:
        raise
    except Exception as error:  # damaged metadata make zarr fail in any way
        if not has_marker(path):
            raise ImageReadError(
                f"{path}: expected an OME-Zarr image, but the folder has neither zarr.json nor .zgroup"
            ) from error
        raise ImageReadError(f"{path}: the Zarr metadata cannot be read: {first_line(error)}") from error
    if isinstance(node, zarr.Array):
        raise ImageReadError(
            f"{path}: this is a Zarr array without OME-Zarr metadata; give the group that declares the image"
        )
    return node


def open_level(group: Any, path: str, name: str) -> Any:
    """Return an array that the metadata of image `name` declare: one level of its resolutions.

    Raises
    ------
    ImageReadError
        It is not there, is no array, cannot be read, or has storage transformers.
    """
    zarr = zarr_library()
    try:
        with bounded_codecs():
            node = group[path]
    except ImageReadError:
        raise
    except KeyError as error:
        used = int(group.metadata.zarr_format)
        other = other_metadata(Path(name) / path, used)
        advice = f"it has only {other}, of another Zarr version than the group's {used}; " if other else ""
        raise ImageReadError(
            f"{name}: the OME-Zarr metadata declare array {path}, but it is not there; {advice}copy "
            "the image again"
        ) from error
    except Exception as error:  # as above
        raise ImageReadError(f"{name}: array {path} cannot be read: {first_line(error)}") from error
    if not isinstance(node, zarr.Array):
        raise ImageReadError(f"{name}: the OME-Zarr metadata declare array {path}, but it is a group")
    for one in getattr(node.metadata, "storage_transformers", ()):  # of Zarr 3; zarr passes over them
        if not (isinstance(one, Mapping) and one.get("must_understand") is False):
            raise ImageReadError(
                f"{name}: the chunks of array {path} are stored by a transformer ({one}) that is not known "
                "here; save a copy without storage transformers"
            )
    return node


def check_levels(arrays: list[Any], declared: Multiscale, name: str) -> None:
    """See that the arrays have the declared axes, one type, and become no larger.

    Raises
    ------
    ImageReadError
        They do not.
    """
    full = arrays[0]
    for path, array in zip(declared.paths, arrays, strict=True):
        if array.ndim != len(declared.names):
            raise ImageReadError(
                f"{name}: the metadata declare the axes {', '.join(declared.names)}, but array "
                f"{path} has shape {array.shape}"
            )
        names = getattr(array.metadata, "dimension_names", None)
        if names and all(names) and tuple(names) != declared.names:
            raise ImageReadError(
                f"{name}: the metadata declare the axes {', '.join(declared.names)}, but array "
                f"{path} calls them {', '.join(names)}"
            )
        grown = any(a > b for a, b in zip(array.shape, full.shape, strict=True))
        if array.dtype != full.dtype or grown:
            raise ImageReadError(
                f"{name}: expected levels of {full.dtype} no larger than {full.shape}, but array "
                f"{path} is {array.dtype} of shape {array.shape}"
            )


def named_axes(
    declared: Multiscale, shape: tuple[int, ...], axes: str | None, name: str
) -> tuple[str, tuple[int, ...], tuple[str, ...]]:
    """Return the letters of the image, the axis of the array that each is, and what is to be said of them.

    Parameters
    ----------
    declared : Multiscale
        What the metadata say.
    shape : tuple of int
        Of the array of full resolution.
    axes : str or None
        What the user says the axes are.
    name : str
        The image.

    Raises
    ------
    AxesError
        The metadata do not say what an axis is, and `axes` are not given or do not fit.
    """
    letters = declared.axes
    if axes is None and "?" not in letters:
        return letters, tuple(range(len(shape))), ()
    if axes is None:
        strange = ", ".join(n for n, letter in zip(declared.names, letters, strict=True) if letter == "?")
        raise AxesError(
            f"{name}: the OME-Zarr metadata have axes of other kinds than time, channel and z, y, x: "
            f"{strange}; name all {len(shape)} axes of shape {shape}, for example --axes "
            f"{'TCZYX'[-len(shape) :]}"
        )
    lead = tuple(shape[:-2])
    named = Declared("ome", letters[:-2], lead).named("YX", axes, name)
    if len(named.lead) == len(lead):
        return named.lead + "YX", tuple(range(len(shape))), named.notes
    kept = tuple(axis for axis, length in enumerate(lead) if length > 1)
    if len(named.lead) != len(kept):
        raise AxesError(
            f"{name}: --axes {axes}: expected a letter for each axis of shape {shape}, with or without "
            "those of length 1"
        )
    return named.lead + "YX", (*kept, len(shape) - 2, len(shape) - 1), named.notes
