"""This file is where files land in a watched folder: whole, in pieces, while nobody takes them, and in any order."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from headgate.doors.inbox import BATCH, Inbox
from headgate.doors.object_events import decode
from headgate.errors import Invalid, LedgerUnavailable, Unavailable
from headgate.model import Event

INTERVAL = 0.1


class Taker:
    """Takes events as the ledger would, and can be told to refuse."""

    def __init__(self) -> None:
        self.batches: list[list[Event]] = []
        self.errors: list[Exception] = []
        self.refused: set[str] = set()
        self.changed = threading.Condition()

    def __call__(self, events: Sequence[Event]) -> None:
        with self.changed:
            self.changed.notify_all()
            if self.errors:
                raise self.errors.pop(0)
            if self.refused & {_key(event) for event in events}:
                raise Invalid("no such bucket")
            self.batches.append(list(events))

    @property
    def events(self) -> list[Event]:
        return [event for batch in self.batches for event in batch]

    @property
    def keys(self) -> list[str]:
        return [_key(event) for event in self.events]

    def wait(self, ready: Callable[[], bool], seconds: float = 20.0) -> None:
        with self.changed:
            assert self.changed.wait_for(ready, seconds), self.keys[:30]


def _key(event: Event) -> str:
    assert event.object is not None
    return event.object.key


def _old(path: Path, content: bytes = b"a,b\n1,2\n", age: float = 60.0) -> Path:
    """A file that was complete `age` seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    then = time.time_ns() - int(age * 1e9)
    os.utime(path, ns=(then, then))
    return path


def _fresh(path: Path, content: bytes = b"a,b\n1,2\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    _now(path)
    return path


def _now(path: Path) -> None:
    """As new as can be, however long a busy machine takes to look: files older than the interval are whole at once."""
    later = time.time() + 30
    os.utime(path, (later, later))


@pytest.fixture
def taker() -> Taker:
    return Taker()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "inbox"


@pytest.fixture
def by_hand(tmp_path: Path, folder: Path, taker: Taker) -> Inbox:
    """An inbox without threads, whose turns the test takes at times it chooses."""
    inbox = Inbox("raw-data", folder, taker, home=tmp_path, interval=1.0, rescan=1.0)
    inbox.open()
    return inbox


@pytest.fixture
def running(tmp_path: Path, folder: Path, taker: Taker) -> Iterator[Inbox]:
    """An inbox with its threads, that rescans so seldom that only notifications can be what it goes by."""
    inbox = Inbox("raw-data", folder, taker, home=tmp_path, interval=INTERVAL, rescan=3_600.0)
    inbox.start()
    yield inbox
    inbox.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "inbox-raw-data"]


# --- what is told ------------------------------------------------------------------------------------------------


def test_a_complete_file_is_one_event(by_hand: Inbox, folder: Path, taker: Taker) -> None:
    """Bucket, decoded key, size, md5, mtime as the sequencer, and where the bytes are."""
    file = _old(folder / "collections-data/ingest_ts=2026-02-16T10:00:00/ä b+c.csv", b"1,2\n")
    by_hand.turn(0.0)

    (event,) = taker.events
    assert (event.door, event.kind) == ("inbox", "ObjectCreated:Put")
    assert event.at.utcoffset() is not None
    assert event.object is not None
    assert event.object.bucket == "raw-data"
    assert event.object.key == "collections-data/ingest_ts=2026-02-16T10:00:00/ä b+c.csv"
    assert event.object.size == 4
    assert event.object.etag == hashlib.md5(b"1,2\n").hexdigest()
    assert event.object.sequencer == f"{file.stat().st_mtime_ns:016X}"
    assert event.object.path == str(file)


