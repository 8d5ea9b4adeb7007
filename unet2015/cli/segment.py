"""``unet2015 segment``: class maps, or probability maps, of images of any size."""

import os
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unet2015.cli.loading import loading
from unet2015.cli.object_options import (
    Corners,
    Frame,
    KeepHoles,
    LabelTypeOption,
    OfClass,
    Overlay,
    OverlayJpeg,
    Parquet,
    Regions,
    Smallest,
    Split,
    check_unused,
    object_settings,
    views_of,
)
from unet2015.cli.options import Axes, Channel, Device, Json, PixelSize, ReplacePixelSize, Scene
from unet2015.cli.output import echo, print_files, print_json, show_messages
from unet2015.settings.choices import Averaging, MapEach, Precision

if TYPE_CHECKING:
    from unet2015.segmentation.file_plan import FilePlan

Inputs = Annotated[
    list[Path], typer.Argument(help="Files, folders or patterns in quotes.", metavar="INPUT...")
]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        help="Folder for the results, made if missing; for one input also a name in .tif or .zarr.",
        metavar="OUT",
    ),
]
ModelFile = Annotated[
    Path,
    typer.Option(
        "--model", help="Folder of a training, its model file, or a name that models lists.", metavar="MODEL"
    ),
]
Plan = Annotated[
    bool, typer.Option("--plan", help="Print tiles, memory, disk and time that it would take, and stop.")
]
Probability = Annotated[bool, typer.Option("--probability", help="Write the probability maps as well.")]
Objects = Annotated[
    bool,
    typer.Option(
        "--objects",
        help="Also number the objects (instance labels) and measure them (a table), for each image.",
    ),
]
Threshold = Annotated[
    str | None,
    typer.Option(
        help="Probability above which a pixel is of class 1: a number, or what the training found best "
        "for the F1 of pixels (f1) or, with membranes, for whole cells (rand).  [default: the model's; "
        "with membranes rand]",
        metavar="f1|rand|NUMBER",
    ),
]
AverageOption = Annotated[
    Averaging, typer.Option(help="Average over flipped or turned copies: slower, a little better.")
]
PrecisionOption = Annotated[Precision, typer.Option(help="Numbers that the network computes with.")]
MaxMemory = Annotated[
    str | None,
    typer.Option(help="Memory cap, such as 4G or 512M.  [default: half of what is free]", metavar="SIZE"),
]
TileSide = Annotated[
    int | None,
    typer.Option(
        help="Side of the tiles in pixels; the result is the same, but for --skip-empty.  "
        "[default: by memory]"
    ),
]
Batch = Annotated[
    int | None, typer.Option(help="Tiles that go through the network together.  [default: by memory]")
]
SkipEmpty = Annotated[
    bool,
    typer.Option(
        "--skip-empty",
        help="Do not run the network on tiles whose pixels are all equal; they become class 0. "
        "What is left out depends on --tile.",
    ),
]
FillValue = Annotated[
    float | None,
    typer.Option(
        help="Value of pixels where there is no image, as after registration or stitching: they do not "
        "count in the mapping of the image's intensities.  [default: the model's, mostly none]",
        metavar="VALUE",
    ),
]
MapEachOption = Annotated[
    MapEach | None,
    typer.Option(
        help="What is mapped by its own mean and deviation, or percentiles: all pages of a file together, or "
        "every page by itself, as for films that bleach.  [default: the model's, mostly file]",
        show_default=False,
    ),
]
Tiled = Annotated[
    bool | None,
    typer.Option(
        "--tiled/--striped",
        help="Write tiled BigTIFF, or strips.  [default: tiled where a page has over 2**26 pixels]",
        show_default=False,
    ),
]
Pyramid = Annotated[
    bool, typer.Option("--pyramid", help="Write tiled BigTIFF with smaller copies for viewers.")
]
Dask = Annotated[
    str | None,
    typer.Option(
        help="Compute on the workers of a Dask scheduler, tcp://HOST:8786, or on local:N processes.",
        metavar="ADDRESS",
    ),
]


