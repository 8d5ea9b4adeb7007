"""The command line of experiments on a folder of images and masks."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.base.command import attempt, options, stage_options
from pipelines.base.json_files import read_json
from pipelines.base.run import run_stages
from pipelines.base.settings import FOLDER
from pipelines.photographs.settings import PhotographSettings
from pipelines.photographs.stages import MoreMeasures, Photographs, say
from unet2015.cli.output import show_messages
from unet2015.errors import NothingLearnedError
from unet2015.settings import parse_settings, read_toml


def run(words: Sequence[str] | None, name: str, description: str | None, more: MoreMeasures) -> int:
    """Run an experiment from the command line; return the exit status, 3 where a training has not learned.

    Its settings are ``pipelines/NAME.toml`` and ``NAME-quick.toml``.
    """
    parser = options(name, description)
    stage_options(parser, f"runs/{name}")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data")
    parser.add_argument("--settings", type=Path, help=f"the experiment (default: pipelines/{name}.toml)")
    parser.add_argument("--quick", action="store_true", help=f"all stages in minutes: {name}-quick.toml")
    parser.add_argument(
        "--encoder-weights", type=Path, help="ImageNet's weights of VGG-19, torchvision's .pth"
    )
    given = parser.parse_args(words)
    show_messages()

    def work() -> int:
        path = given.settings or FOLDER / f"{name}{'-quick' if given.quick else ''}.toml"
        chosen = parse_settings(PhotographSettings, read_toml(path, str(path)), str(path))
        made = Photographs(given.data, given.out, chosen, given.device, given.encoder_weights, more)
        status = run_stages(made.stages(), given.out, given.stages)
        if status or given.stages:
            return status
        say(made.files)
        return NothingLearnedError.exit_status if read_json(made.files.result)["not_learned"] else 0

    return attempt(work)
