"""How a training has divided its pages is read from its folder, where it is resumed."""

import json

import pytest

from unet2015.training.begun_before import begun_before


@pytest.mark.parametrize(
    ("line", "together"),
    [
        ({"step": 0, "share_pixels": [["a", "b"]]}, [["a", "b"]]),
        ({"step": 0}, []),
        ({"step": 0, "share_pixels": [["a", 3]]}, []),
        ({"step": 0, "share_pixels": "a"}, []),
        (None, []),
    ],
)
def test_pages_that_share_pixels_are_read_from_the_log(small_run, line, together):
    log = small_run / "log.jsonl"
    if line is None:
        log.unlink()
    else:
        log.write_text(json.dumps(line) + "\n")
    before = begun_before(small_run)
    assert (before.pages, [*before.held_out]) == (4, [3])
    assert [*before.together] == together


def test_without_a_checkpoint_nothing_is_known(small_run):
    for path in (small_run / "checkpoints").iterdir():
        path.unlink()
    assert begun_before(small_run) is None
