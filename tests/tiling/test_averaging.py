import pytest
import torch

from unet2015.tiling.averaging import SYMMETRIES, VERSIONS


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_undo_undoes(symmetry):
    x = torch.arange(2 * 3 * 5).reshape(1, 2, 3, 5)
    assert torch.equal(symmetry.undo(symmetry.apply(x)), x)


def test_the_eight_symmetries_are_eight():
    x = torch.arange(9).reshape(1, 1, 3, 3)
    seen = {tuple(symmetry.apply(x).flatten().tolist()) for symmetry in SYMMETRIES}
    assert len(seen) == 8


def test_the_release_s_flips():
    x = torch.arange(6).reshape(1, 1, 2, 3)
    expected = [x, x.flip(-1), x.flip(-2), x.flip(-1, -2)]
    came = [symmetry.apply(x) for symmetry in VERSIONS["flips"]]
    assert all(any(torch.equal(one, other) for other in came) for one in expected)
    assert len(came) == 4


def test_seven_rotated_versions_without_the_image_itself():
    x = torch.arange(9).reshape(1, 1, 3, 3)
    versions = VERSIONS["rotations"]
    assert len(versions) == 7
    assert not any(torch.equal(version.apply(x), x) for version in versions)
