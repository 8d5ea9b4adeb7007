"""ImageJ itself, without a screen: one start opens any number of files and says what it sees."""

import os
import shutil
import subprocess
import zipfile
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
  getMinAndMax(low, high);
  getLut(red, green, blue);
  text = text + "|" + low + "|" + high + "|" + red[1] + " " + green[1] + " " + blue[1];
  text = text + "|" + (bitDepth() != 24 && is("grayscale"));
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
    row and second column; as they are in memory, whatever the lookup table shows. `shown`: the display range.
    `second_colour`: red, green and blue of the lookup table's second entry. `gray`: whether all are gray.
    """

    width: float
    height: float
    depth: float
    unit: str
    interval: float
    sizes: tuple[int, int, int]
    inverting: bool
    pixels: list[list[float]]
    shown: tuple[float, float]
    second_colour: list[int]
    gray: bool


def find_imagej() -> list[str] | None:
    """Return a command that runs ImageJ, or None."""
    java, jar = shutil.which("java"), os.environ.get("IJ_JAR", _JAR)
    if java is None or not Path(jar).exists():
        return None
    options = ["-Djava.awt.headless=true", "-Dfile.encoding=UTF-8", "-XX:TieredStopAtLevel=1"]
    return [java, *options, "-cp", jar]


def open_with_imagej(command: list[str], paths: list[Path], folder: Path) -> dict[Path, Seen]:
    """Open files, whose names are ASCII, and return what ImageJ sees; in `folder` it keeps its settings."""
    ended = _run(command, _MACRO, paths, folder)
    lines = [line[2:].split("|") for line in ended.stdout.splitlines() if line.startswith("@@")]
    assert [Path(line[0]) for line in lines] == paths, ended.stdout + ended.stderr
    return {Path(line[0]): _seen(line[1:]) for line in lines}


_REGIONS = """
list = split(File.openAsString(getArgument()), "\\n");
runMacro(getDirectory("temp") + "first.ijm", list[0]);
setBatchMode(true);
open(list[0]);
for (i = 1; i < list.length; i++) {
  open(list[i]);
  getStatistics(area);
  Roi.getPosition(channel, slice, frame);
  print("@@" + Roi.getName + "|" + Roi.getType + "|" + area + "|" + channel + " " + slice + " " + frame);
}
"""


def measure_with_imagej(command: list[str], image: Path, regions: Path, folder: Path) -> dict[str, list[str]]:
    """Return type, area on the image, and place (C, Z, T) of each region of a ZIP, by its name."""
    with zipfile.ZipFile(regions) as archive:
        names = archive.namelist()
        archive.extractall(folder)
    ended = _run(command, _REGIONS, [image, *(folder / name for name in names)], folder)
    lines = [line[2:].split("|") for line in ended.stdout.splitlines() if line.startswith("@@")]
    assert len(lines) == len(names), ended.stdout + ended.stderr
    return {line[0]: line[1:] for line in lines}


def _run(command: list[str], macro: str, paths: list[Path], folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "first.ijm").write_text("open(getArgument());")
    (folder / "all.ijm").write_text(macro)
    (folder / "list.txt").write_text("\n".join(map(str, paths)))
    own = [f"-Duser.home={folder}", f"-Djava.io.tmpdir={folder}"]
    run = [*command[:1], *own, *command[1:], "ij.ImageJ", "-batch", folder / "all.ijm", folder / "list.txt"]
    return subprocess.run(run, capture_output=True, text=True, timeout=120)


def _seen(words: list[str]) -> Seen:
    width, height, depth, unit, interval, channels, slices, frames, inverting, pixels = words[:10]
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
        (float(words[10]), float(words[11])),
        [int(part) for part in words[12].split()],
        words[13] == "1",
    )
