import json
import re

from pipelines.base.json_files import read_json
from pipelines.successors.rows import mean_rows
from tests.docs.markdown import ROOT
from unet2015.networks import NETWORKS


def test_networks_are_listed_with_what_decides_on_tiles(cli):
    ended = cli("networks")
    assert (ended.status, ended.err) == (0, "")
    assert [line for line in ended.out.splitlines() if not line.startswith(" ")] == list(NETWORKS)
    assert ended.out.count(" exact ") == len(NETWORKS)
    assert "sides of 188, 204, 220, ... px\n" in ended.out  # of the paper's
    assert "sides of 192, 208, 224, ... px; in training sides of 32, 48, 64, ... px" in ended.out
    assert "doi:10.1007/978-3-319-24574-4_28" in ended.out


def test_the_advice_says_what_was_measured():
    result = read_json(ROOT / "pipelines" / "results" / "successors-gpu" / "result.json")
    rows = {data: mean_rows(result, data) for data in result["settings"]["sets"]}
    count = 0
    for kind, entry in NETWORKS.items():
        em, *cells = (next(r["measures"] for r in rows[d] if r["network"] == kind) for d in rows)
        true = {"Rand error": [em["rand_error"]], "SEG": [one["seg"] for one in cells]}
        for measure, said in re.findall(r"(Rand error|SEG) (0\.\d+)", entry.choose):
            assert float(said) in [round(value, len(said) - 2) for value in true[measure]]
            count += 1
    assert count >= 9


def test_networks_as_json(cli):
    found = {one["kind"]: one for one in json.loads(cli("networks", "--json").out)}
    assert list(found) == list(NETWORKS)
    # The paper's Fig. 1; torchvision's 20,024,384 of VGG-19's features, and a decoder.
    assert found["unet2015"]["parameters"] == 31_030_658
    assert found["vgg19"]["parameters"] > 20_024_384
    assert found["vgg19"]["channels"] == [3]
    assert [kind for kind, one in found.items() if one["encoder_weights"]] == ["vgg19"]
    assert found["padded"]["geometry"] == {"factor": 16, "margin": 94, "smallest": 192, "exact": True}
    assert found["padded"]["training"] == {"factor": 16, "margin": 0, "smallest": 32, "exact": False}
    assert all(one["source"] and one["choose"] for one in found.values())
