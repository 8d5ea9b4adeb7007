"""What is combined: an image, a model, options and a kind of result, all drawn."""

from dataclasses import dataclass, replace
from random import Random

from tests.combinations import expected, inputs
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
    options : list of str
        Others, which change no pixel.
    given_size : tuple of float or None
        What ``--pixel-size`` is given.
    outlines : bool
        Whether the outlines of objects are written, too.
    """

    image: inputs.Drawn
    channel: int | None
    model: Model
    average: str
    threshold: float | None
    of_class: int
    settings: ObjectSettings | None
    target: str
    options: list[str]
    given_size: tuple[float, float] | None
    outlines: bool

    @property
    def used(self) -> inputs.Drawn:
        """The image as the network reads it."""
        return self.image if self.channel is None else inputs.one_channel(self.image, self.channel)

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
    """Draw a combination; None where the network is dead, that is, gives the same everywhere."""
    image = inputs.draw(random)
    count = image.pixels.shape[image.axes.index("C")] if "C" in image.axes else 1
    channel = random.randrange(count) if "C" in image.axes and random.random() < 0.4 else None
    model = expected.draw_model(random, image, 1 if channel is not None else count)
    average = random.choice(["none", "none", "none", "flips", "symmetries"])
    used = image if channel is None else inputs.one_channel(image, channel)
    made = expected.maps(used, model, average)
    if made.probabilities[:, 1].std() < 1e-3:
        return None
    two = model.info.classes == 2
    of_class = 1 if two else random.randint(1, 2)
    threshold = round_trip(expected.between(made.probabilities[:, of_class], random.uniform(0.3, 0.9)))
    if not two:  # its objects have a threshold, its class map has none
        info = model.info.model_copy(update={"objects": ObjectSettings(threshold=threshold)})
        model = replace(model, info=info)
    settings = None
    if random.random() < 0.6:
        settings = ObjectSettings(
            of_class=None if two else of_class,
            connectivity=random.choice([1, 2]),
            fill_holes=random.random() < 0.6,
            smallest=random.choice([0, 3, 20]),
            frame=random.choice([0, 0, 5]),
            markers=MarkerSettings(level=threshold, blur=random.choice([0.0, 1.0]))
            if random.random() < 0.3
            else None,
        )
    target = random.choice(["folder", "folder", "tif", "zarr"])
    if "I" in image.axes and not two:  # which OME-Zarr cannot hold
        target = "folder"
    given = None
    if "Y" not in image.sizes and random.random() < 0.4:
        given = round(random.uniform(0.1, 2), 3), round(random.uniform(0.1, 2), 3)
    return Combination(
        image, channel, model, average, threshold if two else None, of_class, settings, target,
        _options(random, target), given, random.random() < 0.5,
    ), made  # fmt: skip


def round_trip(value: float) -> float:
    """Return a number as it can be typed."""
    return float(f"{value:.7f}")


def _options(random: Random, target: str) -> list[str]:
    """Draw options that must not change a pixel."""
    chosen = []
    if random.random() < 0.5:
        chosen += ["--tile", str(random.choice([60, 76, 92, 124]))]
    if random.random() < 0.3:
        chosen += ["--batch", str(random.randint(1, 3))]
    if random.random() < 0.2:
        chosen += ["--max-memory", "1G"]
    if target != "zarr" and random.random() < 0.3:
        chosen += random.choice([["--tiled"], ["--tiled", "--pyramid"], ["--striped"]])
    if random.random() < 0.5:
        chosen.append("--probability")
    return chosen


def words_of(one: Combination) -> list[str]:
    """Return the options of ``segment`` that say what was drawn."""
    words = ["--average", one.average, *one.options]
    if one.threshold is not None:
        words += ["--threshold", repr(one.threshold)]
    if one.channel is not None:
        words += ["--channel", inputs.name_of(one.image, one.channel)]
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
    return words + (["--regions", "geojson"] if one.outlines else [])
