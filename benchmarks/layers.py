"""The network on a CPU next to its layers alone, and next to a matrix product.

``python -m benchmarks.layers [--quick] [--precision float32 bfloat16] [--tile 1212] [--threads N]``

Each layer of the U-Net is timed alone on a map of the size that it has in one pass over a tile, in several
forms: channels first, channels last, packed for oneDNN with a fused ReLU, whole and in row blocks, and by
Winograd F(2x2, 3x3) (:mod:`unet2015.networks.cpu.winograd`). The sum of the best is the time of a network
that computes nothing but convolutions. The best rate of a matrix product says what the machine
could do; operations are counted as sums over the window. With one thread, times are of the processor, which
other work on the machine disturbs less; else by the clock.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.command import options
from benchmarks.machine import fastest, keep_result, matrix_product, row, seconds
from benchmarks.tiled_inference import DTYPES
from unet2015.device import thread_count
from unet2015.geometry import after_convolution, unet_sides
from unet2015.networks.cpu.layers import AnyConvolution, ConvolutionFactory
from unet2015.networks.cpu.packed_weights import Convolution, can_pack
from unet2015.networks.cpu.row_blocks import BLOCK_BYTES, rows_per_block
from unet2015.networks.cpu.winograd_layers import WinogradConvolution, is_worthwhile
from unet2015.networks.unet2015 import UNet

LAST = torch.channels_last
AIM = 90.0


@dataclass(frozen=True)
class Layer:
    """A convolution and the map that it reads in a pass over one tile."""

    name: str
    module: nn.Conv2d | nn.ConvTranspose2d
    height: int

    @property
    def flops(self) -> float:
        """Multiplications and additions."""
        kernel = self.module.weight.numel()
        if isinstance(self.module, nn.ConvTranspose2d):
            return 2.0 * kernel * self.height**2
        return 2.0 * kernel * (self.height - self.module.kernel_size[0] + 1) ** 2


def layers_of(network: UNet, tile: int) -> Iterator[Layer]:
    """Yield all convolutions of a network in the order in which they run."""
    sides = unet_sides(tile, network.depth)
    for level, block in enumerate(network.contract):
        yield from _block(f"down {level}", block, sides.contract[level])
    for level in reversed(range(network.depth)):
        upsample = network.upsample[level]
        assert isinstance(upsample, nn.ConvTranspose2d)
        yield Layer(f"up {level}, up-convolution", upsample, sides.output(level + 1))
        yield from _block(f"up {level}", network.expand[level], sides.expand[level])
    yield Layer("head", network.head, sides.output(0))


def _block(name: str, block: nn.Module, side: int) -> Iterator[Layer]:
    """Yield the two convolutions of a block that reads a map of so many pixels."""
    assert isinstance(block, nn.Sequential)
    first, second = block[0], block[2]
    assert isinstance(first, nn.Conv2d)
    assert isinstance(second, nn.Conv2d)
    yield Layer(f"{name}, convolution 1", first, side)
    yield Layer(f"{name}, convolution 2", second, after_convolution(side))


def forms(layer: Layer, dtype: torch.dtype) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    """Yield the forms that a layer is timed in, each ready to run; with the ReLU where one follows."""
    module = layer.module
    x = torch.rand(1, module.in_channels, layer.height, layer.height, dtype=dtype)
    weight, bias = (parameter.detach().to(dtype) for parameter in (module.weight, _bias(module)))
    for name, order in (("channels first", torch.contiguous_format), ("channels last", LAST)):
        xs, ws = x.contiguous(memory_format=order), weight.contiguous(memory_format=order)
        if isinstance(module, nn.ConvTranspose2d):
            yield name, lambda xs=xs, ws=ws: functional.conv_transpose2d(xs, ws, bias, stride=2)  # type: ignore[misc]
        elif module.kernel_size == (1, 1):
            yield name, lambda xs=xs, ws=ws: functional.conv2d(xs, ws, bias)  # type: ignore[misc]
        else:
            yield name, lambda xs=xs, ws=ws: functional.relu_(functional.conv2d(xs, ws, bias))  # type: ignore[misc]
    if module.kernel_size == (3, 3) and can_pack(dtype):
        factory, last = ConvolutionFactory(dtype, True), x.contiguous(memory_format=LAST)
        packed = Convolution(*factory.copy(module), packed=True)
        yield "packed", lambda: packed(last)
        yield "packed, in row blocks", lambda: in_row_blocks(packed, last, module.out_channels)
        # With fewer channels it is not for bfloat16, however fast, because of the rounding.
        channels = module.in_channels, module.out_channels
        if min(channels) >= 32 if dtype == torch.float32 else is_worthwhile(*channels, dtype):
            winograd = WinogradConvolution(*factory.copy(module), factory.scratch)
            yield "Winograd, in row blocks", lambda: in_row_blocks(winograd, last, module.out_channels)


def in_row_blocks(layer: AnyConvolution, x: Tensor, outputs: int) -> Tensor:
    """Compute a layer row block by row block; return the last. None takes fresh memory from the system."""
    height, width = (after_convolution(side) for side in x.shape[-2:])
    rows = rows_per_block(BLOCK_BYTES, outputs * width * x.element_size())
    for start in range(0, height, rows):
        y = layer(x[:, :, start : min(start + rows, height) + 2])
    return y


def _bias(module: nn.Conv2d | nn.ConvTranspose2d) -> Tensor:
    assert module.bias is not None
    return module.bias


@dataclass(frozen=True)
class Form:
    """One way to compute a layer, ready to run."""

    layer: Layer
    name: str
    run: Callable[[], Tensor]


def best_of(timed: Sequence[tuple[Form, float]]) -> dict[str, Any]:
    """Return the best form of a layer, given all of its forms with their least times."""
    best, least = min(timed, key=lambda pair: pair[1])
    return {
        "layer": best.layer.name,
        "gflop": best.layer.flops / 1e9,
        "seconds": least,
        "form": best.name,
        "gflops": best.layer.flops / least / 1e9,
        "forms": {form.name: seconds for form, seconds in timed},
    }


@torch.inference_mode()
def measure(network: UNet, tile: int, dtype: torch.dtype, repeats: int, product: int) -> dict[str, Any]:
    """Time the whole network and each form of each layer in turn, so that a slow moment meets them all."""
    layers = list(layers_of(network, tile))
    candidates = [Form(layer, name, run) for layer in layers for name, run in forms(layer, dtype)]
    compute = fastest(network, dtype)
    image = torch.rand(1, network.in_channels, tile, tile)
    runs: list[Callable[[], object]] = [lambda: compute(image), *(form.run for form in candidates)]
    peak = matrix_product(dtype, product, 2 * repeats + 1)
    for run in runs:
        run()
    whole, *alone = seconds(*runs, repeats=repeats)
    peak = max(peak, matrix_product(dtype, product, 2 * repeats + 1))
    least = "cpu_least" if thread_count() == 1 else "least"
    timed = [(form, times[least]) for form, times in zip(candidates, alone, strict=True)]
    rows = [best_of([pair for pair in timed if pair[0].layer is layer]) for layer in layers]
    for each in rows:
        rate = f"{each['gflops']:6.0f} GFLOP/s"
        print(f"  {each['layer']:<24} {each['seconds'] * 1e3:8.1f} ms {rate}  {each['form']}")
    total, flops = sum(each["seconds"] for each in rows), sum(each["gflop"] for each in rows)
    answer = {
        "whole": whole,
        "sum_of_layers": total,
        "gflop": flops,
        "gflops": flops / whole[least],  # best next to best
        "matrix_product_gflops": peak,
        "of_the_layers": 100 * total / whole[least],
        "of_the_matrix_product": 100 * flops / whole[least] / peak,
        "layers": rows,
    }
    print(
        f"{str(dtype).removeprefix('torch.')}: {whole[least]:.2f} s, layers alone {total:.2f} s "
        f"({answer['of_the_layers']:.0f} %); {answer['gflops']:.0f} of {peak:.0f} GFLOP/s "
        f"({answer['of_the_matrix_product']:.0f} %)",
        flush=True,
    )
    return answer


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the result file."""
    parser = options("layers", __doc__, "a narrow network and one small tile")
    parser.add_argument("--precision", nargs="+", choices=list(DTYPES), default=list(DTYPES))
    parser.add_argument("--tile", type=int, default=1212, help="side of the tile in pixels")
    parser.add_argument("--threads", type=int, help="of torch; default: as many as it takes by itself")
    given = parser.parse_args(arguments)
    width, tile, repeats, product = (2, 204, 1, 64) if given.quick else (64, given.tile, 5, 4096)
    if given.threads:
        torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    network = UNet(width=width).eval().requires_grad_(False)
    network.geometry.check(tile)
    answers = {name: measure(network, tile, DTYPES[name], repeats, product) for name in given.precision}
    answer = {
        "width": width,
        "tile": tile,
        "threads": thread_count(),
        "precisions": answers,
        "table": [
            row(
                f"the network, width {width}, one tile of {tile} px, CPU, {name}",
                "the sum of its layers' best times",
                found["of_the_layers"],
                "%",
                AIM,
                note=f"{found['of_the_matrix_product']:.0f} % of the best rate of a matrix product, "
                "operations counted as sums over the window"
                + "; processor time of one thread"
                * (thread_count() == 1),
            )
            for name, found in answers.items()
        ],
    }
    keep_result(given, "layers", __doc__, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
