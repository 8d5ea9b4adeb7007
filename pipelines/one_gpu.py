"""Everything that ten minutes of one GPU can give: the paper's tables at full width, in one command.

``python -m pipelines.one_gpu --data FILE.npz --out DIR --seconds 520 [--device cuda] [--quick]``

FILE is what :mod:`pipelines.device_sets` packs. In this order, bounded by the clock: CPU and GPU are seen to
agree; the card's bfloat16 peak; some steps of every recipe, of which those that beat the best constant
answer are compared, and the best goes on; all trainings side by side, their steps chosen by the time that is
left; held-out maps as 8 bit; inference times; one model in half precision, in parts. What is finished stays:
the same command goes on with what is missing. Ctrl-C, or a SIGTERM, keeps all trainings as they stand.

Nothing here measures: the maps are measured afterwards, on any machine, by :mod:`pipelines.one_gpu_measures`.
"""

import argparse
import json
import math
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from pipelines.device_jobs import CHUNK, draws
from pipelines.device_sets import Split, find_split, label_settings, load, mapped, training_pages
from unet2015.checkpoint import ModelInfo, load_tensors, save_model, save_tensors
from unet2015.errors import SettingsError, UNet2015Error
from unet2015.files import atomic_path, make_folder, write_json
from unet2015.networks import build
from unet2015.settings import Mapping, TrainingSettings, load_settings, merged, read_toml
from unet2015.tiling.engine import Predictor, run
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.sinks import ArraySink
from unet2015.training.deform import DevicePages
from unet2015.training.on_device import DeviceTraining
from unet2015.versions import versions

SETTINGS = Path(__file__).with_name("one_gpu.toml")
QUICK = Path(__file__).with_name("one_gpu-quick.toml")
PART = 15 * 2**20
"""Bytes of a part of a model."""
RESERVED = 0.12
"""Share of the time that is kept for maps, models and times."""


class _Held:
    """An image in memory, as a source for the engine."""

    def __init__(self, pixels: NDArray[np.float32]) -> None:
        self.pixels = pixels

    def read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.float32]:
        """Return a region, (channels, y1 - y0, x1 - x0)."""
        return self.pixels[:, y0:y1, x0:x1]