def test_its_identity_is_that_of_the_same_object_in_a_notification(by_hand: Inbox, folder: Path, taker: Taker) -> None:
    """A file told by the folder and by a `local:fs` notification is one event."""
    _old(folder / "a.csv")
    by_hand.turn(0.0)

    (event,) = taker.events
    stored = event.object
    assert stored is not None
    about = {"key": stored.key, "size": stored.size, "eTag": stored.etag, "sequencer": stored.sequencer}
    record = {"eventSource": "local:fs", "s3": {"bucket": {"name": "raw-data"}, "object": about}}
    assert decode({"Records": [record]}, source="s3").events[0].identity == event.identity


def test_a_file_is_told_once_until_it_changes(by_hand: Inbox, folder: Path, taker: Taker) -> None:
    """Looking again tells nothing; other bytes are another event with a later sequencer; the same file back is told."""
    file = _old(folder / "a.csv")
    for at in range(5):
        by_hand.turn(float(at))
    assert len(taker.events) == 1

    _old(file, b"other", age=30.0)
    by_hand.turn(10.0)
    first, second = taker.events
    assert first.object is not None
    assert second.object is not None
    assert second.object.sequencer > first.object.sequencer
    assert first.identity != second.identity


def test_a_fresh_file_waits_for_two_equal_looks(by_hand: Inbox, folder: Path, taker: Taker) -> None:
    """While it grows, and less than the interval after, nothing is told; then once, with all of its bytes."""
    file = _fresh(folder / "a.csv", b"1")
    assert by_hand.turn(10.0) == 11.0
    with file.open("ab") as more:
        more.write(b"2")
    _now(file)
    assert by_hand.turn(11.0) == 12.0
    by_hand.turn(11.9)
    assert taker.events == []

    by_hand.turn(12.0)
    (event,) = taker.events
    assert event.object is not None
    assert event.object.etag == hashlib.md5(b"12").hexdigest()


def test_a_notification_does_not_shorten_the_wait(by_hand: Inbox, folder: Path, taker: Taker) -> None:
    """Two equal looks closer together than the interval say nothing."""
    _fresh(folder / "a.csv", b"1")
    by_hand.turn(10.0)
    by_hand.touch({"a.csv"})
    by_hand.turn(10.9)
    assert taker.events == []

    by_hand.turn(11.0)
    assert taker.keys == ["a.csv"]


def test_a_new_folder_is_looked_into_twice(folder: Path, taker: Taker, tmp_path: Path) -> None:
    """What came into it after its notification and before it was watched is not left to the slow rescan."""
    inbox = Inbox("raw-data", folder, taker, home=tmp_path, interval=1.0, rescan=3_600.0)
    inbox.open()
    inbox.turn(10.0)
    _old(folder / "ingest_ts=1/a.csv")
    inbox.touch({"ingest_ts=1"})
    assert inbox.turn(20.0) == 21.0
    _old(folder / "ingest_ts=1/b.csv")
    inbox.turn(21.0)

    assert taker.keys == ["ingest_ts=1/a.csv", "ingest_ts=1/b.csv"]


def test_a_file_from_the_future_is_told_all_the_same(by_hand: Inbox, folder: Path, taker: Taker) -> None:
    """A sender whose clock is ahead has to wait for two looks, no longer."""
    _old(folder / "a.csv", age=-3_600.0)
    by_hand.turn(10.0)
    by_hand.turn(11.0)

    assert taker.keys == ["a.csv"]


