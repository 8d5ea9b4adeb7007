"""Networks that pad: how far padding reaches, what training sees, and one logit for two classes."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.networks.others import trained
from unet2015 import networks, train
from unet2015.errors import DataSetError, GeometryError, SettingsError, UsageError
from unet2015.images.writer import write_image
from unet2015.models.model_file import Model, ModelInfo
from unet2015.networks.padding import PaddedArchitecture
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings import Mapping, load_settings
from unet2015.settings.network import (
    AttentionSettings,
    BaseSettings,
    CompactSettings,
    NestedSettings,
    PaddedSettings,
    VGG19Settings,
    VNetSettings,
)

SETTINGS = [
    *(PaddedSettings(width=1, depth=depth) for depth in (1, 3)),
    CompactSettings(width=1, depth=2),
    *(VGG19Settings(width=1, depth=depth, gray="repeat") for depth in (1, 3)),
    BaseSettings(width=1, depth=2),
    *(NestedSettings(width=1, depth=depth) for depth in (1, 3)),
    *(AttentionSettings(width=1, depth=depth) for depth in (1, 2, 3)),
    *(VNetSettings(width=1, depth=depth) for depth in (1, 2)),
]
LOGIT = [
    entry.settings(width=2, depth=1) for entry in map(networks.NETWORKS.get, ("padded", "base", "compact"))
]


def positive(chosen):
    """A network whose scores grow with every pixel that they depend on: nothing is cut off by a ReLU."""
    network = networks.build(chosen, 1, 3).double().eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                module.weight.fill_(1 / module.weight[0].numel())
            if isinstance(module, nn.ReLU6):  # nor at its upper end
                module.max_val = float("inf")
    return network


@pytest.mark.parametrize("chosen", SETTINGS, ids=lambda chosen: f"{chosen.kind}-{chosen.depth}")
def test_the_margin_is_what_padding_reaches_and_no_more(chosen):
    """Bright pixels beside the tile: which scores change when they are there in place of zeros?"""
    network, geometry = positive(chosen), networks.geometry(chosen)
    assert geometry.exact
    side = geometry.smallest + 2 * geometry.factor
    around = geometry.factor * 2
    image = torch.rand(1, 1, side, side + 2 * around, dtype=torch.float64)
    image[..., :around] += 1e9  # what is seen through many layers is divided by 9 in each
    image[..., -around:] += 1e9
    with torch.no_grad():
        inner = network.training_scores(image[..., around:-around])[0]
        outer = network.training_scores(image)[0][..., around:-around]
    reached = ((inner - outer).abs() > 1e-12).any(dim=0).flatten(0, 1).any(dim=0).nonzero()[:, 0]
    near, far = (part for part in (reached[reached < side // 2], reached[reached >= side // 2]))
    assert geometry.margin == max(int(near.max()) + 1, side - int(far.min()))


def test_margins_of_the_published_sizes():
    margins = {kind: networks.geometry(entry.settings()).margin for kind, entry in networks.NETWORKS.items()}
    # The paper's loses 92 px; padded, it would be 94: where a pooling halves an odd number, it rounds up.
    assert margins.pop("unet2015") == 92
    assert margins == {
        "padded": 94,
        "vgg19": 159,
        "base": 159,
        "compact": 94,
        "nested": 94,
        "attention": 63,
        "vnet": 276,
    }


@pytest.mark.parametrize(
    "entry", [e for e in networks.NETWORKS.values() if isinstance(e, PaddedArchitecture)]
)
def test_what_padding_reaches_is_kept_only_if_the_settings_say_so(entry):
    chosen = entry.examples[0].model_copy(update={"border": "padded"})
    channels = (entry.channels(chosen) or (1,))[0]
    kept = trained(entry, chosen, channels, 2, 0)
    cropped = trained(entry, chosen.model_copy(update={"border": "exact"}), channels, 2, 0)
    assert kept.geometry == kept.training_geometry == cropped.training_geometry
    assert (kept.geometry.margin, kept.geometry.exact) == (0, False)
    side, edge = cropped.geometry.smallest, cropped.geometry.margin
    image = torch.rand(1, channels, side, side)
    with torch.no_grad():
        assert kept(image).shape == (1, 2, side, side)
        assert torch.equal(kept(image)[..., edge:-edge, edge:-edge], cropped(image))


def test_sides_that_cannot_be_halved_are_refused_with_the_nearest():
    network = networks.build(PaddedSettings(width=1, depth=2), 1, 2)
    with pytest.raises(GeometryError, match=r"an input side of 30 px .* the nearest legal: 28 or 32"):
        network.training_scores(torch.zeros(1, 1, 30, 32))


# One logit for two classes


@pytest.mark.parametrize("chosen", LOGIT, ids=lambda chosen: chosen.kind)
def test_one_logit_is_the_two_scores_of_binary_cross_entropy(chosen):
    torch.manual_seed(0)
    network = networks.build(chosen, 1, 2).double().eval()
    assert network.head.out_channels == 1
    (scores,) = network.training_scores(torch.randn(2, 1, 8, 8, dtype=torch.float64))
    logit, truth = scores[:, 1] - scores[:, 0], torch.randint(2, (2, 8, 8))
    torch.testing.assert_close(scores.softmax(dim=1)[:, 1], logit.sigmoid(), rtol=1e-14, atol=1e-15)
    mine = functional.cross_entropy(scores, truth)
    torch.testing.assert_close(
        mine, functional.binary_cross_entropy_with_logits(logit, truth.double()), rtol=1e-13, atol=0
    )
    assert networks.build(chosen, 1, 3).head.out_channels == 3


# Deep supervision


def test_deep_supervision_shows_each_decoder_to_the_loss_and_averages_in_inference():
    chosen = NestedSettings(width=2, depth=3, deep_supervision=True)
    network = trained(networks.NETWORKS["nested"], chosen, 1, 2, 0)
    image = torch.rand(1, 1, network.geometry.smallest, network.geometry.smallest)
    maps = network.training_scores(image)
    assert len(maps) == len(network.heads) == 3
    edge = network.geometry.margin
    mean = sum(maps)[..., edge:-edge, edge:-edge] / 3
    torch.testing.assert_close(network(image), mean)
    (last,) = network.whole_scores(image)[-1:]
    alone = networks.build(chosen.model_copy(update={"deep_supervision": False}), 1, 2).eval()
    alone.load_state_dict({k: v for k, v in network.state_dict().items() if "side" not in k})
    torch.testing.assert_close(alone.training_scores(image), [last])


# Channels


def test_gray_images_are_no_rgb_unless_the_settings_say_so():
    for channels in (1, 2, 4):
        with pytest.raises(UsageError, match=r"vgg19 reads images of 3 channels.*gray = \"repeat\""):
            networks.build(VGG19Settings(width=1, depth=1), channels, 2)
    with pytest.raises(UsageError, match="reads images of 1 or 3 channels, but there are 2"):
        networks.build(VGG19Settings(width=1, depth=1, gray="repeat"), 2, 2)


def test_a_gray_image_is_shown_as_three_equal_channels():
    entry = networks.NETWORKS["vgg19"]
    gray = trained(entry, VGG19Settings(width=2, depth=1, gray="repeat"), 1, 2, 0)
    colour = trained(entry, VGG19Settings(width=2, depth=1), 3, 2, 0)
    image = torch.rand(1, 1, gray.geometry.smallest, gray.geometry.smallest)
    assert torch.equal(gray(image), colour(image.repeat(1, 3, 1, 1)))


def test_pixels_of_imagenet_s_mean_are_zero_to_the_encoder():
    network = networks.build(VGG19Settings(width=2, depth=1), 3, 2)
    seen = []
    network.features[0].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    network.training_scores((mean + 2 * deviation)[None, :, None, None].expand(1, 3, 4, 4))
    torch.testing.assert_close(seen[0], torch.full((1, 3, 4, 4), 2.0))


# Said where tiled is not the whole


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        (
            PaddedSettings(width=1, depth=1, border="padded"),
            'scores that padding reaches are kept (border = "padded")',
        ),
        (
            NestedSettings(width=1, depth=1, norm="instance"),
            "instance normalisation takes mean and deviation",
        ),
        (PaddedSettings(width=1, depth=1), ""),
    ],
)
def test_tiles_that_differ_from_the_whole_are_said_and_recorded(tmp_path, caplog, chosen, why):
    info = ModelInfo(network=chosen, mapping=Mapping(method="integer-range"), class_names=("a", "b"))
    model = Model(networks.build(chosen, 1, 2).eval(), info)
    write_image(
        tmp_path / "page.tif", np.random.default_rng(0).integers(0, 255, (1, 90, 70), np.uint8), "ZYX"
    )
    write_image(tmp_path / "small.tif", np.zeros((2, 9, 7), np.uint8), "ZYX")
    options = SegmentOptions(tile=48, device="cpu")
    segment_files([tmp_path / "small.tif", tmp_path / "page.tif"], tmp_path / "out", model, options)
    said = [one.message for one in caplog.records if "differ from the whole" in one.message]
    assert len(said) == bool(why)
    assert all(why in message for message in said)
    plans = [json.loads(path.read_text())["plan"] for path in sorted((tmp_path / "out").glob("*.json"))]
    assert [plan.get("exact", True) for plan in plans] == [not why, True]  # a page of one tile is the whole


def test_a_training_says_what_it_cannot_read_and_what_will_differ(
    tmp_path, small_set, small_settings, caplog
):
    images, labels = small_set
    mapping = {"mapping": {"method": "integer-range"}, "optimisation": {"tile": 32, "steps": 1}}
    gray = small_settings(**mapping).model_copy(update={"network": VGG19Settings(width=1, depth=1)})
    with pytest.raises(DataSetError, match=r"images\.tif: the network vgg19 reads images of 3 channels"):
        train(images, labels, tmp_path / "run", settings=gray, device="cpu")
    assert not (tmp_path / "run").exists()
    kept = gray.model_copy(update={"network": PaddedSettings(width=1, depth=1, border="padded")})
    train(images, labels, tmp_path / "run", settings=kept, device="cpu")
    assert [one.message for one in caplog.records if "will differ from the whole" in one.message]


@pytest.mark.parametrize("kind", [kind for kind in networks.NETWORKS if kind != "unet2015"])
def test_a_width_that_no_machine_has_is_refused_by_the_settings(kind):
    for width in (0, 10**9, 10**40):
        with pytest.raises(SettingsError, match=r"network\.width = 1?0.*: Input should be (greater|less)"):
            load_settings(None, {"network": {"kind": kind, "width": width}, "mapping": {"method": "auto"}})
