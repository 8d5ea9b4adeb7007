import re
from html.parser import HTMLParser
from types import MappingProxyType

import imagecodecs
import numpy as np
import pytest

from unet2015.errors import ImageReadError, ImageWriteError, UsageError
from unet2015.report.html import Picture, Report, Row, Section, Table, write_report

pytest.importorskip("jinja2")

PNG = imagecodecs.png_encode(np.zeros((2, 3), np.uint8))
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="2" height="2"/>'
NASTY = "<script>alert('1')</script> & \"q\""


def report(**section):
    return Report("A title", "A summary.\n\nIts second paragraph.", [Section("A section", **section)])


@pytest.fixture
def written(tmp_path):
    def write(*arguments, **section):
        path = tmp_path / "report.html"
        write_report(report(**section) if section or not arguments else arguments[0], path)
        return path.read_text(encoding="utf-8")

    return write


class Page(HTMLParser):
    """Tags with their attributes, and the text, of a page whose tags must be closed in order."""

    void = frozenset({"meta", "link", "img", "br"})

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    def of(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


def test_everything_is_there_and_every_link_leads_somewhere(written, tmp_path):
    (tmp_path / "b.svg").write_bytes(SVG)
    page = Page(
        written(
            text="One.\n\nTwo.",
            tables=[Table("The table", ["model", "error"], [Row(["U-Net", 0.0611], "paper")], "A note.")],
            pictures=[Picture("First", PNG, "Caption."), Picture("Second", tmp_path / "b.svg")],
            details={"settings": {"steps": 7, "tile": [572, 572]}, "list": [{"a": None}], "word": "x"},
        )
    )
    for words in ("A title", "Its second paragraph.", "A section", "The table", "U-Net", "0.0611", "A note."):
        assert words in page.text
    for words in ("First", "Caption.", "Second", "steps", "[572, 572]", "null", "word"):
        assert words in page.text
    assert [image["src"].split(";")[0] for image in page.of("img")] == [
        "data:image/png",
        "data:image/svg+xml",
    ]
    targets = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {link["href"].removeprefix("#") for link in page.of("a")} <= targets


def test_nothing_is_loaded_and_nothing_runs(written):
    page = Page(written(pictures=[Picture("p", PNG)], details={"url": "https://example.org/x.js"}))
    policy = next(tag["content"] for tag in page.of("meta") if tag.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert not page.of("script")
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert "url(" not in written()
    assert "@import" not in written()


def test_text_is_never_read_as_html(written):
    section = Section(
        NASTY,
        NASTY,
        [Table(NASTY, [NASTY], [Row([NASTY], "ours")], NASTY)],
        [Picture(NASTY, PNG, NASTY)],
        {NASTY: NASTY, "tree": {NASTY: NASTY, "deep": {NASTY: 1}}},
    )
    text = written(Report(NASTY, NASTY, [section]))
    assert "<script" not in text
    assert Page(text).text.count(NASTY) == 17  # every place but the attributes


def test_details_may_be_any_mapping_and_any_value(written):
    page = Page(
        written(details=MappingProxyType({"path": MappingProxyType({"p": np.float32(2)}), "empty": {}}))
    )
    assert "path" in page.text
    assert "{}" in page.text


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        (b"BM......", "expected a PNG, GIF or SVG"),
        (b"", "expected a PNG, GIF or SVG"),
        ("none.png", "No such file"),
    ],
)
def test_a_picture_that_is_none_is_refused_and_nothing_is_left(tmp_path, picture, why):
    png = tmp_path / picture if isinstance(picture, str) else picture
    with pytest.raises(ImageReadError, match=why):
        write_report(report(pictures=[Picture("p", png)]), tmp_path / "r.html")
    assert list(tmp_path.iterdir()) == []


def test_a_row_of_another_length_is_refused(written):
    with pytest.raises(UsageError, match="table 't': row 2 has 1 cells for 2 columns"):
        written(tables=[Table("t", ["a", "b"], [Row(["x", 1]), Row(["y"])])])


def test_a_folder_that_is_missing_is_said(tmp_path):
    with pytest.raises(ImageWriteError, match="does not exist"):
        write_report(report(), tmp_path / "none" / "r.html")


def test_the_same_report_gives_the_same_bytes(written):
    assert written(details={"a": {"b": 1}}) == written(details={"a": {"b": 1}})


@pytest.mark.parametrize("name", ["content", "digest", "end"])
def test_a_report_that_somebody_changed_is_not_replaced(written, tmp_path, name):
    path = tmp_path / "report.html"
    page = written()
    written(text="other words")  # as it was written, it is
    changed = {
        "content": page.replace("A summary.", "My own words."),
        "digest": re.sub('(sha256" content=")(.)', lambda at: at[1] + str(int(at[2] == "0")), page),
        "end": page + "<!-- mine -->",
    }[name]
    path.write_text(changed, encoding="utf-8")
    with pytest.raises(ImageWriteError, match=r"report\.html: exists, but was changed .* not replaced"):
        written()
    assert path.read_text(encoding="utf-8") == changed


def test_a_report_without_a_digest_is_replaced_and_named(written, tmp_path, caplog):
    page = re.sub('<meta name="unet2015-sha256".*\n', "", written())
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    assert "sha256" in written()
    assert caplog.text.count("had no digest of itself") == 1


def test_rows_say_whose_they_are(written):
    kinds = ["paper", "ours", "ablation", "other"]
    text = written(tables=[Table("t", ["a"], [Row([kind], kind) for kind in kinds])])
    assert re.findall(r'<tr class="(\w+)">', text) == kinds
    assert "this run with one thing changed" in text
    assert 'class="key"' not in written(tables=[Table("t", ["a"], [Row(["x"], "ours")])])


def test_what_would_act_is_escaped_in_every_part(written):
    hostile = f"a\x1b[2J\x00\u202e\x9b{NASTY}"
    page = written(
        Report(
            hostile,
            hostile,
            [
                Section(
                    hostile,
                    hostile,
                    [Table(hostile, [hostile, "b"], [Row([hostile, hostile])], hostile)],
                    [Picture(hostile, PNG, hostile)],
                    {hostile: {hostile: [hostile, {hostile: hostile}]}},
                )
            ],
            hostile,
        )
    )
    assert Page(page).of("script") == []
    assert all(letter.isprintable() or letter in "\n\u2007\u2008\u202f" for letter in page)
    assert page.count(r"a\x1b[2J\x00\u202e\x9b") > 10


def test_details_of_any_depth_are_shown_as_far_as_anyone_reads(written):
    deep = []
    for _ in range(900):
        deep = {"more": [deep]}
    assert "..." in Page(written(details={"record": deep})).text
