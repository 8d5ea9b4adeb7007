import json

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from safetensors.torch import load_file
from scipy import ndimage

import unet2015
from unet2015.cli import main
from unet2015.errors import ModelError, UsageError
from unet2015.models import ModelDescription, find_model, list_models, ship_model
from unet2015.models import shipped as shipped_models
from unet2015.models.model_file import ModelInfo, save_model
from unet2015.models.shipped import FOLDER, LARGEST
from unet2015.networks.unet2015 import UNet
from unet2015.settings import Mapping, NetworkSettings
from unet2015.synthetic import em_stack

WORDS = {
    "summary": "membranes of neurites",
    "modality": "serial section TEM",
    "citation": "Somebody et al., doi:10.1371/journal.pbio.1000502",
    "terms": "non-commercial",
    "pixel_size_nm": 4.0,
}
SHIPPED = sorted(FOLDER.glob("*.safetensors"))


def trained(path, width=2, depth=1):
    torch.manual_seed(0)
    info = ModelInfo(
        network=NetworkSettings(width=width, depth=depth),
        mapping=Mapping(method="integer-range"),
        class_names=("membrane", "cell"),
        dtype="uint8",
        threshold=0.5,
        training={"step": 7, "training_pages": 30},
    )
    save_model(path, UNet(width=width, depth=depth), info)
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of shipped models that holds one, made from a training's; the working folder is empty."""
    shipped, here = tmp_path / "shipped", tmp_path / "here"
    here.mkdir()
    ship_model(
        trained(tmp_path / "trained.safetensors"), ModelDescription(name="test-cells", **WORDS), shipped
    )
    monkeypatch.setattr(shipped_models, "FOLDER", shipped)
    monkeypatch.chdir(here)
    return shipped