class Clock:
    """The seconds that are left."""

    def __init__(self, seconds: float) -> None:
        self.started, self.seconds = time.monotonic(), seconds

    @property
    def gone(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def left(self) -> float:
        """Seconds to the end."""
        return self.seconds - self.gone


class OneGPU:
    """The stages and what they found.

    Parameters
    ----------
    arrays : dict
        The packed sets.
    out : Path
        Folder of the results.
    given : dict
        Values of the settings file.
    device : torch.device
        The GPU, or a CPU to try the code.
    clock : Clock
        How long it may take.
    """

    def __init__(
        self,
        arrays: dict[str, NDArray[Any]],
        out: Path,
        given: dict[str, Any],
        device: torch.device,
        clock: Clock,
    ) -> None:
        self.arrays, self.out, self.given, self.device, self.clock = arrays, out, given, device, clock
        self.notes: dict[str, Any] = {}
        self.stopped = False
        self._pages: dict[str, DevicePages] = {}
        for name in given["trainings"]:  # what does not exist is said before anything is done
            find_split(arrays, given["trainings"][name]["split"])
            self.settings(name, next(iter(given["recipes"].values())))

    def settings(self, name: str, recipe: dict[str, Any], steps: int | None = None) -> TrainingSettings:
        """Return the settings of a training under a recipe."""
        training = self.given["trainings"][name]
        split = find_split(self.arrays, training["split"])
        values = merged(merged(self.given["base"], recipe), training.get("settings", {}))
        values = merged(values, {"labels": label_settings(split.kind)})
        if steps is not None:
            values = merged(values, {"optimisation": {"steps": steps}})
        return load_settings(None, values)

    def pages(self, name: str, settings: TrainingSettings) -> DevicePages:
        """Return what a training is trained on."""
        training = self.given["trainings"][name]
        split, silver = find_split(self.arrays, training["split"]), training.get("silver", False)
        key = json.dumps(
            [
                split.name,
                silver,
                settings.mapping.model_dump(mode="json"),
                settings.weight_map.model_dump(mode="json"),
            ]
        )
        if key not in self._pages:
            self._pages[key] = training_pages(self.arrays, split, settings, silver)
        return self._pages[key]

    def say(self, text: str) -> None:
        """Print a line with the time."""
        print(f"[{self.clock.gone:6.1f} s] {text}", flush=True)

    def run(self) -> int:
        """Run all stages; return the exit status."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        if (done := self.out / "one_gpu.json").exists():
            self.notes = json.loads(done.read_text(encoding="utf-8"))
            if self.notes.get("settings") != self.given:
                raise SettingsError(
                    f"{self.out} holds results of other settings, which are not mixed; choose another folder"
                )
        self.notes["settings"] = self.given
        self.notes["device"] = torch.cuda.get_device_name(self.device) if self._cuda else "cpu"
        self.notes["versions"], self.notes["date"] = versions(), datetime.now(UTC).date().isoformat()
        status = 0
        for stage in (self.agree, self.peak, self.augmentation, self.choose, self.train, self.inference):
            if self.stopped:
                break
            try:
                stage()
            except Exception as error:  # what is there is kept, and said
                self.notes.setdefault("failed", {})[stage.__name__] = f"{type(error).__name__}: {error}"[:500]
                self.say(f"{stage.__name__} failed: {type(error).__name__}: {error}")
                status = 1
            self.write()
        return 130 if self.stopped else status

    def write(self) -> None:
        """Write what was found so far."""
        self.notes["seconds"] = round(self.clock.gone, 1)
        write_json(self.out / "one_gpu.json", self.notes)

    @property
    def _cuda(self) -> bool:
        return self.device.type == "cuda"

    def _stop(self, number: int, frame: object) -> None:
        self.stopped = True

    # The stages.

    def agree(self) -> None:
        """See that a network gives the same on the CPU and here."""
        if "agreement" in self.notes:
            return
        network = build(load_settings(None, {"network": {"width": 8}}).network, 1, 2).eval()
        image = torch.randn(1, 1, 316, 316, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            expected = network(image)
            network.to(self.device)
            with torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=False):
                exact = network(image.to(self.device)).cpu()
            with torch.autocast(self.device.type, torch.bfloat16):
                rough = network(image.to(self.device)).float().cpu()
        scale = float(expected.abs().max())
        found = {
            "float32": float((exact - expected).abs().max()) / scale,
            "bfloat16": float((rough - expected).abs().max()) / scale,
        }
        self.notes["agreement"] = found
        self.say(
            f"scores next to a CPU: {found['float32']:.1e} (float32), {found['bfloat16']:.1e} (bfloat16)"
        )
        if found["float32"] > 1e-4:
            raise UNet2015Error(
                f"this device and a CPU differ by {found['float32']:.1e} of the scores' scale"
            )

    def peak(self) -> None:
        """Measure the rate of a product of large matrices in bfloat16."""
        if "bfloat16_peak" in self.notes:
            return
        side = self.given.get("matrix", 8192)
        one, other = (torch.randn(side, side, device=self.device, dtype=torch.bfloat16) for _ in range(2))
        rates = []
        for repeat in range(8):
            self._wait()
            start = time.perf_counter()
            for _ in range(10):
                one @ other
            self._wait()
            if repeat:
                rates.append(10 * 2 * side**3 / (time.perf_counter() - start))
        self.notes["bfloat16_peak"] = float(np.median(rates))
        self.say(f"bfloat16 peak: {np.median(rates) / 1e12:.0f} TFLOP/s")

    def choose(self) -> None:
        """Take some steps of each recipe on some trainings; the lowest loss that has learned goes on."""
        recipes, trial = self.given["recipes"], self.given["trial"]
        if len(recipes) == 1 or "chosen" in self.notes:
            self.notes.setdefault("chosen", dict.fromkeys(self.given["trainings"], next(iter(recipes))))
            return
        found: dict[str, dict[str, Any]] = {}
        for name in trial["on"]:
            found[name] = {}
            for recipe, values in recipes.items():
                settings = self.settings(name, values, trial["steps"])
                pages = self.pages(name, settings)
                training = self._training(settings, pages, trial["steps"])
                training.load(settings, pages, draws(settings, pages))
                training.run(trial["steps"])
                training.wait()
                losses = training.losses[: trial["steps"]].cpu().numpy()
                level, constant = self._pixel_loss(training, pages)
                found[name][recipe] = {
                    "loss": float(losses[-50:].mean()),
                    "cross_entropy": level,
                    "best_constant": constant,
                    "learned": level < constant,
                }
                self.say(f"trial, {name}, {recipe}: {level:.4f}; best constant answer {constant:.4f}")
                del training
        self.notes["trials"] = found
        chosen = {}
        for name, training_values in self.given["trainings"].items():
            kind = find_split(self.arrays, training_values["split"]).kind
            like = next((n for n in trial["on"] if self._kind(n) == kind), trial["on"][0])
            learned = {r: v for r, v in found[like].items() if v["learned"]} or found[like]
            best = min(learned, key=lambda recipe: learned[recipe]["cross_entropy"])
            chosen[name] = training_values.get("recipe", best)
        self.notes["chosen"] = chosen
        self.say(f"chosen: {chosen}")

    def _pixel_loss(self, training: DeviceTraining, pages: DevicePages) -> tuple[float, float]:
        """Return the cross-entropy of the first pages and that of the best constant answer, in nats."""
        few = slice(0, 4)
        levels = training.predict(list(pages.images[few])).astype(np.float64)
        known = pages.classes[few] != 255
        inside = np.clip(levels[known] / 255, 1 / 510, 1 - 1 / 510)
        truth = pages.classes[few][known] == 1
        share = float(np.clip(truth.mean(), 1e-6, 1 - 1e-6))
        constant = -share * math.log(share) - (1 - share) * math.log(1 - share)
        return float(-np.log(np.where(truth, inside, 1 - inside)).mean()), constant

    def train(self) -> None:
        """Train all that is not finished, side by side, as long as the time allows."""
        names = [name for name in self.given["trainings"] if not self._maps(name).exists()]
        if not names:
            return
        begun = self._begin(names)
        # Part of the warm-up, which does not depend on the number of steps, is the trial of the speed.
        first = {name: int(training.at) for name, (training, _) in begun.items()}
        self._rounds({name: (begun[name][0], 1) for name in names if not first[name]})
        timed = self.given.get("timed", 32)
        start = time.monotonic()
        todo = {name: (begun[name][0], timed) for name in names if first[name] <= 1}
        self._rounds(todo)
        rate = max(1, len(todo)) * timed / (time.monotonic() - start)
        for name in names:
            if first[name] <= 1:
                self._extend(name, begun, rate, names)
        self.notes["steps"] = self.notes.get("steps", {}) | {
            n: s.optimisation.steps for n, (_, s) in begun.items()
        }
        self.say(f"{rate:.0f} steps a second; steps: {self.notes['steps']}")
        self.write()
        start, before = time.monotonic(), sum(int(t.at) for t, _ in begun.values())
        left = {name: (t, s.optimisation.steps - int(t.at)) for name, (t, s) in begun.items()}
        work = sum(count * self._flops(begun[name][1]) for name, (_, count) in left.items())
        try:
            self._rounds(left, say=True)
        finally:
            if self.stopped:
                for name, (training, settings) in begun.items():
                    self._keep(name, training, settings)
        if self.stopped:
            self.say("stopped: the trainings are kept as they stand; the same command goes on")
            return
        seconds = time.monotonic() - start
        count = sum(int(t.at) for t, _ in begun.values()) - before
        self.notes["training"] = {
            "steps": count,
            "seconds": round(seconds, 2),
            "steps_a_second": count / seconds,
            "flop_a_second": work / seconds,
            "share_of_peak": work / seconds / self.notes.get("bfloat16_peak", math.inf),
        }
        self.say(
            f"{count} steps in {seconds:.0f} s: {count / seconds:.0f} a second, "
            f"{100 * self.notes['training']['share_of_peak']:.0f} % of the peak"
        )
        for name, (training, settings) in begun.items():
            self._finish(name, training, settings)

    def _begin(self, names: Sequence[str]) -> dict[str, tuple[DeviceTraining, TrainingSettings]]:
        begun = {}
        capacity = self.given.get("longest", 60_000)
        for name in names:
            recipe = self.given["recipes"][self.notes["chosen"][name]]
            kept = self._kept(name)
            steps = self.notes.get("steps", {}).get(name) if kept.exists() else None
            settings = self.settings(name, recipe, steps or capacity)
            pages = self.pages(name, settings)
            training = self._training(settings, pages, capacity)
            # Of a training that is begun only the draws that time it are needed.
            some = settings if steps else self.settings(name, recipe, self.given.get("timed", 32) + 2)
            training.load(settings, pages, draws(some, pages))
            if steps:
                training.restore(load_tensors(kept)[0])
            begun[name] = training, settings
        return begun

    def _extend(
        self,
        name: str,
        begun: dict[str, tuple[DeviceTraining, TrainingSettings]],
        rate: float,
        names: Sequence[str],
    ) -> None:
        """Choose the steps of a training by the time that is left, and give it their draws."""
        shares = {n: self.given["trainings"][n].get("share", 1.0) for n in names}
        seconds = self.clock.left - RESERVED * self.clock.seconds - 0.5 * len(names)
        steps = int(rate * max(1.0, seconds) * shares[name] / sum(shares.values()))
        steps = min(max(steps, self.given.get("shortest", 200)), self.given.get("longest", 60_000))
        steps = min(steps, self.given["trainings"][name].get("steps", steps))
        training, _ = begun[name]
        settings = self.settings(name, self.given["recipes"][self.notes["chosen"][name]], steps)
        training.extend(settings, draws(settings, self.pages(name, settings)))
        begun[name] = training, settings

    def _rounds(self, work: dict[str, tuple[DeviceTraining, int]], say: bool = False) -> None:
        """Take steps of several trainings in turn until all are done or the run is stopped."""
        left = {name: count for name, (_, count) in work.items() if count > 0}
        said = time.monotonic()
        while left and not self.stopped:
            if self.clock.left < RESERVED / 2 * self.clock.seconds:
                self.say(f"the time is up with {sum(left.values())} steps to go")
                self.notes["cut_short"] = left
                return
            largest = max(left.values())
            for name in list(left):
                # Those with more to do are asked for more, so that all end together.
                count = min(left[name], max(1, round(CHUNK * left[name] / largest)))
                work[name][0].run(count)
                left[name] -= count
                if not left[name]:
                    del left[name]
            for training, _ in work.values():
                training.wait()
            if say and time.monotonic() - said > 20:
                said = time.monotonic()
                losses = {
                    name: round(float(t.losses[max(0, int(t.at) - 100) : int(t.at)].mean()), 3)
                    for name, (t, _) in work.items()
                }
                self.say(f"steps left: {sum(left.values())}; losses {losses}")

    def _finish(self, name: str, training: DeviceTraining, settings: TrainingSettings) -> None:
        """Write maps, losses and, where it is asked for, the model of a training."""
        training_values = self.given["trainings"][name]
        split = find_split(self.arrays, training_values["split"])
        found: dict[str, NDArray[Any]] = {}
        for which, (prefix, pages) in (("test", split.test), ("train", split.train)):
            if not pages or (which == "train" and not training_values.get("train_maps", True)):
                continue
            images = mapped(self.arrays[f"{prefix}/images"][pages], settings)
            for average in training_values.get("averages", ["none"]):
                if which == "train" and average == "none" and len(training_values["averages"]) > 1:
                    continue
                found[f"{which}/{average}"] = training.predict(list(images), average)
        steps = settings.optimisation.steps
        found["losses"], found["norms"] = (t[:steps].cpu().numpy() for t in (training.losses, training.norms))
        if training_values.get("model", False):
            self._model(name, split, training, settings)
        with atomic_path(self._maps(name)) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **found)  # type: ignore[arg-type]
        self._kept(name).unlink(missing_ok=True)
        self.say(f"{name}: maps written, {self._maps(name).stat().st_size / 2**20:.1f} MiB")

    def _model(self, name: str, split: Split, training: DeviceTraining, settings: TrainingSettings) -> None:
        """Write a model in half precision, in parts that `cat` puts together."""
        network = build(settings.network, training.deform.shape[1], settings.labels.classes)
        network.load_state_dict(training.weights())
        names = ("membrane", "cell") if split.kind == "em" else ("background", "cell")
        record = {
            "settings": settings.model_dump(mode="json"),
            "split": split.name,
            "step": settings.optimisation.steps,
            "device": self.notes["device"],
            "versions": versions(),
            "date": self.notes["date"],
        }
        info = ModelInfo(
            network=settings.network,
            mapping=Mapping(method="standardise"),
            dtype="uint8",
            class_names=names,
            threshold=0.5,
            training=record,
        )
        path = self.out / f"{name}.safetensors"
        save_model(path, network, info, torch.float16)
        data = path.read_bytes()
        if len(data) > PART:
            for number, begin in enumerate(range(0, len(data), PART)):
                (self.out / f"{path.name}.part{number}").write_bytes(data[begin : begin + PART])
            path.unlink()

    def inference(self) -> None:
        """Time tiled inference of some sizes at full width by the engine, from host memory to host memory."""
        if "inference" in self.notes or self.clock.left < 0.02 * self.clock.seconds:
            return
        network = build(load_settings(None, self.given["base"]).network, 1, 2).eval()
        predict = Predictor(network, self.device, "bfloat16")
        found = {}
        for side in self.given.get("inference", [512, 2048]):
            source = _Held(np.random.default_rng(0).standard_normal((1, side, side)).astype(np.float32))
            tile = network.geometry.input_for(min(side, 1024))
            plan = TilePlan(1, side, side, (tile, tile), 1, network.geometry)
            times = []
            for _ in range(4):
                start = time.perf_counter()
                run(plan, source, predict, ArraySink(plan, 2))
                times.append(time.perf_counter() - start)
            found[str(side)] = {"seconds": float(np.median(times[1:])), "first": times[0], "tile": tile}
            self.say(f"inference of {side} px: {found[str(side)]['seconds'] * 1000:.1f} ms")
        self.notes["inference"] = found

    def augmentation(self) -> None:
        """Time the augmentation alone, as it is recorded in a step, next to the step."""
        if "augmentation" in self.notes or not self._cuda:
            return
        name = next(iter(self.given["trainings"]))
        settings = self.settings(name, next(iter(self.given["recipes"].values())), 4)
        pages = self.pages(name, settings)
        training = self._training(settings, pages, 4)
        training.load(settings, pages, draws(settings, pages))
        row, graph = training.draws[0, 0].clone(), torch.cuda.CUDAGraph()
        training.wait()
        training.deform(row)
        with torch.cuda.graph(graph):
            training.deform(row)
        times = []
        for _ in range(5):
            self._wait()
            start = time.perf_counter()
            for _ in range(100):
                graph.replay()
            self._wait()
            times.append((time.perf_counter() - start) / 100)
        self.notes["augmentation"] = float(np.median(times))
        self.say(f"augmentation of a tile: {np.median(times) * 1000:.3f} ms")

    # Small parts.

    def _training(self, settings: TrainingSettings, pages: DevicePages, capacity: int) -> DeviceTraining:
        return DeviceTraining(settings, (*pages.images.shape,), capacity, self.device)

    def _flops(self, settings: TrainingSettings) -> float:
        """Return the operations of a step: three times those of a pass."""
        side = settings.optimisation.tile
        network = build(settings.network, 1, settings.labels.classes).to("meta")
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(settings.optimisation.batch, 1, side, side, device="meta"))
        return 3.0 * float(counter.get_total_flops())

    def _kind(self, name: str) -> str:
        return find_split(self.arrays, self.given["trainings"][name]["split"]).kind

    def _maps(self, name: str) -> Path:
        return self.out / f"{name}.npz"

    def _kept(self, name: str) -> Path:
        return self.out / f"{name}.stopped"

    def _keep(self, name: str, training: DeviceTraining, settings: TrainingSettings) -> None:
        save_tensors(self._kept(name), training.state(), json.dumps({"steps": settings.optimisation.steps}))

    def _wait(self) -> None:
        if self._cuda:
            torch.cuda.synchronize(self.device)


def main(words: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="what pipelines.device_sets packed")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--seconds", type=float, default=520, help="time (default: %(default)s)")
    parser.add_argument(
        "--device", default="cuda", help="cuda, or cpu to try the code (default: %(default)s)"
    )
    parser.add_argument("--settings", type=Path, default=SETTINGS, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help=f"all stages at tiny size: {QUICK.name}")
    given = parser.parse_args(words)
    clock = Clock(given.seconds)
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        print("error: there is no GPU with CUDA here; `--device cpu --quick` tries the code", file=sys.stderr)
        return 2
    torch.backends.cudnn.benchmark = True
    chosen = QUICK if given.quick else given.settings
    try:
        values = read_toml(chosen, str(chosen))
        return OneGPU(
            load(given.data), make_folder(given.out), values, torch.device(given.device), clock
        ).run()
    except UNet2015Error as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
