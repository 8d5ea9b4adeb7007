"""A layer of napari as an image, and where results of it are placed. Knows nothing of windows."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import AxesError, ImageValueError
from unet2015.images.axes import UNCALIBRATED, Calibration, unit_factor
from unet2015.images.image import Image, ImageHeader
from unet2015.images.resolution import believed

_LETTERS = {"t": "T", "time": "T", "z": "Z", "c": "C", "channel": "C", "channels": "C"}
"""What names of axes mean; napari's own names, -3 and the like, mean nothing."""
_FEW = 4
"""Columns of a page that may as well be channels."""
_FREE = "IZT"
"""Letters for axes without a meaning: nothing hangs on them but that there is one for each."""


class Layer(Protocol):
    """What is used of ``napari.layers.Image``."""

    name: str
    data: Any
    rgb: bool
    multiscale: bool
    axis_labels: tuple[str, ...]
    units: tuple[Any, ...]
    scale: NDArray[np.float64]
    translate: NDArray[np.float64]
    rotate: NDArray[np.float64]
    shear: NDArray[np.float64]
    affine: Any


class LayerImage(Image):
    """The pixels of a layer, at full resolution; regions are taken when they are read.

    An axis that is named c or channel holds channels, as does the last of an RGB layer. All others but the
    last two are axes of pages.

    Parameters
    ----------
    layer : Layer
        Its pixel size counts where its unit is a length, and nothing but its scale changes lengths.

    Raises
    ------
    AxesError
        It has fewer than two or more than three axes of pages, or two of channels.
    ImageValueError
        It is partly transparent.
    """

    def __init__(self, layer: Layer) -> None:
        self._data = layer.data[0] if layer.multiscale else layer.data
        axes = axes_of(layer)
        shape = [*self._data.shape]
        if layer.rgb and shape[-1] == 4:  # napari shows an image without transparency so, too
            _check_opaque(self._data, layer.name)
            shape[-1] = 3
        calibration, notes = believed(_calibration(layer), by="the layer")
        header = ImageHeader(
            layer.name,
            axes,
            tuple(shape),
            self._data.dtype,
            axes_source="array",
            calibration=calibration,
            notes=notes,
        )
        super().__init__(header)

    def _read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[Any]:
        places = self.place_of(page)
        whole = {"Y": slice(y0, y1), "X": slice(x0, x1), "C": slice(self.channels)}
        region = np.asarray(self._data[tuple(whole.get(one) or places[one] for one in self.axes)])
        left = [letter for letter in self.axes if letter in "CYX"]
        if "C" not in left:
            return np.array(region[None], self.dtype)
        return np.array(region.transpose([left.index(letter) for letter in "CYX"]), self.dtype)


def axes_of(layer: Layer) -> str:
    """Return a letter of TZCYXI for each axis of a layer, as they follow each other."""
    names = [str(name).lower() for name in layer.axis_labels]
    if len(names) < 2:
        raise AxesError(f"{layer.name}: expected a layer of rows and columns, but it has {len(names)} axis")
    if last := [name for name in names[-2:] if name in _LETTERS]:
        raise AxesError(
            f"{layer.name}: expected rows and columns as the last two axes, but they are named "
            f"{' and '.join(names[-2:])}; put {last[0]} first (in numpy: np.moveaxis), and name the axes so"
        )
    shape = np.shape(layer.data[0] if layer.multiscale else layer.data)
    few = len(shape) > 2 and shape[-1] <= _FEW < min(shape[-3:-1])
    if few and not layer.rgb and names[-1] != "x":
        raise AxesError(
            f"{layer.name}: a layer of shape {shape} may be pages or channels last; put channels first, or "
            "name its axes (axis_labels): z, y, x"
        )
    letters = [_LETTERS.get(name, "") for name in names[:-2]]
    free = [letter for letter in _FREE if letter not in letters]
    if letters.count("") > len(free):
        raise AxesError(
            f"{layer.name}: {len(letters)} axes beside rows and columns are too many; take a layer of fewer"
        )
    found = "".join(letter or free.pop(0) for letter in letters) + "YX" + ("C" if layer.rgb else "")
    if found.count("C") > 1:
        raise AxesError(f"{layer.name}: has two axes of channels; split the layer")
    return found


def check_channels(layer: Layer, image: Image, wanted: int) -> None:
    """Raise `ImageValueError` unless an image has the channels that a model takes, with napari's words."""
    if image.channels == wanted:
        return
    takes = "one channel" if wanted == 1 else f"{wanted} channels"
    if wanted == 1 and layer.rgb:
        raise ImageValueError(
            f"{layer.name}: an RGB layer, but the model takes one channel; split it (right click on the "
            "layer, Split RGB), and take one of the three"
        )
    if wanted == 1:
        raise ImageValueError(
            f"{layer.name}: has {image.channels} channels, but the model takes one; split it (right click "
            "on the layer, Split Stack), and take one of them"
        )
    raise ImageValueError(
        f"{layer.name}: the model takes {takes}, but the layer has {image.channels}; take an RGB layer, or "
        "one with an axis named c that is as long"
    )


def placement(layer: Layer) -> dict[str, Any]:
    """Return where a result of a layer lies: what ``add_labels`` and ``add_image`` take.

    Results have no axis of channels, so its numbers are left out.
    """
    names = [*map(str, layer.axis_labels)]
    axes = axes_of(layer)[: len(names)]
    count = len(names)
    kept = [index for index, letter in enumerate(axes) if letter != "C"]
    shear = np.asarray(layer.shear, float)
    if shear.ndim == 1:  # the upper triangle of a matrix
        pairs = zip(*np.triu_indices(count, 1), strict=True)
        shear = shear[[row in kept and column in kept for row, column in pairs]]
    else:
        shear = shear[np.ix_(kept, kept)]
    affine = np.asarray(layer.affine.affine_matrix, float)
    return {
        "scale": np.asarray(layer.scale)[kept],
        "translate": np.asarray(layer.translate)[kept],
        "rotate": np.asarray(layer.rotate, float)[np.ix_(kept, kept)],
        "shear": shear,
        "affine": affine[np.ix_([*kept, count], [*kept, count])],
        "units": tuple(layer.units[index] for index in kept),
        "axis_labels": tuple(names[index] for index in kept),
    }


def _calibration(layer: Layer) -> Calibration:
    """Return the pixel size, where it is known."""
    count = len(layer.scale)
    linear = np.asarray(layer.affine.affine_matrix, float)[:count, :count]
    shear = np.asarray(layer.shear, float)
    sheared = shear.any() if shear.ndim == 1 else not np.allclose(shear, np.eye(count))
    if sheared or not np.allclose(linear, np.eye(count)):
        return UNCALIBRATED
    unit, along_rows = str(layer.units[-1]), str(layer.units[-2])
    factor = unit_factor(along_rows, unit)
    if unit_factor(unit, "µm") is None or factor is None:
        return UNCALIBRATED
    height, width = abs(float(layer.scale[-2])) * factor, abs(float(layer.scale[-1]))
    return Calibration(height, width, unit=unit)


def _check_opaque(data: Any, name: str) -> None:
    alpha = np.asarray(data[..., 3])
    opaque = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "ui" else 1
    if (alpha != opaque).any():
        raise ImageValueError(
            f"{name}: has transparent pixels, whose intensity is not defined; take a layer without "
            "transparency"
        )
