"""This file is where the ledger's file is damaged, unreadable, or without room: it says so, and what it has stays."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.errors import Invalid, LedgerUnavailable
from headgate.ledger.store import Ledger, wait_for
from headgate.model import RunState

from .replica import Replica, dropped, job, on_object


def _refusal(url: str) -> str:
    ledger = Ledger(url)
    with pytest.raises(LedgerUnavailable) as told:
        ledger.open()
    ledger.close()
    return str(told.value)


def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    """The text of a file that is something else: which one, and what to do."""
    file = tmp_path / "ledger.db"
    file.write_text("these are my notes\n" * 1000, "utf-8")

    assert "move it away, or point HEADGATE_DATABASE_URL elsewhere" in _refusal(f"sqlite:///{file}")
    assert file.read_text("utf-8").startswith("these are my notes")


def test_a_damaged_ledger_is_told(sqlite_url: str, tmp_path: Path) -> None:
    """Pages in the middle are overwritten: whoever asks is told that it is damaged, and what saves what can be."""
    replica = Replica(sqlite_url)
    replica.declare([job("a", max_concurrent_runs=500)])
    for _ in range(50):
        replica.ask("a")
    replica.close()
    file = tmp_path / "ledger.db"
    with file.open("r+b") as opened:
        for page in range(2, file.stat().st_size // 4096):
            opened.seek(page * 4096)
            opened.write(b"\xff" * 4096)
    ledger = Ledger(sqlite_url)
    with pytest.raises(LedgerUnavailable, match="damaged; move it away and restore"):
        _open_and_use(ledger)
    ledger.close()


def _open_and_use(ledger: Ledger) -> None:
    ledger.open()
    wait_for(ledger.claim(["a"]))


def test_quick_check_finds_damage(sqlite_url: str) -> None:
    """`integrity` says nothing of a sound file."""
    ledger = Ledger(sqlite_url)
    ledger.open()
    assert ledger.integrity() is None
    ledger.close()


@pytest.mark.parametrize("url", ["mysql://x", "nonsense", "oracle://h/x"])
def test_a_url_of_nothing_we_speak_is_refused(url: str) -> None:
    """Invalid, with what is expected."""
    with pytest.raises(Invalid, match=r"(?i)postgresql"):
        Ledger(url)


def test_a_server_that_is_not_there_is_told_without_its_password() -> None:
    """A refused connection names the server, hides the password, and says what to check."""
    text = _refusal("postgresql+psycopg://user:geheim@127.0.0.1:9/db")

    assert "127.0.0.1:9" in text
    assert "geheim" not in text
    assert "check that PostgreSQL runs there" in text


_READ_ONLY = """
import os, sys
from headgate.errors import LedgerUnavailable
from headgate.ledger.store import Ledger
warm = Ledger(sys.argv[1])  # everything is imported: another user may not read the interpreter's folder
warm.open()
warm.close()
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
for url in sys.argv[2:]:
    try:
        Ledger(url).open()
    except LedgerUnavailable as error:
        print(str(error))
    else:
        print("opened")
"""


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """No new ledger in a read-only folder, none in one that is not there: the error says what to check."""
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    urls = [tmp_path / "warm.db", folder / "ledger.db", tmp_path / "nowhere" / "ledger.db"]
    done = subprocess.run(
        [sys.executable, "-c", _READ_ONLY, *[f"sqlite:///{url}" for url in urls]],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout.splitlines()

    assert len(said) == 2, done.stderr
    assert all("check that the folder exists and may be written" in line for line in said)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB, where mounting is allowed."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here; the limit on file sizes is tested instead")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_loses_nothing_acknowledged_and_is_gone_on_from(small_disk: Path) -> None:
    """Acknowledged stays, the caller gets LedgerUnavailable with words, and it goes on once there is room again."""
    url = f"sqlite:///{small_disk / 'ledger.db'}"
    replica = Replica(url)
    replica.declare([job("a")], [on_object("t", "a", max_objects=1)])
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (1 << 20))
    acknowledged: list[str] = []

    def accept_until_full() -> None:
        for number in range(10_000):
            (receipt,) = replica.accept(dropped(f"{number}-{'k' * 500}"))
            acknowledged.append(str(receipt.decisions[0].run))

    with pytest.raises(LedgerUnavailable, match="free some space"):
        accept_until_full()
    with pytest.raises(LedgerUnavailable):
        replica.accept(dropped("while-full"))
    assert {run.id for run in replica.runs()} == set(acknowledged)
    ballast.unlink()
    (after,) = replica.accept(dropped("after"))
    (again,) = replica.accept(dropped("while-full"))
    (run,) = replica.taken()
    assert replica.end(run) is RunState.SUCCEEDED

    assert not after.duplicate
    assert not again.duplicate, "refused for want of room, and kept all the same"
    assert len(replica.runs()) == len(acknowledged) + 2
    assert replica.ledger.integrity() is None
    replica.close()


def test_an_end_that_found_no_room_is_told_again_when_there_is(small_disk: Path) -> None:
    """The run stays RUNNING while nothing can be written, and is taken up again as soon as something can."""
    replica = Replica(f"sqlite:///{small_disk / 'ledger.db'}")
    replica.declare([job("a")], [])
    replica.ask("a")
    (run,) = replica.taken()
    replica.start(run)
    assert replica.ledger.take_up_again() is None
    filler = _fill(small_disk)

    def note_until_full() -> None:
        for _ in range(200):
            wait_for(replica.ledger.note(actor="x", action="x", subject="x" * 4000, reason=None))

    with pytest.raises(LedgerUnavailable):
        note_until_full()
    with pytest.raises(LedgerUnavailable):
        replica.end(run, result={"text": "r" * 20_000})
    filler.unlink()
    again = replica.ledger.take_up_again()
    assert again is not None
    assert wait_for(again) == [run.id]
    assert [one.id for one, _ in replica.adopted] == [run.id]
    assert replica.end(run) is RunState.SUCCEEDED
    replica.close()


def _fill(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as opened:
        try:
            while True:
                opened.write(b"x" * 4096)
        except OSError:
            return filler


_LIMITED = """
import json, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.path.insert(0, sys.argv[2])
from headgate.errors import LedgerUnavailable
from ledger.replica import Replica, dropped, job, on_object
replica = Replica(sys.argv[1])
replica.declare([job("a")], [on_object("t", "a", max_objects=1)])
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, hard))
taken = []
said = ""
try:
    for number in range(5000):
        taken.append(str(replica.accept(dropped(f"{number}-{'k' * 500}"))[0].decisions[0].run))
except LedgerUnavailable as error:
    said = str(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
replica.accept(dropped("after"))
kept = {run.id for run in replica.runs()}
print(json.dumps({"taken": len(taken), "kept": len(set(taken) & kept), "all": len(kept), "said": said}))
replica.close()
"""


def test_a_limit_on_the_size_of_files_is_a_full_disk(sqlite_url: str) -> None:
    """RLIMIT_FSIZE in a process of its own: refused with words, nothing acknowledged lost, on again without it."""
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, sqlite_url, str(Path(__file__).parents[1])],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])

    assert told["taken"] == told["kept"] == told["all"] - 1 > 0
    assert "cannot be used" in told["said"]
