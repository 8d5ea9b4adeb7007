"""Files that are no models: what they are, and what to do, is said."""

import numpy as np
import pytest
import tifffile
import torch

from unet2015.errors import ModelError
from unet2015.models.tensors import load_tensors, save_tensors


def _cut(path, length):
    save_tensors(path, {"a": torch.zeros(100, 100)}, "{}")
    path.write_bytes(path.read_bytes()[:length])


MAKERS = {
    "it was cut short, .* copy it again": lambda path: _cut(path, 300),
    "cut short": lambda path: _cut(path, 50),
    "it is empty; copy it again": lambda path: path.write_bytes(b""),
    "Git LFS; .*git lfs pull": lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"),
    "a web page; download": lambda path: path.write_bytes(b"\n<!DOCTYPE html><html>"),
    "PyTorch or an archive; give the model": lambda path: torch.save({"a": torch.zeros(3)}, path),
    "a pickle, as of PyTorch": lambda path: torch.save({}, path, _use_new_zipfile_serialization=False),
    "an image; give the model": lambda path: tifffile.imwrite(path, np.zeros((5, 5), np.uint8)),
    "or of another kind: copy it again, or give": lambda path: path.write_bytes(b"weights: none\n" * 9),
}


@pytest.mark.parametrize("said", MAKERS)
def test_what_a_file_is_that_is_no_model_is_said(tmp_path, said):
    path = tmp_path / "m.safetensors"
    MAKERS[said](path)
    with pytest.raises(ModelError, match=rf"m\.safetensors: not a readable model file .*{said}"):
        load_tensors(path)
