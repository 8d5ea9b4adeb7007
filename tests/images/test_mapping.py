"""One mapping for a whole image, exact, and no NaN through it."""

import numpy as np
import pytest
import tifffile
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unet2015.errors import ImageValueError, UsageError
from unet2015.images.array_image import ArrayImage
from unet2015.images.image import Image
from unet2015.images.mapped_image import MappedImage
from unet2015.images.mapping import choose_mapping, deviation, intensity_scale
from unet2015.images.percentiles import exact_percentiles
from unet2015.images.reader import open_image
from unet2015.settings import Mapping, MappingSettings

PERCENTILES = Mapping(method="image-percentiles", low=(1.0,), high=(99.8,))
STANDARDISE = Mapping(method="standardise")
DTYPES = ["uint8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64", "int8"]


def values(dtype):
    if np.dtype(dtype).kind == "f":
        width = np.dtype(dtype).itemsize * 8
        bound = {16: 6e4, 32: 1e30, 64: 1e200}[width]
        bound = float(np.dtype(dtype).type(bound))
        return st.floats(-bound, bound, width=width) | st.sampled_from([0.0, -0.0, 1.0, -1.0])
    limits = np.iinfo(dtype)
    return st.integers(limits.min, limits.max) | st.sampled_from([limits.min, limits.max, 0, 1])


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(DTYPES).flatmap(lambda d: hnp.arrays(d, st.integers(1, 60), elements=values(d))),
    st.lists(st.floats(0, 100), min_size=1, max_size=3),
    st.integers(1, 60),
)
def test_percentiles_equal_numpys(array, percents, cut):
    parts = [part for part in (array[:cut], array[cut:]) if part.size]
    found = exact_percentiles(lambda: iter(parts), array.dtype, percents)
    expected = np.percentile(array.astype(np.float64), percents)
    scale = max(1e-300, float(np.abs(array.astype(np.float64)).max()))
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
def test_percentiles_of_an_image_are_over_all_pages_for_each_channel(dtype):
    random = np.random.default_rng(0)
    array = (random.standard_normal((3, 2, 50, 40)) * 40 + [[[0]], [[30]]]).clip(-120, 120)
    array = abs(array).astype(dtype) if np.dtype(dtype).kind == "u" else array.astype(dtype)
    offset, gain = intensity_scale(PERCENTILES, ArrayImage(array, "TCYX"))
    for channel in range(2):
        low, high = np.percentile(array[:, channel].astype(np.float64), [1.0, 99.8])
        assert offset[channel] == pytest.approx(low, rel=1e-12)
        assert gain[channel] == pytest.approx(1 / (high - low), rel=1e-12)


@pytest.fixture
def band_reads(monkeypatch):
    """The number of pixels of each read of an image, whose bands hold 1000 at the most."""
    monkeypatch.setattr("unet2015.images.image._BAND_PIXELS", 1000)
    sizes = []
    read = Image.read
    monkeypatch.setattr(
        Image, "read", lambda self, *a: sizes.append((a[2] - a[1]) * (a[4] - a[3])) or read(self, *a)
    )
    return sizes


def test_percentiles_read_bands_not_pages(tmp_path, band_reads):
    array = np.random.default_rng(0).integers(0, 4000, (3, 100, 80), np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, compression="zlib", rowsperstrip=7, photometric="minisblack")
    with open_image(path) as image:
        offset, _ = intensity_scale(PERCENTILES, image)
    assert max(band_reads) <= 1000
    assert offset[0] == np.percentile(array, 1.0)


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("uint8", 0, 255), ("uint16", 0, 65535), ("int16", -32768, 32767)]
)
def test_integer_range(dtype, low, high):
    array = np.array([[low, high, 7]], dtype)
    mapped = MappedImage(ArrayImage(array), Mapping(method="integer-range")).read(0, 0, 1, 0, 3)
    assert mapped.dtype == np.float32
    np.testing.assert_allclose(mapped[0, 0], [0, 1, (7 - low) / (high - low)], rtol=1e-6)


