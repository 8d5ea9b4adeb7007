"""``unet2015 evaluate``: the official measures."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, help="The official measures, equal to the organisers' own code.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON in place of the table.")]

_MEANING = {
    "pixel_error": "1 - F of the interior pixels",
    "rand_error": "1 - F of pairs of interior pixels (Rand, foreground-restricted)",
    "warping_error": "pixels that split or merge cells / all pixels",
    "v_rand": "F of pairs after thinning (Rand), mean of slices",
    "v_info": "F of information after thinning, mean of slices",
}


@app.command()
def em(
    labels: Annotated[Path, typer.Option(help="Ground truth stack: 0 = membrane, above 0 = cell interior.")],
    prediction: Annotated[
        Path,
        typer.Option(help="Probability of cell interior (float in [0, 1], or 8- or 16-bit), or a class map."),
    ],
    json: Json = False,
    per_slice: Annotated[
        Path | None, typer.Option(help="Write each slice's values to this CSV file.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Draw splits (orange) and mergers (blue) into this PNG file.")
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="The raw stack to draw them over; else the prediction.")
    ] = None,
    script_2016: Annotated[
        bool,
        typer.Option(
            help="Warping error with radius 10 from threshold 0.1, as the organisers' script of 2016."
        ),
    ] = False,
) -> None:
    """Pixel, Rand and warping error, V_rand and V_info of the ISBI 2012 EM challenge.

    Errors are better when lower, V_rand and V_info when higher. Interior is what lies above a threshold;
    each measure takes the best of the thresholds 0, 0.1, ... for the whole stack.
    """
    from unet2015.images.reader import read_pages
    from unet2015.metrics.em import evaluate_em, read_proposal

    truth, proposal = read_pages(labels), read_proposal(read_pages(prediction), str(prediction))
    under = None if image is None else read_pages(image)
    with _progress("slices") as report:
        scores = evaluate_em(truth, proposal, script_2016=script_2016, progress=report)
    if not (truth > 0).any(axis=(1, 2)).all():
        typer.echo(
            f"{labels}: a slice has no cell interior; by the challenge's rules the Rand error of the stack "
            "is then 1, and the slice adds 0 to V_rand and V_info",
            err=True,
        )
    if per_slice is not None:
        _write_csv(per_slice, scores.per_slice())
    if figure is not None:
        from unet2015.metrics.figure import draw_failures

        radius = 10 if script_2016 else 20
        draw_failures(
            figure, truth, proposal, scores.warping_error.threshold or 0.0, image=under, radius=radius
        )
    if json:
        _print_json(scores.as_dict())
        return
    typer.echo(f"{'measure':<15}{'value':<14}{'threshold':<11}definition")
    for name, measure in scores.as_dict().items():
        threshold = "none" if measure["threshold"] is None else f"{measure['threshold']:.1f}"
        typer.echo(f"{name:<15}{measure['value']:<14.9f}{threshold:<11}{_MEANING[name]}")
    best = scores.warping_error.best
    typer.echo(f"warping error: {best.splits} pixels split and {best.mergers} merge cells")


@app.command()
def seg(
    truth: Annotated[Path, typer.Option(help="NN_GT, or the folder with man_segTTT.tif.")],
    result: Annotated[Path, typer.Option(help="The folder with maskTTT.tif.")],
    json: Json = False,
    per_slice: Annotated[
        Path | None, typer.Option(help="Write each frame's values to this CSV file.")
    ] = None,
) -> None:
    """SEG of the Cell Tracking Challenge: mean IoU of the true objects, 0 where less than half is found."""
    from unet2015.metrics.seg import evaluate_seg

    with _progress("frames") as report:
        score = evaluate_seg(truth, result, progress=report)
    frames = score.per_frame()
    if per_slice is not None:
        _write_csv(per_slice, frames)
    if json:
        _print_json(score.as_dict())
        return
    typer.echo(f"{'frame':<9}{'objects':<9}{'matched':<9}SEG (mean IoU, 0 where unmatched)")
    for row in frames:
        typer.echo(f"{row['frame']:<9}{row['objects']:<9}{row['matched']:<9}{row['seg']:.6f}")
    matched = sum(row["matched"] for row in frames)
    typer.echo(f"{'all':<9}{len(score.objects):<9}{matched:<9}{score.value:.9f}")


@contextmanager
def _progress(unit: str) -> Iterator[Callable[[int, int], None]]:
    from tqdm import tqdm

    with tqdm(unit=f" {unit}", leave=False, disable=None) as bar:

        def report(done: int, count: int) -> None:
            bar.total = count
            bar.update(done - bar.n)

        yield report


def _print_json(value: Mapping[str, Any]) -> None:
    from json import dumps

    typer.echo(dumps(value, indent=2))


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    from csv import DictWriter

    from unet2015.files import atomic_path

    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