@pytest.fixture
def stack(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (2, 40, 50), np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", pixels, photometric="minisblack", metadata={"axes": "ZYX"})
    return tmp_path / "stack.tif"


def check_shipped(model, stack, out, monkeypatch):
    """What every shipped model must be: small, described, and of use without a network."""
    assert model.bytes == model.path.stat().st_size < LARGEST
    assert model.info.name == model.name == model.path.stem
    for text in (model.info.summary, model.info.modality, model.info.terms):
        assert text.strip()
    assert "doi:" in model.info.citation
    assert model.info.training
    assert all(
        tensor.dtype == torch.float32 for tensor in unet2015.load_model(model.name).network.parameters()
    )

    def refuse(*_, **__):
        raise AssertionError("the network was asked for")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    with pytest.raises(SystemExit) as end:
        main(["segment", str(stack), "-o", str(out), "--model", model.name, "--device", "cpu"])
    assert not end.value.code
    classes = tifffile.imread(out / f"{stack.stem}.classes.tif")
    assert classes.shape == tifffile.imread(stack).shape
    assert set(np.unique(classes)) <= set(range(model.info.classes))


def test_a_model_made_to_be_shipped_keeps_the_promise(folder, stack, monkeypatch):
    (model,) = list_models()
    assert model.info.training["trained_model_sha256"]
    check_shipped(model, stack, stack.parent / "out", monkeypatch)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_is_shipped_keeps_the_promise(path, stack, monkeypatch):
    (model,) = [model for model in list_models() if model.path == path]
    check_shipped(model, stack, stack.parent / "out", monkeypatch)


@pytest.fixture(scope="module")
def slices(data):
    """Three of the slices that em-membrane was trained on: what it does on others they do not say."""
    paths = [data / "isbi2012" / f"train-{which}.tif" for which in ("volume", "labels")]
    if not all(path.exists() for path in paths):
        pytest.skip("no isbi2012 among the data sets")
    return [tifffile.imread(path, key=[4, 14, 26]) for path in paths]


def interior(pages):
    """Probability of cell interior by em-membrane, page by page as in files of their own."""
    return np.stack(
        [unet2015.segment(page, "em-membrane", axes="YX", device="cpu", probabilities=True) for page in pages]
    )


@pytest.mark.slow
def test_em_membrane_takes_images_of_any_type_and_contrast(slices):
    page = slices[0][0, :160, :160]
    expected = interior([page])
    for other in (
        page.astype(np.uint16) * 257,
        page.astype(np.float32) / 255,
        page.astype(np.float64) * 0.003 - 7,
        page.astype(np.uint16) * 13 + 4000,
        page.astype(np.int16) - 300,
    ):
        assert np.abs(interior([other]) - expected).max() < 1e-3
    classes = [
        unet2015.segment(image, "em-membrane", axes="YX", device="cpu")
        for image in (page, page.astype(np.uint16) * 257, page.astype(np.float32) / 255)
    ]
    assert all((other != classes[0]).mean() < 1e-4 for other in classes[1:])


def test_em_membrane_takes_files_of_any_type(tmp_path):
    page = em_stack(1, 60, 60, 0)[0][0]
    files = {
        "bytes.tif": page,
        "words.tif": page.astype(np.uint16) * 13 + 4000,
        "floats.tif": page.astype(np.float32) / 255,
    }
    for name, pixels in files.items():
        tifffile.imwrite(tmp_path / name, pixels)
    (tmp_path / "words.png").write_bytes(imagecodecs.png_encode(files["words.tif"]))
    (tmp_path / "bytes.jpg").write_bytes(imagecodecs.jpeg8_encode(page, level=100))
    maps = {
        path.name: unet2015.segment(path, "em-membrane", device="cpu", probabilities=True)
        for path in sorted(tmp_path.iterdir())
    }
    assert len(maps) == 5
    for name, found in maps.items():  # a JPEG changes pixels a little
        assert np.abs(found - maps["bytes.tif"]).max() < (0.2 if name == "bytes.jpg" else 1e-3), name


@pytest.mark.slow
@pytest.mark.parametrize("zoom", [0.8, 1.25])
def test_em_membrane_is_far_better_than_a_blur_on_scaled_slices(slices, zoom):
    from unet2015.metrics import v_rand

    side = slice(0, 320)  # two windows are enough, and quick
    images = np.stack([ndimage.zoom(page[side, side], zoom, order=1) for page in slices[0][:2]])
    truth = np.stack([ndimage.zoom(page[side, side], zoom, order=0) for page in slices[1][:2]])
    best = 0.0
    for sigma in (0, 1, 2, 3):
        blurred = ndimage.gaussian_filter(images.astype(np.float32), (0, sigma, sigma))
        ranks = blurred.ravel().argsort().argsort().reshape(blurred.shape) / blurred.size
        best = max(best, v_rand(truth, ranks.astype(np.float32)).value)
    assert 1 - v_rand(truth, interior(images)).value < (1 - best) / 2


def test_the_package_data_holds_the_folder():
    import tomllib

    text = (FOLDER.parent.parent / "pyproject.toml").read_text()
    patterns = tomllib.loads(text)["tool"]["setuptools"]["package-data"]["unet2015"]
    assert "models/*.safetensors" in patterns
    assert "report/templates/*" in patterns
    assert "settings/*.toml" in patterns


def test_a_name_is_taken_wherever_a_path_is(folder, stack):
    by_name = unet2015.segment(stack, "test-cells", device="cpu")
    by_path = unet2015.segment(stack, folder / "test-cells.safetensors", device="cpu")
    assert np.array_equal(by_name, by_path)
    assert unet2015.load_model("test-cells").sha256 == list_models()[0].sha256


def test_a_file_on_disk_wins_and_that_is_said(folder, tmp_path, caplog):
    assert find_model("test-cells").parent == folder
    assert not caplog.text
    trained(tmp_path / "here" / "test-cells", width=3)
    assert unet2015.load_model("test-cells").info.network.width == 3
    assert find_model("test-cells").resolve() == tmp_path / "here" / "test-cells"
    assert "test-cells: this is taken, from the current folder, and not the model of this name" in caplog.text


def test_the_folder_of_a_training_stands_for_its_model(folder, tmp_path, stack):
    run = tmp_path / "here" / "run"
    run.mkdir()
    with pytest.raises(
        ModelError, match=r"run: this folder holds no model.safetensors; give a training.s folder"
    ):
        unet2015.load_model("run")
    path = trained(run / "model.safetensors")
    for name in ("run", run, f"{run}/", "./run"):
        loaded = unet2015.load_model(name)
        assert loaded.path.resolve() == path
        assert loaded.sha256 == unet2015.load_model(path).sha256
    done = unet2015.segment_files([stack], tmp_path / "o", "run")
    assert json.loads((tmp_path / "o" / "stack.record.json").read_text())["model"].endswith(
        "model.safetensors"
    )
    assert done[0].error is None
    record = tmp_path / "o" / "stack.record.json"
    assert unet2015.replay(record, model=run).same
    run.rename(tmp_path / "here" / "test-cells")  # as what is there comes before what is shipped
    assert unet2015.load_model("test-cells").path.name == "model.safetensors"


def test_a_folder_of_that_name_does_not_hide_it(folder, tmp_path):
    (tmp_path / "here" / "test-cells").mkdir()
    assert find_model("test-cells") == folder / "test-cells.safetensors"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("test-cell", ["test-cell:", "shipped are: test-cells", "did you mean test-cells?"]),
        ("zzz", ["zzz:", "no such file", "shipped are: test-cells"]),
        ("folder/test-cells", ["folder/test-cells", "No such file"]),
        ("test-cells.safetensors", ["test-cells.safetensors", "No such file"]),
    ],
)
def test_an_unknown_name_says_what_there_is(folder, name, words):
    with pytest.raises(ModelError) as raised:
        unet2015.load_model(name)
    for word in words:
        assert word in str(raised.value)
    assert ("did you mean" in str(raised.value)) == (name == "test-cell")


