"""``unet2015 train``: a model from images and labels."""

import logging
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from unet2015.cli.loading import loading
from unet2015.cli.options import (
    Axes,
    Channel,
    Device,
    Ignore,
    Images,
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
from unet2015.cli.output import echo_path, show_messages
from unet2015.settings.choices import TrainingPrecision


def train(
    images: Images,
    labels: Labels,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the run, made if missing.", metavar="RUN_DIR")
    ],
    settings: Settings = None,
    label_kind: LabelKindOption = None,
    label_threshold: LabelThreshold = None,
    ignore: Ignore = None,
    validate: Validate = None,
    steps: Annotated[int | None, typer.Option(help="Training steps.", metavar="N")] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="In place of --steps: rounds through the training images, a tile of each.", metavar="N"
        ),
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(help="Side of the tiles that the network reads, in pixels; paper: 572.", metavar="N"),
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Tiles a step; paper: 1.", metavar="N")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Learning rate after the warm-up.", metavar="RATE")
    ] = None,
    precision: Annotated[
        TrainingPrecision | None,
        typer.Option(help="auto: bfloat16 where a short timing shows that it is faster here, else float32."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all random draws.", metavar="N")] = None,
    network: Annotated[
        str | None, typer.Option(help="Which network; unet2015 is the paper's.", metavar="KIND")
    ] = None,
    width: Annotated[
        int | None, typer.Option(help="Channels of the network's first level; paper: 64.", metavar="N")
    ] = None,
    start: StartModel = None,
    encoder_weights: Annotated[
        Path | None,
        typer.Option(
            help="First weights of the encoder (vgg19): torchvision's .pth, or safetensors. Nothing is "
            "downloaded; without it they are drawn.",
            metavar="FILE",
        ),
    ] = None,
    device: Device = "auto",
    axes: Axes = None,
    channel: Channel = None,
    scene: Scene = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in RUN_DIR.")
    ] = False,
) -> None:
    """Train a model on images and labels.

    The settings decide everything that is not an option. RUN_DIR gets model.safetensors (the best on the
    held-out pages), checkpoints, log.jsonl and the settings. The path of the model is printed. If the
    first validation shows that nothing is learned, the training begins again with the next seed. If
    nothing is learned in the end, one of several classes is not, or next to no object is found, the exit
    status is 3.

    On N GPUs: torchrun --nproc-per-node N -m unet2015 train ... Each step then shows N tiles, one on
    each GPU, and follows the mean of their gradients; steps and learning rate do not change. To show as
    many tiles as with one GPU, divide --steps by N. The gradient is steadier then, and often allows a
    higher learning_rate (up to N times; try it). --resume needs the same N. Ctrl-C, SIGTERM or SIGHUP
    saves a checkpoint first; torchrun waits 30 s for it (--shutdown-timeout). Without GPUs N processes
    train on the processor.
    """
    with loading():
        from unet2015.errors import OtherProcessError
        from unet2015.models.doubts import not_found
        from unet2015.training.chosen_settings import choose_settings
        from unet2015.training.loop import train as run
        from unet2015.training.processes import process_group
        from unet2015.training.start import find_start

    show_messages()
    try:
        with process_group() as group:
            given = changes(
                seed=seed,
                **of_training_set(label_kind, label_threshold, ignore, validate),
                network={"kind": network, "width": width},
                optimisation={
                    "steps": steps,
                    "epochs": epochs,
                    "tile": tile,
                    "batch": batch,
                    "learning_rate": learning_rate,
                    "precision": precision,
                },
            )
            begun = find_start(start)
            chosen = choose_settings(settings, group.device(device), given, begun)
            model = run(
                images,
                labels,
                out,
                settings=chosen,
                device=device,
                resume=resume,
                start=begun,
                encoder_weights=encoder_weights,
                axes=axes,
                channel=channel,
                scene=scene,
            )
    except OtherProcessError as error:
        sys.exit(error.exit_status)
    if not group.first:
        return
    echo_path(model.path)
    if find_spec("matplotlib") is not None:  # an extra
        _draw_curves(out)
    if model.info.learned is False or not_found(model.info.training):
        raise typer.Exit(3)


def _draw_curves(folder: Path) -> None:
    """Draw the curves of a training; its model is whole, so no error of the drawing makes it a failure."""
    from unet2015.report.figures import draw_curves
    from unet2015.training.run_folder import CURVES, LOG

    try:
        draw_curves(folder / LOG, folder / CURVES)
    except Exception as error:
        logging.getLogger("unet2015").warning("no curves of the training: %s", error)
