"""Convolutions with weights packed for oneDNN and a fused ReLU, and a bound of their outputs.

oneDNN's kernels read weights in blocks that fit the registers of the processor. Usually each call reorders
them; here it is done once (https://uxlfoundation.github.io/oneDNN, "Memory Format Propagation"). The ReLU is
applied while an output is still in a register (the same, "Primitive Attributes: Post-ops"), which saves a
pass over memory. Both are operators that torch's own compiler uses, not public: :func:`can_pack` tries them.
Without them, or in float64, the same classes compute with torch's public functions.

The fused ReLU turns NaN into 0, where torch's passes it on. NaN can only come from sums that overflow, so an
:class:`OutputBound` says how large each sum can become. If that is too large, use :meth:`Convolution.plain`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

_NO_PADDING, _STRIDE, _DILATION, _GROUPS = [0, 0], [1, 1], [1, 1], 1


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this torch has oneDNN's fused convolutions for `dtype`, and they compute what they should."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return dtype in (torch.float32, torch.bfloat16) and _fused_equals_public(dtype)


@cache
def _fused_equals_public(dtype: torch.dtype) -> bool:
    """Compare the private operators with torch's public ones once: another version may change them."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        values = torch.randn(shape, generator=generator).to(dtype)
        return values.contiguous(memory_format=torch.channels_last)

    weight, bias = drawn(4, 3, 3, 3), drawn(4, 1, 1, 1).flatten()
    with torch.inference_mode():
        one, other = drawn(1, 3, 6, 5), drawn(1, 3, 6, 5)
        try:
            if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
                return False
            found = [
                Convolution(weight, bias, packed=True)(one),
                ConcatConvolution(
                    Convolution(weight, None, packed=True),
                    Convolution(weight, bias, packed=True, relu=False),
                )(one, other),
            ]
        except (AttributeError, RuntimeError, TypeError):
            return False
        single = functional.conv2d(one.float(), weight.float(), bias.float())
        double = single + functional.conv2d(other.float(), weight.float())
        expected = [functional.relu(single), functional.relu(double)]
    tolerance = 1e-4 if dtype == torch.float32 else 0.1
    return all(
        bool((y.float() - z).abs().max() <= tolerance * z.abs().max())
        for y, z in zip(found, expected, strict=True)
    )


@dataclass(frozen=True)
class OutputBound:
    """How large the outputs of a layer, and every partial sum on the way, can become.

    Attributes
    ----------
    factor : float
        Largest sum of absolute weights of an output channel.
    offset : float
        Largest absolute bias.
    """

    factor: float
    offset: float

    @classmethod
    def of(cls, sums: Tensor, bias: Tensor | None) -> "OutputBound":
        """Return the bound for the sums of absolute weights of each output channel."""
        return cls(float(sums.max()), 0.0 if bias is None else float(bias.float().abs().max()))

    @classmethod
    def of_weights(cls, weight: Tensor, bias: Tensor | None) -> "OutputBound":
        """Return the bound for weights (channels out, channels in, height, width)."""
        # A few channels at a time stay in the processor's cache, and take no fresh memory.
        return cls.of(
            torch.cat([part.float().abs().sum(dim=(1, 2, 3)) for part in torch.split(weight, 16)]), bias
        )

    def __call__(self, largest: float) -> float:
        """Return a bound of the outputs for inputs of at most `largest`; NaN if a weight or bias is NaN."""
        return self.factor * largest + self.offset


class Convolution:
    """An unpadded convolution with a fused ReLU.

    Parameters
    ----------
    weight : Tensor
        (channels out, channels in, height, width), channels last.
    bias : Tensor or None
    packed : bool
        Compute with oneDNN's operators.
    relu : bool
        Whether the ReLU follows here; not where another convolution is added to the result.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, packed: bool, relu: bool = True) -> None:
        self.weight, self.bias, self.packed, self.relu = weight, bias, packed, relu
        self.bound = OutputBound.of_weights(weight, bias)
        if packed:
            pack: Callable[..., Tensor] = torch.ops.mkldnn._reorder_convolution_weight
            # The best blocking depends on the size of the input. With one fixed size, all tiles share the
            # packed weights, and the order of summation, whatever their size.
            shape = [1, weight.shape[1], 32, 512]
            self.weight = pack(weight, _NO_PADDING, _STRIDE, _DILATION, _GROUPS, shape)

    def plain(self) -> "Convolution":
        """Return the same convolution by torch's public functions, which pass NaN on."""
        weight = self.weight.to_dense() if self.packed else self.weight
        return Convolution(weight.contiguous(memory_format=torch.channels_last), self.bias, False, self.relu)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the convolution of `x`, after its ReLU."""
        if self.packed:
            after = "relu" if self.relu else "none"
            y: Tensor = torch.ops.mkldnn._convolution_pointwise(
                x, self.weight, self.bias, _NO_PADDING, _STRIDE, _DILATION, _GROUPS, after, [], ""
            )
            return y
        y = functional.conv2d(x, self.weight, self.bias)
        return functional.relu_(y) if self.relu else y

    def add_to(self, y: Tensor, x: Tensor) -> Tensor:
        """Add the convolution of `x` to `y`, in place, and take the ReLU of the sum."""
        if self.packed:
            torch.ops.mkldnn._convolution_pointwise_(
                y,
                x,
                self.weight,
                self.bias,
                _NO_PADDING,
                _STRIDE,
                _DILATION,
                _GROUPS,
                "add",
                1.0,
                "relu",
                [],
                "",
            )
            return y
        return functional.relu_(y.add_(functional.conv2d(x, self.weight, self.bias)))


class ConcatConvolution:
    """The convolution of two concatenated maps, as a sum of two convolutions: nothing is copied together.

    Parameters
    ----------
    raised : Convolution
        Of the up-convolution's map, whose channels come first; without bias, with the ReLU of the sum.
    skip : Convolution
        Of the cropped map; with the bias, without ReLU.
    """

    def __init__(self, raised: Convolution, skip: Convolution) -> None:
        self.raised, self.skip = raised, skip
        self.bounds = raised.bound, skip.bound

    def plain(self) -> "ConcatConvolution":
        """Return the same by torch's public functions."""
        return ConcatConvolution(self.raised.plain(), self.skip.plain())

    def __call__(self, raised: Tensor, skip: Tensor) -> Tensor:
        """Return the convolution of both maps, after its ReLU."""
        return self.raised.add_to(self.skip(skip), raised)