def test_nothing_shipped_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped_models, "FOLDER", tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="none is shipped"):
        find_model("em")
    assert list_models() == []


def test_shipping_twice_gives_the_same_bytes_in_half_precision(folder, tmp_path):
    again = ship_model(
        tmp_path / "trained.safetensors", ModelDescription(name="test-cells", **WORDS), tmp_path / "again"
    )
    assert again.read_bytes() == (folder / "test-cells.safetensors").read_bytes()
    assert {tensor.dtype for tensor in load_file(again).values()} == {torch.float16}


def test_a_model_that_is_too_large_is_not_written(tmp_path, monkeypatch):
    path = trained(tmp_path / "m.safetensors", width=8)
    monkeypatch.setattr(shipped_models, "LARGEST", 5000)
    with pytest.raises(ModelError, match=r"em: the model has .* narrower"):
        ship_model(path, ModelDescription(name="em", **WORDS), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_weights_that_half_precision_cannot_hold_are_refused(tmp_path):
    model = unet2015.load_model(trained(tmp_path / "m.safetensors"))
    with torch.no_grad():
        model.network.head.bias[0] = 1e6
    with pytest.raises(ModelError, match=r"head\.bias.*half"):
        ship_model(model, ModelDescription(name="em", **WORDS), tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": "Em Membrane"}, "lower-case"),
        ({"name": "../em"}, "lower-case"),
        ({"citation": " "}, "citation"),
        ({"terms": "", "summary": ""}, "summary, terms"),
    ],
)
def test_a_model_without_name_or_words_is_not_shipped(tmp_path, change, why):
    path = trained(tmp_path / "m.safetensors")
    with pytest.raises(UsageError, match=why):
        ship_model(path, ModelDescription(**({"name": "em"} | WORDS | change)), tmp_path / "out")


def test_a_model_file_without_the_new_words_still_loads(tmp_path):
    path = trained(tmp_path / "old.safetensors")
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    info = json.loads(header["__metadata__"]["unet2015"])
    for key in ("name", "summary", "modality", "pixel_size_nm", "citation", "terms"):
        del info[key]
    header["__metadata__"]["unet2015"] = json.dumps(info)
    del header["__metadata__"]["sha256"]  # versions of that time wrote none
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + size :])
    assert unet2015.load_model(path).info.citation == ""