def test_integer_range_of_floats():
    for act in (
        lambda image: MappedImage(image, Mapping(method="integer-range")),
        lambda image: choose_mapping(MappingSettings(method="integer-range"), [image]),
    ):
        with pytest.raises(ImageValueError, match="float32; train with the mapping standardise"):
            act(ArrayImage(np.zeros((2, 2), np.float32)))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "uint32"])
@pytest.mark.parametrize(
    "mapping",
    [PERCENTILES, STANDARDISE, Mapping(method="fixed", low=(7.0,), high=(7.0,))],
    ids=["percentiles", "standardise", "fixed"],
)
def test_a_constant_image_becomes_zero(dtype, mapping):
    image = ArrayImage(np.full((5, 6), 7, dtype))
    mapped = MappedImage(image, mapping).read(0, 0, 5, 0, 6)
    np.testing.assert_array_equal(mapped, 0)


@pytest.mark.parametrize("value", [0.1, -1 / 3, 1e-310, 1.7e308, -1.7e308, 0.0])
def test_a_constant_of_any_size_is_standardised_to_zero(value):
    """Though the sum of as many tenths is not as many times a tenth."""
    image = ArrayImage(np.full((2, 37, 61), value))
    np.testing.assert_array_equal(MappedImage(image, STANDARDISE).read(1, 0, 37, 0, 61), 0)


def read(image, mapping):
    """All pages as the network sees them: (pages, channels, height, width)."""
    mapped = MappedImage(image, mapping)
    return np.stack([mapped.read(page, 0, image.height, 0, image.width) for page in range(image.pages)])


@pytest.mark.parametrize("dtype", [*DTYPES, "uint64", "int64"])
def test_an_image_is_standardised_over_all_pages_for_each_channel(dtype):
    random = np.random.default_rng(0)
    array = random.random((3, 2, 50, 40)) * [[[40]], [[90]]] + [[[0]], [[30]]]
    array[1] += 5  # pages differ, and still do afterwards
    array = array.astype(dtype)
    image = ArrayImage(array, "TCYX")
    mapped = read(image, STANDARDISE)
    assert mapped.dtype == np.float32
    expected = array.astype(float)
    expected -= expected.mean(axis=(0, 2, 3), keepdims=True)
    expected /= expected.std(axis=(0, 2, 3), keepdims=True)
    np.testing.assert_allclose(mapped, expected, rtol=1e-6, atol=1e-6)
    assert mapped[1].mean() > mapped[0].mean() + 0.1


def test_to_standardise_reads_every_pixel_once_and_in_bands(tmp_path, band_reads):
    array = np.random.default_rng(0).integers(0, 4000, (3, 2, 100, 80), np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, imagej=True, metadata={"axes": "ZCYX"})
    with open_image(path) as image:
        offset, gain = intensity_scale(STANDARDISE, image)
    assert max(band_reads) <= 1000
    assert sum(band_reads) == 3 * 100 * 80
    np.testing.assert_allclose(offset, array.mean(axis=(0, 2, 3)), rtol=1e-15)
    np.testing.assert_allclose(1 / gain, array.std(axis=(0, 2, 3)), rtol=1e-14)


def test_a_few_bright_pixels_on_one_value_stay_visible():
    """After the background is subtracted, say: percentiles 1 and 99.8 of the image are both 0."""
    array = np.zeros((200, 200), np.uint16)
    array[50:54, 60:66] = 9000
    (((mapped,),),) = [read(ArrayImage(array), STANDARDISE)]
    assert mapped[51, 61] > 10
    assert -1 < mapped[0, 0] < 0
    array[:] = 0
    array[7, 9] = 1
    (((mapped,),),) = [read(ArrayImage(array), STANDARDISE)]
    assert mapped[7, 9] == pytest.approx((200 * 200 - 1) ** 0.5, rel=1e-6)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    scene=hnp.arrays(np.uint8, st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9))),
    steps=st.integers(1, 257),
    base=st.integers(0, 2**40),
    factor=st.floats(1e-30, 1e30),
)
def test_one_scene_in_any_type_is_one_input(scene, steps, base, factor):
    expected = read(ArrayImage(scene), STANDARDISE)
    others = [
        scene.astype(np.uint16) * np.uint16(steps),
        scene.astype(np.int16) - np.int16(128),
        scene.astype(np.uint32) * np.uint32(steps) + np.uint32(base % 2**31),
        scene.astype(np.int64) * steps - base,
        scene.astype(np.float32),
        scene * np.float32(steps),
        scene * factor,
    ]
    for other in others:
        found = read(ArrayImage(other), STANDARDISE)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6, err_msg=str(other.dtype))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["float16", "float32", "float64"]).flatmap(
        lambda dtype: hnp.arrays(
            dtype,
            st.tuples(st.integers(1, 2), st.integers(1, 5), st.integers(1, 5)),
            elements=st.floats(width=np.dtype(dtype).itemsize * 8, allow_nan=False, allow_infinity=False),
        )
    )
)
def test_floats_of_any_magnitude_are_standardised(array):
    """Without a warning, overflow or NaN: those are errors here."""
    span = np.ptp(array.astype(float) / 2)
    assume(span > 1e-300 or np.unique(array).size == 1)  # what is smaller may be refused
    mapped = read(ArrayImage(array), STANDARDISE).astype(float)
    assert np.isfinite(mapped).all()
    if span > 1e-300:
        assert mapped.mean() == pytest.approx(0, abs=1e-6)
        assert mapped.std() == pytest.approx(1, abs=1e-6)
    else:
        assert np.abs(mapped).max() <= 5


