"""Maxima of maps after a ReLU, compared as whole numbers.

Of numbers without sign, the larger one has the larger bits, as a whole number. Processors compare those as
they are; a bfloat16 is first made a float32 and then rounded again, and each float is asked whether it is
NaN. A fused ReLU leaves no NaN (:mod:`~unet2015.networks.cpu.packed_weights`); where torch's own passes NaN
on, floats are compared.
"""

import torch
from torch import Tensor

_BITS = {torch.bfloat16: torch.int16, torch.float32: torch.int32}


def as_bits(x: Tensor) -> Tensor:
    """Return a view as whole numbers, which have the order of the values where these have no sign or NaN."""
    return x.view(_BITS[x.dtype])


def pool(x: Tensor, out: Tensor, never_nan: bool) -> None:
    """Write the maximum of each 2x2 pixels of a map (1, channels, height, width), after a ReLU, to `out`.

    `never_nan` says that the map has no NaN and is float32 or bfloat16.
    """
    if never_nan:
        x, out = as_bits(x), as_bits(out)
    # Two maxima instead of max_pool2d, which would also make the positions of the maxima, as int64.
    rows = torch.maximum(x[:, :, 0::2], x[:, :, 1::2])
    torch.maximum(rows[..., 0::2], rows[..., 1::2], out=out)


def largest(x: Tensor, never_nan: bool) -> Tensor:
    """Return the largest value of a map after a ReLU, as a tensor; `never_nan` is as for :func:`pool`."""
    return as_bits(x).amax().view(x.dtype) if never_nan else x.amax()
