"""``unet2015 evaluate objects`` and ``pixels``: two folders compared file by file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unet2015.cli.loading import loading
from unet2015.cli.options import Axes, Json
from unet2015.cli.output import echo, print_error, print_json, print_message, show_messages
from unet2015.cli.tables import check_table, write_csv
from unet2015.cli.unexpected import keep_tracebacks
from unet2015.metrics import MEASURES

if TYPE_CHECKING:
    from unet2015.metrics.folders import Comparison
    from unet2015.metrics.object_folders import ObjectEvaluation
    from unet2015.metrics.pixel_folders import PixelEvaluation

Truth = Annotated[Path, typer.Option(help="Ground truth: file, folder or pattern.", metavar="PATH")]
Result = Annotated[
    Path,
    typer.Option(help="The same for the results; files go together by what names share.", metavar="PATH"),
]
Ignore = Annotated[
    int | None, typer.Option(help="Value of the truth where nobody has annotated.", metavar="VALUE")
]
PerImage = Annotated[
    Path | None, typer.Option(help="Also write a table with the measures of each page.", metavar="FILE.csv")
]


def objects(
    truth: Truth,
    result: Result,
    threshold: Annotated[
        float, typer.Option(help="Objects match from this IoU on; above 0, at most 1.", metavar="IOU")
    ] = 0.5,
    ignore: Ignore = None,
    per_image: PerImage = None,
    axes: Axes = None,
    as_json: Json = False,
) -> None:
    """Compare instance labels object by object, as StarDist does.

    Objects of truth and result match one to one if their IoU reaches a threshold. Precision, recall, F1, AP =
    TP / (TP + FP + FN), mean IoU of the matches and of the true objects, and PQ (panoptic quality), at the
    IoU 0.5, 0.55, ... 0.95; and SEG. Counts are summed over all pages.
    """
    with loading():
        from unet2015.metrics.object_folders import evaluate_objects

    show_messages()
    check_table(per_image, "objects", truth, result)
    with progress("files") as report:
        found = evaluate_objects(truth, result, threshold, ignore=ignore, axes=axes, progress=report)
    _finish(found, per_image, as_json, lambda: _print_objects(found), "objects", truth, result)


def pixels(
    truth: Truth,
    result: Result,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Compare what is not 0, as one class: for instance labels.")
    ] = False,
    ignore: Ignore = None,
    per_image: PerImage = None,
    axes: Axes = None,
    as_json: Json = False,
) -> None:
    """Compare masks or class maps pixel by pixel.

    Dice (the same as F1), IoU, precision and recall of each class. Masks of 0 and 255 and of 0 and 1 are
    alike; else each value is a class. Counts are summed over all pages.
    """
    with loading():
        from unet2015.metrics.pixel_folders import evaluate_pixels

    show_messages()
    check_table(per_image, "pixels", truth, result)
    with progress("files") as report:
        found = evaluate_pixels(
            truth, result, foreground=foreground, ignore=ignore, axes=axes, progress=report
        )
    _finish(found, per_image, as_json, lambda: _print_classes(found), "pixels", truth, result)


def _finish(
    found: "ObjectEvaluation | PixelEvaluation",
    per_image: Path | None,
    as_json: bool,
    print_table: Callable[[], None],
    measures: str,
    *inputs: Path,
) -> None:
    """Print and write what was found, and end with status 1 where not all of the truth was compared."""
    compared = found.comparison
    if compared.pages:
        write_csv(per_image, found.per_image(), measures, *inputs)
        if not as_json:
            print_table()
    if as_json:
        print_json(found.as_dict())
    _say_what_is_missing(compared)
    keep_tracebacks([(Path(str(error).partition(": ")[0]), error) for error in compared.failures])
    if not compared.complete:
        raise typer.Exit(1)


def _print_objects(found: "ObjectEvaluation") -> None:
    scores = found.scores
    heads = ("IoU", "TP", "FP", "FN", "precision", "recall", "F1", "AP", "matched IoU", "true IoU", "PQ")
    echo("".join(f"{head:<{max(9, len(head) + 2)}}" for head in heads).rstrip())
    for counts in scores.by_threshold:
        values = list(counts.as_dict().values())
        texts = [f"{values[0]:g}", *map(str, values[1:4]), *(f"{value:.6f}" for value in values[4:])]
        line = "".join(
            f"{text:<{max(9, len(head) + 2)}}" for head, text in zip(heads, texts, strict=True)
        ).rstrip()
        echo(line + "  <" * (counts.threshold == found.threshold))
    for name, value in (("mean_average_precision", scores.mean_average_precision), ("seg_score", scores.seg)):
        entry = MEASURES[name]
        echo(f"{entry.symbol}: {value:.6f} ({entry.meaning})")
    _print_amount(found.comparison, f"{scores.true_objects} true objects, {scores.found_objects} found")
    for note in found.notes:
        print_message(note)


def _print_classes(found: "PixelEvaluation") -> None:
    echo(f"{'class':<9}{'true px':<13}{'found px':<13}{'Dice':<10}{'IoU':<10}{'precision':<11}recall")
    for number, overlap in found.classes.items():
        echo(
            f"{number:<9}{overlap.tp + overlap.fn:<13}{overlap.tp + overlap.fp:<13}{overlap.dice:<10.6f}"
            f"{overlap.iou:<10.6f}{overlap.precision:<11.6f}{overlap.recall:.6f}"
        )
    _print_amount(found.comparison, "counts are summed over all pages")


def _print_amount(compared: "Comparison[Any]", more: str) -> None:
    files = len({page.truth for page in compared.pages})
    of = len(compared.pairing.pairs) + len(compared.pairing.first_alone)
    echo(f"{files} of {of} files of the truth, {len(compared.pages)} pages: {more}")


def _say_what_is_missing(compared: "Comparison[Any]") -> None:
    from unet2015.images.pairs import listed_files

    pairing = compared.pairing
    if pairing.unlike:
        true, found = pairing.unlike[0]
        more = f" (and {len(pairing.unlike) - 1} more whose names differ)" * (len(pairing.unlike) > 1)
        print_message(f"files were paired by their names, such as {true} with {found}{more}")
    if compared.with_themselves:
        print_message(f"{compared.with_themselves} files are compared with themselves")
    if alone := pairing.second_alone:
        print_message(f"{len(alone)} without truth, not compared: {listed_files(alone)}")
    for error in compared.failures:
        print_error(error)
    if alone := pairing.first_alone:
        print_error(f"{len(alone)} of the truth without a result: {listed_files(alone)}")


@contextmanager
def progress(unit: str) -> Iterator[Callable[[int, int], None]]:
    """Show how many are done: a bar on a terminal, elsewhere a line a minute."""
    from unet2015.tiling.progress import Bar

    with Bar(0, "compared", unit.removesuffix("s")) as bar:
        yield bar.at
