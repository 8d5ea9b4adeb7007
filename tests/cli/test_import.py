import json

from tests.exchange.test_caffe import LAYERS, encoded, written
from unet2015.models.shipped import load_model


def test_a_caffe_model_becomes_a_model_file(cli, refused, tmp_path):
    path, out = written(tmp_path, encoded(LAYERS)), tmp_path / "m.safetensors"
    done = cli("import", "caffe", path, "-o", out)
    assert (done.status, done.out) == (0, f"{out}\n")
    assert load_model(out).info.network.variant == "release"
    record = json.loads((tmp_path / "m.record.json").read_text())
    assert (record["command"], record["input"]) == ("import", str(path.resolve()))
    assert cli("import", "caffe", path, "-o", out).status == 0  # again
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(b"mine")
    refused(cli("import", "caffe", path, "-o", mine), 1, "mine.safetensors: exists")
    refused(cli("import", "caffe", path, "-o", tmp_path / "m.pt"), 2, "m.pt: a model file's name must end in")
    refused(cli("import", "caffe", tmp_path / "no.caffemodel", "-o", out), 2, "no.caffemodel: cannot read")
    assert mine.read_bytes() == b"mine"
