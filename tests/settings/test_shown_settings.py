"""Settings that are shown to readers."""

from unet2015.settings import load_settings
from unet2015.settings.lengths import that_count


def test_settings_for_readers_have_no_steps_where_epochs_count():
    given = {"optimisation": {"epochs": 20}, "validation": {"epochs": 2}}
    written = load_settings(None, given).model_dump(mode="json")
    written["optimisation"]["steps"], written["validation"]["interval"] = (
        20_000,
        500,
    )  # as earlier versions did
    shown = that_count(written)
    assert "steps" not in shown["optimisation"]
    assert "interval" not in shown["validation"]
    assert shown["optimisation"]["epochs"] == 20
    assert written["optimisation"]["steps"] == 20_000  # what was given is not changed
    steps = load_settings(None, {}).model_dump(mode="json")
    assert that_count(steps) == steps
