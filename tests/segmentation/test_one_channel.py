"""A channel of an image is segmented as if it were the image."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from unet2015.errors import ImageValueError
from unet2015.images.reader import open_image
from unet2015.models.model_file import read_model_file, save_model
from unet2015.models.unlike import notes_on_image, notes_on_start
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.file_plan import plan_files
from unet2015.segmentation.in_memory import segment
from unet2015.segmentation.options import RECORDED, SegmentOptions
from unet2015.segmentation.replay import replay

STACK = np.random.default_rng(0).integers(0, 256, (2, 3, 40, 50), np.uint8)
GFP = SegmentOptions(channel="GFP", device="cpu")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.ome.tif"
    metadata = {"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP", "Cy5"]}}
    tifffile.imwrite(path, STACK, ome=True, metadata=metadata, photometric="minisblack")
    return path


def record(tmp_path):
    return json.loads((tmp_path / "o" / "a.record.json").read_text())


def test_the_result_is_that_of_the_channel_alone(tmp_path, file, model):
    (done,) = segment_files([file], tmp_path / "o", model, GFP)
    expected = segment(STACK[:, 1], model, axes="ZYX", device="cpu")
    np.testing.assert_array_equal(tifffile.imread(done.outputs[0]), expected)
    np.testing.assert_array_equal(segment(file, model, channel=1, device="cpu"), expected)
    np.testing.assert_array_equal(segment(STACK, model, axes="ZCYX", channel=1, device="cpu"), expected)
    said = record(tmp_path)
    assert (said["settings"]["channel"], said["axes"], said["shape"]) == ("GFP", "ZYX", [2, 40, 50])
    assert replay(tmp_path / "o" / "a.record.json").same


@pytest.mark.parametrize("channel", [1, "GFP", None])
def test_files_whose_channels_have_other_names_are_said(tmp_path, make_model, caplog, channel):
    for name, names in (("a", "DAPI GFP"), ("b", "GFP DAPI"), ("c", "GFP DAPI"), ("d", "DAPI GFP")):
        about = {"axes": "CYX", "Channel": {"Name": names.split()}}
        path = tmp_path / "i" / f"{name}.ome.tif"
        path.parent.mkdir(exist_ok=True)
        tifffile.imwrite(path, STACK[0, :2], ome=True, metadata=about, photometric="minisblack")
    tifffile.imwrite(tmp_path / "i" / "e.tif", STACK[0, :2], imagej=True, metadata={"axes": "CYX"})
    model = make_model(tmp_path / "m.safetensors", 2 if channel is None else 1)
    options = SegmentOptions(channel=channel, device="cpu")
    for _ in range(2):  # also where all were done before
        caplog.clear()
        results = segment_files([tmp_path / "i"], tmp_path / "o", model, options)
        other = [
            result.input.name[0] for result in results if any("of the same run" in n for n in result.notes)
        ]
        assert other == ([] if channel == "GFP" else ["b", "c", "e"])
        said = [one.getMessage() for one in caplog.records if "of the same run" in one.getMessage()]
        assert len(said) == 2 * (channel != "GFP")
        if said:
            words = (
                "the channel is GFP; see that it is the same" if channel else "they are DAPI, GFP; see that"
            )
            assert (
                f"e.tif: does not name its channels, but in {tmp_path / 'i' / 'a.ome.tif'}, of the same"
                in (said[1])
            )
            assert f"run, {words}" in said[1]
            words = "channel is DAPI" if channel == 1 else "channels are GFP, DAPI"
            assert f"b.ome.tif: its {words}, but in {tmp_path / 'i' / 'a.ome.tif'}, of" in said[0]
            assert ("give the channel by its name" in said[0]) == (channel == 1)
            assert said[0].endswith("(and 1 more file)")
    wanted = {1: ["GFP"], "GFP": ["GFP"], None: ["DAPI", "GFP"]}[channel]
    assert record(tmp_path)["channel_names"] == wanted


@pytest.mark.parametrize(
    ("names", "single", "said"),
    [
        ("DAPI GFP", False, True),
        ("C1 C2", False, False),
        ("Channel:0:0 Channel:0:1", False, False),
        ("DAPI", True, False),
    ],
)
@pytest.mark.parametrize("channel", [0, None])
def test_images_without_names_beside_others_are_said_where_that_matters(
    tmp_path, make_model, names, single, said, channel
):
    planes = STACK[0, : 1 if single else 2]
    about = {"axes": "CYX", "Channel": {"Name": names.split()}}
    tifffile.imwrite(tmp_path / "a.ome.tif", planes, ome=True, metadata=about, photometric="minisblack")
    tifffile.imwrite(tmp_path / "b.tif", planes, imagej=True, metadata={"axes": "CYX"})
    model = make_model(tmp_path / "m.safetensors", 1 if channel == 0 else len(planes))
    options = SegmentOptions(channel=None if single else channel, device="cpu")
    inputs = [tmp_path / "b.tif", tmp_path / "a.ome.tif"]  # the first without names
    first, second = segment_files(inputs, tmp_path / "o", model, options)
    assert [any("of the same run" in note for note in one.notes) for one in (first, second)] == [said, False]


def test_no_channel_is_to_be_chosen_where_files_have_one_each(tmp_path, make_model, caplog):
    for name in ("DAPI", "GFP"):
        about = {"axes": "YX", "Channel": {"Name": [name]}}
        tifffile.imwrite(tmp_path / f"{name}.ome.tif", STACK[0, 0], ome=True, metadata=about)
    options = SegmentOptions(device="cpu")
    segment_files(sorted(tmp_path.glob("*.tif")), tmp_path / "o", make_model(tmp_path / "m"), options)
    (said,) = [one.getMessage() for one in caplog.records if "of the same run" in one.getMessage()]
    assert said.endswith("segment them by themselves")


def test_another_channel_is_another_result(tmp_path, file, model, caplog):
    caplog.set_level("INFO", "unet2015")
    for channel, before in (("GFP", 0), ("GFP", 1), ("Cy5", 1)):
        (result,) = segment_files([file], tmp_path / "o", model, replace(GFP, channel=channel))
        assert caplog.text.count("done before") == before
    assert "is the result of channel GFP of" in str(result.error)
    assert "choose another output folder for each channel" in str(result.error)
    for channel, folder in ((1, "o"), (2, "p")):
        segment_files(
            [file], tmp_path / folder, model, replace(GFP, channel="GFP" if channel == 1 else "Cy5")
        )
        expected = segment(STACK[:, channel], model, axes="ZYX", device="cpu")
        np.testing.assert_array_equal(tifffile.imread(tmp_path / folder / "a.classes.ome.tif"), expected)


def test_a_record_without_channel_is_as_before_there_were_any(tmp_path):
    assert "channel" not in RECORDED
    assert "channel" not in SegmentOptions().as_record(None)
    for given in (1, "1"):
        said = SegmentOptions(channel=given).as_record(None)
        assert said["channel"] == "1"
        assert SegmentOptions.from_record(said).channel == "1"
    assert SegmentOptions.from_record(SegmentOptions().as_record(None)).channel is None


def test_what_has_no_such_channel_fails_alone(tmp_path, file, model):
    tifffile.imwrite(tmp_path / "b.tif", STACK[0, 0])
    found = segment_files([file, tmp_path / "b.tif"], tmp_path / "o", model, GFP)
    assert [one.error is None for one in found] == [True, False]
    assert "not 'GFP'; it has one channel: 0" in str(found[1].error)
    plans = plan_files([file, tmp_path / "b.tif"], tmp_path / "p", model, GFP)
    assert [one.error is None for one in plans] == [True, False]
    assert (plans[0].axes, plans[0].plan.pages) == ("ZYX", 2)


def test_a_model_of_one_channel_says_which_channels_there_are(file, make_model, tmp_path, model):
    with pytest.raises(ImageValueError, match="choose a channel with --channel: 0:DAPI, 1:GFP, 2:Cy5; or if"):
        segment(file, model, device="cpu")
    with pytest.raises(ImageValueError) as caught:
        segment(file, make_model(tmp_path / "two.safetensors", channels=2), device="cpu")
    assert "--channel" not in str(caught.value)


def trained_on(path, channel, make_model):
    """Write a model whose record says on which channel it was trained."""
    loaded = read_model_file(make_model(path))
    info = loaded.info.model_copy(update={"training": {"channel": channel}})
    save_model(path, loaded.network, info)
    return path


@pytest.mark.parametrize(
    ("trained", "chosen", "came"),
    [
        ("1", "1", None),
        ("1", "GFP", None),
        ("GFP", "1", None),
        ("GFP", "1:GFP", None),
        ("1:GFP", "GFP", None),
        ("7:GFP", "GFP", None),
        ("GFP", "DAPI", "this is 0:DAPI"),
        ("1", "2", "this is 2:Cy5"),
        ("0:GFP", "0", "this is 0:DAPI"),
        ("RFP", "1", "this is 1:GFP"),
    ],
)
def test_a_channel_other_than_the_model_s_is_said(tmp_path, file, make_model, caplog, trained, chosen, came):
    path = trained_on(tmp_path / "m.safetensors", trained, make_model)
    segment(file, path, channel=chosen, device="cpu")
    (done,) = segment_files([file], tmp_path / "o", path, replace(GFP, channel=chosen))
    plan_files([file], tmp_path / "p", path, replace(GFP, channel=chosen))
    note = f"the model was trained on channel {trained} of its images, but {came}; "
    assert caplog.text.count(note) == (0 if came is None else 3)
    said = [] if came is None else [found for found in done.notes if found.startswith(note)]
    assert record(tmp_path)["notes"] == list(done.notes) == said


@pytest.mark.parametrize("named", [None, "GFP", "DAPI"])
def test_an_image_of_one_channel_for_a_model_of_one_among_several(tmp_path, make_model, caplog, named):
    path, image = trained_on(tmp_path / "m.safetensors", "1:GFP", make_model), tmp_path / "a.ome.tif"
    metadata = {"axes": "ZCYX"} | ({"Channel": {"Name": [named]}} if named else {})
    tifffile.imwrite(image, STACK[:, :1], ome=True, metadata=metadata, photometric="minisblack")
    segment(image, path, device="cpu")
    segment(STACK[:, 0], path, axes="ZYX", device="cpu")  # an array never tells
    unknown = "but which of its channels this image is, is not known"
    assert caplog.text.count(unknown) == (2 if named is None else 1)
    assert caplog.text.count("but this is DAPI") == (named == "DAPI")


@pytest.mark.parametrize(("trained", "said"), [(None, True), ([12], False), ([8, 12], False), ([10], True)])
def test_bits_that_the_model_was_not_trained_on_are_said(tmp_path, make_model, caplog, trained, said):
    loaded = read_model_file(make_model(tmp_path / "m.safetensors"))
    training = {} if trained is None else {"bits": trained}
    info = loaded.info.model_copy(update={"training": training, "dtype": "uint16"})
    save_model(tmp_path / "m.safetensors", loaded.network, info)
    tifffile.imwrite(tmp_path / "a.tif", STACK[0, 0].astype(np.uint16), bitspersample=12)
    segment(tmp_path / "a.tif", tmp_path / "m.safetensors", device="cpu")
    assert ("but these have 12 bits and are divided by 4095" in caplog.text) == said


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (0.5, True),
        (0.008, True),
        (0.006, False),
        (0.00602, True),
        (0.005, False),
        (0.003, False),
        (0.002, True),
        (0.001, True),
        (None, False),
    ],
)
def test_pixels_of_another_size_than_the_model_s_are_said(tmp_path, make_model, caplog, width, said):
    loaded = read_model_file(make_model(tmp_path / "m.safetensors"))
    save_model(
        tmp_path / "m.safetensors", loaded.network, loaded.info.model_copy(update={"pixel_size_nm": 4.0})
    )
    options = {} if width is None else {"resolution": (1 / width, 1 / width), "metadata": {"unit": "um"}}
    tifffile.imwrite(tmp_path / "a.tif", STACK[0, 0], imagej=True, **options)
    caplog.set_level("INFO", "unet2015")
    segment(tmp_path / "a.tif", tmp_path / "m.safetensors", device="cpu")
    assert ("the model was trained on pixels of 4 nm, but these" in caplog.text) == said
    assert ("of the same scale was not checked" in caplog.text) == (width is None)


def test_pixels_of_one_and_a_half_times_the_size_are_near(tmp_path, model):
    info = read_model_file(model).info.model_copy(update={"pixel_size_nm": 650.0})
    size = {"resolution": (1 / 0.975, 1 / 0.975), "metadata": {"unit": "um"}}
    tifffile.imwrite(tmp_path / "a.tif", STACK[0, 0], imagej=True, **size)
    with open_image(tmp_path / "a.tif") as image:
        assert notes_on_image(image, info) == ()


@pytest.mark.parametrize("known", [4.0, None])
def test_a_scale_that_cannot_be_compared_is_said(tmp_path, make_model, caplog, known):
    caplog.set_level("INFO", "unet2015")
    loaded = read_model_file(make_model(tmp_path / "m.safetensors"))
    changed = loaded.info.model_copy(update={"pixel_size_nm": known})
    save_model(tmp_path / "m.safetensors", loaded.network, changed)
    for number, name in enumerate("abc"):
        size = {"resolution": (250, 250), "metadata": {"unit": "um"}} if name == "c" else {}
        tifffile.imwrite(tmp_path / f"{name}.tif", STACK[0, number], imagej=True, **size)
    given = [tmp_path / "*.tif"], tmp_path / "o", tmp_path / "m.safetensors", SegmentOptions(device="cpu")
    plan_files(*given)
    planned = [line for line in caplog.messages if "was not checked" in line]
    for _ in range(2):
        caplog.clear()
        results = segment_files(*given)
        assert [one.input.name for one in results] == ["a.tif", "b.tif", "c.tif"]
        said = [line for line in caplog.messages if "was not checked" in line]
        assert said == planned
        for one in results:
            kept = json.loads((tmp_path / "o" / f"{one.input.stem}.record.json").read_text())["notes"]
            assert kept == list(one.notes)
        if known is None:
            assert said == []  # most models and images are so
            assert [len(one.notes) for one in results] == [0, 0, 1]
            assert (
                results[2].notes[0].startswith("this image has pixels of 4 nm, but the model does not know")
            )
        else:
            (note,) = results[0].notes
            assert note.startswith(
                "the model was trained on pixels of 4 nm; this image does not say its pixel"
            )
            assert [one.notes for one in results] == [(note,), (note,), ()]
            assert said == [f"{tmp_path / 'a.tif'}: {note} (and 1 more file)"]


@pytest.mark.parametrize(
    ("height", "size", "words"),
    [
        (None, "0.016,0.004", "pixels of 4 nm, but these are of 16 nm high and 4 nm wide"),
        (None, "0.001,0.004", "pixels of 4 nm, but these are of 1 nm high and 4 nm wide"),
        (None, "0.005,0.004", None),
        (16.0, "0.016,0.004", None),
        (16.0, "0.004,0.004", "pixels of 16 nm high and 4 nm wide, but these are of 4 nm"),
        ("16", "0.004,0.004", None),
    ],
)
def test_the_height_of_pixels_counts_as_their_width(tmp_path, make_model, caplog, height, size, words):
    loaded = read_model_file(make_model(tmp_path / "m.safetensors"))
    record = {} if height is None else {"pixel_height_nm": height}
    changed = loaded.info.model_copy(update={"pixel_size_nm": 4.0, "training": record})
    save_model(tmp_path / "m.safetensors", loaded.network, changed)
    tifffile.imwrite(tmp_path / "a.tif", STACK[0, 0])
    options = SegmentOptions(pixel_size=tuple(map(float, size.split(","))), device="cpu")
    segment_files([tmp_path / "a.tif"], tmp_path / "out", tmp_path / "m.safetensors", options)
    assert ("the model was trained on pixels of" in caplog.text) == (words is not None)
    assert (words or "") in caplog.text


@pytest.mark.parametrize(
    ("channel", "trained", "said"),
    [
        ("1", {"channel": "1", "channel_names": ["GFP"]}, None),
        ("1", {"channel": "1", "channel_names": ["DAPI"]}, "on channels named DAPI, but this image has GFP"),
        ("1", {"channel": "0", "channel_names": ["DAPI"]}, "trained on channel 0 of its images"),
        (None, {"channel_names": ["DAPI", "GFP", "Cy5"]}, None),
        (
            None,
            {"channel_names": ["GFP", "DAPI", "Cy5"]},
            "named GFP, DAPI, Cy5, but this image has DAPI, GFP, Cy5",
        ),
        (None, {"channel_names": "damaged"}, None),
        (None, {}, None),
    ],
)
def test_channels_of_other_names_than_the_model_s_are_said(file, model, channel, trained, said):
    info = read_model_file(model).info.model_copy(update={"training": trained})
    with open_image(file, channel=channel) as image:
        for notes in (notes_on_image(image, info), notes_on_start(image, info)):
            assert [said in note for note in notes] == [True] * (said is not None)