def test_a_file_that_changes_under_the_hashing_starts_over(
    by_hand: Inbox, folder: Path, taker: Taker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that came while it was read do not end in an etag of half of them."""
    file = _old(folder / "a.csv", b"1")
    real, writes = hashlib.md5, [b"2"]

    def md5(*args: bytes, usedforsecurity: bool = True) -> object:
        if writes:
            with file.open("ab") as more:
                more.write(writes.pop())
        return real(*args, usedforsecurity=usedforsecurity)

    monkeypatch.setattr(hashlib, "md5", md5)
    by_hand.turn(10.0)
    assert taker.events == []

    by_hand.turn(11.0)
    by_hand.turn(12.0)
    (event,) = taker.events
    assert event.object is not None
    assert (event.object.size, event.object.etag) == (2, real(b"12").hexdigest())


def test_what_is_no_object_is_left_out(by_hand: Inbox, folder: Path, taker: Taker, tmp_path: Path) -> None:
    """Hidden and unfinished files, folders, pipes, links that leave, loops, and names no key can have."""
    _old(tmp_path / "secret.csv")
    (tmp_path / "elsewhere").mkdir()
    _old(tmp_path / "elsewhere/private.csv")
    for name in (".hidden.csv", "a.csv.tmp", "a.csv.PART", ".git/a.csv", "sub/.x/a.csv"):
        _old(folder / name)
    (folder / "leaves.csv").symlink_to(tmp_path / "secret.csv")
    (folder / "folder").symlink_to(tmp_path / "elsewhere")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "nothing").symlink_to(folder / "not there")
    os.mkfifo(folder / "pipe")
    _old(folder / os.fsdecode(b"\xff.csv"))
    deep = folder.joinpath(*["d" * 250] * 5)
    _old(deep / "a.csv")
    _old(folder / "good.csv")
    (folder / "link.csv").symlink_to(folder / "good.csv")
    with capture_logs() as logged:
        by_hand.turn(0.0)
        by_hand.turn(10.0)

    assert sorted(taker.keys) == ["good.csv", "link.csv"]
    told = {str(line["file"])[-12:]: line["reason"] for line in logged}
    assert len(logged) == len(told) == 4
    assert "leaves the folder" in told["folder"]
    assert "leaves the folder" in told["leaves.csv"]
    assert "not UTF-8" in told["\\udcff.csv"]
    assert "at most 1024" in told[("d" * 250 + "/a.csv")[-12:]]


def test_an_unreadable_file_is_logged_and_tried_again(
    by_hand: Inbox, folder: Path, taker: Taker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bad file hurts no other, and is told when it can be read."""
    _old(folder / "bad.csv")
    _old(folder / "good.csv")
    real, refusing = os.open, [True]

    def opening(path: Path, flags: int) -> int:
        if refusing and path.name == "bad.csv":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags)

    monkeypatch.setattr(os, "open", opening)
    with capture_logs() as logged:
        for at in (0.0, 5.0):
            by_hand.turn(at)
    assert taker.keys == ["good.csv"]
    assert [line["reason"] for line in logged] == ["it can not be read: Permission denied"]

    refusing.clear()
    by_hand.turn(10.0)
    assert taker.keys == ["good.csv", "bad.csv"]


# --- who takes it ------------------------------------------------------------------------------------------------


def test_events_that_are_not_taken_are_offered_until_they_are(by_hand: Inbox, folder: Path, taker: Taker) -> None:
    """The ledger is away twice: the same events come again, later each time, and once they are taken no more."""
    taker.errors = [LedgerUnavailable("away"), Unavailable("still away")]
    _old(folder / "a.csv")
    with capture_logs() as logged:
        assert by_hand.turn(0.0) == 0.5
        assert by_hand.turn(0.1) == 0.5
        assert by_hand.turn(0.5) == 1.5
        by_hand.turn(1.5)
        by_hand.turn(9.0)

    assert taker.keys == ["a.csv"]
    assert [line["again_in"] for line in logged] == [0.5, 1.0]


def test_what_lands_while_nobody_takes_is_not_forgotten(folder: Path, taker: Taker, tmp_path: Path) -> None:
    """More than a batch before and during the outage: each is told once afterwards, long before the next rescan."""
    by_hand = Inbox("raw-data", folder, taker, home=tmp_path, rescan=3_600.0)
    by_hand.open()
    taker.errors = [Unavailable("away")] * 3
    for number in range(BATCH + 20):
        _old(folder / f"before/{number}.csv")
    with capture_logs():
        by_hand.turn(0.0)
        for number in range(30):
            _old(folder / f"during/{number}.csv")
        for at in range(1, 20):
            by_hand.turn(float(at))

    assert len(taker.keys) == len(set(taker.keys)) == BATCH + 50
    assert max(len(batch) for batch in taker.batches) <= BATCH


