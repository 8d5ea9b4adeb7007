"""What is combined: an image, a model, options and a kind of result, all drawn."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np

from tests.combinations import expected, inputs, models
from tests.combinations.drawn import Drawn, name_of, one_channel, scene_words, with_gaps
from unet2015.models.model_file import Model
from unet2015.settings.objects import MarkerSettings, ObjectSettings


@dataclass(frozen=True)
class Combination:
    """What was drawn.

    Attributes
    ----------
    image : Drawn
        As the file has it.
    channel : int or None
        The one that is used.
    model : Model
    average : str
    threshold : float or None
        None with more than two classes.
    of_class : int
        The class of objects.
    settings : ObjectSettings or None
        None: no objects.
    target : str
        "folder", "tif" or "zarr": what ``-o`` is given.
    options : dict
        Others, by their names in `SegmentOptions`.
    given_size : tuple of float or None
        What ``--pixel-size`` is given.
    views : tuple of str
        What else is made of objects.
    """

    image: Drawn
    channel: int | None
    model: Model
    average: str
    threshold: float | None
    of_class: int
    settings: ObjectSettings | None
    target: str
    options: dict[str, Any]
    given_size: tuple[float, float] | None
    views: tuple[str, ...]

    @property
    def used(self) -> Drawn:
        """The image as the network reads it."""
        return self.image if self.channel is None else one_channel(self.image, self.channel)

    @property
    def calibration(self) -> dict[str, float]:
        """What results must say."""
        given = {} if self.given_size is None else dict(zip("YX", self.given_size, strict=True))
        return self.image.calibration | given


def draw(random: Random) -> tuple[Combination, expected.Maps]:
    """Draw a combination; also what its probabilities must be."""
    while True:
        found = _draw(random)
        if found is not None:
            return found


def _draw(random: Random) -> tuple[Combination, expected.Maps] | None:
    """Draw a combination; None where the network is dead."""
    image = inputs.draw(random)
    skip, gaps = random.random() < 0.15, random.random() < 0.2
    if skip or gaps:
        image = with_gaps(random, image)
    count = image.pixels.shape[image.axes.index("C")] if "C" in image.axes else 1
    channel = random.randrange(count) if "C" in image.axes and random.random() < 0.4 else None
    model = models.draw(random, image.pixels, 1 if channel is not None else count)
    average = random.choice(["none", "none", "none", "none", "flips", "symmetries", "rotations"])
    used = image if channel is None else one_channel(image, channel)
    target = random.choice(["folder", "folder", "tif", "zarr"])
    if "I" in image.axes and model.info.classes > 2:  # which OME-Zarr cannot hold
        target = "folder"
    options = _options(random, target, model, skip)
    if inputs.untold(image):
        options["axes"] = image.axes
    told = _told_of_mapping(random, model, image)
    options |= told
    half = options.get("precision") == "bfloat16"
    made = expected.maps(used, _with_mapping(model, told), average, half, skip)
    if expected.dead(made, model):
        return None
    model, of_class, threshold, settings = decide(random, model, made.probabilities)
    given = None
    if "Y" not in image.sizes and random.random() < 0.4:
        given = round(random.uniform(0.1, 2), 3), round(random.uniform(0.1, 2), 3)
    return Combination(
        image, channel, model, average, threshold, of_class, settings, target,
        options, given, draw_views(random, settings),
    ), made  # fmt: skip


def decide(
    random: Random, model: Model, probabilities: np.ndarray
) -> tuple[Model, int, float | None, ObjectSettings | None]:
    """Draw what is made of probabilities (n, classes, ...): objects of which class, from which threshold.

    Returns
    -------
    Model
        That of three classes has the threshold of objects, as its class map has none.
    int
        The class of objects.
    float or None
        The threshold of the class map.
    ObjectSettings or None
        None: no objects.
    """
    two = model.info.classes == 2
    of_class = 1 if two else random.randint(1, 2)
    threshold = round_trip(expected.between(probabilities[:, of_class], random.uniform(0.3, 0.9)))
    if not two:
        info = model.info.model_copy(update={"objects": ObjectSettings(threshold=threshold)})
        model = replace(model, info=info)
    settings = _objects(random, None if two else of_class, threshold) if random.random() < 0.6 else None
    return model, of_class, threshold if two else None, settings


def draw_views(random: Random, settings: ObjectSettings | None) -> tuple[str, ...]:
    """Draw what else is made of objects, if there are any."""
    views = ("parquet", "imagej", "geojson") if settings is not None else ()
    return tuple(name for name in views if random.random() < 0.4)


def _objects(random: Random, of_class: int | None, threshold: float) -> ObjectSettings:
    markers = MarkerSettings(level=threshold, blur=random.choice([0.0, 1.0]))
    return ObjectSettings(
        of_class=of_class,
        connectivity=random.choice([1, 2]),
        fill_holes=random.random() < 0.6,
        smallest=random.choice([0, 3, 20]),
        frame=random.choice([0, 0, 5]),
        markers=markers if random.random() < 0.3 else None,
    )


def round_trip(value: float) -> float:
    """Return a number as it can be typed."""
    return float(f"{value:.7f}")


def _options(random: Random, target: str, model: Model, skip: bool) -> dict[str, Any]:
    """Draw options; but for the precision and `skip` they must not change a pixel."""
    chosen: dict[str, Any] = {"skip_empty": True} if skip else {}
    if random.random() < 0.5:
        chosen["tile"] = random.choice(models.tiles(model))
    if random.random() < 0.3:
        chosen["batch"] = random.randint(1, 3)
    if random.random() < 0.2:
        chosen["max_memory"] = 2**30
    if target != "zarr" and random.random() < 0.3:
        chosen |= random.choice([{"tiled": True}, {"tiled": True, "pyramid": True}, {"tiled": False}])
    if random.random() < 0.15:
        chosen["precision"] = "bfloat16"
    # What is unsure of pixels shows in the probability map alone.
    if random.random() < 0.5 or skip or "precision" in chosen:
        chosen["products"] = ("classes", "probability")
    return chosen


def _told_of_mapping(random: Random, model: Model, image: Drawn) -> dict[str, Any]:
    """Draw what is said of the mapping, if it measures each image, in place of what the model says."""
    told: dict[str, Any] = {}
    if model.info.mapping.of_each_image:
        if random.random() < 0.3:
            told["map_each"] = random.choice(["page", "page", "file"])
        if random.random() < 0.3:
            told["fill_value"] = float(image.pixels.flat[0])  # that of the gaps, where there are any
    return told


def _with_mapping(model: Model, told: Mapping[str, Any]) -> Model:
    """Return a model that says itself what is said of the mapping."""
    said = {{"map_each": "each"}.get(name, name): value for name, value in told.items()}
    mapping = model.info.mapping.model_copy(update=said)
    return replace(model, info=model.info.model_copy(update={"mapping": mapping}))


WORDS = {
    "axes": "--axes", "tile": "--tile", "batch": "--batch", "max_memory": "--max-memory",
    "fill_value": "--fill-value", "map_each": "--map-each",
    "precision": "--precision", "skip_empty": "--skip-empty", "pyramid": "--pyramid",
}  # fmt: skip
"""How the command calls options."""


def _words(options: Mapping[str, Any]) -> list[str]:
    words = []
    for name, value in options.items():
        if name == "tiled":
            words.append("--tiled" if value else "--striped")
        elif name == "products":
            words.append("--probability")
        else:
            # One word, as a number below 0 would be taken for an option.
            words.append(WORDS[name] if value is True else f"{WORDS[name]}={value}")
    return words


def words_of(one: Combination) -> list[str]:
    """Return the options of ``segment`` that say what was drawn."""
    words = ["--average", one.average, *_words(one.options), *scene_words(one.image)]
    if one.threshold is not None:
        words += ["--threshold", repr(one.threshold)]
    if one.channel is not None:
        words += ["--channel", name_of(one.image, one.channel)]
    if one.given_size is not None:
        words += ["--pixel-size", ",".join(map(str, one.given_size))]
    return words + objects_words(one)


def objects_words(one: Combination) -> list[str]:
    """Return the options of objects."""
    if one.settings is None:
        return []
    found = one.settings
    words = ["--objects", "--smallest", str(found.smallest), "--frame", str(found.frame)]
    words.append("--corners" if found.connectivity == 2 else "--edges")
    words.append("--fill-holes" if found.fill_holes else "--keep-holes")
    split = "none" if found.markers is None else f"{found.markers.level!r},{found.markers.blur!r}"
    words += ["--split", split]
    if found.of_class is not None:
        words += ["--class", str(found.of_class)]
    regions = [name for name in ("imagej", "geojson") if name in one.views]
    if regions:
        words += ["--regions", "both" if len(regions) > 1 else regions[0]]
    return words + ["--parquet"] * ("parquet" in one.views)
