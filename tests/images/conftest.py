import os
from dataclasses import astuple
from pathlib import Path

import pytest

from unet2015.images.axes import Calibration

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data sets; a test that needs it skips where it is absent."""
    folder = Path(os.environ.get("UNET2015_DATA") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "isbi2012").is_dir():
        pytest.skip(f"no real data in {folder}; set UNET2015_DATA")
    return folder


@pytest.fixture(scope="session")
def same_calibration():
    """Whether two calibrations are equal, up to a relative `rel` in numbers."""

    def same(one: Calibration, other: Calibration, rel: float = 1e-12) -> bool:
        pairs = zip(astuple(one), astuple(other), strict=True)
        return all(a == b or (isinstance(a, float) and b == pytest.approx(a, rel=rel)) for a, b in pairs)

    return same
