"""What can be made of objects beside labels and table: the names, and whether the libraries are there."""

from collections.abc import Collection

from unet2015.objects.table import check_pyarrow
from unet2015.segmentation.products import IMAGEJ, PARQUET, views_in_order


def checked_views(views: Collection[str]) -> tuple[str, ...]:
    """Return names of views in their order; raise `UsageError` for others, or if a library is missing."""
    found = views_in_order(views)
    check_libraries(found)
    return found


def check_libraries(views: Collection[str]) -> None:
    """Raise `UsageError` if a library that one of the views needs is missing."""
    if IMAGEJ.name in views:
        from unet2015.objects.regions import check_roifile

        check_roifile()
    if PARQUET.name in views:
        check_pyarrow()
