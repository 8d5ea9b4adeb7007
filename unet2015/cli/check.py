"""``unet2015 check``: what is wrong with a training set."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from unet2015.cli.loading import loading
from unet2015.cli.options import (
    Axes,
    Channel,
    Ignore,
    Images,
    Json,
    LabelKindOption,
    Labels,
    LabelThreshold,
    Scene,
    Settings,
    StartModel,
    Validate,
    changes,
    of_training_set,
)
from unet2015.cli.output import echo, print_json, show_messages
from unet2015.cli.unexpected import keep_tracebacks
from unet2015.wording import counted

if TYPE_CHECKING:
    from unet2015.training.checks.training_set import SetReport


def check(
    images: Images,
    labels: Labels,
    label_kind: LabelKindOption = None,
    settings: Settings = None,
    label_threshold: LabelThreshold = None,
    ignore: Ignore = None,
    validate: Validate = None,
    axes: Axes = None,
    channel: Channel = None,
    scene: Scene = None,
    start: StartModel = None,
    as_json: Json = False,
) -> None:
    """Say what is wrong with a training set.

    Run it before a long training. Every pixel is read. With the options of train, it names the pages
    that train would hold out. Errors would stop or spoil a training; the exit status is then 1.
    Warnings may be harmless.
    """
    with loading():
        from unet2015.errors import DataSetError
        from unet2015.training.checks.problem import Problem, errors_of
        from unet2015.training.checks.training_set import SetReport, inspect_set
        from unet2015.training.chosen_settings import settings_with
        from unet2015.training.pairing import find_pairs
        from unet2015.training.pool import Reading
        from unet2015.training.start import check_settings, find_start

    show_messages()
    options = changes(**of_training_set(label_kind, label_threshold, ignore, validate))
    begun = find_start(start)
    chosen = settings_with(begun, settings, options)
    check_settings(begun, chosen)
    try:
        found = find_pairs(images, labels)
        pairs, likeness = found.pairs, found.by_likeness
        info = None if begun is None else begun.model.info
        report = inspect_set(pairs, chosen, Reading(axes, channel, scene), start=info)
        report.problems[:0] = [Problem("warning", "", line) for line in found.left_out]
    except DataSetError as error:
        pairs, likeness = [], ""
        report = SetReport([Problem("error", "", str(error))], [])
    if as_json:
        print_json(
            {
                "pairs": [{"image": str(image), "labels": str(label)} for image, label in pairs],
                "held_out": report.held_out,
                "held_out_trained_on": list(report.held_out_seen),
                "share_pixels": [list(names) for names in report.together],
                "contents": None if report.contents is None else report.contents.as_dict(chosen.labels),
                "problems": [asdict(problem) for problem in report.problems],
            }
        )
    else:
        if report.contents is not None:
            echo(*report.contents.describe(chosen.labels))
        _print_report(report, len(pairs), likeness)
    keep_tracebacks(report.failures)
    if errors_of(report.problems):
        raise typer.Exit(1)


def _print_report(report: "SetReport", pairs: int, likeness: str) -> None:
    from unet2015.training.checks.problem import errors_of, merged
    from unet2015.training.page_names import describe_held_out

    for problem in merged(report.problems):
        echo(f"{problem.severity}: {problem}")
    if report.held_out:
        echo(describe_held_out(report.held_out))
    if likeness:
        echo(likeness)
    errors = len(errors_of(report.problems))
    counts = (pairs, "pair"), (errors, "error"), (len(report.problems) - errors, "warning")
    found, bad, doubtful = (counted(count, what) for count, what in counts)
    echo(f"{found} of image and labels: {bad}, {doubtful}")
