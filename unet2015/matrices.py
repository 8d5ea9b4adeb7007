"""Products of two matrices in float32 on a CPU, by the library that computes convolutions.

torch's own are MKL's, which uses half of an AMD processor's vectors: 100 GFLOP/s where oneDNN's reach 220
(Zen 5, one thread). The operator is one of torch's compiler, not public: :func:`has_products` tries it once.
"""

from functools import cache

import torch
from torch import Tensor

_LEAST = 1 << 20
"""Multiplications from which on oneDNN is faster; a call of it costs more than one of MKL."""


def product(first: Tensor, second: Tensor) -> Tensor:
    """Return ``first @ second``, up to rounding; not differentiable.

    Parameters
    ----------
    first : Tensor, shape (m, k)
        In float32 on a CPU, else torch multiplies.
    second : Tensor, shape (k, n)
        Of the same kind.
    """
    large = len(first) * second.numel() >= _LEAST
    if not (large and first.device.type == "cpu" and first.dtype == torch.float32 and has_products()):
        return first @ second
    return _by_onednn(_plain(first), _plain(second))


def _plain(matrix: Tensor) -> Tensor:
    """Return a matrix whose rows or columns lie side by side: others take a hundred times as long."""
    return matrix if matrix.is_contiguous() or matrix.t().is_contiguous() else matrix.contiguous()


def _by_onednn(first: Tensor, second: Tensor) -> Tensor:
    found: Tensor = torch.ops.mkldnn._linear_pointwise(first, second.t(), None, "none", [], "")
    return found


@cache
def has_products() -> bool:
    """Whether this torch has the operator, and it computes what it should, also of transposed matrices."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(shape, generator=generator) for shape in ((5, 3), (3, 4)))
    turned = [matrix.t().contiguous().t() for matrix in (first, second)]
    exact = first.double() @ second.double()
    try:
        with torch.inference_mode():
            found = [_by_onednn(one, other) for one in (first, turned[0]) for other in (second, turned[1])]
    except (AttributeError, RuntimeError, TypeError):
        return False
    return all(bool((one - exact).abs().max() <= 1e-5 * exact.abs().max()) for one in found)
