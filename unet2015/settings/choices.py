"""Words that settings, command line and functions share; this file loads no library."""

from typing import Literal

Precision = Literal["float32", "bfloat16"]
"""What a network computes in."""
TrainingPrecision = Literal["auto", Precision]
"""The same for a training; ``auto``: the one that the machine computes faster."""
Averaging = Literal["none", "flips", "symmetries", "rotations"]
"""Over which versions of the input scores are averaged; see :mod:`unet2015.tiling.averaging`."""
ThresholdName = Literal["f1", "rand"]
"""What a threshold is best for: the F1 of pixels, or the Rand score."""
LabelKind = Literal["instances", "mask", "membrane", "classes"]
"""What the values of a label image mean; see :class:`unet2015.settings.LabelSettings`."""
Gaps = Literal["background", "everywhere"]
"""Where the second term of the weight map is added; see :class:`unet2015.settings.WeightMapSettings`."""
MapEach = Literal["file", "page"]
"""What is mapped by itself; see :class:`unet2015.settings.Mapping`."""
LabelType = Literal["uint16", "uint32"]
"""The type of instance labels."""
RegionFormat = Literal["imagej", "geojson", "both"]
"""How outlines of objects are written; see :mod:`unet2015.objects.regions`."""
