"""What the record of a training says."""

from types import SimpleNamespace

import numpy as np
import pytest

from unet2015.training.record import _record


@pytest.mark.parametrize(("bits", "said"), [((8, 8), None), ((4, 8), [4, 8]), ((4, 4), [4])])
def test_bits_of_a_pixel_are_said_where_they_are_fewer_than_those_of_the_type(bits, said):
    images = [SimpleNamespace(bits=each, dtype=np.dtype(np.uint8)) for each in bits]
    data = SimpleNamespace(
        hashes={}, training=[], validation=[], held_out=[], class_weights=(), images=images, identity={}
    )
    state = SimpleNamespace(settings={}, seed=0, precision="", step=0, seconds=0.0, start={}, processes=1)
    result = SimpleNamespace(as_dict=dict, learned=True)
    assert _record(data, state, result, "cpu").get("bits") == said
