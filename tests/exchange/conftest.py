import pytest

from tests.networks.others import registered, trained
from unet2015.models.model_file import Model, ModelInfo
from unet2015.networks import architecture
from unet2015.settings import Mapping, NetworkSettings

SMALL = NetworkSettings(width=2, depth=1)


def small_model(settings=SMALL, in_channels=1, **changes):
    """A small model whose biases are not 0, not in a file."""
    said = {"mapping": Mapping(method="fixed", low=(20.0,) * in_channels, high=(180.0,) * in_channels)}
    said |= {"class_names": ("membrane", "cell"), "dtype": "uint8"} | changes
    info = ModelInfo(network=settings, in_channels=in_channels, classes=len(said["class_names"]), **said)
    network = trained(architecture(settings), settings, in_channels, info.classes, 0)
    return Model(network, info, "0" * 64)


@pytest.fixture(scope="module")  # files of other rooms must not find them
def others():
    """Two networks more in the table."""
    with registered():
        yield
