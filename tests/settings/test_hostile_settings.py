"""Settings of any size and depth are refused in a line that names the file."""

import pytest

from unet2015.errors import SettingsError
from unet2015.settings import load_settings
from unet2015.settings.reading import MOST_BYTES

DEEP = 10_000
CASES = {
    "nested lists": f"seed = {'[' * DEEP}{']' * DEEP}",
    "nested tables": f"seed = {'{a=' * DEEP}1{'}' * DEEP}",
    "dotted keys": f"{'a.' * DEEP}a = 1",
    "dotted keys of a section": f"network.{'a.' * DEEP}a = 1",
    "deep table": f"[{'a.' * DEEP}a]\nb = 1",
    "deep network": f"network = {'[' * 200}{']' * 200}",
    "digits": f"seed = {'9' * 5000}",
    "exponent": "[optimisation]\nlearning_rate = 1e9999",
    "long key": f"{'k' * 100_000} = 1",
    "long value": f'[network]\nkind = "{"v" * 100_000}"',
    "long choice": f'[optimisation]\nprecision = "{"v" * 100_000}"',
    "list for a choice": "[optimisation]\nprecision = [[1]]",
    "many keys": "\n".join(f"key{number} = 1" for number in range(5000)),
    "binary": b"\x00\xff" * 50,
    "an image": b"II*\x00" + bytes(100),
    "too long": b"#" * (MOST_BYTES + 1),
}


@pytest.mark.parametrize("text", CASES.values(), ids=CASES)
def test_it_is_refused_in_a_line(tmp_path, text):
    path = tmp_path / "s.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingsError) as told:
        load_settings(path)
    assert str(told.value).startswith(f"{path}: ")
    assert len(str(told.value)) < 5000


def test_a_file_of_any_size_is_not_read_whole(tmp_path):
    path = tmp_path / "s.toml"
    with path.open("wb") as file:
        file.truncate(1 << 36)  # a file with a hole: it takes no room
    with pytest.raises(SettingsError, match="at most 1 MiB, but it is longer"):
        load_settings(path)


def test_a_large_number_that_is_allowed_still_works(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(f"seed = {2**63}\r\n\r\n# old Macs\rcheckpoint_interval = 7\n")
    assert load_settings(path).seed == 2**63
    assert load_settings(path).checkpoint_interval == 7
