"""A result of another input, or one that somebody has changed, is never replaced."""

import numpy as np
import pytest
import tifffile

CELLS = np.kron(np.arange(12, dtype=np.uint8).reshape(3, 4), np.ones((8, 8), np.uint8))
COMMANDS = (
    "label {}/m.tif -o o",
    "measure {}/a.tif -o o",
    "measure {}/a.tif -o o/t.csv",
    "weights {}/a.tif -o o/w.tif",
    "evaluate objects --truth {0}/a.tif --result {0}/a.tif --per-image o/p.csv",
    "evaluate pixels --truth {0}/a.tif --result {0}/a.tif --per-image o/p.csv",
    "evaluate seg --truth {0}/s --result {0}/s2 --per-slice o/p.csv",
    "evaluate em --labels {0}/a.tif --prediction {0}/p.tif --per-slice o/p.csv",
)


@pytest.fixture
def run(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "o").mkdir()
    for k, name in enumerate(("one", "two")):
        for folder in ("", "s", "s2"):
            (tmp_path / name / folder).mkdir(exist_ok=True)
        cells = np.roll(CELLS, 4 * k, 1)
        for path, page in (("a", cells), ("m", cells % 2), ("p", (cells > 0).astype(np.float32))):
            tifffile.imwrite(tmp_path / name / f"{path}.tif", page)
        tifffile.imwrite(tmp_path / name / "s" / "man_seg0.tif", cells)
        tifffile.imwrite(tmp_path / name / "s2" / "mask0.tif", cells)
    return lambda command, name: cli(*command.format(name).split())


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".json"}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_result_of_another_input_stays(run, command, tmp_path):
    for _ in range(2):  # the same again replaces itself
        assert run(command, "one").status == 0
    before = contents(tmp_path / "o")
    ended = run(command, "two")
    assert ended.status == 1
    assert "is the result of " in ended.err
    assert f"would be replaced by that of {tmp_path / 'two'}" in ended.err
    assert contents(tmp_path / "o") == before
    for path in sorted((tmp_path / "one").rglob("*.tif")):  # which is gone, or was moved
        path.unlink()
    for folder in ("one/s", "one/s2", "one"):
        (tmp_path / folder).rmdir()
    assert run(command, "two").status == 0


@pytest.mark.parametrize("command", [command for command in COMMANDS if "csv" in command])
def test_a_table_to_which_somebody_has_added_stays(run, command, tmp_path):
    assert run(command, "one").status == 0
    (table,) = (tmp_path / "o").glob("*.csv")
    table.write_text(table.read_text() + "mine\n")
    ended = run(command, "one")
    assert ended.status == 1
    assert "was changed after this program made it" in ended.err
    assert table.read_text().endswith("mine\n")