def test_a_refused_event_takes_no_other_with_it(by_hand: Inbox, folder: Path, taker: Taker) -> None:
    """Of a batch, only the file that is refused is left out, and the log names it."""
    taker.refused = {"b.csv"}
    for name in "abc":
        _old(folder / f"{name}.csv")
    with capture_logs() as logged:
        by_hand.turn(0.0)
        by_hand.turn(9.0)

    assert sorted(taker.keys) == ["a.csv", "c.csv"]
    assert [(line["log_level"], line["file"]) for line in logged] == [("error", "b.csv")]


def test_many_files_are_a_few_batches(by_hand: Inbox, folder: Path, taker: Taker) -> None:
    """Two thousand files are four batches, oldest file first."""
    for number in range(2_000):
        _old(folder / f"{number}.csv", b"x", age=10_000.0 - number)
    by_hand.turn(0.0)

    assert [len(batch) for batch in taker.batches] == [BATCH] * 4
    assert taker.keys == [f"{number}.csv" for number in range(2_000)]


# --- from one life to the next -----------------------------------------------------------------------------------


def test_a_restart_tells_everything_again_without_hashing(
    by_hand: Inbox, folder: Path, taker: Taker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The identities are the same, so the ledger starts nothing; what came while we were down is told with them."""
    for number in range(5):
        _old(folder / f"{number}.csv")
    by_hand.turn(0.0)
    _old(folder / "new.csv")
    hashed: list[int] = []
    real = hashlib.md5
    monkeypatch.setattr(hashlib, "md5", lambda **options: hashed.append(1) or real(**options))  # type: ignore[reportUnknownLambdaType]  # md5's own options
    again = Taker()
    second = Inbox("raw-data", folder, again, home=tmp_path)
    second.open()
    second.turn(0.0)

    assert {event.identity for event in taker.events} < {event.identity for event in again.events}
    assert sorted(again.keys) == ["0.csv", "1.csv", "2.csv", "3.csv", "4.csv", "new.csv"]
    assert len(hashed) == 1


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\n", b'{"a":1}\n7\n["0.csv"]\n["0.csv","x",1,2]\n', b'["0.csv",1'])
def test_a_broken_memory_only_costs_hashing(folder: Path, taker: Taker, tmp_path: Path, content: bytes) -> None:
    """Whatever became of the file of etags, the files are told."""
    (tmp_path / "inbox-raw-data.jsonl").write_bytes(content)
    _old(folder / "0.csv")
    inbox = Inbox("raw-data", folder, taker, home=tmp_path)
    inbox.open()
    inbox.turn(0.0)

    assert taker.keys == ["0.csv"]


def test_a_memory_that_can_not_be_written_is_said_once(folder: Path, taker: Taker, tmp_path: Path) -> None:
    """Events go on; the log says that etags are not kept."""
    inbox = Inbox("raw-data", folder, taker, home=tmp_path / "missing", rescan=1.0)
    inbox.open()
    with capture_logs() as logged:
        for number in range(3):
            _old(folder / f"{number}.csv")
            inbox.turn(number * 10.0)

    assert len(taker.keys) == 3
    assert [line["event"] for line in logged] == ["known etags can not be kept; files are hashed again after a restart"]


def test_the_memory_does_not_grow_for_ever(folder: Path, taker: Taker, tmp_path: Path) -> None:
    """Lines of files that are gone are dropped at the next start."""
    for number in range(300):
        _old(folder / f"{number}.csv")
    first = Inbox("raw-data", folder, taker, home=tmp_path)
    first.open()
    first.turn(0.0)
    memory = tmp_path / "inbox-raw-data.jsonl"
    assert memory.read_text("utf-8").count("\n") == 300

    for number in range(1, 300):
        (folder / f"{number}.csv").unlink()
    second = Inbox("raw-data", folder, Taker(), home=tmp_path)
    second.open()
    second.turn(0.0)
    assert memory.read_text("utf-8").count("\n") <= 2


# --- the folder itself -------------------------------------------------------------------------------------------


def test_a_missing_folder_is_made(by_hand: Inbox, folder: Path) -> None:
    """With the rights of an ordinary folder."""
    assert folder.stat().st_mode & 0o777 == 0o755 & ~_umask()


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def test_a_file_in_the_folders_place_is_refused_at_start(folder: Path, taker: Taker, tmp_path: Path) -> None:
    """The error names the bucket, the place, and what to do."""
    folder.write_text("x")

    with pytest.raises(Unavailable, match=r"'raw-data'.*inboxes:"):
        Inbox("raw-data", folder, taker, home=tmp_path).start()


def test_a_folder_that_goes_is_said_and_taken_up_again(by_hand: Inbox, folder: Path, taker: Taker) -> None:
    """While it is gone the problem can be seen; when it is back its files are told."""
    by_hand.turn(0.0)
    folder.rmdir()
    with capture_logs() as logged:
        by_hand.turn(10.0)
        by_hand.turn(20.0)
        assert by_hand.problem is not None
        assert "raw-data" in by_hand.problem
        _old(folder / "a.csv")
        by_hand.turn(30.0)

    assert by_hand.problem is None
    assert taker.keys == ["a.csv"]
    assert [line["log_level"] for line in logged] == ["error", "info"]


# --- with threads, notifications and real time -------------------------------------------------------------------


def test_twenty_files_dropped_at_once_are_told_once_each(running: Inbox, folder: Path, taker: Taker) -> None:
    """Into a folder that is made at the same moment, as `cp -r` does it."""
    names = {f"collections-data/ingest_ts=1/{number}.csv" for number in range(20)}
    for name in names:
        _fresh(folder / name, name.encode())
    taker.wait(lambda: set(taker.keys) == names)
    _fresh(folder / "last.csv")
    taker.wait(lambda: "last.csv" in taker.keys)

    assert len(taker.keys) == 21


def test_a_file_renamed_into_place_is_told(running: Inbox, folder: Path, taker: Taker, tmp_path: Path) -> None:
    """Written elsewhere, then moved in: the name it is told by is the last one."""
    taker.wait(lambda: running.problem is None)
    part = _fresh(folder / "a.csv.part")
    part.rename(folder / "a.csv")
    taker.wait(lambda: bool(taker.keys))
    _old(tmp_path / "whole/b.csv").parent.rename(folder / "whole")
    taker.wait(lambda: len(taker.keys) == 2)

    assert taker.keys == ["a.csv", "whole/b.csv"]


def test_a_slow_writer_is_told_once_at_the_end(folder: Path, taker: Taker, tmp_path: Path) -> None:
    """Writes closer together than the interval keep the file open, however many there are."""
    inbox = Inbox("raw-data", folder, taker, home=tmp_path, interval=0.6, rescan=3_600.0)
    inbox.start()
    pace = threading.Event()
    with (folder / "a.csv").open("ab", buffering=0) as file:
        started = time.monotonic()
        while time.monotonic() - started < 1.5:
            file.write(b"x")
            pace.wait(0.03)
        size = file.tell()
    taker.wait(lambda: bool(taker.events))
    inbox.close()

    (event,) = taker.events
    assert event.object is not None
    assert event.object.size == size


def test_a_running_inbox_survives_its_folder(running: Inbox, folder: Path, taker: Taker) -> None:
    """Removed and made again while it runs, and notified as before."""
    _fresh(folder / "a.csv")
    taker.wait(lambda: taker.keys == ["a.csv"])
    with capture_logs():
        (folder / "a.csv").unlink()
        folder.rmdir()
        folder.mkdir()
        _fresh(folder / "b.csv")
        taker.wait(lambda: "b.csv" in taker.keys)
    _fresh(folder / "c.csv")
    taker.wait(lambda: "c.csv" in taker.keys)

    assert taker.keys == ["a.csv", "b.csv", "c.csv"]


def test_a_name_that_is_no_text_does_not_end_the_watch(running: Inbox, folder: Path, taker: Taker) -> None:
    """watchfiles gives up at such a name; the inbox begins again and tells the others."""
    with capture_logs():
        _fresh(folder / "a.csv")
        taker.wait(lambda: taker.keys == ["a.csv"])
        _fresh(folder / os.fsdecode(b"\xff.csv"))
        for number in range(3):
            _fresh(folder / f"{number}.csv")
            taker.wait(lambda number=number: f"{number}.csv" in taker.keys)

    assert sorted(taker.keys) == ["0.csv", "1.csv", "2.csv", "a.csv"]


def test_a_taker_that_fails_unexpectedly_does_not_end_the_watch(running: Inbox, folder: Path, taker: Taker) -> None:
    """A fault that is nobody's error of ours is logged, and the file is told afterwards."""
    taker.errors = [KeyError("a bug")]
    with capture_logs() as logged:
        _fresh(folder / "a.csv")
        taker.wait(lambda: bool(taker.keys))

    assert taker.keys == ["a.csv"]
    assert any(line["log_level"] == "error" for line in logged)


# --- any order ---------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "append", "rename", "delete", "outage", "restart", "wait"]), st.integers(0, 3)),
    max_size=25,
)


