"""ImageJ itself, without a screen: one start opens any number of files and says what it sees."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_JAR = "/usr/share/java/ij.jar"  # of the Debian package libij-java; the same path is in .ci/imagej

_MACRO = """
function say(path) {
  open(path);
  getVoxelSize(width, height, depth, unit);
  getDimensions(columns, rows, channels, slices, frames);
  interval = Stack.getFrameInterval();
  unit = replace(unit, fromCharCode(181), "u");
  text = path + "|" + d2s(width, -9) + "|" + d2s(height, -9) + "|" + d2s(depth, -9) + "|" + unit;
  text = text + "|" + d2s(interval, -9) + "|" + channels + "|" + slices + "|" + frames;
  text = text + "|" + is("Inverting LUT") + "|";
  for (n = 1; n <= nSlices; n++) {
    setSlice(n);
    text = text + " " + getPixel(0, 0) + " " + getPixel(columns - 1, 0) + " " + getPixel(1, rows - 1);
  }
  print("@@" + text);
  close();
}
list = split(File.openAsString(getArgument()), "\\n");
// Without a screen the first image cannot be opened, as ImageJ would then make its menus; all others can.
runMacro(getDirectory("temp") + "first.ijm", list[0]);
setBatchMode(true);
for (i = 0; i < list.length; i++) say(list[i]);
"""


@dataclass(frozen=True)
class Seen:
    """What ImageJ shows of a file.

    `pixels`: for each plane, in the order XYCZT, those at the upper left, the upper right, and in the last
    row and second column; as they are in memory, whatever the lookup table shows.
    """

    width: float
    height: float
    depth: float
    unit: str
    interval: float
    sizes: tuple[int, int, int]
    inverting: bool
    pixels: list[list[float]]


def find_imagej() -> list[str] | None:
    """Return a command that runs ImageJ, or None."""
    java, jar = shutil.which("java"), os.environ.get("IJ_JAR", _JAR)
    if java is None or not Path(jar).exists():
        return None
    options = ["-Djava.awt.headless=true", "-Dfile.encoding=UTF-8", "-XX:TieredStopAtLevel=1"]
    return [java, *options, "-cp", jar]


def open_with_imagej(command: list[str], paths: list[Path], folder: Path) -> dict[Path, Seen]:
    """Open files, whose names are ASCII, and return what ImageJ sees; in `folder` it keeps its settings."""
    (folder / "first.ijm").write_text("open(getArgument());")
    (folder / "all.ijm").write_text(_MACRO)
    (folder / "list.txt").write_text("\n".join(map(str, paths)))
    own = [f"-Duser.home={folder}", f"-Djava.io.tmpdir={folder}"]
    run = [*command[:1], *own, *command[1:], "ij.ImageJ", "-batch", folder / "all.ijm", folder / "list.txt"]
    ended = subprocess.run(run, capture_output=True, text=True, timeout=120)
    lines = [line[2:].split("|") for line in ended.stdout.splitlines() if line.startswith("@@")]
    assert [Path(line[0]) for line in lines] == paths, ended.stdout + ended.stderr
    return {Path(line[0]): _seen(line[1:]) for line in lines}


def _seen(words: list[str]) -> Seen:
    width, height, depth, unit, interval, channels, slices, frames, inverting, pixels = words
    values = [float(value) for value in pixels.split()]
    return Seen(
        float(width),
        float(height),
        float(depth),
        unit.strip(),
        float(interval),
        (int(channels), int(slices), int(frames)),
        inverting == "1",
        [values[i : i + 3] for i in range(0, len(values), 3)],
    )
