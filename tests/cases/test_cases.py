"""Cases after public reports that are quick; all of them: ``python -m tests.cases``."""

import re

import pytest

from tests.cases import __main__ as command
from tests.cases.bench import CASES, Bench, Case

QUICK = [one for one in CASES if one.run.__module__ in ("tests.cases.headers", "tests.cases.pixels")]


@pytest.mark.parametrize("one", QUICK, ids=lambda one: one.run.__name__)
def test_no_quick_case_falls_short(one):
    found = command.tried(one)
    assert found["short"] == []
    assert found["checks"] > 0


def test_each_case_has_a_name_of_its_own_and_reports_that_can_be_found():
    assert len({one.name for one in CASES}) == len({one.run for one in CASES}) == len(CASES) > 80
    for one in CASES:
        assert all(re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", name) for name in one.reports.split(", ") if name)
    assert len({name for one in CASES for name in one.reports.split(", ") if name}) > 60


def test_a_case_that_falls_short_or_fails_is_shown_with_what_came_and_ends_with_1(monkeypatch, capsys):
    def short(bench: Bench) -> None:
        bench.check(1 + 1 == 3, "three", "two")

    def failing(bench: Bench) -> None:
        raise ValueError("no such thing")

    def fine(bench: Bench) -> None:
        bench.check(bench.run("--version").status == 0, "a version", "none")

    monkeypatch.setattr(command, "CASES", [Case(f.__name__, "", f) for f in (short, failing, fine)])
    assert command.main([]) == 1
    out = capsys.readouterr().out
    assert "expected three; came two" in out
    assert "ValueError: no such thing" in out
    assert "3 cases, 2 things looked at: 2 fall short" in out
    assert command.main(["--only", "fine"]) == 0