@settings(deadline=None, max_examples=60)
@given(STEPS)
def test_any_interleaving_ends_with_each_version_told(steps: list[tuple[str, int]]) -> None:
    """Writes, renames, deletions, outages and restarts in any order: in the end every file there is told as it is, each
    identity once in each life, and none of a version that was never complete.
    """
    with TemporaryDirectory() as place, capture_logs():
        home, folder, taker = Path(place), Path(place) / "inbox", Taker()
        inbox = _new_life(folder, taker, home)
        life: list[str] = []
        clock, stamp = 0.0, time.time_ns()
        for what, number in steps:
            clock += 0.4
            stamp += 1_000_000_000  # mtimes in the future of the real clock: files wait for two looks
            file = folder / f"{number}.csv"
            if what == "write":
                _stamped(file, stamp, b"new")
            elif what == "append" and file.exists():
                _stamped(file, stamp, file.read_bytes() + b"more")
            elif what == "rename" and file.exists():
                file.rename(folder / f"sub{number}.csv")
            elif what == "delete":
                file.unlink(missing_ok=True)
            elif what == "outage":
                taker.errors.append(Unavailable("away"))
            elif what == "restart":
                assert len(life) == len(set(life))
                life, taker.batches = [], []
                inbox = _new_life(folder, taker, home)
            elif what == "wait":
                clock += 1.0
            inbox.turn(clock)
            life = [event.identity for event in taker.events]
        for _ in range(40):
            clock += 10.0
            inbox.turn(clock)

        there = {file.name: hashlib.md5(file.read_bytes()).hexdigest() for file in folder.iterdir()}
        told = {_key(event): event.object.etag for event in taker.events if event.object}
        assert {key: told.get(key) for key in there} == there
        identities = [event.identity for event in taker.events]
        back = any(what in {"rename", "delete"} for what, _ in steps)
        assert back or len(identities) == len(set(identities))


def _new_life(folder: Path, taker: Taker, home: Path) -> Inbox:
    inbox = Inbox("raw-data", folder, taker, home=home, interval=1.0, rescan=0.1)
    inbox.open()
    return inbox


def _stamped(file: Path, stamp: int, content: bytes) -> None:
    file.write_bytes(content)
    os.utime(file, ns=(stamp, stamp))