@pytest.mark.parametrize("largest", [1.7976931348623157e308, 3.4028234e38, 1e-300, 1e-40])
def test_the_ends_of_a_type_are_standardised(largest):
    """Their difference is beyond the type, as is its square."""
    array = np.full((2, 2, 3), -largest, np.float32 if 1e-200 < largest < 1e200 else np.float64)
    array[0, 0, 1] = array[1, 1, 1] = largest
    other = np.arange(12.0).reshape(2, 1, 2, 3) * 1e-300  # another channel, at the other end
    both = np.concatenate([array[:, None], other.astype(array.dtype)], axis=1)
    mapped = read(ArrayImage(both, "ZCYX"), STANDARDISE)
    expected = np.where(array > 0, 5**0.5, -(5**-0.5))
    np.testing.assert_allclose(mapped[:, 0], expected, rtol=1e-6)
    if array.dtype == np.float64:
        assert mapped[:, 1].std() == pytest.approx(1)


@pytest.mark.parametrize("mapping", [STANDARDISE, PERCENTILES])
def test_differences_whose_inverse_is_infinite_are_an_error_and_no_constant_image(mapping):
    array = np.arange(1600.0).reshape(1, 40, 40)
    for factor in (1e-312, 1e-315):
        with pytest.raises(ImageValueError, match=r"array: its pixels differ by about .* multiply"):
            read(ArrayImage(array * factor), mapping)
    np.testing.assert_allclose(
        read(ArrayImage(array * 1e-300), mapping), read(ArrayImage(array), mapping), 1e-5
    )


def test_a_value_beyond_single_precision_is_an_error_that_names_it():
    """The others are mapped to 0 to 1, so it would be infinite."""
    array = np.arange(1600.0).reshape(1, 40, 40)
    array[0, 3, 3] = 1e300
    with pytest.raises(ImageValueError, match=r"array: page 0: 1e\+300"):
        read(ArrayImage(array), PERCENTILES)


@pytest.mark.parametrize("mapping", [STANDARDISE, PERCENTILES, Mapping(method="fixed", low=(3,), high=(50,))])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_deviation_of_an_image_as_the_network_sees_it(mapping, dtype):
    array = (np.random.default_rng(0).random((3, 20, 30)) * [[[40]], [[90]], [[200]]]).astype(dtype)
    image = ArrayImage(array)
    expected = read(image, mapping).std(dtype=float)
    assert deviation(image, mapping) == pytest.approx([expected], rel=1e-6)
    scale = intensity_scale(mapping, image)
    np.testing.assert_array_equal(deviation(image, mapping, scale), deviation(image, mapping))


