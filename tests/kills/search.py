"""Rounds of kills: a run is killed, begun again, killed again, until it lives; then its end is looked at."""

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.kills import children
from tests.kills.children import ANY, Ended, Moment
from tests.kills.layouts import Segmentation, Training
from unet2015.safe_files import sha256

MOST_KILLS, MOST_RUNS = 10, 16
"""Kills in a round, and runs until it must be done."""
TIMED, DAMAGED = 0.3, 0.25
"""Which share of the kills comes after a time, and after which share a file is damaged."""


@dataclass
class Found:
    """What a search has seen of a layout."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


class Rounds:
    """Rounds of kills of one layout.

    Parameters
    ----------
    layout : Segmentation or Training
        What is run.
    place : Path
        A folder for it, which does not exist.
    """

    def __init__(self, layout: Segmentation | Training, place: Path) -> None:
        self.layout, self.place, self.found = layout, place, Found()
        self.whole: Ended = layout.prepare(place, _unkilled)

    def play(self, random: Random) -> None:
        """Play one round."""
        number = self.found.counts["rounds"]
        folder = self.place / f"round-{number}"
        self.layout.begin(folder)
        problems = list(self._kill_until_done(folder, random))
        problems = problems or list(self.layout.differences(folder))
        if not problems:
            again = children.run(self.layout.work(folder))  # what is done is looked at once more
            if again.error or again.units.get(self.layout.unit):
                problems.append(f"done, but run again: {again.units}, {again.error}")
            problems += self.layout.differences(folder)
        self.found.counts["rounds"] += 1
        self.found.problems += [f"round {number}: {problem}" for problem in problems]
        if not problems:
            shutil.rmtree(folder)

    def _kill_until_done(self, folder: Path, random: Random) -> Iterator[str]:
        counts, kills, damaged, story = self.found.counts, 0, False, []
        spoiled: dict[Path, str] = {}
        for _ in range(MOST_RUNS):
            before = self.layout.unfinished(folder)
            moment = self._draw(random) if kills < MOST_KILLS else None
            story.append(str(moment))
            ended = children.run(self.layout.work(folder), moment)
            if ended.lived and not ended.error:
                computed = ended.units.get(self.layout.unit, 0)
                if not damaged and computed != before:
                    yield f"{computed} computed, {before} were unfinished, after {story}"
                for path, digest in spoiled.items():  # what cannot be read is nobody's, so no run removes it
                    if path.exists() and sha256(path) == digest:
                        path.unlink()
                return
            if ended.lived:
                if damaged and self.layout.refused(folder, ended.error):
                    counts["refused"] += 1
                    continue
                yield f"{ended.error} after {story}"
                return
            kills += 1
            counts["kills"] += 1
            for path, problem in self.layout.half_written(folder):
                if not path.exists() or spoiled.get(path) != sha256(path):  # else spoiled here
                    yield f"{problem} after {story}"
            files = self.layout.damaged(folder)
            if random.random() < DAMAGED and files:
                story.append(_damage(file := random.choice(files), random))
                spoiled[file] = sha256(file) if file.exists() else ""
                counts["damaged"] += 1
                damaged = True
        yield f"not done after {story}"

    def _draw(self, random: Random) -> Moment:
        """Draw when to kill: calls of a rare kind, such as renaming, as often as those of a frequent one."""
        if random.random() < TIMED:
            return Moment(after=random.uniform(0, self.whole.seconds))
        calls = self.whole.calls
        kind = random.choice([ANY, *sorted(calls)])
        return Moment(kind, random.randint(1, calls[kind]))


def _unkilled(work: object) -> Ended:
    ended = children.run(work)  # type: ignore[arg-type]
    assert ended.lived
    assert not ended.error, ended.error
    return ended


def _damage(file: Path, random: Random) -> str:
    """Remove a file, or cut it; return what was done."""
    size = file.stat().st_size
    # JSON whose last line end is lost is whole.
    if random.random() < 0.5 or size < 2:
        file.unlink()
        return f"{file.name} removed"
    cut = random.randrange(size - 1)
    data = file.read_bytes()[:cut]
    file.unlink()  # a kill in the middle of publishing may have left it two names; only this one is damaged
    file.write_bytes(data)
    return f"{file.name} cut from {size} to {cut} bytes"
