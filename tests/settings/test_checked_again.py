"""Settings that were changed unchecked are checked where they come in: a wrong value or key is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.exchange.conftest import small_model
from unet2015 import ObjectSettings, SegmentOptions, label_files, load_settings, segment, segment_files, train
from unet2015.errors import ModelError, SettingsError
from unet2015.exchange import export_model
from unet2015.settings import PUBLISHED, SHIPPED, OptimisationSettings, ValidationSettings
from unet2015.settings.network import VGG19Settings
from unet2015.settings.reading import checked_again

WHOLE = load_settings()


@pytest.mark.parametrize("name", [*SHIPPED, *PUBLISHED])
def test_settings_that_nobody_changed_stay_what_they_are(name: str) -> None:
    whole = load_settings(name)
    again = checked_again(whole, "settings")
    assert again == whole
    assert again.model_dump() == whole.model_dump()


def test_a_right_change_is_taken() -> None:
    optimisation = WHOLE.optimisation.model_copy(update={"steps": 7})
    whole = WHOLE.model_copy(update={"optimisation": optimisation, "network": VGG19Settings(width=3)})
    whole = whole.model_copy(update={"mapping": WHOLE.mapping.model_copy(update={"method": "auto"})})
    again = checked_again(whole, "settings")
    assert (again.optimisation.steps, again.network, again.mapping.method) == (
        7,
        VGG19Settings(width=3),
        "auto",
    )


def test_what_was_given_stays_what_was_given() -> None:
    given = checked_again(ObjectSettings(frame=0).model_copy(update={"smallest": "7"}), "objects")
    assert given.model_fields_set == {"frame", "smallest"}
    assert given.smallest == 7


def changed(section: str | None, **update: Any) -> Any:
    if section is None:
        return WHOLE.model_copy(update=update)
    return WHOLE.model_copy(update={section: getattr(WHOLE, section).model_copy(update=update)})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (changed("optimisation", steps=-5), r"settings: optimisation\.steps = -5: Input should be greater"),
        (changed("optimisation", stepz=5), r"settings: optimisation\.stepz: no such setting; .*did you mean"),
        (changed("optimisation", learning_rate="fast"), r"optimisation\.learning_rate = 'fast': "),
        (changed("network", widht=8), r"network\.widht: no such setting"),
        (changed("labels", classes=True), r"labels\.classes = True: expected a number, got true"),
        (changed("validation", pages=3), r"validation\.pages = 3: Input should be a valid string"),
        (changed(None, step=7), r"settings: step: no such setting"),
        (changed(None, optimisation={"steps": 5}), r"optimisation: expected OptimisationSettings, got a"),
        (changed(None, network={"width": 5}), r"settings: network: expected \w+, got a dict"),
        (changed(None, optimisation=ValidationSettings(interval=2)), r"optimisation\.interval: no such"),
        (changed("weight_map", class_weights=(1.0, 2.0, 3.0)), "class_weights has 3 numbers"),
        (OptimisationSettings.model_construct(steps=0), r"settings: steps = 0: "),
    ],
)  # fmt: skip
def test_a_wrong_change_is_refused(settings: Any, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        checked_again(settings, "settings")


def test_train_refuses_it_before_anything_else(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"settings: optimisation\.stepz: no such setting"):
        train(tmp_path / "i", tmp_path / "l", tmp_path / "run", settings=changed("optimisation", stepz=5))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("update", [{"smallest": -3}, {"smalest": 3}, {"markers": {"level": 7}}])
def test_settings_of_objects_are_checked(update: dict[str, Any], tmp_path: Path) -> None:
    settings = ObjectSettings().model_copy(update=update)
    with pytest.raises(SettingsError, match=r"^objects: "):
        SegmentOptions(objects=settings)
    with pytest.raises(SettingsError, match=r"^objects: "):
        label_files([tmp_path], tmp_path / "out", objects=settings)


@pytest.mark.parametrize(
    ("update", "words"),
    [
        ({"threshold": 5.0}, r"the description of the model: threshold = 5\.0: "),
        ({"treshold": 0.5}, "treshold: no such setting"),
        ({"class_names": ("a",)}, "2 classes, but 1 class_names"),
        ({"objects": ObjectSettings().model_copy(update={"frame": -1})}, r"objects\.frame = -1: "),
    ],
)
def test_the_description_of_a_model_is_checked(update: dict[str, Any], words: str, tmp_path: Path) -> None:
    model = small_model()
    model = replace(model, info=model.info.model_copy(update=update))
    image = np.zeros((40, 40), np.uint8)
    for call in (
        lambda: segment(image, model),
        lambda: segment_files([tmp_path / "i.tif"], tmp_path / "out", model),
        lambda: export_model(model, tmp_path / "out"),
    ):
        with pytest.raises(ModelError, match=words):
            call()
    assert not list(tmp_path.iterdir())
