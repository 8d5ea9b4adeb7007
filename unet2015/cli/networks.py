"""``unet2015 networks``: the networks that can be trained."""

from typing import TYPE_CHECKING

from unet2015.cli.loading import loading
from unet2015.cli.options import Json
from unet2015.cli.output import print_json, print_rows

if TYPE_CHECKING:
    from unet2015.geometry import Geometry
    from unet2015.networks.overview import NetworkFacts


def networks(as_json: Json = False) -> None:
    """List the networks that train takes by name (--network), at their published sizes.

    The margin is what a tile loses on each side in inference. Tiles may have other sides in training, where
    padded networks keep their borders. Exact: an image cut into tiles gives what the whole image gives.
    When to choose which was measured on three data sets, all trained alike for seven seconds of a large GPU.
    """
    with loading():
        from unet2015.networks.overview import list_networks

    found = list_networks()
    if as_json:
        print_json([facts.as_dict() for facts in found])
        return
    for facts in found:
        print_rows(facts.kind, _rows(facts))


def _rows(facts: "NetworkFacts") -> dict[str, str]:
    geometry = facts.geometry
    rows = {
        "is": facts.words,
        "parameters": f"{facts.parameters:,}",
        "images": " or ".join(map(str, facts.channels)) + " channels" if facts.channels else "",
        "margin": f"{geometry.margin} px",
        "tiles": _sides(geometry)
        + ("" if facts.training == geometry else f"; in training {_sides(facts.training)}"),
        "exact": "yes" if geometry.exact else "no: tiles differ from the whole image",
        "encoder": "takes pretrained weights (--encoder-weights)" if facts.encoder_weights else "",
        "source": facts.source,
        "choose it": facts.choose,
    }
    return {name: text for name, text in rows.items() if text}


def _sides(geometry: "Geometry") -> str:
    first = [geometry.smallest + step * geometry.factor for step in range(3)]
    return f"sides of {', '.join(map(str, first))}, ... px"
