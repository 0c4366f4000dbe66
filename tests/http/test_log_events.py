"""This file is where the times of log lines are held to their word: they never change, and who follows misses none."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import Invalid
from headgate.http.log_events import LogEvent, LogLines, Span
from headgate.http.log_pattern import matcher


class Log:
    """Logs that grow, and a clock."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.over: set[str] = set()
        self.now = 1000.0
        self.lines = LogLines(self.read, clock=lambda: self.now)

    def read(self, attempt: str, offset: int) -> tuple[str, int, bool]:
        text = self.texts[attempt][offset : offset + 7]
        following = offset + len(text)
        return text, following, attempt in self.over and following == len(self.texts[attempt])

    def look(self, attempt: str, begun: int, last: int) -> list[LogEvent]:
        self.lines.look()
        return list(self.lines.of(attempt, attempt, Span(begun, last)))


def test_lines_nobody_followed_lie_between_start_and_last_write() -> None:
    """Evenly, the last one at the last write; looked at again they have the same times and ids."""
    log = Log()
    log.texts["a"], log.over = "one\ntwo\nthree\nfour\n", {"a"}
    first = log.look("a", 100_000, 104_000)
    log.now += 50

    assert [(one.at, one.text) for one in first] == [
        (101_000, "one"), (102_000, "two"), (103_000, "three"), (104_000, "four"),
    ]  # fmt: skip
    assert log.look("a", 100_000, 104_000) == first
    assert len({one.id for one in first}) == 4
    assert all(len(one.id) == 56 for one in first)


def test_an_unfinished_line_is_given_once_it_is_whole() -> None:
    """Half a line is none; what a run that is over left without its end is."""
    log = Log()
    log.texts["a"] = "one\ntw"
    assert [one.text for one in log.look("a", 0, 1)] == ["one"]
    log.texts["a"] = "one\ntwo"
    assert [one.text for one in log.look("a", 0, 1)] == ["one"]
    log.over = {"a"}
    assert [one.text for one in log.look("a", 0, 1)] == ["one", "two"]


@given(st.lists(st.lists(st.integers(0, 2), max_size=6), min_size=1, max_size=8))
def test_who_follows_by_time_misses_nothing_and_sees_nothing_twice(rounds: list[list[int]]) -> None:
    """As `aws logs tail --follow` does it: from the newest time on, without the ids it has seen at that time."""
    log = Log()
    seen: list[LogEvent] = []
    newest, started, written = 0, {}, 0
    for number, those in enumerate(rounds):
        for which in those:
            name = f"s{which}"
            started.setdefault(name, int(log.now * 1000))
            log.texts[name] = log.texts.get(name, "") + f"line {number} {written}\n"
            written += 1
        log.now += 1
        log.lines.look()
        last = int(log.now * 1000) - 300
        found = sorted(
            one for name in log.texts for one in log.lines.of(name, name, Span(started[name], max(last, started[name])))
        )
        ids = {one.id for one in seen}
        seen += [one for one in found if one.at >= newest and one.id not in ids]
        newest = max([newest, *(one.at for one in seen)])
        log.now += 4
    assert len(seen) == written
    assert len({one.id for one in seen}) == written
    for name in log.texts:
        assert [one.text for one in seen if one.stream == name] == log.texts[name].splitlines()


@pytest.mark.parametrize(
    ("pattern", "fits", "misses"),
    [
        ("", ["", "anything"], []),
        ("ERROR", ["an ERROR"], ["an error"]),
        ("a b", ["b a"], ["a", "b"]),
        ('"a b"', ["x a b"], ["b a"]),
        ("-DEBUG", ["INFO"], ["DEBUG x"]),
        ("?a ?b", ["a", "b"], ["c"]),
        (r'"say \"hi\""', ['we say "hi"'], ["we say hi"]),
        ("jr_1:x [y", ["jr_1:x [y"], ["jr_1:x"]),
    ],
)
def test_words_are_searched(pattern: str, fits: list[str], misses: list[str]) -> None:
    """All of them, none of those with a dash, one of those with a question mark."""
    found = matcher(pattern)

    assert [line for line in fits + misses if found(line)] == fits


@pytest.mark.parametrize("pattern", ['{ $.level = "ERROR" }', "[a, b]", "%x%", '"open', 'a"b'])
def test_other_patterns_are_refused_and_not_guessed(pattern: str) -> None:
    """JSON, columns, expressions and quotes that do not end."""
    with pytest.raises(Invalid, match="filterPattern"):
        matcher(pattern)


@given(st.text(max_size=40))
def test_no_pattern_is_an_error_of_ours(pattern: str) -> None:
    """It is read, or refused."""
    with suppress(Invalid):
        matcher(pattern)("a line")
