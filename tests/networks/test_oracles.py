"""Networks equal those of MONAI and torchvision with the same weights, in float64.

The files of `oracles` were written by ``python -m tests.networks.oracles`` with the versions that they name.
segmentation-models-pytorch has none of these networks: its decoders raise by interpolation.
"""

import re
from pathlib import Path

import torch
from safetensors import safe_open

from unet2015.geometry import Geometry
from unet2015.networks.attention import AttentionUNet
from unet2015.networks.nested import NestedUNet
from unet2015.networks.vgg19 import VGGUNet
from unet2015.networks.vnet import VNet

FOLDER = Path(__file__).parent / "oracles"
WHOLE = Geometry(16, 0, 32, exact=False)
ADN = ((r"\bconv_?block\.conv\.", "0."), (r"\bconv_?block\.adn\.N\.", "1."), (r"\bact_function\.", "2."))
"""MONAI's layers of a convolution, its normalisation and its activation."""


def read(name):
    """What a library said: its name, its weights, the image and the maps of scores."""
    with safe_open(FOLDER / f"{name}.safetensors", "pt") as file:
        about, names = file.metadata()["about"], list(file.keys())
        tensors = {key: file.get_tensor(key) for key in names}
    weights = {key.removeprefix("weights/"): t for key, t in tensors.items() if key.startswith("weights/")}
    maps = [tensors[key] for key in sorted(names) if key.startswith("scores/")]
    return about, weights, tensors["image"].double(), maps


def blocks(name):
    """MONAI's two convolutions of a block, ``conv_1`` or ``conv.1``, as numbers of our layers."""
    name = re.sub(r"\bconv[_.](\d)\.conv\.", lambda found: f"{3 * int(found[1])}.", name)
    return re.sub(r"\bconv[_.](\d)\.adn\.N\.", lambda found: f"{3 * int(found[1]) + 1}.", name)


def replaced(name, *rules):
    for pattern, to in rules:
        name = re.sub(pattern, to, name)
    return name


def nested_name(name):
    return replaced(
        blocks(name),
        (r"^conv_(\d)_0\.(convs\.)?", r"contract.\1."),
        (r"^upcat_(\d_\d)\.upsample\.deconv\.", r"upsample.\1."),
        (r"^upcat_(\d_\d)\.convs\.", r"expand.\1."),
        (r"^final_conv_0_4\.", "head."),
        (r"^final_conv_0_(\d)\.", lambda found: f"side_heads.{int(found[1]) - 1}."),
    )


def attention_name(name):
    level = name.count(".submodule.1.")
    name = name.replace(".submodule.1.", ".")
    return replaced(
        blocks(name),
        (r"^model\.0\.", "contract.0."),
        (r"^model\.1\.submodule\.(0\.)?(?=\d)", f"contract.{level + 1}."),
        (r"^model\.1\.attention\.(\w+)\.0\.conv\.", rf"gates.{level}.\1.0."),
        (r"^model\.1\.attention\.(\w+)\.1\.", rf"gates.{level}.\1.1."),
        (r"\.W_g\.", ".signal."),
        (r"\.W_x\.", ".skip."),
        (r"\.psi\.", ".share."),
        (r"^model\.1\.merge\.conv\.", f"merge.{level}.0."),
        (r"^model\.1\.merge\.adn\.A\.", f"merge.{level}.2."),
        (r"^model\.1\.upconv\.up\.conv\.", f"upsample.{level}.0."),
        (r"^model\.1\.upconv\.up\.adn\.N\.", f"upsample.{level}.1."),
        (r"^model\.2\.conv\.", "head."),
    )


def vnet_name(name):
    levels = {"32": 0, "64": 1, "128": 2, "256": 3}

    def part(found):
        way, level, rest = found[1], levels[found[2]], found[3]
        step, block = ("halve", "contract") if way == "down" else ("upsample", "expand")
        first = {f"{way}_conv": 0, "bn1": 1, "act_function1": 2}
        name, _, last = rest.rpartition(".")
        if name in first:
            return f"{step}.{level}.{first[name]}.{last}"
        inner = replaced(rest, (r"^ops\.(\d)\.", r"layers.\1."), (r"^act_function2\.", "activate."), *ADN)
        return f"{block}.{level}.{inner}"

    return replaced(
        re.sub(r"^(down|up)_tr(\d+)\.(.*)", part, name),
        (r"^in_tr\.act_function\.", "activate."),
        (r"^in_tr\.conv_block\.conv\.", "first.0."),
        (r"^in_tr\.conv_block\.adn\.N\.", "first.1."),
        (r"^out_tr\.act_function1\.", "last.2."),
        (r"^out_tr\.conv_block\.conv\.", "last.0."),
        (r"^out_tr\.conv_block\.adn\.N\.", "last.1."),
        (r"^out_tr\.conv2\.", "head."),
    )


def compare(oracle, network, rename, only_theirs=(), only_ours=()):
    """Copy the weights by their names and compare what comes out."""
    about, weights, image, maps = read(oracle)
    assert re.match(r"(MONAI|torchvision) \d", about)
    found = {rename(name): tensor for name, tensor in weights.items()}
    found = {name: tensor for name, tensor in found.items() if not name.startswith(only_theirs or "/")}
    own = {name: tensor for name, tensor in network.state_dict().items() if name not in only_ours}
    assert set(found) == set(own)
    network.load_state_dict(found, strict=not only_ours)
    network.double().eval()
    with torch.no_grad():
        came = network.training_scores(image)
    assert len(came) == len(maps)
    for mine, theirs in zip(came, maps, strict=True):
        assert theirs.std() > 1e-3
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


def test_nested_is_monai_s_basic_unet_plus_plus():
    widths = (2, 2, 4, 8, 16)  # MONAI's first two levels have the same width
    compare("nested-batch", NestedUNet(1, 3, WHOLE, widths, "batch", supervised=True), nested_name)
    single = NestedUNet(1, 3, WHOLE, widths, "instance", supervised=False)
    compare("nested-instance", single, nested_name, only_theirs="side_heads.")


def test_attention_is_monai_s_with_its_instance_norm():
    network = AttentionUNet(1, 3, Geometry(4, 0, 8, exact=False), 2, 2, "instance")
    scales = {f"merge.{level}.1.{name}" for level in (0, 1) for name in ("weight", "bias")}  # 1 and 0 there
    compare("attention", network, attention_name, only_ours=scales)


def test_vnet_is_monai_s_with_its_numbers_of_convolutions():
    compare("vnet", VNet(1, 2, WHOLE, 1, down=(1, 1, 2, 3, 2), up=(1, 1, 2, 2)), vnet_name)


def test_the_encoder_of_vgg19_is_torchvision_s():
    _, weights, image, (expected,) = read("vgg19")
    network = VGGUNet(3, 2, WHOLE, 2, 4, 0.25)
    network.features.load_state_dict(weights)
    with torch.no_grad():
        came = network.double().features(image)
    assert expected.std() > 1e-3
    torch.testing.assert_close(came, expected, rtol=1e-12, atol=1e-12)
