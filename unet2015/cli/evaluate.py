"""``unet2015 evaluate``: results against ground truth."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unet2015.cli.evaluate_folders import Ignore, objects, pixels, progress
from unet2015.cli.loading import loading
from unet2015.cli.options import Axes, Json
from unet2015.cli.output import echo, print_json, print_message, show_messages
from unet2015.cli.tables import check_table, write_csv
from unet2015.metrics import MEASURES

if TYPE_CHECKING:
    from unet2015.metrics.em import EMScores

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Compare results with ground truth: objects, pixels, and the official measures of the challenges.",
)

for command in (objects, pixels):
    app.command()(command)

EMLabels = Annotated[
    Path, typer.Option(help="Ground truth: 0 is membrane, all else the inside of cells.", metavar="FILE")
]
Prediction = Annotated[
    Path,
    typer.Option(
        help="Probability of the inside of cells (float in [0, 1], or 8- or 16-bit), or a class map.",
        metavar="FILE",
    ),
]
PerSlice = Annotated[
    Path | None, typer.Option(help="Also write a table with a row for each slice.", metavar="FILE.csv")
]
Figure = Annotated[
    Path | None,
    typer.Option(help="Also draw where cells are split (orange) or merged (blue).", metavar="FILE.png"),
]
UnderFigure = Annotated[
    Path | None, typer.Option(help="Image under the figure.  [default: the prediction]", metavar="FILE")
]
Script2016 = Annotated[
    bool,
    typer.Option(
        "--script-2016",
        help="Warping error as in the organisers' script of 2016: radius 10, thresholds from 0.1.",
    ),
]
TruthFolder = Annotated[Path, typer.Option(help="NN_GT, or its folder of man_segTTT.tif.", metavar="DIR")]
ResultFolder = Annotated[
    Path,
    typer.Option(
        help="Folder of maskTTT.tif, or of files of other names with the same numbers.", metavar="DIR"
    ),
]


@app.command()
def em(
    labels: EMLabels,
    prediction: Prediction,
    per_slice: PerSlice = None,
    figure: Figure = None,
    image: UnderFigure = None,
    script_2016: Script2016 = False,
    axes: Axes = None,
    as_json: Json = False,
) -> None:
    """Measure as the ISBI 2012 EM challenge does.

    Pixel, Rand and warping error, V_rand and V_info. The errors are better when lower, the other two when
    higher. Interior is what lies above a threshold; each measure takes the best of the thresholds 0, 0.1, ...
    for the whole stack.
    """
    with loading():
        from unet2015.images.pair_notes import notes_on_pairs
        from unet2015.metrics.em import RADIUS_2016, measured
        from unet2015.metrics.em_files import read_em_files

    show_messages()
    check_table(per_slice, "em", labels, prediction)
    if figure is not None:
        from unet2015.images.figure_files import figure_guard
        from unet2015.metrics.figure import draw_failures

        figure_guard(figure, figure)
    truth, proposal, under, of_files = read_em_files(labels, prediction, image, axes)
    for note in (on_results := notes_on_pairs([(labels, prediction)])):
        print_message(f"{prediction}: {note}")
    with progress("slices") as report:
        scores = measured(truth, proposal, script_2016, report)
    names = {"labels": labels, "proposal": prediction}
    notes = [f"{names[note.about]}: {note.text}" for note in scores.notes]
    for note in notes:
        print_message(note)
    write_csv(per_slice, scores.per_slice(), "em", labels, prediction)
    if figure is not None:
        threshold, radius = scores.warping_error.threshold or 0.0, RADIUS_2016 if script_2016 else 20
        draw_failures(figure, truth, proposal, threshold, image=under, radius=radius)
    if as_json:
        doubts = {"notes": [*of_files, *notes], "on_results": list(on_results)}
        print_json(scores.as_dict() | {key: value for key, value in doubts.items() if value})
    else:
        _print_scores(scores)


def _print_scores(scores: "EMScores") -> None:
    echo(f"{'measure':<15}{'value':<14}{'threshold':<11}definition")
    for name, measure in scores.measures.items():
        entry = MEASURES[name]
        threshold = "none" if measure.threshold is None else f"{measure.threshold:.1f}"
        echo(f"{name:<15}{entry.show(measure.value):<14}{threshold:<11}{entry.meaning}")
    best = scores.warping_error.best
    echo(f"warping error: {best.splits} pixels split and {best.mergers} merge cells")


@app.command()
def seg(
    truth: TruthFolder,
    result: ResultFolder,
    ignore: Ignore = None,
    per_slice: PerSlice = None,
    as_json: Json = False,
) -> None:
    """Measure as the Cell Tracking Challenge does (SEG).

    SEG is the mean over the true objects of the IoU with the result object that covers more than half of
    them, 0 where there is none.
    """
    with loading():
        from unet2015.metrics.seg_folders import evaluate_seg

    show_messages()
    check_table(per_slice, "seg", truth, result)
    with progress("frames") as report:
        score = evaluate_seg(truth, result, ignore=ignore, progress=report)
    frames = score.per_frame()
    write_csv(per_slice, frames, "seg", truth, result)
    if as_json:
        print_json(score.as_dict())
        return
    entry = MEASURES["seg_score"]
    echo(f"{'frame':<9}{'objects':<9}{'matched':<9}{entry.symbol} ({entry.meaning})")
    for row in frames:
        echo(f"{row['frame']:<9}{row['objects']:<9}{row['matched']:<9}{row['seg']:.6f}")
    matched = sum(row["matched"] for row in frames)
    echo(f"{'all':<9}{len(score.objects):<9}{matched:<9}{entry.show(score.value)}")
