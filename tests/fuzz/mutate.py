"""Damage: bytes flipped and cut, entries of directories, chunks and headers edited."""

import json
import re
import struct
import zlib
from collections.abc import Iterator
from random import Random
from typing import Any

NUMBERS = [0, 1, 2, 3, 7, 8, 255, 256, 32767, 32768, 65535, 65536, 10**6, 2**31 - 1, 2**31, 2**32 - 1, 2**40]
TAGS = [
    254,
    256,
    257,
    258,
    259,
    262,
    266,
    270,
    273,
    277,
    278,
    279,
    282,
    283,
    284,
    296,
    317,
    320,
    322,
    323,
    324,
]
TAGS += [325, 330, 338, 339, 347, 530, 32997, 33628, 34412, 34682, 50838, 50839]
VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    2,
    2.5,
    10**6,
    10**9,
    10**18,
    10**30,
    "",
    "a",
    "..",
    "/etc",
    [],
    [0],
    {},
]
VALUES += [[1] * 40, ["a", "b"], {"a": 1}, float("nan"), float("inf"), "é" * 300, [1, 2], "fixed", "paper"]

TEXTS = [
    b"",
    b"0",
    b"1",
    b"2",
    b"3",
    b"4",
    b"8",
    b"-1",
    b"1e9",
    b"1e-300",
    b"nan",
    b"inf",
    b"99999999999",
    b"0x10",
    b"1,5",
]
TEXTS += [
    "\u00b5m".encode(),
    "\u00b5m".encode("latin-1"),
    b"nm",
    b"&lt;",
    b"&x;",
    b"XYCZT",
    b"uint8",
    b"../a",
    b"/",
    b"\0",
]


def mutated(data: bytes, random: Random) -> bytes:
    """Return a damaged copy of an image or model file."""
    if data.startswith(b"\x89PNG"):
        special = _chunk
    elif data[:2] in (b"II", b"MM"):
        special = random.choice([_entry, _entry, _entry, _description, _text])
    else:
        special = _header
    ways = [special, special, special, *RAW]
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        try:
            data = random.choice(ways)(data, random)
        except Exception:  # damaged too much for this way
            data = flip(data, random)
    return data


def flip(data: bytes, random: Random) -> bytes:
    out = bytearray(data or b"\0")
    end = len(out) if random.random() < 0.5 else min(len(out), 400)
    for _ in range(random.randint(1, 8)):
        place = random.randrange(end)
        out[place] = random.choice([0, 255, out[place] ^ (1 << random.randrange(8)), random.randrange(256)])
    return bytes(out)


def _cut(data: bytes, random: Random) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] if random.random() < 0.7 else data[:place] + data[place + random.randint(1, 64) :]


def _number(data: bytes, random: Random) -> bytes:
    """Overwrite any four or eight bytes with a number that is often too large."""
    form = random.choice(["<I", ">I", "<H", ">H", "<Q"])
    packed = struct.pack(form, random.choice(NUMBERS) % 256 ** struct.calcsize(form))
    place = random.randrange(max(1, min(len(data), 600)))
    return data[:place] + packed + data[place + len(packed) :]


def _move(data: bytes, random: Random) -> bytes:
    """Write one part over another."""
    size, start, to = random.randint(1, 200), random.randrange(len(data)), random.randrange(len(data))
    part = data[start : start + size]
    return data[:to] + part + data[to + (len(part) if random.random() < 0.5 else 0) :]