def test_the_deviation_of_each_channel_and_of_a_constant():
    array = np.zeros((2, 8, 9), np.uint16)
    array[0] = np.arange(72).reshape(8, 9)
    image = ArrayImage(array, "CYX")
    np.testing.assert_array_equal(deviation(image, STANDARDISE), [1, 1])
    np.testing.assert_allclose(
        deviation(image, Mapping(method="integer-range")), [array[0].std() / 65535, 0], rtol=1e-12
    )


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        (STANDARDISE, "each image minus its mean, divided by its standard deviation"),
        (PERCENTILES, "percentiles 1 and 99.8 of each image become 0 and 1"),
        (Mapping(method="integer-range"), "the range of the pixels' type becomes 0 to 1"),
        (Mapping(method="fixed", low=(3, 4.5), high=(50, 60)), "3, 4.5 and 50, 60 become 0 and 1"),
    ],
)
def test_a_rule_in_words(mapping, words):
    assert mapping.in_words() == words
    assert mapping.of_each_image == ("each image" in words)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rule", [PERCENTILES, STANDARDISE], ids=["percentiles", "standardise"])
def test_pixels_that_are_no_numbers(bad, rule):
    array = np.zeros((4, 5, 6), np.float32)
    array[2, 3, 4] = bad
    image = ArrayImage(array, name="some.tif")
    with pytest.raises(ImageValueError, match=r"some\.tif: page 2: .*NaN"):
        intensity_scale(rule, image)
    mapped = MappedImage(image, Mapping(method="fixed", low=(0.0,), high=(1.0,)))
    mapped.read(2, 0, 3, 0, 6)
    with pytest.raises(ImageValueError, match=r"some\.tif: page 2: .*NaN"):
        mapped.read(2, 3, 4, 4, 5)


@settings(max_examples=60, deadline=None)
@given(
    st.data(),
    st.sampled_from(["uint8", "uint16", "float32", "uint32"]),
    st.sampled_from([PERCENTILES, STANDARDISE]),
)
def test_a_region_is_mapped_as_the_whole(data, dtype, rule):
    """To the last bit: so no tiling can show in a result."""
    array = (np.random.default_rng(0).random((2, 9, 11)) * 200).astype(dtype)
    mapped = MappedImage(ArrayImage(array, "CYX"), rule)
    y0, x0 = data.draw(st.integers(0, 8)), data.draw(st.integers(0, 10))
    y1, x1 = data.draw(st.integers(y0 + 1, 9)), data.draw(st.integers(x0 + 1, 11))
    region = mapped.read(0, y0, y1, x0, x1)
    np.testing.assert_array_equal(region, mapped.read(0, 0, 9, 0, 11)[:, y0:y1, x0:x1])
    expected = (array.astype(np.float64) - mapped.offset[:, None, None]) * mapped.gain[:, None, None]
    np.testing.assert_allclose(region, expected[:, y0:y1, x0:x1], rtol=1e-5, atol=1e-6)


def images(*dtypes):
    random = np.random.default_rng(0)
    return [ArrayImage((random.random((2, 3, 8, 9)) * 200).astype(dtype), "ZCYX") for dtype in dtypes]


@pytest.mark.parametrize(
    ("dtypes", "method"),
    [
        (["uint8", "uint8"], "integer-range"),
        (["uint8", "uint16"], "image-percentiles"),
        (["uint16"], "image-percentiles"),
        (["float32"], "image-percentiles"),
    ],
)
def test_auto(dtypes, method):
    mapping = choose_mapping(MappingSettings(method="auto", low=2, high=98), images(*dtypes))
    assert mapping.method == method
    assert (mapping.low, mapping.high) == (((2,), (98,)) if method == "image-percentiles" else ((), ()))


@pytest.mark.parametrize("dtypes", [["uint8"], ["uint8", "uint16"], ["float32", "int32"]])
def test_each_image_is_standardised_unless_told_otherwise(dtypes):
    assert choose_mapping(MappingSettings(), images(*dtypes)) == STANDARDISE


def test_types_may_differ_where_each_has_its_own_range():
    assert choose_mapping(MappingSettings(method="integer-range"), images("uint8", "uint16")).low == ()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_training_percentiles_are_over_all_images_for_each_channel(dtype):
    parts = images(dtype, dtype)
    mapping = choose_mapping(MappingSettings(method="training-percentiles", low=5, high=90), parts)
    assert mapping.method == "fixed"
    raw = np.stack([part.read(page, 0, 8, 0, 9) for part in parts for page in range(2)]).astype(np.float64)
    low, high = np.percentile(raw, [5, 90], axis=(0, 2, 3))
    np.testing.assert_allclose(mapping.low, low, rtol=1e-12)
    np.testing.assert_allclose(mapping.high, high, rtol=1e-12)
    offset, gain = intensity_scale(mapping, parts[0])
    np.testing.assert_allclose(1 / gain + offset, high, rtol=1e-12)


