"""Averaging over versions of the input: the symmetries of the square.

They only exchange and reverse the axes, so no pixel is interpolated. A tile turned in place keeps
its phase, since the outputs of all legal tiles have the same size modulo the pooling factor:
averaging over tiles equals averaging over the whole image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from unet2015.settings.choices import Averaging


@dataclass(frozen=True, slots=True)
class Symmetry:
    """Mirror left-right if `mirrored`, then turn by `quarters` times 90 degrees."""

    mirrored: bool = False
    quarters: int = 0

    def apply(self, x: Tensor) -> Tensor:
        """Turn the last two axes of `x`; what stays as it is, is not copied."""
        return _turned(x.flip(-1) if self.mirrored else x, self.quarters)

    def undo(self, x: Tensor) -> Tensor:
        """Turn back what `apply` turned."""
        x = _turned(x, -self.quarters)
        return x.flip(-1) if self.mirrored else x


def _turned(x: Tensor, quarters: int) -> Tensor:
    return torch.rot90(x, quarters, (-2, -1)) if quarters else x  # torch copies for no turn, too


# First those that do not exchange height and width: the other sides need another workspace.
SYMMETRIES = tuple(Symmetry(mirrored, quarters) for quarters in (0, 2, 1, 3) for mirrored in (False, True))

VERSIONS: dict[Averaging, tuple[Symmetry, ...]] = {
    "none": (Symmetry(),),
    "flips": (Symmetry(), Symmetry(True, 0), Symmetry(True, 2), Symmetry(False, 2)),
    "symmetries": SYMMETRIES,
    "rotations": SYMMETRIES[1:],
}
"""``flips``: the release's four (none, left-right, up-down, both). ``symmetries``: all eight.
``rotations``: the paper's EM result is "averaged over 7 rotated versions of the input data", but the paper
does not say which. A square plate in space has eight rotations onto itself: the identity, three quarter
turns, and four half turns about an axis in its plane (seen from above, these are mirror images). All but the
identity are used here: seven rotated versions, none of them interpolated."""
