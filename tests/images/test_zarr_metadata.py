"""OME-Zarr metadata that say nothing, or anything: optional ones are left out, required ones are an error."""

import copy
import json
import shutil
import warnings

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unet2015.errors import AxesError, ImageReadError
from unet2015.images.axes import Calibration
from unet2015.images.ngff import read_multiscale
from unet2015.images.reader import open_image, read_pages

AXES = [
    {"name": "t", "type": "time", "unit": "second"},
    {"name": "z", "type": "space", "unit": "micrometer"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
]
PIXELS = np.arange(2 * 3 * 5 * 6, dtype=np.uint8).reshape(2, 3, 5, 6)
WHOLE = Calibration(0.5, 0.25, 2.0, 3.0, "micrometer", "second")


def image(**changes):
    """Return the metadata of one image, changed."""
    steps = [
        {"type": "scale", "scale": [3.0, 2.0, 0.5, 0.25]},
        {"type": "translation", "translation": [0.0, 1.0, 7.0, 0.0]},
    ]
    return {"axes": AXES, "datasets": [{"path": "0", "coordinateTransformations": steps}]} | changes


def attributes(form, one):
    return {"multiscales": [one]} if form == 2 else {"ome": {"version": "0.5", "multiscales": [one]}}


def read(one, form=2):
    return read_multiscale(attributes(form, one), form, "a.zarr")


def scaled(values, kind="scale"):
    one = copy.deepcopy(image())
    steps = one["datasets"][0]["coordinateTransformations"]
    next(step for step in steps if step["type"] == kind)[kind] = values
    return one


NOTHING = [0, 0.0, -1.0, float("nan"), float("inf"), None, "0.5", True, [], {}, 10**400]


def test_metadata_that_are_whole_leave_no_note():
    found = read(image())
    assert (found.axes, found.calibration, found.notes) == ("TZYX", WHOLE, ())
    assert found.translation == (0.0, 1.0, 7.0, 0.0)


@pytest.mark.parametrize("form", [2, 3])
@pytest.mark.parametrize("value", NOTHING)
def test_a_scale_that_says_nothing_is_unknown_and_told(value, form):
    found = read(scaled([value, 2.0, 0.5, 0.25]), form)
    assert found.calibration == Calibration(0.5, 0.25, 2.0, None, "micrometer", None)
    (note,) = found.notes
    assert "the scale of axis t" in note
    found = read(scaled([3.0, 2.0, value, 0.25]), form)
    assert found.calibration == Calibration(None, 0.25, 2.0, 3.0, "micrometer", "second")
    assert found.translation == (0.0, 1.0, 0.0, 0.0), "in pixels of no known size it lies nowhere"


@pytest.mark.parametrize("value", [value for value in NOTHING if value not in (0, -1.0) or value is None])
def test_a_translation_that_says_nothing_is_left_out(value):
    found = read(scaled([0.0, value, 7.0, 0.0], "translation"))
    assert (found.calibration, found.translation) == (WHOLE, (0.0, 0.0, 7.0, 0.0))
    assert "the translation of axis z" in found.notes[0]


@pytest.mark.parametrize("unit", [7, ["um"], {}, True, "\n\0", "m" * 100])
def test_a_unit_that_is_none_is_left_out(unit):
    axes = [AXES[0] | {"unit": unit}, *AXES[1:]]
    found = read(image(axes=axes))
    assert found.calibration == Calibration(0.5, 0.25, 2.0, 3.0, "micrometer", None)
    assert "unit of axis t" in found.notes[0]


@pytest.mark.parametrize("steps", [None, [], [{"type": "translation", "translation": [0, 0, 0, 0]}]])
def test_without_a_scale_no_pixel_size_is_made_up(steps):
    found = read(image(datasets=[{"path": "0", "coordinateTransformations": steps}]))
    assert found.calibration == Calibration()
    assert "no scale" in found.notes[0]


@pytest.mark.parametrize("outer", ["yes", 7, {"a": 1}, [7], [{}], [{"type": "affine", "affine": []}]])
def test_transformations_of_the_whole_image_that_are_not_known_leave_no_wrong_pixel_size(outer):
    found = read(image(coordinateTransformations=outer))
    assert (found.calibration, found.translation) == (Calibration(), (0.0, 0.0, 0.0, 0.0))
    assert "pixel size is not known" in found.notes[0]
    assert "coordinateTransformations" in found.notes[0]


def test_lengths_that_are_not_comparable_are_told():
    found = read(image(axes=[AXES[0], AXES[1] | {"unit": "parsec"}, *AXES[2:]]))
    assert found.calibration.z_spacing is None
    assert "parsec" in found.notes[0]


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (image(axes="tzyx"), "axes is no list of objects"),
        (image(axes=None), "'axes' is missing"),
        (image(axes=[7, 8]), "axes is no list of objects"),
        (image(axes=[{"name": 7}]), "'name' is missing, or no text"),
        (image(axes=[{"type": "space"}]), "'name' is missing, or no text"),
        (image(datasets=None), "'datasets' is missing"),
        (image(datasets={"path": "0"}), "datasets is no list of objects"),
        (image(datasets=["0"]), "datasets is no list of objects"),
        (image(datasets=[]), "declare no array"),
        (image(datasets=[{"path": 0}]), "name an array 0 that is not"),
        (image(datasets=[{}]), "name an array None"),
        (image(datasets=[{"path": "a/../../b"}]), "not in this image"),
        (scaled("abcd"), "expected 4 numbers above zero as scale"),
        (scaled([1.0] * 5), "expected 4 numbers above zero as scale"),
        (image(version=["0.4"]), r"of version \['0.4'\]"),
        (image(version=0.4), "of version 0.4"),
    ],
)
def test_required_metadata_of_a_wrong_type_are_one_clear_error(one, words):
    with pytest.raises(ImageReadError, match=words) as caught:
        read(one)
    assert str(caught.value).startswith("a.zarr: ")


