"""A report as one HTML file: nothing is loaded with it, no script runs in it, and it prints."""

import hashlib
import json
import logging
import os
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from unet2015.errors import ImageReadError, ImageWriteError, UsageError
from unet2015.file_names import on_one_line, shown
from unet2015.provenance import versions
from unet2015.report.numbers import Cell, Shown, shown_columns
from unet2015.safe_files import atomic_path, only_over, open_regular, read_bytes

RowKind = Literal["ours", "paper", "other", "ablation"]
"""Where a row comes from: this run, the paper, this run with one setting changed, or others."""

_log = logging.getLogger("unet2015")
_LEVELS = 20
"""Most levels of details that are shown; settings and records have fewer."""
_MEANING = {"ours": "this run", "paper": "the paper", "ablation": "this run with one thing changed"}


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes
    ----------
    cells : sequence of str, float or None
        One for each column; the first names the row. None if there is no value.
    kind : {"ours", "paper", "other", "ablation"}
        Where the row comes from; shown by colour, with a key below the table.
    """

    cells: Sequence[Cell]
    kind: RowKind = "other"


@dataclass(frozen=True)
class Table:
    """A table with a title above and a note beneath it.

    Numbers are shown with up to four significant digits, with their decimal points aligned.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Row]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A PNG, GIF or SVG, as bytes or a file, with a title and a caption."""

    title: str
    png: bytes | Path
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A chapter: paragraphs (parted by empty lines), tables, pictures and folded details.

    ``details`` is shown as a tree of names and values, such as settings or a record.
    """

    title: str
    text: str = ""
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Report:
    """A title, a summary in a few sentences, sections, and a warning.

    The warning ``alert`` is shown in red below the title; empty if there is none.
    """

    title: str
    summary: str
    sections: Sequence[Section]
    alert: str = ""


