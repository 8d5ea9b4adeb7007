"""Numba, for the two measures that visit pixels one after another."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from unet2015.errors import UsageError

try:
    import numba
except ImportError as error:
    raise UsageError(
        "the warping error, V_rand and V_info need numba: pip install 'unet2015[metrics]'"
    ) from error

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile on the first call, keep the result on disk for the next process, run without the GIL.

    If no folder can be written, each process compiles again.
    """
    try:
        return cast(F, numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:
        return cast(F, numba.njit(nogil=True)(function))
