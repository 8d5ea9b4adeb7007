import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet2015.errors import GeometryError
from unet2015.geometry import unet_geometry
from unet2015.tiling import plan as plan_module
from unet2015.tiling.plan import TilePlan, mirror, plan_axis


@st.composite
def axes(draw):
    geometry = unet_geometry(draw(st.integers(0, 5)))
    tile = geometry.input_for(geometry.factor) + draw(st.integers(0, 40)) * geometry.factor
    return draw(st.integers(1, 3000)), tile, geometry


@given(axes())
def test_every_pixel_is_kept_once_and_in_phase(axis):
    length, tile, geometry = axis
    spans = plan_axis(length, tile, geometry)
    kept = np.zeros(length, int)
    for span in spans:
        kept[span.kept] += 1
        assert span.kept_start % geometry.factor == 0
        assert span.read_stop - span.read_start == tile
        assert span.read_start + geometry.margin == span.kept_start
        assert span.kept_stop <= span.read_stop - geometry.margin
    assert (kept == 1).all()


@given(axes(), st.integers(1, 3000))
def test_what_is_known_without_lists_is_what_they_say(axis, width):
    length, tile, geometry = axis
    plan = TilePlan(2, length, width, (tile, tile), 1, geometry)
    assert plan.down_and_across == (len(plan.rows), len(plan.columns))
    assert plan.tallest == max(span.length for span in plan.rows)
    assert plan.tiles == 2 * len(plan.rows) * len(plan.columns)


@given(axes())
def test_no_tile_is_superfluous(axis):
    length, tile, geometry = axis
    spans = plan_axis(length, tile, geometry)
    if len(spans) > 1:
        before_last = spans[-2]
        assert before_last.kept_start + geometry.output_size(tile) < length


def test_the_paper_s_tile():
    spans = plan_axis(900, 572, unet_geometry(4))
    assert [(span.kept_start, span.kept_stop) for span in spans] == [(0, 384), (384, 768), (768, 900)]
    spans = plan_axis(384 + 388, 572, unet_geometry(4))
    assert [span.length for span in spans] == [384, 388]


def test_a_tile_whose_output_is_below_the_factor_covers_only_what_comes_out():
    geometry = unet_geometry(4)
    assert len(plan_axis(4, 188, geometry)) == 1
    with pytest.raises(GeometryError, match="204"):
        plan_axis(5, 188, geometry)


def test_an_illegal_tile_names_its_neighbours():
    with pytest.raises(GeometryError, match="556 or 572"):
        TilePlan(1, 600, 600, (571, 571), 1, unet_geometry(4))


@pytest.mark.parametrize("shape", [(0, 5, 5), (1, 0, 5), (1, 5, 0)])
def test_an_empty_image_is_refused(shape):
    with pytest.raises(GeometryError, match="at least one"):
        TilePlan(*shape, (204, 204), 1, unet_geometry(4))


@given(st.integers(1, 4), st.integers(1, 90), st.integers(1, 90), st.integers(1, 7))
def test_batches_hold_every_tile_once_in_order(pages, height, width, batch):
    geometry = unet_geometry(2)
    side = geometry.input_for(16)
    plan = TilePlan(pages, height, width, (side, side), batch, geometry)
    batches = list(plan)
    assert len(batches) == len(plan)
    assert all(len(tiles) == batch for tiles in batches[:-1])
    flat = [tile for tiles in batches for tile in tiles]
    assert flat == [plan.tile_at(index) for index in range(plan.tiles)]
    kept = np.zeros((pages, height, width), int)
    for tile in flat:
        kept[tile.page, tile.row.kept, tile.column.kept] += 1
    assert (kept == 1).all()


@given(st.integers(1, 60), st.integers(1, 90), st.integers(1, 90), st.integers(1, 7), st.integers(1, 200_000))
def test_parts_hold_every_tile_once_in_batches_of_their_own(pages, height, width, batch, pixels):
    geometry = unet_geometry(2)
    side = geometry.input_for(16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "PART_PIXELS", pixels)
        patch.setattr(plan_module, "MOST_PARTS", 50)
        plan = TilePlan(pages, height, width, (side, side), batch, geometry)
        parts = plan.parts
    assert [part.index for part in parts] == list(range(len(parts)))
    assert [tile for part in parts for tile in part.tiles] == list(range(plan.tiles))
    assert [number for part in parts for number in part.batches] == list(range(len(plan)))
    assert len(parts) <= 2 * 50
    for part in parts:
        inside = {
            (page, plan.rows[row], column)
            for page in part.pages
            for row in part.rows
            for column in plan.columns
        }
        batches = [plan[number] for number in part.batches]
        tiles = [tile for tiles in batches for tile in tiles]
        assert all(len(tiles) == batch for tiles in batches[:-1])
        assert tiles == [plan.tile_at(index) for index in part.tiles]
        assert {(tile.page, tile.row, tile.column) for tile in tiles} == inside
        assert len(part.pages) == 1 or len(part.rows) == len(plan.rows)
        assert all(plan.part_of(number) == part for number in part.batches)


def test_ten_thousand_pages_make_no_more_than_a_thousand_files():
    plan = TilePlan(10_000, 512, 512, (572, 572), 1, unet_geometry(4))
    assert 100 < len(plan.parts) <= plan_module.MOST_PARTS
    assert len(TilePlan(1, 40_000, 40_000, (2108, 2108), 1, unet_geometry(4)).parts) == 21


@given(st.integers(1, 40), st.integers(0, 200), st.integers(0, 200))
def test_mirror_is_numpy_s_reflect(length, before, after):
    expected = np.pad(np.arange(length), (before, after), mode="reflect") if length > 1 else 0
    assert (mirror(-before, length + after, length) == expected).all()
