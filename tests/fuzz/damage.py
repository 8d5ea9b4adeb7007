"""Damage to files in folders: their text, their bytes, and what they are."""

import json
import os
import shutil
from pathlib import Path
from random import Random

from tests.fuzz.mutate import RAW, change, changed_text, mutated

IMAGES = (".tif", ".lsm", ".png")


def damage(folder: Path, names: list[str], random: Random) -> list[str]:
    """Damage one file or two of those named, relative to a folder; return what was done."""
    done = []
    for _ in range(random.choice([1, 1, 1, 2])):
        path = folder / random.choice(names)
        if not path.is_file():
            continue
        if random.random() < 0.15:
            others = [folder / name for name in names if folder / name != path and (folder / name).is_file()]
            way = _replaced(path, others, random)
        else:
            way = _rewritten(path, random)
        done.append(f"{path.relative_to(folder)}: {way}")
    return done


def _rewritten(path: Path, random: Random) -> str:
    """Change what a file holds."""
    data, way = path.read_bytes(), "bytes"
    try:
        if path.suffix in IMAGES:
            new = mutated(data, random)
        elif random.random() < 0.7 and (text := _structured(path.name, data, random)) is not None:
            new, way = text, "values"
        else:
            new = random.choice(RAW)(data, random)
    except Exception:  # damaged too much for this way
        new = random.choice(RAW)(data or b"0", random)
    path.write_bytes(new)
    return way


def _structured(name: str, data: bytes, random: Random) -> bytes | None:
    """Return text of a known form with a value changed; None for others."""
    if name.endswith((".json", ".zattrs", ".zarray", ".zgroup")):
        value = json.loads(data)
        change(value, random)
        return json.dumps(value).encode()
    if name.endswith(".jsonl"):
        lines = data.splitlines(keepends=True)
        i = random.randrange(len(lines))
        value = json.loads(lines[i])
        change(value, random)
        changed = json.dumps(value).encode() + b"\n"
        lines[i : i + 1] = random.choice(
            [[changed], [changed], [changed], [], [lines[i]] * 2, [lines[i], b"\n"]]
        )
        return b"".join(lines)
    if name.endswith(".toml"):
        return changed_toml(data, random)
    if name.endswith((".ome", ".xml")):
        return changed_text(data, random)
    return None


TOML = [
    "0",
    "1",
    "-1",
    "2.5",
    "1e300",
    "nan",
    "inf",
    "true",
    '""',
    '"a"',
    "[]",
    "[1, 2]",
    "{}",
    '"0-3"',
    "07",
    "99999999999999999999",
]
TOML += ["1979-05-27", '"adam"', '"instances"', '"é"', "'x", "[1.0, 1.0]"]


def changed_toml(data: bytes, random: Random) -> bytes:
    """Change a value, a key or a section of TOML, or take a line away or twice."""
    lines = data.decode().splitlines()
    places = [i for i, line in enumerate(lines) if "=" in line and not line.startswith("#")]
    i = random.choice(places)
    key, _, value = lines[i].partition("=")
    other = lines[random.choice(places)]
    new = random.choice(
        [f"{key}= {random.choice(TOML)}", f"{key}= {random.choice(TOML)}", f"{key}= {random.choice(TOML)}",
         f"{key.strip()}s ={value}", f"{key}={other.partition('=')[2]}", other, "", f"[x]\n{lines[i]}",
         f"{lines[i]}\n{lines[i]}", f"a.{lines[i]}", f"{key}= {value}0"]
    )  # fmt: skip
    lines[i] = new
    return ("\n".join(lines) + "\n").encode()


def _replaced(path: Path, others: list[Path], random: Random) -> str:
    """Make something else of a file: nothing, a folder, a link, a pipe, another file."""
    ways = ["gone", "empty", "folder", "broken link", "circle"]
    ways += [] if path.suffix == ".toml" else ["pipe"]  # settings may come from a pipe: --settings <(...)
    way = random.choice([*ways, "link", "other", "swapped"] if others else ways)
    data = path.read_bytes()
    path.unlink()
    if way == "empty":
        path.write_bytes(b"")
    elif way == "folder":
        path.mkdir()
    elif way == "link":
        path.symlink_to(random.choice(others))
    elif way == "broken link":
        path.symlink_to("nowhere")
    elif way == "circle":
        path.symlink_to(path.name)
    elif way == "pipe":
        os.mkfifo(path)
    elif way == "other":
        shutil.copy(random.choice(others), path)
    elif way == "swapped":
        other = random.choice(others)
        path.write_bytes(other.read_bytes())
        other.write_bytes(data)
    return way
