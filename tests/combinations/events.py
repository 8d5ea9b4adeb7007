"""What happens between two runs over a folder of images, and what the second run must then do."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np

import unet2015
from tests.combinations import by_python, folders, inputs, models
from tests.combinations.bench import Bench, DiffersError
from tests.combinations.folders import Folder
from tests.fuzz.commands import command, inside
from tests.kills import children

Event = Callable[[Folder, Random], None]


def play_one(events: tuple[Event, ...], random: Random, folder: Path) -> Bench:
    """Draw a folder of images and what happens to it; raise `DiffersError` where something is wrong."""
    bench = Bench(folder)
    batch = folders.draw(random, bench)
    try:
        for event in _drawn(events, random):
            bench.words.append(f"# {event.__name__}")
            event(batch, random)
    except DiffersError as error:
        shapes = [(name, one.flavour, one.axes, one.pixels.shape) for name, one in batch.images.items()]
        said = f"{shapes}, {next(iter(batch.images.values())).pixels.dtype}"
        raise DiffersError("\n  ".join([str(error), said, *bench.words])) from error
    return bench


def _drawn(events: tuple[Event, ...], random: Random) -> list[Event]:
    """Draw one or two things that happen, one after the other."""
    chosen = random.sample(events, min(len(events), random.randint(1, 2)))
    # After it a run does not come to its end any more.
    return sorted(chosen, key=lambda event: event is result_of_somebody)


def again(batch: Folder, random: Random) -> None:
    """Nothing: the second run leaves all as it is, and says that it does."""
    batch.run()
    batch.look()
    before = batch.state()
    said = batch.run()
    batch.bench.same("results that the same command changed", batch.state(), before)
    batch.bench.same("images said to be done", said.count("done"), len(batch.images))


def changed_input(batch: Folder, random: Random) -> None:
    """An image gets other pixels, under its name, of its size, often with its old date."""
    batch.run()
    name = change(batch, random)
    before = batch.state(name)
    batch.run()
    batch.look()
    batch.bench.same("results of images that did not change", batch.state(name), before)


def change(batch: Folder, random: Random) -> str:
    """Turn an image upside down; return its name."""
    name = random.choice(list(batch.images))
    image, path = batch.images[name], batch.paths[name]
    times = path.stat()
    batch.images[name] = replace(image, pixels=np.ascontiguousarray(image.pixels[..., ::-1, ::-1]))
    if path.is_dir():
        shutil.rmtree(path)
    inputs.write(batch.images[name], path.parent, name)
    if random.random() < 0.5:
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    batch.bench.words.append(f"# {path.name} gets other pixels")
    return name


def other_model(batch: Folder, random: Random) -> None:
    """Another model writes into the same folder; then the first one again."""
    first = replace(batch)
    batch.run()
    before = batch.bytes()
    folders.another_model(random, batch)
    batch.run()
    batch.look()
    first.run()
    batch.bench.same("results of the first model again", first.bytes(), before)


def other_options(batch: Folder, random: Random) -> None:
    """Other thresholds and tiles are asked for; then the first ones again."""
    first = replace(batch)
    batch.run()
    before = batch.bytes()
    tiles = models.tiles(batch.model)
    options = batch.settings.options | {"tile": random.choice(tiles), "batch": random.randint(1, 3)}
    batch.settings = replace(batch.settings, options=options)
    if batch.settings.settings is not None:
        found = batch.settings.settings.model_copy(update={"smallest": 7, "connectivity": 1})
        batch.settings = replace(batch.settings, settings=found)
    if batch.settings.threshold is not None:
        batch.settings = replace(batch.settings, threshold=round(random.uniform(0.2, 0.8), 3))
    batch.run()
    batch.look()
    first.run()
    batch.bench.same("results of the first options again", first.bytes(), before)


def some_images(batch: Folder, random: Random) -> None:
    """One image is given alone: all results stay; the table of all has its rows alone."""
    batch.run()
    before = batch.state()
    name = random.choice(list(batch.images))
    one = replace(batch, images={name: batch.images[name]}, given=f"in/{batch.paths[name].name}")
    one.run()
    one.look()
    batch.bench.same("results after one image was given alone", batch.state(), before)


def moved(batch: Folder, random: Random) -> None:
    """All is moved to another folder, with its dates: nothing is computed again there."""
    batch.run()
    before = batch.state()
    folder = batch.bench.folder
    there = folder / "elsewhere"
    there.mkdir()
    for path in list(folder.iterdir()):
        if path != there:
            path.rename(there / path.name)
    batch.bench.folder = there
    batch.paths = {name: there / "in" / path.name for name, path in batch.paths.items()}
    batch.run()
    batch.bench.same("results after all was moved", batch.state(), before)
    batch.look()
    for name, path in batch.paths.items():
        record = batch.results(name)["record"].relative_to(there)
        lie = "--input", path.relative_to(there), "--model", batch.model_name
        said = batch.bench.run("replay", record, *lie)
        batch.bench.same("replay, different outputs", "different" in said.out, False, said.out)


def bad_file(batch: Folder, random: Random) -> None:
    """A file that is cut short lies among the images; then it is gone."""
    files = [path for path in batch.paths.values() if path.is_file()]
    if not files:
        return
    path = random.choice(files)
    bad = path.with_name("bad" + path.name[len(path.name.split(".")[0]) :][-4:])
    bad.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    batch.run(1)
    batch.look()
    listed = folders.rows(batch.bench.folder / "out" / "failures.csv")
    batch.bench.same("files in failures.csv", len(listed), 1)
    batch.bench.same(
        "the bad one in failures.csv", any(bad.name in str(value) for value in listed[0].values()), True
    )
    batch.bench.same("results of the bad file", batch.results("bad"), {})
    before = batch.state()
    before.pop("failures.csv")
    bad.unlink()
    batch.run()
    batch.bench.same("results after the bad file is gone", batch.state(), before)


def lost_result(batch: Folder, random: Random) -> None:
    """A result is gone: it comes again, with the same bytes."""
    batch.run()
    before = batch.bytes()
    if not batch.files():  # in OME-Zarr all are within one folder
        return
    lost = random.choice(batch.files())
    (batch.bench.folder / "out" / lost).unlink()
    batch.bench.words.append(f"# {lost} is removed")
    batch.run()
    batch.bench.same("results after one was lost", batch.bytes(), before)


def result_of_somebody(batch: Folder, random: Random) -> None:
    """A result was changed by hand: it stays, and the run says so."""
    batch.run()
    if not batch.files():
        return
    path = batch.bench.folder / "out" / random.choice(batch.files())
    path.write_bytes(path.read_bytes() + b" ")
    before = batch.state()
    batch.bench.words.append(f"# a blank is added to {path.name}")
    said = batch.run(1)
    after = batch.state()
    after.pop("failures.csv")
    batch.bench.same("results after one was changed by hand", after, before)
    batch.bench.same("the changed result is named", path.name in said, True, said)


def more_images(batch: Folder, random: Random) -> None:
    """An image comes after the first run: it alone is segmented, and the table of all has it."""
    name = random.choice(list(batch.images))
    path, image = batch.paths.pop(name), batch.images.pop(name)
    path.rename(batch.bench.folder / path.name)
    batch.run()
    batch.look()
    before = batch.state(name)
    (batch.bench.folder / path.name).rename(path)
    batch.paths[name], batch.images[name] = path, image
    batch.run()
    batch.look()
    batch.bench.same("results that were there", batch.state(name), before)


def functions(batch: Folder, random: Random) -> None:
    """`segment_files`, `label_files` and `measure_files` of a folder write what the commands do."""
    batch.run()
    with batch.bench.inside():
        options = by_python.options_of(batch.one(next(iter(batch.images))))
        unet2015.segment_files([batch.given], "by_python", batch.model_name, options)
    by_python.same_files(batch.bench, "segment_files", "out", "by_python")
    if batch.settings.settings is None:
        return
    batch.bench.run("label", "out", "-o", "counted", "--images", "in")
    with batch.bench.inside():
        unet2015.label_files("out", "counted_too", images="in")
    by_python.same_files(batch.bench, "label_files", "counted", "counted_too")
    batch.bench.run("measure", "out", "-o", "measured", "--images", "in")
    with batch.bench.inside():
        unet2015.measure_files("out", "measured_too", images="in")
    by_python.same_files(batch.bench, "measure_files", "measured", "measured_too")


def killed(batch: Folder, random: Random) -> None:
    """Runs are killed at drawn moments, then often image or model are others: the end is as without kills."""

    def work() -> str:
        with inside(batch.bench.folder):
            ended = command(*batch.words())
        return "" if ended.status == 0 else ended.err

    whole = children.run(work)
    batch.bench.same("error of a run that is not killed", whole.error, "")
    shutil.rmtree(batch.bench.folder / "out")
    for _ in range(random.randint(1, 3)):
        kind = random.choice([children.ANY, *sorted(whole.calls)])
        moment = children.Moment(kind, random.randint(1, whole.calls[kind]))
        batch.bench.words.append(f"# killed at call {moment.number} of kind {kind}")
        children.run(work, moment)
    if random.random() < 0.3:
        change(batch, random)
    elif random.random() < 0.3:
        folders.another_model(random, batch)
    batch.run()
    batch.look()
    found = batch.bytes()
    shutil.rmtree(batch.bench.folder / "out")
    batch.run()
    batch.bench.same("results after kills and without", found, batch.bytes())


def on_dask(batch: Folder, random: Random) -> None:
    """Two processes of Dask do the work: the same bytes."""
    batch.run()
    before = batch.bytes()
    shutil.rmtree(batch.bench.folder / "out")
    batch.run(0, "--dask", "local:2")
    batch.bench.same("results of Dask", batch.bytes(), before)
    batch.look()


EVENTS: tuple[Event, ...] = (
    again, changed_input, other_model, other_options, bad_file, lost_result, result_of_somebody, more_images,
    some_images, moved, functions,
)  # fmt: skip
"""In the process of the search alone."""
IN_CHILDREN: tuple[Event, ...] = (*(killed,) * 9, on_dask)
"""In processes of their own."""
