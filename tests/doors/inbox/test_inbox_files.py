"""This file is where one looks at single paths of an inbox, the hostile ones too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headgate.doors.inbox.files import Files, Look
from headgate.model import sequencer_order


def _never() -> bool:
    return False


@pytest.fixture
def files(tmp_path: Path) -> Files:
    root = tmp_path / "inbox"
    root.mkdir()
    (root / "a.csv").write_bytes(b"x")
    return Files(root, "raw-data")


def test_a_path_is_a_file_a_folder_or_nothing(files: Files) -> None:
    """One look serves notifications about any of them."""
    (files.root / "sub/deep").mkdir(parents=True)
    (files.root / "sub/deep/b.csv").write_bytes(b"y")

    assert [key for key, _ in files.look("a.csv")] == ["a.csv"]
    assert [key for key, _ in files.look("sub")] == ["sub/deep/b.csv"]
    assert list(files.look("gone.csv")) == []
    assert list(files.look("a.csv/b")) == []


def test_nothing_is_seen_through_a_linked_folder(files: Files, tmp_path: Path) -> None:
    """Notifications come from behind such a link too; the files there are not ours."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/private.csv").write_bytes(b"secret")
    (files.root / "link").symlink_to(tmp_path / "elsewhere")

    assert list(files.look("link/private.csv")) == []
    assert list(files.look("../elsewhere/private.csv")) == []


def test_an_etag_is_of_the_file_that_was_looked_at(files: Files) -> None:
    """Another file under the name, or a stop in the middle, gives none."""
    ((_, look),) = files.look("a.csv")

    assert files.etag("a.csv", look, _never) == "9dd4e461268c8034f5c8564e155c67a6"
    assert files.etag("a.csv", look, lambda: True) is None
    (files.root / "other.csv").write_bytes(b"z")
    (files.root / "other.csv").rename(files.root / "a.csv")
    assert files.etag("a.csv", look, _never) is None


def test_a_pipe_in_a_files_place_does_not_hang(files: Files) -> None:
    """Between look and hashing a file may become anything."""
    ((_, look),) = files.look("a.csv")
    (files.root / "a.csv").unlink()
    os.mkfifo(files.root / "a.csv")

    assert files.etag("a.csv", look, _never) is None


@pytest.mark.parametrize(("earlier", "later"), [(-5, 1), (9, 10), (15, 16), (1_771_236_000_000_000_000, 2**62)])
def test_sequencers_go_by_time(earlier: int, later: int) -> None:
    """They compare as S3's do, also before 1970."""
    one, other = Look(1, earlier, 1).sequencer, Look(1, later, 1).sequencer

    assert len(one) == len(other) == 16
    assert sequencer_order(one) < sequencer_order(other)
