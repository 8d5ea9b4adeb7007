"""The page of the settings has them all, and settings that the documentation shows can be loaded."""

import re

import pytest

from tests.docs.markdown import DOCUMENTS, ROOT, blocks
from unet2015.settings import Frozen, TrainingSettings, load_settings

PAGE = ROOT / "docs" / "settings.md"
TOML = [block for document in DOCUMENTS for block in blocks(document) if block.language == "toml"]


def names(kind):
    for name, field in kind.model_fields.items():
        default = field.default
        yield from names(type(default)) if isinstance(default, Frozen) else [name]


def test_each_setting_is_on_the_page():
    said = set(re.findall(r"`([a-z0_]+)`", PAGE.read_text(encoding="utf-8")))
    assert set(names(TrainingSettings)) - said == set()


@pytest.mark.parametrize("block", TOML, ids=lambda block: f"{block.document.name}:{block.line}")
def test_settings_of_a_block_can_be_loaded(tmp_path, block):
    path = tmp_path / "mine.toml"
    path.write_text(block.text)
    assert load_settings(path) != load_settings()
