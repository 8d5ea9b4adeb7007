"""Convolutions for a processor: weights packed once for oneDNN, the ReLU in the same pass.

In float32, where both sides have many channels, :mod:`unet2015.networks.cpu.winograd` takes their place.

Where torch comes without oneDNN, or has no fused convolution for a precision, the same classes compute
with torch's usual operations.

The fused ReLU makes 0 of NaN, which torch's passes on. NaN can come only of sums that leave the range of
float32, so a :class:`Gain` bounds them, and who computes falls back to :meth:`Convolution.plain`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from unet2015.networks.cpu import winograd

_ZERO, _ONE = [0, 0], [1, 1]


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this torch has oneDNN's fused convolutions for `dtype`, and they compute what they should."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return dtype in (torch.float32, torch.bfloat16) and _tried(dtype)


@cache
def _tried(dtype: torch.dtype) -> bool:
    """Compare them with torch's usual operations once: they are not among what torch promises to keep."""
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
                Joined(
                    Convolution(weight, None, packed=True),
                    Convolution(weight, bias, packed=True, relu=False),
                )(one, other),
            ]
        except (AttributeError, RuntimeError, TypeError):
            return False
        single = functional.conv2d(one.float(), weight.float(), bias.float())
        double = single + functional.conv2d(other.float(), weight.float())
        expected = [functional.relu(single), functional.relu(double)]
    near = 1e-4 if dtype == torch.float32 else 0.1
    return all(
        bool((y.float() - z).abs().max() <= near * z.abs().max())
        for y, z in zip(found, expected, strict=True)
    )


@dataclass(frozen=True)
class Gain:
    """How large the outputs of a layer can become, and every partial sum on the way."""

    factor: float
    offset: float

    @classmethod
    def of(cls, sums: Tensor, bias: Tensor | None) -> "Gain":
        """Return the gain for the sums of absolute weights of each output channel."""
        return cls(float(sums.max()), 0.0 if bias is None else float(bias.float().abs().max()))

    def __call__(self, largest: float) -> float:
        """Return a bound of the outputs for inputs up to `largest`; NaN where one of them is."""
        return self.factor * largest + self.offset


class Convolution:
    """An unpadded convolution, and its ReLU unless another convolution's result comes on top."""

    def __init__(self, weight: Tensor, bias: Tensor | None, packed: bool, relu: bool = True) -> None:
        self.weight, self.bias, self.packed, self.relu = weight, bias, packed, relu
        self.gain = Gain.of(weight.float().abs().sum(dim=(1, 2, 3)), bias)
        if packed:
            pack: Callable[..., Tensor] = torch.ops.mkldnn._reorder_convolution_weight
            shape = [1, weight.shape[1], 32, 512]  # the same for all tiles, as then is every byte
            self.weight = pack(weight, _ZERO, _ONE, _ONE, 1, shape)

    def plain(self) -> "Convolution":
        """Return the same convolution in torch's usual operations, which pass NaN on."""
        weight = self.weight.to_dense() if self.packed else self.weight
        return Convolution(weight.contiguous(memory_format=torch.channels_last), self.bias, False, self.relu)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the convolution of `x`, after its ReLU."""
        if self.packed:
            after = "relu" if self.relu else "none"
            y: Tensor = torch.ops.mkldnn._convolution_pointwise(
                x, self.weight, self.bias, _ZERO, _ONE, _ONE, 1, after, [], ""
            )
            return y
        y = functional.conv2d(x, self.weight, self.bias)
        return functional.relu_(y) if self.relu else y

    def on_top(self, y: Tensor, x: Tensor) -> Tensor:
        """Add the convolution of `x` to `y`, in place, and take the ReLU of the sum."""
        if self.packed:
            torch.ops.mkldnn._convolution_pointwise_(
                y, x, self.weight, self.bias, _ZERO, _ONE, _ONE, 1, "add", 1.0, "relu", [], ""
            )
            return y
        return functional.relu_(y.add_(functional.conv2d(x, self.weight, self.bias)))


class Joined:
    """The convolution of two maps side by side, the raised one first: a sum of two convolutions."""

    def __init__(self, raised: Convolution, skip: Convolution) -> None:
        self.raised, self.skip = raised, skip

    def plain(self) -> "Joined":
        """Return the same in torch's usual operations."""
        return Joined(self.raised.plain(), self.skip.plain())

    def __call__(self, raised: Tensor, skip: Tensor) -> Tensor:
        """Return the convolution of both maps side by side, after its ReLU."""
        return self.raised.on_top(self.skip(skip), raised)


