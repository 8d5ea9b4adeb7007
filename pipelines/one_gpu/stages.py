"""The stages of :mod:`pipelines.one_gpu` but the trainings: a stage whose find is noted does nothing."""

from typing import Any

from pipelines.on_device.trainings import begin
from pipelines.one_gpu.run import Run
from pipelines.one_gpu.timing import agreement, augmentation_seconds, bfloat16_peak, inference_seconds
from pipelines.one_gpu.training import choose as choose_recipes
from pipelines.one_gpu.training import try_recipe
from unet2015.errors import UNet2015Error
from unet2015.networks import build
from unet2015.settings import load_settings


def agree(run: Run) -> None:
    """See that a network gives the same on the CPU and here."""
    if "agreement" in run.notes:
        return
    run.clock.check()
    found = agreement(load_settings(None, {"network": {"width": 8}}).network, run.device)
    run.notes["agreement"] = found
    single, half = found["float32"], found["bfloat16"]
    run.say(f"scores next to a CPU: {single:.1e} (float32), {half:.1e} (bfloat16)")
    if single > 1e-4:
        raise UNet2015Error(f"this device and a CPU differ by {single:.1e} of the scores' scale")


def peak(run: Run) -> None:
    """Measure the rate of a product of large matrices in bfloat16."""
    if "bfloat16_peak" in run.notes:
        return
    run.clock.check()
    run.notes["bfloat16_peak"] = bfloat16_peak(run.plan.given.get("matrix", 8192), run.device)
    run.say(f"bfloat16 peak: {run.notes['bfloat16_peak'] / 1e12:.3g} TFLOP/s")


def augmentation(run: Run) -> None:
    """Time the augmentation alone, as it is recorded in a step, next to the step."""
    if "augmentation" in run.notes or run.device.type != "cuda":
        return
    run.clock.check()
    name, recipe = next(iter(run.plan.trainings)), next(iter(run.plan.recipes.values()))
    settings = run.plan.settings(name, recipe, run.plan.shortest)
    pages = run.plan.pages(name, settings)
    run.notes["augmentation"] = augmentation_seconds(begin(settings, pages, run.device, drawn=1))
    run.say(f"augmentation of a tile: {run.notes['augmentation'] * 1000:.3f} ms")


def choose(run: Run) -> None:
    """Take some steps of each recipe on some trainings; the lowest loss that has learned goes on."""
    plan = run.plan
    if "chosen" in run.notes:
        return
    if len(plan.recipes) == 1:
        run.notes["chosen"] = dict.fromkeys(plan.trainings, next(iter(plan.recipes)))
        return
    found: dict[str, dict[str, Any]] = {name: {} for name in plan.trials}
    for name in plan.trials:
        for recipe in plan.recipes:
            if run.stop.is_set():
                return
            run.clock.check()
            tried = found[name][recipe] = try_recipe(plan, name, recipe, run.device)
            level, constant = tried["cross_entropy"], tried["best_constant"]
            run.say(f"trial, {name}, {recipe}: {level:.4f}; best constant answer {constant:.4f}")
    run.notes["trials"], run.notes["chosen"] = found, choose_recipes(plan, found)
    run.say(f"chosen: {run.notes['chosen']}")


def inference(run: Run) -> None:
    """Time tiled inference of some sizes at full width."""
    if "inference" in run.notes:
        return
    run.clock.check(0.02)
    network = build(load_settings(None, run.plan.given["base"]).network, 1, 2)
    sides = run.plan.given.get("inference", [512, 2048])
    run.notes["inference"] = inference_seconds(network, sides, run.device)
    for side, found in run.notes["inference"].items():
        run.say(f"inference of {side} px: {found['seconds'] * 1000:.1f} ms")