@pytest.mark.parametrize(
    "found",
    [{"multiscales": "yes"}, {"multiscales": {}}, {"labels": 7}, {"labels": [7]}, {"ome": []}, {"ome": 7}],
)
def test_other_groups_are_one_clear_error(found):
    with pytest.raises(ImageReadError, match=r"^a\.zarr: "):
        read_multiscale(found, 2, "a.zarr")


def write(path, form, one, pixels=PIXELS):
    group = zarr.open_group(path, mode="w", zarr_format=form)
    options = {"dimension_names": list("tzyx")} if form == 3 else {}
    group.create_array("0", shape=pixels.shape, dtype=pixels.dtype, chunks=(1, 2, 4, 4), **options)[...] = (
        pixels
    )
    group.attrs.update(attributes(form, one))
    return path


@pytest.mark.parametrize("form", [2, 3])
def test_notes_come_with_the_image(tmp_path, form):
    path = write(tmp_path / "a.zarr", form, scaled([0.0, 2.0, 0.5, 0.25]))
    with open_image(path) as opened:
        assert opened.calibration.time_interval is None
        assert "the scale of axis t is 0.0" in opened.notes[0]
    with open_image(path, "TZYX") as opened:
        assert opened.shape == (2, 3, 5, 6)


@pytest.mark.parametrize(
    ("transformer", "refused"),
    [
        ({"name": "https://example.org/xor", "configuration": {}}, True),
        ({"name": "x", "must_understand": True}, True),
        ({"name": "x", "must_understand": False}, False),
    ],
)
def test_chunks_stored_by_a_transformer_are_refused(tmp_path, transformer, refused):
    path = tmp_path / "a.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=3, attributes=attributes(3, image()))
    group.create_array("0", data=PIXELS)
    file = path / "0" / "zarr.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"storage_transformers": [transformer]}))
    if refused:
        with pytest.raises(ImageReadError, match=r"array 0 are stored by a transformer .* not known here"):
            open_image(path)
    else:
        with open_image(path) as opened:
            assert (opened.read(0, 0, 5, 0, 6)[0] == PIXELS[0, 0]).all()


def test_a_mask_of_one_bit_may_be_labels(tmp_path):
    path = write(tmp_path / "a.zarr", 3, image(), PIXELS % 2 == 0)
    np.testing.assert_array_equal(read_pages(path), (PIXELS % 2 == 0).reshape(6, 5, 6))
    with pytest.raises(ImageReadError, match="bool"):
        open_image(path)


def places(value, path=()):
    """Yield the path of every place in a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    value = copy.copy(value)
    value[path[0]] = replaced(value[path[0]], path[1:], new)
    return value


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["0", "scale", "time", "t", "<f4", "|O", "C", "0.4", "default", 2, 3, 0, -1]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    return {form: write(folder / f"{form}.zarr", form, image()) for form in (2, 3)}


FILES = {2: [".zattrs", ".zgroup", "0/.zarray", "0/.zattrs"], 3: ["zarr.json", "0/zarr.json"]}
CASES = [(form, file) for form, files in FILES.items() for file in files]


@given(data=st.data())
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@pytest.mark.parametrize(("form", "file"), CASES)
def test_any_json_at_any_place_gives_an_image_or_one_clear_error(sound, tmp_path, form, file, data):
    path = tmp_path / "a.zarr"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(sound[form], path)
    target = path / file
    content = json.loads(target.read_text()) if target.exists() else {}
    place = data.draw(st.sampled_from(list(places(content))))
    target.write_text(json.dumps(replaced(content, place, data.draw(JSON))))
    said = outcome(path)
    assert said is None or said.startswith(f"{path}: ")
    assert "unexpected error" not in (said or "")
    assert "\n" not in (said or "")


def test_metadata_that_the_library_takes_and_cannot_use(tmp_path, monkeypatch):
    def fail(*_):
        raise IndexError("strange\nthing")

    monkeypatch.setattr("unet2015.images.zarr.check_levels", fail)
    path = write(tmp_path / "a.zarr", 3, image())
    assert outcome(path) == f"{path}: the Zarr metadata cannot be read: strange"


def outcome(path):
    """Open an image and read a pixel; return the error's text, or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zarr warns of extensions
            with open_image(path) as opened:
                opened.read(0, 0, 1, 0, 1)
                assert all("\n" not in note for note in opened.notes)
    except (ImageReadError, AxesError) as error:
        return str(error)
    return None
