"""The markers of a JPEG in memory: all that look for one pass over the same ones."""

import pytest

from unet2015.images.jpeg_markers import SCAN, begins_frame, segments


def test_fill_bytes_and_markers_alone_are_passed_over():
    tables, frame, scan = (bytes([0xFF, marker, 0, 3, 9]) for marker in (0xC4, 0xC0, SCAN))
    data = b"\xff\xd8" + tables + b"\xff\xff" + frame[1:] + b"\xff\xd0" + scan + b"\x12\x34"
    found = list(segments(data))
    assert [marker for marker, _ in found] == [0xC4, 0xC0, SCAN]
    assert all(data[place : place + 3] == b"\0\x03\x09" for _, place in found)
    assert [begins_frame(marker) for marker, _ in found] == [False, True, False]


def test_data_that_end_within_the_markers_are_an_error():
    with pytest.raises(IndexError):
        list(segments(b"\xff\xd8\xff"))
