"""``unet2015 check``: what is wrong with a training set."""

from dataclasses import asdict

import typer

from unet2015.cli.options import Axes, Ignore, Images, Json, LabelKindOption, Labels, Settings, Validate
from unet2015.cli.output import print_json


def check(
    images: Images,
    labels: Labels,
    label_kind: LabelKindOption = None,
    settings: Settings = None,
    ignore: Ignore = None,
    validate: Validate = None,
    axes: Axes = None,
    as_json: Json = False,
) -> None:
    """Say what is wrong with a training set.

    Better before an hour is lost than after. Every pixel is read. Given the options of train it
    names the pages that train would hold out.
    Errors would stop or spoil a training, and make the exit status 1; warnings need not.
    """
    from unet2015.cli.train import changes
    from unet2015.errors import DataSetError
    from unet2015.settings import load_settings
    from unet2015.training.checks import Problem, SetReport, inspect_set
    from unet2015.training.dataset import describe_held_out, pair_images

    chosen = load_settings(settings, changes(label_kind, ignore, validate))
    try:
        pairs = pair_images(images, labels)
        report = inspect_set(pairs, chosen, axes)
    except DataSetError as error:
        pairs, report = [], SetReport([Problem("error", "", str(error))], [])
    problems = report.problems
    errors = sum(problem.severity == "error" for problem in problems)
    if as_json:
        print_json(
            {
                "pairs": [{"image": str(image), "labels": str(label)} for image, label in pairs],
                "held_out": report.held_out,
                "problems": [asdict(problem) for problem in problems],
            }
        )
    else:
        for problem in problems:
            typer.echo(f"{problem.severity}: {problem}")
        if report.held_out:
            typer.echo(describe_held_out(report.held_out))
        typer.echo(
            f"{len(pairs)} pairs of image and labels: {errors} errors, {len(problems) - errors} warnings"
        )
    if errors:
        raise typer.Exit(1)