def write_report(report: Report, out: str | Path) -> None:
    """Write a report as one HTML file, whole or not at all.

    Pictures are part of the file, and a policy in the page forbids to load or run anything. The same
    report gives the same bytes.

    Parameters
    ----------
    report : Report
        Its contents; every text is shown literally, never read as HTML.
    out : path
        The file, usually ending in .html.

    Raises
    ------
    ImageReadError
        A picture cannot be read, or is neither PNG nor SVG.
    ImageWriteError
        The file cannot be written, or would replace one that is no report of this program, or that somebody
        has changed since.
    UsageError
        The cells of a row do not match the columns, or Jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise UsageError("reports need Jinja2; install it with: pip install 'unet2015[report]'") from error
    world = Environment(
        loader=PackageLoader("unet2015.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    world.filters |= {"paragraphs": _paragraphs, "pairs": _pairs, "leaf": _leaf, "is_tree": _is_tree}
    page = world.get_template("report.html").render(
        report=report,
        sections=[_section(section, number) for number, section in enumerate(report.sections, 1)],
        version=versions()["unet2015"],
    )
    with atomic_path(out, report_guard) as temporary:
        lines = (on_one_line(line) for line in shown(page).split("\n"))
        temporary.write_bytes(_signed("\n".join(lines).encode("utf-8")))


_DIGEST = re.compile(rb'<meta name="unet2015-sha256" content="([0-9a-f]{64})">')
"""The SHA-256 of the page with zeros in its place, by which a page that somebody has changed is known."""


def _signed(page: bytes) -> bytes:
    return _DIGEST.sub(lambda found: found[0].replace(b"0" * 64, _digest_of(page)), page, count=1)


def _digest_of(page: bytes) -> bytes:
    plain = _DIGEST.sub(lambda found: found[0].replace(found[1], b"0" * 64), page, count=1)
    return hashlib.sha256(plain).hexdigest().encode()


def _is_report(path: Path) -> bool:
    with open_regular(path) as file:
        return b'<meta name="generator" content="unet2015 ' in file.read(2**12)


_only_over_reports = only_over(_is_report, "a report by this program")


def report_guard(temporary: Path, path: Path) -> None:
    """Raise `ImageWriteError` where a page would replace anything but a report as this program wrote it.

    One of an earlier version, without the digest of itself, is replaced, and named.
    """
    _only_over_reports(temporary, path)
    if not os.path.lexists(path) or path.stat().st_size == 0:
        return
    try:
        page = read_bytes(path)
    except OSError as error:
        raise ImageWriteError(f"{path}: cannot read the earlier report: {error.strerror or error}") from error
    found = _DIGEST.search(page)
    if found is None and temporary != path:  # else it is only asked whether it may be replaced
        _log.warning(
            "%s: replaced; it had no digest of itself, so whether somebody had changed it is not known", path
        )
    elif found is not None and found[1] != _digest_of(page):
        raise ImageWriteError(
            f"{path}: exists, but was changed after this program wrote it (the digest of itself in it is "
            "another), and is not replaced; move it away, or choose another name"
        )


def _section(section: Section, number: int) -> dict[str, Any]:
    """Return a section for the template: numbered, with tables as text and pictures as data URLs."""
    return {
        "id": f"section-{number}",
        "number": number,
        "title": section.title,
        "text": section.text,
        "tables": [_table(table) for table in section.tables],
        "pictures": [
            {"id": f"picture-{number}-{k}", "source": _source(picture), "about": picture}
            for k, picture in enumerate(section.pictures, 1)
        ],
        "details": _shallow(section.details),
    }


def _table(table: Table) -> dict[str, Any]:
    wide = len(table.columns)
    for number, row in enumerate(table.rows, 1):
        if len(row.cells) != wide:
            raise UsageError(
                f"table {table.title!r}: row {number} has {len(row.cells)} cells for {wide} columns"
            )
    columns = shown_columns([[row.cells[k] for row in table.rows] for k in range(wide)])
    kinds = [kind for kind in _MEANING if any(row.kind == kind for row in table.rows)]
    return {
        "about": table,
        "heads": [
            {"text": text, "number": column.number}
            for text, column in zip(table.columns, columns, strict=True)
        ],
        "rows": [
            {"kind": row.kind, "cells": [_cell(column.cells[k], column.number) for column in columns]}
            for k, row in enumerate(table.rows)
        ],
        # Rows from a single run need no key.
        "key": [(kind, _MEANING[kind]) for kind in kinds] if {"paper", "ablation"} & {*kinds} else [],
    }


def _cell(shown: Shown, number: bool) -> dict[str, Any]:
    return {"text": shown.text, "pad": shown.pad, "number": number}


def _source(picture: Picture) -> str:
    """Return a picture as a data URL, so that it is part of the page."""
    if isinstance(picture.png, bytes):
        data, name = picture.png, f"picture {picture.title!r}"
    else:
        name = str(picture.png)
        try:
            data = read_bytes(picture.png)
        except OSError as error:
            raise ImageReadError(f"{name}: cannot read the picture: {error.strerror or error}") from error
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        kind = "image/png"
    elif data.lstrip()[:5] in (b"<?xml", b"<svg ", b"<svg>"):
        kind = "image/svg+xml"
    elif data.startswith((b"GIF87a", b"GIF89a")):
        kind = "image/gif"
    else:
        raise ImageReadError(f"{name}: expected a PNG, GIF or SVG, but it begins with {data[:8]!r}")
    return f"data:{kind};base64,{b64encode(data).decode()}"


def _paragraphs(text: str) -> list[str]:
    return [part.strip() for part in text.split("\n\n") if part.strip()]


def _shallow(value: Any, levels: int = _LEVELS) -> Any:
    """Return details in which what lies too deep for a reader is left out."""
    if isinstance(value, Mapping | list | tuple):
        if not levels:
            return "..."
        if isinstance(value, Mapping):
            return {name: _shallow(item, levels - 1) for name, item in value.items()}
        return [_shallow(item, levels - 1) for item in value]
    return value


def _is_tree(value: object) -> bool:
    """Whether a value is shown as a tree of its own rather than on one line."""
    return bool(value) and (
        isinstance(value, Mapping)
        or (isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value))
    )


def _pairs(value: Any) -> list[tuple[str, Any]]:
    """Return the names and values of one level of a tree; those of a list are numbered."""
    named = value.items() if isinstance(value, Mapping) else enumerate(value, 1)
    return [(str(name), item) for name, item in named]


def _leaf(value: object) -> str:
    """Return a value of the details as text: strings as they are, the rest as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
