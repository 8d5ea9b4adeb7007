"""Reports as a browser shows them; skipped where there is no Chromium."""

from pathlib import Path
from urllib.parse import unquote, urlparse

import imagecodecs
import numpy as np
import pytest

from tests.report.browser import browser, find_chromium
from unet2015.report.html import Picture, Report, Row, Section, Table, write_report

pytest.importorskip("jinja2")
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"><rect width="20" height="10"/></svg>'


@pytest.fixture(scope="module")
def chrome(tmp_path_factory):
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium on the path; install the Debian package chromium")
    with browser(chromium, tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report with all that one can hold, as an address."""
    noise = np.random.default_rng(0).integers(0, 255, (300, 400), np.uint8)
    png = imagecodecs.png_encode(noise)
    rows = [
        Row(["U-Net", 0.0611, 0.000353], "paper"),
        Row(["this", 0.058412345, None], "ours"),
        Row(["w0 = 0", 0.07, 0.0005], "ablation"),
    ]
    section = Section(
        "Results",
        "Text.",
        [Table("EM", ["model", "Rand error", "warping error"], rows)],
        [Picture("One", png, "Noise."), Picture("Two", SVG), Picture("Three", png)],
        {"settings": {"a": {"b": [1, 2]}}},
    )
    path = tmp_path_factory.mktemp("report") / "a report & more.html"
    write_report(Report("Report", "Summary.", [section, Section("Next")]), path)
    return path.as_uri()


def test_the_table_and_the_pictures_are_drawn_and_nothing_is_complained_of(chrome, page):
    chrome.size(1200, 900)
    chrome.open(page)
    assert chrome.evaluate("document.title") == "Report"
    texts = chrome.evaluate("[...document.querySelectorAll('tbody tr')].map(row => row.innerText.trim())")
    assert len(texts) == 3
    assert all(word in texts[0] for word in ("U-Net", "0.0611", "0.000353"))
    heights = chrome.evaluate("[...document.querySelectorAll('tr')].map(row => row.offsetHeight)")
    assert min(heights) > 10
    drawn = "[...document.images].map(image => image.complete && image.naturalWidth)"
    assert chrome.evaluate(drawn) == [400, 20, 400]
    assert chrome.complaints() == []


def test_our_row_and_the_papers_stand_out(chrome, page):
    chrome.size(1200, 900)
    chrome.open(page)
    backs = chrome.evaluate(
        "[...document.querySelectorAll('tbody tr')].map(row => getComputedStyle(row).backgroundColor)"
    )
    assert len(set(backs)) == 3


def test_numbers_end_at_one_place_with_their_points_in_line(chrome, page):
    chrome.open(page)
    places = chrome.evaluate(
        """[...document.querySelectorAll('tbody td:nth-child(2)')].map(cell => {
            const text = cell.firstChild, range = document.createRange()
            const point = text.data.indexOf('.')
            range.setStart(text, point); range.setEnd(text, point + 1)
            return range.getBoundingClientRect().left })"""
    )
    assert len(places) == 3
    assert max(places) - min(places) < 3


def test_a_picture_is_enlarged_by_a_click_and_made_small_by_another(chrome, page):
    chrome.size(1200, 900)
    chrome.open(page)
    width = "document.querySelector('#picture-1-1').offsetWidth"
    small = chrome.evaluate(width)
    chrome.evaluate("document.querySelector('#picture-1-1 .enlarge').click()")
    assert chrome.evaluate(width) > 1150 > 2 * small  # all but a scroll bar
    assert chrome.evaluate("document.elementFromPoint(600, 400).closest('figure').id") == "picture-1-1"
    chrome.evaluate("document.elementFromPoint(600, 400).click()")
    assert chrome.evaluate(width) == small
    assert chrome.complaints() == []


def test_it_fits_a_phone_and_a_dark_room(chrome, page):
    chrome.size(360, 700)
    chrome.open(page)
    assert chrome.evaluate("document.documentElement.scrollWidth <= innerWidth")
    back = "getComputedStyle(document.body).backgroundColor"
    light = chrome.evaluate(back)
    chrome.size(360, 700, dark=True)
    dark = chrome.evaluate(back)
    assert sum(map(int, light[4:-1].split(", "))) > 700
    assert sum(map(int, dark[4:-1].split(", "))) < 100


@pytest.mark.parametrize(
    "body",
    [
        "<script>nowhere()</script>",
        "<script>console.error('x')</script>",
        '<img src="none.png">',
        '<img src="http://127.0.0.1:9/x.png">',
    ],
)
def test_what_is_wrong_with_a_page_is_noticed(chrome, tmp_path, body):
    (tmp_path / "bad.html").write_text(f"<!doctype html><title>bad</title>{body}")
    chrome.open((tmp_path / "bad.html").as_uri())
    assert chrome.complaints() != []


def test_the_page_forbids_what_it_must_not_do(chrome, page, tmp_path):
    text = Path(unquote(urlparse(page).path)).read_text(encoding="utf-8")
    smuggled = '<script>document.title = "run"</script><img src="http://127.0.0.1:9/x.png">'
    (tmp_path / "r.html").write_text(text.replace("</main>", f"{smuggled}</main>"), encoding="utf-8")
    chrome.open((tmp_path / "r.html").as_uri())
    assert chrome.evaluate("document.title") == "Report"
    assert len(chrome.complaints()) >= 2
    asked = [event for event in chrome.events if event.get("method") == "Network.responseReceived"]
    assert all(event["params"]["response"]["url"].startswith(("file:", "data:")) for event in asked)