def test_training_percentiles_of_unlike_images():
    settings = MappingSettings(method="training-percentiles")
    with pytest.raises(ImageValueError, match="uint16"):
        choose_mapping(settings, images("uint8", "uint16"))
    with pytest.raises(UsageError):
        choose_mapping(settings, [])


def test_training_percentiles_come_from_training_pages_alone():
    arrays = [np.arange(3 * 8 * 9, dtype=np.uint16).reshape(3, 8, 9) + 1000 * i for i in range(3)]
    arrays[0][1] = 60000  # held out
    chosen = [[0, 2], [1], []]
    rule = MappingSettings(method="training-percentiles", low=10, high=100)
    mapping = choose_mapping(rule, [ArrayImage(array) for array in arrays], chosen)
    seen = np.concatenate([array[pages].ravel() for array, pages in zip(arrays, chosen, strict=True)])
    assert (mapping.low, mapping.high) == ((np.percentile(seen, 10),), (seen.max(),))
    for pages in ([[0, 1, 2]] * 3, [range(3)] * 3, None):
        assert choose_mapping(rule, [ArrayImage(array) for array in arrays], pages).high == (60000,)


@pytest.mark.parametrize("pages", [[], [[0], [1]], [[]]])
@pytest.mark.parametrize("method", ["standardise", "training-percentiles"])
def test_pages_that_are_not_those_of_the_images(pages, method):
    with pytest.raises(UsageError, match=r"training pages of each image.*for 1 images"):
        choose_mapping(MappingSettings(method=method), images("uint8"), pages)


def test_channels_that_do_not_fit_the_model():
    mapping = Mapping(method="fixed", low=(0.0, 0.0), high=(1.0, 1.0))
    with pytest.raises(ImageValueError, match=r"expected 2 channels.*has 3"):
        intensity_scale(mapping, images("uint8")[0])


@pytest.mark.parametrize("rule", ["standardise", "image-percentiles"])
@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_whole_numbers_that_double_precision_does_not_tell_apart_are_refused(dtype, rule):
    mapping = Mapping(method=rule, low=(1.0,), high=(99.0,)) if "per" in rule else Mapping(method=rule)
    page = np.random.default_rng(0).integers(0, 200, (8, 9)).astype(dtype)
    near, far = (page + np.array(offset, dtype) for offset in (2**53 - 200, 2**60))
    MappedImage(ArrayImage(near), mapping).read(0, 0, 8, 0, 9)
    with pytest.raises(ImageValueError, match=r"up to 9007199254740992 \(2\*\*53\)"):
        MappedImage(ArrayImage(far), mapping).read(0, 0, 8, 0, 9)


@pytest.mark.parametrize("rule", ["standardise", "image-percentiles"])
@pytest.mark.parametrize("each", ["file", "page"])
def test_values_so_large_that_the_mapping_rounds_them_visibly_are_said(rule, each):
    """The same picture, but for a constant: without the note it is mapped otherwise, and nobody knows."""
    limits = {"low": (1.0,), "high": (99.0,)} if "per" in rule else {}
    mapping = Mapping(method=rule, each=each, **limits)
    pages = np.random.default_rng(0).choice(3, (2, 20, 30), p=[0.5, 0.3, 0.2])

    def mapped(lift):
        return MappedImage(ArrayImage(pages + lift, "TYX"), mapping)

    expected, shift = mapped(0).read(1, 0, 20, 0, 30), {}
    for lift in (-(2**52), 2**52, 2**46, 2**40, 2**20):
        found = mapped(lift)
        assert any("in steps of" in note for note in found.notes) == (abs(lift) > 2**40)
        shift[lift] = np.abs(found.read(1, 0, 20, 0, 30) - expected).max()
    assert shift[2**40] < 1e-3
    assert rule != "standardise" or shift[2**52] > 0.1
