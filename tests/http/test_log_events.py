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
        return list(self.lines.of(attempt, attempt, Span(begun, last), self.lines.look()))


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


def test_of_a_log_that_is_too_long_the_beginning_is_shown_and_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole pieces of it, and a last line that says where the rest is; nothing after that."""
    monkeypatch.setattr("headgate.http.log_events.MOST_BYTES", 14)
    log = Log()
    log.texts["a"] = "one\n" * 10
    found = log.look("a", 0, 4000)

    assert [one.text for one in found[:-1]] == ["one", "one", "one", "on"]
    assert "`headgate runs logs a` has all of it" in found[-1].text
    assert log.look("a", 0, 9000) == found


def test_a_time_range_is_cut_out_of_the_lines() -> None:
    """From its first on, without its last, whatever lies outside of the log."""
    log = Log()
    log.texts["a"], log.over = "0\n1\n2\n3\n4\n", {"a"}
    lines = log.lines.of("a", "a", Span(-1_000, 4_000), log.lines.look())

    for first, last in (
        (0, 5_000),
        (1_000, 3_000),
        (-9, 1),
        (999, 1_001),
        (4_001, 9_000),
        (3_000, 1_000),
        (2_000, 2_000),
    ):
        wanted = [one for one in lines if first <= one.at < last]
        assert list(lines.between(first, last)) == wanted
        assert [one.number for one in lines.between(first, last)[-2:]] == [one.number for one in wanted[-2:]]
    assert [one.text for one in lines] == ["0", "1", "2", "3", "4"]
    assert list(lines.between(1_000, 9_000).between(0, 3_000)) == list(lines)[1:3]


class Follower:
    """As `aws logs tail --follow` does it: from the newest time on, without the ids it has seen."""

    def __init__(self, log: Log, names: set[str]) -> None:
        self.log, self.names = log, names
        self.seen: list[LogEvent] = []

    def poll(self, spans: dict[str, Span]) -> None:
        newest, ids = max([0, *(one.at for one in self.seen)]), {one.id for one in self.seen}
        look = self.log.lines.look()
        found = [one for name in self.names & set(spans) for one in self.log.lines.of(name, name, spans[name], look)]
        self.seen += [one for one in sorted(found) if one.at >= newest and one.id not in ids]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["write a", "write b", "write c", "all", "a and b", "only c"]), st.integers(1, 9_000)
        ),
        max_size=40,
    )
)
def test_who_follows_by_time_misses_nothing_and_sees_nothing_twice(steps: list[tuple[str, int]]) -> None:
    """Whatever is written when, and whoever else looks at which of the logs meanwhile."""
    log = Log()
    followers = {
        "all": Follower(log, {"a", "b", "c"}), "a and b": Follower(log, {"a", "b"}), "only c": Follower(log, {"c"}),
    }  # fmt: skip
    spans: dict[str, Span] = {}
    for number, (step, later) in enumerate([*steps, *((name, 1) for name in followers)]):
        log.now += later / 1000
        what, _, name = step.partition(" ")
        if what == "write":
            at = int(log.now * 1000)
            spans[name] = Span(spans[name].begun if name in spans else at, at)
            log.texts[name] = log.texts.get(name, "") + f"line {number}\n"
        else:
            followers[step].poll(spans)
    for follower in followers.values():
        times = [one.at for one in follower.seen]
        assert times == sorted(times)
        for name in follower.names & set(spans):
            assert [one.text for one in follower.seen if one.stream == name] == log.texts[name].splitlines()


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
        assert matcher(pattern)("a line") in (True, False)
