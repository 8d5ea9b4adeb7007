"""Crop, copy and concatenate, as the paper's network does with the maps of its contracting path."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

_WIDE = 16
"""Bytes that a thread of a GPU can copy at once."""


def pool_and_crop(x: Tensor, border: int) -> tuple[Tensor, Tensor]:
    """Return the maximum of each 2x2 pixels of a map, and the map without a border.

    In the gradient of the map, that of the middle is added in place; torch would write it into a map of
    zeros, and add two whole maps.

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W)
    border : int
        Pixels to cut away on each side, at least 1.

    Returns
    -------
    pooled : Tensor, shape (N, C, H // 2, W // 2)
    cropped : Tensor, shape (N, C, H - 2 * border, W - 2 * border)
        A view of `x`.
    """
    if torch.compiler.is_compiling():  # it joins them itself
        return functional.max_pool2d(x, 2), _middle(x, border)
    pooled, cropped = _PoolAndCrop.apply(x, border)  # type: ignore[no-untyped-call]
    return pooled, cropped


class _PoolAndCrop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, border: int) -> tuple[Tensor, Tensor]:
        pooled, places = functional.max_pool2d(x, 2, return_indices=True)
        ctx.save_for_backward(x, places)
        ctx.border = border
        return pooled, _middle(x, border)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, pooled: Tensor, cropped: Tensor) -> tuple[Tensor, None]:
        x, places = ctx.saved_tensors
        gradient: Tensor = torch.ops.aten.max_pool2d_with_indices_backward(
            pooled, x, [2, 2], [2, 2], [0, 0], [1, 1], False, places
        )
        _middle(gradient, ctx.border).add_(cropped)
        return gradient, None


def _middle(x: Tensor, border: int) -> Tensor:
    return x[..., border:-border, border:-border]


def concatenate(first: Tensor, second: Tensor) -> Tensor:
    """Return the channels of two maps, one after the other: (N, C1 + C2, H, W).

    Where the channels of a pixel lie side by side, they are copied in numbers of 16 bytes, whatever they
    are: on a GPU faster than number by number.
    """
    plain = torch.compiler.is_compiling() or first.dtype != second.dtype
    if not plain and _is_wide(first) and _is_wide(second):
        found: Tensor = _Concatenate.apply(first, second)  # type: ignore[no-untyped-call]
        return found
    return torch.cat([first, second], dim=1)


class _Concatenate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor) -> Tensor:
        tiles, channels, height, width = first.shape
        both = first.new_empty((tiles, height, width, channels + second.shape[1])).permute(0, 3, 1, 2)
        _wide(both[:, :channels]).copy_(_wide(first))
        _wide(both[:, channels:]).copy_(_wide(second))
        ctx.channels = channels
        return both

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        first, second = gradient[:, : ctx.channels], gradient[:, ctx.channels :]
        if _is_wide(first):  # what comes next, an up-convolution, reads it as one piece
            first = _one_piece(first)
        if gradient.device.type == "cpu" and _is_wide(second):  # a CPU adds few channels at a time slowly
            second = _one_piece(second)
        return first, second


def copy_map(to: Tensor, x: Tensor) -> None:
    """Copy a map into another one of the same shape and type, in numbers of 16 bytes where both have them."""
    if _is_wide(to) and _is_wide(x):
        _wide(to).copy_(_wide(x))
    else:
        to.copy_(x)


def _is_wide(x: Tensor) -> bool:
    """Whether each pixel's channels lie side by side, and make whole numbers of 16 bytes."""
    steps = (x.shape[1], x.storage_offset(), x.stride(0), x.stride(2), x.stride(3))
    return x.stride(1) == 1 and all(step * x.element_size() % _WIDE == 0 for step in steps)


def _one_piece(x: Tensor) -> Tensor:
    return _wide(x).contiguous().view(x.dtype).permute(0, 3, 1, 2)


def _wide(x: Tensor) -> Tensor:
    """Return a map as numbers of 16 bytes that are only copied: (N, H, W, bytes of its channels / 16)."""
    return x.permute(0, 2, 3, 1).view(torch.complex128)
