"""A progress bar on standard error, quiet where that is no terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from unet2015.file_names import on_one_line, shown
from unet2015.tiling.plan import TilePlan


@contextmanager
def tile_bar(plan: TilePlan, name: str) -> Iterator[Callable[[int], object]]:
    """Show how many tiles of an image are done; yield the function to call with each number."""
    with tqdm(
        total=plan.tiles, desc=on_one_line(shown(Path(name).name)), unit="tile", disable=None, leave=False
    ) as bar:
        yield bar.update
