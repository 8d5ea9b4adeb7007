"""ONNX with sides that are stated, for OpenCV 4: it refuses a graph whose sides vary.

What it then makes of another size is right, as it computes the sizes of all maps anew from the image. Other
programs take images of the stated sides alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unet2015.errors import ModelError
from unet2015.exchange.formats import Source, refusals, run_onnx
from unet2015.exchange.graph import INPUT, OUTPUT
from unet2015.exchange.samples import Array
from unet2015.geometry import Geometry
from unet2015.wording import reason

if TYPE_CHECKING:
    import onnx

_KEPT = 388
"""Of the paper's tile of 572 px."""


def stated_side(geometry: Geometry) -> int:
    """Return the side that the graph states: the paper's 572 px, of other networks the next legal one."""
    return geometry.input_for(_KEPT)


def write_stated_sides(source: Source, path: Path) -> None:
    """Write a graph as ONNX for one image of the stated height and width."""
    import onnx

    with refusals(source, "an ONNX graph"):
        graph = source.traced.onnx.model_proto
    if any(node.op_type == "Shape" for node in graph.graph.node):
        raise ModelError(
            f"{path.name}: OpenCV 4 does not read the graph of this network, which computes sizes from the "
            "image; choose other formats"
        )
    side = stated_side(source.traced.geometry)
    _state(graph, side, side)
    try:
        graph = onnx.shape_inference.infer_shapes(graph, check_type=True, strict_mode=True, data_prop=True)
        onnx.checker.check_model(graph)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError) as error:
        raise ModelError(
            f"{path.name}: this network has no graph of {side} x {side} px: {reason(error)}; choose other "
            "formats"
        ) from error
    path.write_bytes(graph.SerializeToString())


def run_stated_sides(path: Path, images: Sequence[Array]) -> list[Array]:
    """Return what ONNX Runtime gives for each image, the sizes computed anew from it, as OpenCV does."""
    import onnx

    graph, answers = onnx.load(path), []
    for image in images:
        _state(graph, *image.shape[-2:])
        answers += run_onnx(path, [image], graph.SerializeToString())
    return answers


def _state(graph: "onnx.ModelProto", height: int, width: int) -> None:
    """State the sides of the image; those of all other maps follow from them."""
    (image,) = (one for one in graph.graph.input if one.name == INPUT)
    for axis, size in ((0, 1), (2, height), (3, width)):
        image.type.tensor_type.shape.dim[axis].dim_value = size
    del graph.graph.value_info[:]
    (made,) = (one for one in graph.graph.output if one.name == OUTPUT)
    for axis in (0, 2, 3):
        made.type.tensor_type.shape.dim[axis].Clear()