class Filtered:
    """An unpadded convolution of 3 x 3 in fewer products, and its ReLU."""

    def __init__(self, weight: Tensor, bias: Tensor | None, room: winograd.Room) -> None:
        self.bias, self.room = bias, room
        self.gain = Gain.of(weight.abs().sum(dim=(1, 2, 3)), bias)
        self.weight = winograd.transformed(weight)

    def plain(self, relu: bool = True) -> Convolution:
        """Return the same convolution in torch's usual operations, which pass NaN on."""
        return Convolution(winograd.original(self.weight), self.bias, False, relu)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the convolution of `x`, after its ReLU."""
        assert self.bias is not None
        return winograd.convolve([x], [self.weight], self.bias, self.room)


class FilteredJoined:
    """The convolution of two maps side by side, the raised one first, in fewer products."""

    def __init__(self, raised: Filtered, skip: Filtered) -> None:
        self.raised, self.skip = raised, skip

    def plain(self) -> Joined:
        """Return the same in torch's usual operations."""
        return Joined(self.raised.plain(), self.skip.plain(relu=False))

    def __call__(self, raised: Tensor, skip: Tensor) -> Tensor:
        """Return the convolution of both maps side by side, after its ReLU."""
        assert self.skip.bias is not None
        weights = [self.raised.weight, self.skip.weight]
        return winograd.convolve([raised, skip], weights, self.skip.bias, self.skip.room)


Single = Convolution | Filtered
Pair = Joined | FilteredJoined


@dataclass(frozen=True)
class Maker:
    """Makes convolutions of one precision from the modules of a network; `fewer` products where they pay."""

    dtype: torch.dtype
    packed: bool
    fewer: bool = True
    room: winograd.Room = field(default_factory=winograd.Room)

    def copy(self, module: nn.Module) -> tuple[Tensor, Tensor]:
        """Return weight, channels last, and bias."""
        assert isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
        assert module.bias is not None
        weight = module.weight.detach().to("cpu", self.dtype, copy=True)
        bias = module.bias.detach().to("cpu", self.dtype, copy=True)
        return weight.contiguous(memory_format=torch.channels_last), bias

    def convolution(self, module: nn.Module) -> Single:
        """Return a convolution with its ReLU."""
        weight, bias = self.copy(module)
        return (
            Filtered(weight, bias, self.room)
            if self._pays(weight)
            else Convolution(weight, bias, self.packed)
        )

    def joined(self, module: nn.Module, raised: int) -> Pair:
        """Return the convolution after crop-and-copy; the first `raised` channels come from below."""
        weight, bias = self.copy(module)
        parts = [
            part.contiguous(memory_format=torch.channels_last)
            for part in (weight[:, :raised], weight[:, raised:])
        ]
        if all(self._pays(part) for part in parts):
            return FilteredJoined(Filtered(parts[0], None, self.room), Filtered(parts[1], bias, self.room))
        return Joined(
            Convolution(parts[0], None, self.packed),
            Convolution(parts[1], bias, self.packed, relu=False),
        )

    def _pays(self, weight: Tensor) -> bool:
        if not (self.fewer and self.packed) or self.dtype != torch.float32:
            return False
        return winograd.pays(*weight.shape[:2]) and bool(weight.abs().max() <= winograd.LARGEST)
