"""What a graph takes: raw intensities where it can, and the same values as in this package."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch

from tests.exchange.conftest import small_model
from tests.networks.others import PointwiseSettings
from unet2015.errors import ModelError, UsageError
from unet2015.exchange import ExportOptions, export_model
from unet2015.exchange.formats import run_pt2
from unet2015.exchange.graph import ModelGraph
from unet2015.exchange.intensities import choose_intensities
from unet2015.exchange.rdf import whole_image_steps
from unet2015.images.array_image import ArrayImage
from unet2015.images.mapped_image import MappedImage
from unet2015.models.appearance import appearance_record
from unet2015.models.model_file import ModelInfo, read_model_file
from unet2015.models.unlike import notes_on_image
from unet2015.segmentation.in_memory import segment
from unet2015.settings import Mapping
from unet2015.synthetic import em_page

pytestmark = pytest.mark.usefixtures("others")


def info(method, dtype="uint8", channels=1, **values):
    mapping = Mapping(method=method, **values)
    return ModelInfo(mapping=mapping, dtype=dtype, class_names=("a", "b"), in_channels=channels)


def mapped_by(intensities, raw):
    """What the graph makes of an image (C, H, W) before the network, in single precision."""
    network = small_model(PointwiseSettings(), in_channels=len(raw)).network
    graph = ModelGraph(network, intensities.scale)
    caught = []
    graph.network.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    graph(torch.from_numpy(raw.astype(np.float32))[None])
    return caught[0][0].numpy()


def test_a_fixed_mapping_is_in_the_graph():
    about = info("fixed", low=(10.0, 20.0), high=(110.0, 30.0), channels=2)
    raw = np.arange(2 * 5 * 6, dtype=np.uint8).reshape(2, 5, 6)
    expected = MappedImage(ArrayImage(raw, "CYX"), about.mapping).read(0, 0, 5, 0, 6)
    chosen = choose_intensities(about)
    assert chosen.takes == "raw intensities; 10, 20 and 110, 30 become 0 and 1"
    assert np.allclose(mapped_by(chosen, raw), expected, rtol=0, atol=2e-7)


@pytest.mark.parametrize(
    ("dtype", "ends"), [("uint8", (0, 255)), ("uint16", (0, 65535)), ("int16", (-32768, 32767))]
)
def test_the_range_of_a_known_type_is_in_the_graph(dtype, ends):
    raw = np.array([[ends, ends]], dtype)
    chosen = choose_intensities(info("integer-range", dtype))
    assert f"{ends[0]} and {ends[1]} become 0 and 1" in chosen.takes
    assert mapped_by(chosen, raw)[0].tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize(("dtype", "bits"), [("uint16", 12), ("uint8", 4), ("uint16", 16), ("int16", 12)])
def test_the_range_of_the_bits_that_the_training_had_is_in_the_graph(dtype, bits):
    about = info("integer-range", dtype)
    about = about.model_copy(update={"training": {"bits": [bits]}})
    image = ArrayImage(np.arange(16, dtype=dtype).reshape(1, 4, 4), "CYX")
    image.bits = bits
    expected = MappedImage(image, about.mapping).read(0, 0, 4, 0, 4)
    assert np.allclose(
        mapped_by(choose_intensities(about), image.read(0, 0, 4, 0, 4)), expected, rtol=0, atol=2e-7
    )


@pytest.mark.parametrize("bits", [[12, 16], [], 12, ["12"], [0], [99], [True]])
def test_pixels_of_different_or_odd_bits_are_mapped_outside_the_graph(bits):
    about = info("integer-range", "uint16").model_copy(update={"training": {"bits": bits}})
    assert choose_intensities(about).scale is None


@pytest.mark.parametrize(
    ("about", "words"),
    [
        (info("integer-range", None), "the range of the pixels' type becomes 0 to 1"),
        (info("standardise"), "each image minus its mean"),
        (
            info("image-percentiles", low=(1,), high=(99,)),
            "percentiles 1 and 99 of each image become 0 and 1",
        ),
    ],
)
def test_what_needs_the_whole_image_is_left_to_the_program_that_runs_the_graph(about, words):
    chosen = choose_intensities(about)
    assert chosen.scale is None
    assert chosen.takes.startswith(f"mapped intensities: {words}")
    assert "over all pixels of all its pages" in chosen.takes


@pytest.mark.parametrize(
    "about",
    [info("standardise"), info("image-percentiles", low=(1,), high=(99,)), info("integer-range", None)],
    ids=lambda about: about.mapping.method,
)
def test_the_mapping_of_an_image_can_be_fixed_for_all(about, tmp_path):
    raw = np.random.default_rng(0).integers(30_000, 30_200, (2, 30, 40), np.uint16)
    tifffile.imwrite(tmp_path / "i.tif", raw, photometric="minisblack", metadata={"axes": "ZYX"})
    chosen = choose_intensities(about, image=tmp_path / "i.tif")
    assert chosen.source == "--image i.tif"
    assert len(chosen.image_sha256) == 64
    expected = MappedImage(ArrayImage(raw, "ZYX"), about.mapping).read(1, 0, 30, 0, 40)
    # Whole numbers lose nothing where the large part of a mean is taken from them.
    assert np.allclose(mapped_by(chosen, raw[1:]), expected, rtol=0, atol=3e-7)


@pytest.mark.parametrize("ends", [{}, {"low": (1,), "high": (99,)}], ids=["standardise", "percentiles"])
def test_a_model_that_maps_each_page_takes_one_page(ends, tmp_path):
    method = "image-percentiles" if ends else "standardise"
    about, by_file = info(method, each="page", **ends), info(method, **ends)
    chosen = choose_intensities(about)
    assert (chosen.scale, "over all its pixels" in chosen.takes) == (None, True)
    assert "of each page" in chosen.takes or "each page minus" in chosen.takes
    assert whole_image_steps(about, chosen) == whole_image_steps(by_file, choose_intensities(by_file))
    raw = np.random.default_rng(0).integers(300, 500, (2, 30, 40), np.uint16)
    tifffile.imwrite(tmp_path / "i.tif", raw, photometric="minisblack", metadata={"axes": "ZYX"})
    with pytest.raises(UsageError, match=r"i\.tif: has 2 pages, each of which .* give an image of one page"):
        choose_intensities(about, image=tmp_path / "i.tif")
    tifffile.imwrite(tmp_path / "i.tif", raw[1])
    fixed = choose_intensities(about, image=tmp_path / "i.tif")
    expected = choose_intensities(by_file, image=tmp_path / "i.tif")
    assert fixed.as_dict() == expected.as_dict()


def test_an_image_unlike_those_trained_on_is_said_and_kept(tmp_path, caplog):
    raw = np.random.default_rng(0).integers(0, 200, (2, 30, 40), np.uint8)
    names = {"Channel": {"Name": ["GFP", "DAPI"]}}
    tifffile.imwrite(tmp_path / "i.ome.tif", raw, photometric="minisblack", metadata={"axes": "CYX"} | names)
    model = small_model(PointwiseSettings(), in_channels=2)
    loaded = model.info.model_copy(
        update={
            "mapping": Mapping(method="standardise"),
            "training": {"channel_names": ["DAPI", "GFP"]},
        }
    )
    options = ExportOptions(formats=("safetensors",), image=tmp_path / "i.ome.tif")
    report = export_model(replace(model, info=loaded), tmp_path / "out", options)
    (note,) = report.intensities.notes
    assert note.startswith("the model was trained on channels named DAPI, GFP, but this image has GFP, DAPI")
    assert caplog.messages == [f"{tmp_path / 'i.ome.tif'}: {note}"]
    record = json.loads((tmp_path / "out" / "export.record.json").read_text())
    assert record["intensities"]["notes"] == [note]
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"(--image i.ome.tif): {note}**" in card
    assert "2 channel(s): DAPI, GFP;" in card
    loaded = loaded.model_copy(update={"training": {"channel_names": ["GFP", "DAPI"]}})
    assert choose_intensities(loaded, image=tmp_path / "i.ome.tif").notes == ()


def test_a_mean_and_a_deviation_can_be_given():
    chosen = choose_intensities(info("standardise", channels=2), (100.0, 7.0), (20.0, 2.0))
    assert chosen.takes == (
        "raw intensities, from which 100, 7 is taken, and which are divided by 20, 2, for every image"
    )
    assert mapped_by(chosen, np.array([[[140]], [[5]]])).ravel().tolist() == [2, -1]


@pytest.mark.parametrize(
    ("about", "given", "words"),
    [
        (info("fixed", low=(0,), high=(1,)), {"mean": (1.0,), "deviation": (1.0,)}, "0 and 1 become 0 and 1"),
        (info("standardise"), {"mean": (1.0,)}, "need 1 number each.*got 1 and 0"),
        (info("standardise", channels=2), {"mean": (1.0,), "deviation": (1.0,)}, "need 2 numbers each"),
        (info("standardise"), {"mean": (1.0,), "deviation": (0.0,)}, "--deviation above 0"),
        (info("standardise"), {"mean": (float("nan"),), "deviation": (1.0,)}, "--mean must be finite"),
        (info("standardise"), {"mean": (1.0,), "deviation": (1.0,), "image": "i.tif"}, "not both"),
        (info("fixed", low=(0,), high=(1,)), {"image": "i.tif"}, "--image is not needed"),
        (info("standardise", channels=3), {"image": "i.tif"}, "has 1 channels, but the model takes 3"),
        (info("standardise"), {"image": "i.tif"}, "all of its pixels are the same"),
    ],
)
def test_numbers_that_do_not_go_with_the_model_are_refused(about, given, words, tmp_path):
    tifffile.imwrite(tmp_path / "i.tif", np.full((8, 9), 7, np.uint8))
    if "image" in given:
        given = given | {"image": tmp_path / "i.tif"}
    with pytest.raises(UsageError, match=words):
        choose_intensities(about, **given)


@pytest.mark.parametrize(
    ("dtype", "least", "spread", "taken"),
    [
        ("uint32", 4_000_000_000, 2000, False),
        ("uint32", 4_000_000_000, 200_000_000, True),
        ("uint32", 16_000_000, 100, True),  # below 2**24 every whole number is exact
        ("float64", 1e6, 1, False),
        ("float64", 1e39, 1e39, False),
        ("float64", 0, 1, True),
        ("float32", 4e9, 4e4, True),  # the pixels are float32 themselves
    ],
)
def test_pixels_that_float32_does_not_tell_apart_are_not_taken_raw(dtype, least, spread, taken, tmp_path):
    """What the graph makes of raw pixels is what this package makes of them, or it does not take them."""
    raw = (least + spread * np.random.default_rng(0).random((1, 16, 16))).astype(dtype)
    tifffile.imwrite(tmp_path / "i.tif", raw[0], photometric="minisblack")
    fixed = info("fixed", dtype, low=(float(least),), high=(float(least + spread),))
    standard, one = info("standardise", dtype), {"image": tmp_path / "i.tif"}
    numbers = {"mean": (float(raw.mean()),), "deviation": (float(raw.std(dtype=np.float64)),)}
    assert (choose_intensities(fixed).scale is not None) == taken
    if taken:
        expected = MappedImage(ArrayImage(raw, "CYX"), standard.mapping).read(0, 0, 16, 0, 16)
        assert np.allclose(mapped_by(choose_intensities(standard, **one), raw), expected, rtol=0, atol=2e-3)
        assert choose_intensities(standard, **numbers).scale is not None
        return
    with pytest.raises(ModelError, match="other formats take mapped images"):
        whole_image_steps(fixed, choose_intensities(fixed))
    with pytest.raises(UsageError, match="export without --image"):
        choose_intensities(standard, **one)
    with pytest.raises(UsageError, match="export without --mean and --deviation"):
        choose_intensities(standard, **numbers)


def test_the_card_says_what_the_graph_takes(tmp_path):
    model = small_model(PointwiseSettings(), mapping=Mapping(method="standardise"))
    export_model(model, tmp_path, ExportOptions(formats=("torchscript",), mean=(90.0,), deviation=(30.0,)))
    card = (tmp_path / "README.md").read_text()
    assert "1 channel(s); the kind of image is not in the model file" in card
    assert "raw intensities, from which 90 is taken, and which are divided by 30" in card
    tile = np.load(tmp_path / "test-input.npy")
    assert (tile == tile.round()).all()  # as pixels are
    assert 60 < tile.mean() < 120


@pytest.mark.parametrize("by_image", [False, True])
def test_a_model_file_maps_as_the_graphs_of_its_export(tmp_path, by_image):
    raw = np.random.default_rng(0).integers(300, 500, (2, 60, 60), np.uint16)
    for name, page in zip("ab", raw, strict=True):
        tifffile.imwrite(tmp_path / f"{name}.tif", page)
    model = small_model(PointwiseSettings())
    model = replace(model, info=model.info.model_copy(update={"mapping": Mapping(method="standardise")}))
    given = {"image": tmp_path / "a.tif"} if by_image else {"mean": (390.0,), "deviation": (50.0,)}
    options = ExportOptions(formats=("safetensors", "pt2"), **given)
    report = export_model(model, tmp_path / "out", options)
    loaded = read_model_file(tmp_path / "out" / "model.safetensors")
    assert loaded.info.mapping.method == "fixed"
    assert json.loads((tmp_path / "out" / "model.json").read_text())["mapping"]["method"] == "fixed"
    low, gap = (raw[0].mean(), raw[0].std()) if by_image else (390.0, 50.0)
    assert np.allclose(
        (loaded.info.mapping.low[0], loaded.info.mapping.high[0]), (low, low + gap), rtol=1e-12
    )
    found = segment(tmp_path / "b.tif", loaded, probabilities=True)  # of another image, by the same numbers
    graph = run_pt2(tmp_path / "out" / "model.pt2", [raw[1][None, None].astype(np.float32)])[0][0, 1]
    assert np.allclose(found, graph, rtol=0, atol=1e-6)
    assert max(report.differences.values()) < 1e-5


@pytest.mark.parametrize("trained", ["uint8", "uint16", None])
def test_numbers_of_an_image_are_of_its_type_whatever_the_training_had(tmp_path, trained):
    raw = np.random.default_rng(0).integers(300, 500, (60, 60), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", raw)
    about = info("standardise", trained)
    fixed = choose_intensities(about, image=tmp_path / "a.tif").of_model(about)
    with ArrayImage(raw, "YX") as same:
        assert notes_on_image(same, fixed) == ()
    with ArrayImage((raw // 4).astype(np.uint8), "YX") as other:
        (note,) = notes_on_image(other, fixed)
    assert "of uint16 as they are, but these pixels are uint8" in note


@pytest.mark.parametrize(
    ("trained", "mean", "deviation", "kept"),
    [
        *(("uint8", 126, 38, "uint8"), ("uint8", 1230, 38, None), ("uint8", 126, 498, None)),
        *(("uint8", -1, 38, None), ("int16", -1, 38, "int16"), ("float32", 1230, 498, "float32")),
    ],
)
def test_numbers_that_are_given_are_of_the_type_of_the_training_if_it_holds_them(
    trained, mean, deviation, kept
):
    about = info("standardise", trained)
    fixed = choose_intensities(about, mean=(float(mean),), deviation=(float(deviation),)).of_model(about)
    assert fixed.dtype == kept


def test_what_spoils_the_mapping_of_the_image_is_said(tmp_path, caplog):
    raw = np.random.default_rng(0).integers(300, 500, (60, 60), np.uint16)
    raw[:20] = 0
    tifffile.imwrite(tmp_path / "i.tif", raw)
    chosen = choose_intensities(info("standardise"), image=tmp_path / "i.tif")
    assert any("33.3% of the pixels are 0, in areas at the border" in note for note in chosen.notes)
    assert any("leave them out with an image (--image) without them" in note for note in chosen.notes)
    assert all(note in caplog.text for note in chosen.notes)
    film = np.stack([raw[20:], raw[20:] // 9])
    tifffile.imwrite(tmp_path / "f.tif", film, imagej=True, metadata={"axes": "TYX"})
    notes = choose_intensities(info("standardise"), image=tmp_path / "f.tif").notes
    assert any("the frames differ in brightness" in note for note in notes)
    fixed = info("integer-range", None)
    assert choose_intensities(fixed, image=tmp_path / "i.tif").notes == ()


def test_an_image_that_looks_unlike_those_trained_on_is_said(tmp_path):
    about, trained = (
        info("standardise"),
        MappedImage(ArrayImage(em_page(256, 256)[0]), Mapping(method="standardise")),
    )
    learned = about.model_copy(update={"training": {"appearance": appearance_record([trained.appearance])}})
    tifffile.imwrite(tmp_path / "n.tif", np.random.default_rng(0).integers(90, 110, (256, 256), np.uint8))
    assert choose_intensities(about, image=tmp_path / "n.tif").notes == ()
    (note,) = choose_intensities(learned, image=tmp_path / "n.tif").notes
    assert "is noise from pixel to pixel" in note
