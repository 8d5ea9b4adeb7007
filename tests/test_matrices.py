"""Products of matrices by oneDNN are torch's, up to rounding, however the matrices lie in memory."""

from unittest import mock

import pytest
import torch

from unet2015 import matrices
from unet2015.matrices import has_products, product


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("shape", [(1, 7, 5), (3, 1, 2), (65, 130, 33), (128, 96, 128)])
def test_a_product_is_that_of_float64(shape, turned):
    m, k, n = shape
    pair = [drawn(m, k), drawn(k, n, seed=1)]
    pair = [one.t().contiguous().t() if turn else one for one, turn in zip(pair, turned, strict=True)]
    exact = pair[0].double() @ pair[1].double()
    with mock.patch.object(matrices, "_LEAST", 0):
        found = product(*pair)
    assert float((found - exact).abs().max()) <= 1e-6 * float(exact.abs().max())


def test_a_part_of_a_larger_matrix_is_made_one_piece_first():
    whole = drawn(40, 80)
    with (
        mock.patch.object(matrices, "_LEAST", 0),
        mock.patch.object(matrices, "_by_onednn", wraps=matrices._by_onednn) as multiply,
    ):
        found = product(whole[:, :40:2], whole[:20, 3:9])
    torch.testing.assert_close(found, whole[:, :40:2] @ whole[:20, 3:9])
    assert all(one.is_contiguous() for one in multiply.call_args.args)


@pytest.mark.parametrize(("dtype", "side", "expected"), [
    (torch.float32, 128, has_products()), (torch.float32, 8, False), (torch.float64, 128, False),
    (torch.bfloat16, 128, False),
])  # fmt: skip
def test_small_matrices_and_other_precisions_are_torchs(dtype, side, expected):
    first, second = (drawn(side, side, seed=k).to(dtype) for k in (0, 1))
    with mock.patch.object(matrices, "_by_onednn", wraps=matrices._by_onednn) as multiply:
        found = product(first, second)
    assert multiply.called == expected
    if not expected:
        assert torch.equal(found, first @ second)


@pytest.mark.parametrize("broken", [AttributeError("no such operator"), torch.zeros(5, 4)])
def test_an_operator_that_is_not_there_or_is_wrong_is_not_used(broken):
    effect = {"side_effect" if isinstance(broken, Exception) else "return_value": broken}
    with mock.patch.object(matrices, "_by_onednn", **effect):
        assert not has_products.__wrapped__()
