import subprocess
import sys
from pathlib import Path

import numba
import pytest
from numba.core.caching import CacheImpl

from unet2015.metrics.compiled import compiled
from unet2015.metrics.thinning import _flood


def test_what_was_compiled_is_kept_for_the_next_process() -> None:
    assert Path(_flood.stats.cache_path).is_dir()  # type: ignore[attr-defined]


def test_compiles_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="no locator"):
        numba.njit(cache=True)(lambda x: x + 1)
    assert compiled(lambda x: x + 1)(1) == 2


def test_says_what_to_install_where_numba_is_missing() -> None:
    code = """
import sys
sys.modules["numba"] = None
import unet2015.metrics as metrics
from unet2015.errors import UsageError
assert metrics.rand_error([[1]], [[1.0]]).value == metrics.pixel_error([[1]], [[1.0]]).value == 0
for name in ("warping_error", "v_rand"):
    try:
        getattr(metrics, name)([[1]], [[1.0]])
    except UsageError as error:
        assert "pip install 'unet2015[metrics]'" in str(error)
    else:
        raise SystemExit(f"{name} did not ask for numba")
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