def segment(
    inputs: Inputs,
    out: Out,
    model: ModelFile,
    plan: Plan = False,
    probability: Probability = False,
    objects: Objects = False,
    smallest: Smallest = None,
    of_class: OfClass = None,
    split: Split = None,
    keep_holes: KeepHoles = None,
    frame: Frame = None,
    corners: Corners = None,
    label_type: LabelTypeOption = None,
    regions: Regions = None,
    overlay: Overlay = False,
    overlay_jpeg: OverlayJpeg = False,
    parquet: Parquet = False,
    threshold: Threshold = None,
    average: AverageOption = "none",
    axes: Axes = None,
    channel: Channel = None,
    scene: Scene = None,
    pixel_size: PixelSize = None,
    replace_pixel_size: ReplacePixelSize = False,
    device: Device = "auto",
    precision: PrecisionOption = "float32",
    max_memory: MaxMemory = None,
    tile: TileSide = None,
    batch: Batch = None,
    skip_empty: SkipEmpty = False,
    fill_value: FillValue = None,
    map_each: MapEachOption = None,
    tiled: Tiled = None,
    pyramid: Pyramid = False,
    dask: Dask = None,
    as_json: Json = False,
) -> None:
    """Segment images of any size.

    The results keep axes and pixel size, with a record beside each. Files that fail are listed
    with the reason, also in failures.csv, while the others are done. If the same command runs again,
    it does only what is not done yet, and also goes on inside an image.
    """
    with loading():
        from unet2015.arguments import parse_size
        from unet2015.cli.sizes import parse_pixel_size, parse_threshold
        from unet2015.segmentation.options import SegmentOptions

    show_messages()
    wanted = object_settings(
        smallest=smallest, of_class=of_class, split=split, keep_holes=keep_holes, frame=frame, corners=corners
    )
    views = views_of(regions, overlay=overlay, overlay_jpeg=overlay_jpeg, parquet=parquet)
    if not objects:
        check_unused(wanted, views)
    options = SegmentOptions(
        tile=tile,
        batch=batch,
        max_memory=None if max_memory is None else parse_size(max_memory),
        device=device,
        precision=precision,
        average=average,
        threshold=None if threshold is None else parse_threshold(threshold),
        skip_empty=skip_empty,
        fill_value=fill_value,
        map_each=map_each,
        axes=axes,
        channel=channel,
        scene=scene,
        pixel_size=parse_pixel_size(pixel_size),
        replace_pixel_size=replace_pixel_size,
        products=("classes", "probability") if probability else ("classes",),
        objects=wanted if objects else None,
        views=views,
        label_type=label_type,
        tiled=tiled,
        pyramid=pyramid,
    )
    _check_there(inputs)
    with loading():  # torch, which takes a second: what is wrong with the call is known by now
        if plan:
            from unet2015.segmentation.file_plan import plan_files
        else:
            from unet2015.segmentation.batch import segment_files
    if plan:
        failed = _report_plans(plan_files(inputs, out, model, options), as_json)
    else:
        failed = print_files(segment_files(inputs, out, model, options, dask=dask), as_json)
    if failed:
        raise typer.Exit(1)


def _check_there(inputs: list[Path]) -> None:
    """Raise `UsageError` if one of the inputs, other than a pattern, does not exist."""
    from unet2015.images.reader import find_images

    find_images([path for path in inputs if not (os.path.lexists(path) or has_magic(str(path)))])


def _report_plans(plans: "list[FilePlan]", as_json: bool) -> bool:
    """Print the needs of each file; return whether any was refused."""
    if as_json:
        print_json([item.as_dict() for item in plans])
    else:
        for item in plans:
            echo(*item.describe().split("\n"))
        if len(plans) > 1:
            from unet2015.segmentation.file_plan import describe_totals

            echo(*describe_totals(plans).split("\n"))
    return any(item.error for item in plans)
