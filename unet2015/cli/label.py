"""``unet2015 label`` and ``unet2015 measure``: objects of maps, and measures of labels that are there."""

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
    object_settings,
    views_of,
)
from unet2015.cli.options import AxesOfResults, Channel, Json, PixelSize, ReplacePixelSize, Scene
from unet2015.cli.output import print_files, show_messages
from unet2015.cli.unexpected import keep_tracebacks

if TYPE_CHECKING:
    from unet2015.segmentation.results import ObjectResult


def label(
    maps: Annotated[
        list[Path],
        typer.Argument(help="Probability maps or class maps, folders, patterns in quotes.", metavar="MAP..."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the results, made if missing.", metavar="DIR")
    ],
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Pixels with a higher probability belong to objects.  [default: that of the segmentation, "
            "by the record beside the map; else 0.5]"
        ),
    ] = None,
    of_class: OfClass = None,
    smallest: Smallest = None,
    split: Split = None,
    keep_holes: KeepHoles = None,
    frame: Frame = None,
    corners: Corners = None,
    label_type: LabelTypeOption = None,
    regions: Regions = None,
    overlay: Overlay = False,
    overlay_jpeg: OverlayJpeg = False,
    parquet: Parquet = False,
    images: Annotated[
        Path | None,
        typer.Option(
            help="The images of the maps, which go with them by what names share: their intensities are "
            "measured, and previews show them.",
            metavar="PATH",
        ),
    ] = None,
    channel: Channel = None,
    scene: Scene = None,
    pixel_size: PixelSize = None,
    replace_pixel_size: ReplacePixelSize = False,
    max_memory: Annotated[
        str | None,
        typer.Option(
            help="Memory for dividing one object, such as 2G.  [default: half of what is free]",
            metavar="SIZE",
        ),
    ] = None,
    axes: AxesOfResults = None,
    as_json: Json = False,
) -> None:
    """Number the objects of maps, and measure them.

    Writes NAME.labels.tif (instance labels; OME-Zarr where the map is) and NAME.objects.csv for each map,
    objects.csv with the rows of all, and outlines and previews where they are asked for. Of the two maps of
    one segmentation, the probability map is taken.
    """
    with loading():
        from unet2015.cli.sizes import parse_pixel_size
        from unet2015.segmentation.map_files import label_files

    show_messages()
    wanted = object_settings(
        smallest=smallest,
        of_class=of_class,
        split=split,
        keep_holes=keep_holes,
        frame=frame,
        corners=corners,
        threshold=threshold,
    )
    results = label_files(
        maps,
        out,
        wanted,
        views=views_of(regions, overlay=overlay, overlay_jpeg=overlay_jpeg, parquet=parquet),
        images=images,
        channel=channel,
        scene=scene,
        pixel_size=parse_pixel_size(pixel_size),
        replace_pixel_size=replace_pixel_size,
        axes=axes,
        max_memory=max_memory,
        label_type=label_type,
    )
    _report(results, as_json)


def measure(
    labels: Annotated[
        Path, typer.Argument(help="Label image, folder or pattern in quotes.", metavar="LABELS")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="Folder for a table of each image and one of all; or one table of all, .csv or .parquet.",
            metavar="OUT",
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Option(
            help="Images whose intensities are measured; they go with the labels by what names share.",
            metavar="PATH",
        ),
    ] = None,
    parquet: Parquet = False,
    channel: Channel = None,
    scene: Scene = None,
    pixel_size: PixelSize = None,
    replace_pixel_size: ReplacePixelSize = False,
    axes: AxesOfResults = None,
    as_json: Json = False,
) -> None:
    """Measure the objects of label images.

    Area, place, shape and, with --images, intensities; in micrometres as well where the labels are
    calibrated. Labels may come from any program: 0 is background, every other number is an object.
    """
    with loading():
        from unet2015.cli.sizes import parse_pixel_size
        from unet2015.segmentation.label_files import measure_files

    show_messages()
    results = measure_files(
        labels,
        out,
        images,
        parquet=parquet,
        channel=channel,
        scene=scene,
        axes=axes,
        pixel_size=parse_pixel_size(pixel_size),
        replace_pixel_size=replace_pixel_size,
    )
    _report(results, as_json)


def _report(results: "list[ObjectResult]", as_json: bool) -> None:
    failed = print_files(results, as_json)
    keep_tracebacks([(result.input, result.error) for result in results if result.error])
    if failed:
        raise typer.Exit(1)