def entries(data: bytes) -> Iterator[tuple[int, str, str]]:
    """Yield the place of each entry of each directory of a TIFF, and the formats of entry and offset."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack(order + "H", data[2:4])[0] == 43
    number, offset, entry = ("Q", "Q", "HHQQ") if big else ("H", "I", "HHII")
    place, seen = 8 if big else 4, set()
    while True:
        (place,) = struct.unpack_from(order + offset, data, place)
        if place == 0 or place in seen or place >= len(data):
            return
        seen.add(place)
        (count,) = struct.unpack_from(order + number, data, place)
        place += struct.calcsize(order + number)
        for _ in range(min(count, 100)):
            yield place, order + entry, order + offset
            place += struct.calcsize(order + entry)


def _entry(data: bytes, random: Random) -> bytes:
    """Change an entry of a directory: its tag, type, count or value, or what the value points to."""
    place, form, offset = random.choice(list(entries(data)))
    cell = struct.calcsize(offset)
    tag, kind, count, value = struct.unpack_from(form, data, place)
    number = random.choice([*NUMBERS, len(data), len(data) - 1, place, value + 1, value - 1, value * 2])
    number %= 256**cell
    what = random.choice(["tag", "type", "count", "value", "value", "value", "short", "there"])
    if what == "tag":
        tag = random.choice(TAGS)
    elif what == "type":
        kind = random.choice([0, 1, 2, 3, 4, 5, 6, 8, 11, 12, 13, 16, 17, 99])
    elif what == "count":
        count = number
    elif what == "value":
        value = number
    elif what == "short":  # two bytes in the cell, as most tags have
        packed = struct.pack(form[0] + "H", number % 65536)
        at = place + struct.calcsize(form) - cell
        return data[:at] + packed + data[at + 2 :]
    else:
        value += random.randrange(0, min(count, 600) or 1)
        packed = struct.pack(offset, number)
        return data[:value] + packed + data[value + cell :] if value < len(data) else data
    return data[:place] + struct.pack(form, tag, kind, count, value) + data[place + struct.calcsize(form) :]


def _description(data: bytes, random: Random) -> bytes:
    """Change a value in ImageDescription, which may get longer: it is moved to the end of the file."""
    found = []
    for place, form, _ in entries(data):
        tag, _, count, value = struct.unpack_from(form, data, place)
        if tag == 270 and count > 8:
            found.append((place, form, value, count))
    place, form, value, count = random.choice(found)
    text = data[value : value + count].rstrip(b"\0")
    changed = changed_text(text, random) + b"\0"
    tag, kind = struct.unpack_from(form, data, place)[:2]
    entry = struct.pack(form, tag, kind, len(changed), len(data))
    return data[:place] + entry + data[place + len(entry) :] + changed


def changed_text(text: bytes, random: Random) -> bytes:
    """Return XML, ``key=value`` lines or TOML with a value changed, or with something removed or doubled."""
    if random.random() < 0.2:
        pieces = re.split(rb"(?<=>)|(?<=\n)", text)
        i = random.randrange(len(pieces))
        pieces[i : i + 1] = random.choice([[], [pieces[i]] * 2, [random.choice(pieces)]])
        return b"".join(pieces)
    found = list(re.finditer(rb'(?<==")[^"]*(?=")|(?<==)[^"\n]+(?=\n)|(?<=>)[^<>]+(?=<)', text))
    match = random.choice(found)
    others = [one[0] for one in found]
    new = random.choice([*TEXTS, *others, *(match[0] + more for more in (b"0", b"-", b" ", b".5"))])
    return text[: match.start()] + new + text[match.end() :]


def _text(data: bytes, random: Random) -> bytes:
    """Change a number or a word in the text of a header, mostly without moving what follows."""
    found = list(re.finditer(rb"[0-9.]+|[A-Za-z]{3,}", data[: data.find(b"\0\0\0\0", 400) + 1 or None]))
    match = random.choice(found)
    new = random.choice([b"9" * len(match[0]), b"0" * len(match[0]), b"-1", b"1e9", b"<", b'"', b"\xff\xfe"])
    if random.random() < 0.8:
        new = new[: len(match[0])].ljust(len(match[0]))
    return data[: match.start()] + new + data[match.end() :]


def _chunk(data: bytes, random: Random) -> bytes:
    """Change a field of a PNG's header, or a chunk's length, with a checksum that fits."""
    if random.random() < 0.3:
        place = random.choice([8, 33])
        return data[:place] + struct.pack(">I", random.choice(NUMBERS) % 2**32) + data[place + 4 :]
    fields = list(struct.unpack(">IIBBBBB", data[16:29]))
    which = random.randrange(7)
    fields[which] = random.choice([*NUMBERS, 4, 6, 16]) % (2**32 if which < 2 else 256)
    header = b"IHDR" + struct.pack(">IIBBBBB", *fields)
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


def _header(data: bytes, random: Random) -> bytes:
    """Change a value somewhere in the JSON header of a model file, or in the description within."""
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    metadata = header.get("__metadata__", {})
    metadata.pop("sha256", None)  # the digest would hide all else
    if random.random() < 0.6 and "unet2015" in metadata:
        info = json.loads(metadata["unet2015"])
        change(info, random)
        metadata["unet2015"] = json.dumps(info)
        if random.random() < 0.05:
            metadata["unet2015"] = "[" * 100_000
    else:
        change(header, random)
    text = json.dumps(header).encode()
    length = len(text) if random.random() < 0.9 else random.choice(NUMBERS)
    return struct.pack("<Q", length) + text + data[8 + size :]


def change(value: Any, random: Random) -> None:
    """Change, remove or add a value somewhere in an object or list, in place."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = random.choice(keys)
        below = value[key]
        if isinstance(below, dict | list) and below and random.random() < 0.8:
            value = below
            continue
        way = random.random()
        if way < 0.1:
            del value[key]
        elif way < 0.2 and isinstance(value, dict):
            value[random.choice(["x", "..", "width", "low"])] = random.choice(VALUES)
        else:
            value[key] = random.choice([*VALUES, *(NUMBERS if isinstance(below, int) else [])])
        return


RAW = (flip, _cut, _number, _move)
