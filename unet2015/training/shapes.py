"""The shapes of a network's maps, without data and without torch's compiler.

On the device ``meta`` torch finds shapes and computes nothing. But most of its rules there are those of its
compiler, and the first that is asked for loads it: 800 modules, which takes as long as torch itself. Here are
the rules of what the networks of the table are made of; all others are torch's own.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unet2015.networks.operations import Operations

_ops = torch.ops.aten


class Shapes(Operations):  # type: ignore[no-untyped-call]
    """While it is entered, what operations give on the device ``meta`` is found by the rules in this file."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        rule = _RULES.get(func)
        found = NotImplemented if rule is None or _is_other(args) else rule(*args)
        return func(*args, **(kwargs or {})) if found is NotImplemented else found


def _is_other(args: tuple[Any, ...]) -> bool:
    """Whether tensors differ in what all maps of a network have in common: the device and the type."""
    tensors = [value for value in args if isinstance(value, Tensor)]
    return any(one.device.type != "meta" or one.dtype != tensors[0].dtype for one in tensors)


def _convolved(x: Tensor, weight: Tensor, bias: Tensor | None, *rest: Any) -> Tensor:
    """Return what a convolution gives, or a transposed one; the rules are those of torch's documentation."""
    *windows, transposed, more, groups = rest
    sides = []
    for n, kernel, stride, padding, dilation, extra in zip(
        x.shape[2:], weight.shape[2:], *windows, more, strict=True
    ):
        reach = dilation * (kernel - 1) - 2 * padding
        sides.append((n - 1) * stride + reach + extra + 1 if transposed else (n - reach - 1) // stride + 1)
    return x.new_empty([len(x), weight.shape[1] * groups if transposed else len(weight), *sides])


def _pooled(x: Tensor, kernel: Sequence[int], stride: Sequence[int] = (), *rest: Any) -> Any:
    if rest or len(kernel) != 2 or (stride and stride != kernel):
        return NotImplemented
    pooled = x.new_empty([*x.shape[:-2], *(n // step for n, step in zip(x.shape[-2:], kernel, strict=True))])
    return pooled, pooled.new_empty(pooled.shape, dtype=torch.int64)


def _normalised(x: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty(x.shape[1]), x.new_empty(x.shape[1])


def _joined(maps: Sequence[Tensor], axis: int = 0) -> Tensor:
    shape = list(maps[0].shape)
    shape[axis] = sum(part.shape[axis] for part in maps)
    return maps[0].new_empty(shape)


def _repeated(x: Tensor, times: Sequence[int]) -> Any:
    return (
        x.new_empty([n * k for n, k in zip(x.shape, times, strict=True)])
        if x.ndim == len(times)
        else NotImplemented
    )


def _in_place(x: Tensor, *rest: Any) -> Tensor:
    return x


def _each_value(x: Tensor, *rest: Any) -> Tensor:
    others = [value.shape for value in rest if isinstance(value, Tensor)]
    return x.new_empty(np.broadcast_shapes(x.shape, *others))


_RULES: dict[Any, Callable[..., Any]] = {
    _ops.convolution.default: _convolved,
    _ops.max_pool2d_with_indices.default: _pooled,
    _ops.native_batch_norm.default: _normalised,
    _ops.cat.default: _joined,
    _ops.repeat.default: _repeated,
    **dict.fromkeys([_ops.hardtanh_.default, _ops.div_.Scalar, _ops.add_.Tensor], _in_place),
    **dict.fromkeys(
        [
            _ops.add.Tensor,
            _ops.sub.Tensor,
            _ops.mul.Tensor,
            _ops.div.Tensor,
            _ops.sigmoid.default,
            _ops._prelu_kernel.default,
            _ops.empty_like.default,
            _ops.zeros_like.default,
        ],
        _each_value,
    ),
}
"""Operations that load the compiler, to what gives their results; `NotImplemented` leaves it to torch."""
