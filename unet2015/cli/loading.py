"""How subcommands load libraries: without searches for garbage in between.

Loading torch and the rest makes hundreds of thousands of objects, none of them garbage. While they grow in
number, Python's garbage collector looks through all of them again and again, and once more at the end of the
program, which took a third of the time that it takes to load them.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_MANY = 500
"""More new modules than this are worth leaving out of later searches."""


@contextmanager
def loading() -> Iterator[None]:
    """Load libraries in the body; from then on the garbage collector leaves out what they hold.

    In a process that has loaded them before, nothing changes: what it holds may be garbage one day.
    """
    collects, known = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) - known > _MANY:
            gc.freeze()
        if collects:
            gc.enable()
