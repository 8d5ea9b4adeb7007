"""The stage of :mod:`pipelines.one_gpu` that trains: steps chosen by the clock, all taken, all written."""

import math
import time

from pipelines.one_gpu.plan import OutOfTimeError
from pipelines.one_gpu.run import Run
from pipelines.one_gpu.training import SideBySide
from unet2015.errors import TrainingError


def train(run: Run) -> None:
    """Train all that is not finished, side by side, as long as the time allows."""
    names = [name for name in run.plan.trainings if not run.results.maps(name).exists()]
    if not names:
        return
    run.clock.check()
    if "chosen" not in run.notes:
        raise TrainingError("no recipe is chosen, and so nothing is trained")
    side = SideBySide(run.plan, run.results, run.clock, run.stop, run.say)
    chosen = {name: run.notes["chosen"][name] for name in names}
    side.begin(chosen, run.notes.get("steps", {}), run.device)
    new = [name for name, begun in side.begun.items() if not begun.resumed]
    if new and not _choose_steps(run, side, new):
        return
    try:
        _descend(run, side)
    except BaseException:
        kept = side.keep(names)
        run.say(f"kept as they stand: {', '.join(kept) or 'no training'}")
        earlier = [n for n in names if n not in kept and run.results.stopped(n).exists()]
        if earlier:
            run.say(f"as they stood some time ago: {', '.join(earlier)}")
        raise
    _finish(run, side)


def _choose_steps(run: Run, side: SideBySide, names: list[str]) -> bool:
    rate = side.choose_steps(names)
    if rate is None:
        if not run.stop.is_set():
            raise OutOfTimeError("no time is left after the first steps; give more --seconds")
        run.say("stopped before the trainings began in earnest: nothing of them is kept")
        return False
    steps = {name: side.begun[name].settings.optimisation.steps for name in names}
    run.notes["steps"] = run.notes.get("steps", {}) | steps
    run.say(f"{rate:.0f} steps a second; steps: {run.notes['steps']}")
    run.write()
    return True


def _descend(run: Run, side: SideBySide) -> None:
    """Take all steps that are left, and note how fast."""
    counts, work = {name: begun.left for name, begun in side.begun.items()}, side.operations()
    start = time.monotonic()
    left = side.rounds(counts, say=True)
    seconds, count = time.monotonic() - start, sum(counts.values()) - sum(left.values())
    if left and not run.stop.is_set():
        run.say(f"the time is up with {sum(left.values())} steps to go")
        run.notes["cut_short"] = left
    if not count:
        return
    rate = (work - side.operations()) / seconds
    share = rate / run.notes.get("bfloat16_peak", math.inf)
    run.notes["training"] = {
        "steps": count,
        "seconds": round(seconds, 2),
        "steps_a_second": count / seconds,
        "flop_a_second": rate,
        "share_of_peak": share,
    }
    speed = f"{count / seconds:.0f} a second, {100 * share:.0f} % of the peak"
    run.say(f"{count} steps in {seconds:.0f} s: {speed}")


def _finish(run: Run, side: SideBySide) -> None:
    """Write what the trainings give; keep those that the run was stopped before."""
    waiting = dict(side.begun)
    while waiting and not run.stop.is_set():
        name, begun = next(iter(waiting.items()))
        del waiting[name]
        try:
            run.results.finish(name, begun.training, begun.settings)
            run.say(f"{name}: maps written, {run.results.maps(name).stat().st_size / 2**20:.1f} MiB")
        except Exception as error:  # one training must not cost the others
            run.failed(name, error)
            side.keep([name])
    if waiting:
        kept = side.keep(waiting)
        run.say(f"stopped; kept as they stand: {', '.join(kept)}; the same command goes on")
