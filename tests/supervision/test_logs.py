"""This file is where following a log is tested: nothing lost, nothing twice, no character cut."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from headgate.supervision import records
from headgate.supervision.logs import last_line, read_log

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="�"))


@given(TEXT, st.integers(1, 9), st.lists(st.integers(0, 40), max_size=5))
def test_a_log_read_in_pieces_while_it_grows_is_the_whole(text: str, limit: int, cuts: list[int]) -> None:
    """However the job's writes and the reader's limits fall, the pieces join to the text; no character breaks."""
    data = text.encode()
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch, "run")
        directory.mkdir()
        pieces, offset, written = list[str](), 0, 0
        for cut in [*cuts, len(data)]:
            with (directory / records.LOG).open("ab") as log:
                log.write(data[written : max(cut, written)])
            written = max(cut, written)
            while True:
                piece, offset, complete = read_log(Path(scratch), "run", offset, limit)
                assert not complete
                pieces.append(piece)
                if not piece:
                    break
        (directory / records.EXIT).touch()
        complete = False
        while not complete:
            piece, offset, complete = read_log(Path(scratch), "run", offset, limit)
            pieces.append(piece)

    assert "".join(pieces) == text
    assert offset == len(data)


@given(st.binary(max_size=60), st.integers(1, 9))
def test_any_bytes_can_be_read(data: bytes, limit: int) -> None:
    """Bytes that are no UTF-8 never stop a reader, and it ends at the last one."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch, "run")
        directory.mkdir()
        (directory / records.LOG).write_bytes(data)
        (directory / records.EXIT).touch()
        offset, complete = 0, False
        for _ in range(len(data) + 1):
            _, offset, complete = read_log(Path(scratch), "run", offset, limit)
            if complete:
                break

    assert complete
    assert offset == len(data)


def test_a_character_half_written_at_the_end_of_a_run_is_shown(tmp_path: Path) -> None:
    """A job that dies in the middle of a character still has its log read to the end."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / records.LOG).write_bytes(b"a\xe2\x82")
    assert read_log(tmp_path, "run") == ("a", 1, False)

    (tmp_path / "run" / records.EXIT).touch()
    assert read_log(tmp_path, "run", 1) == ("�", 3, True)


def test_before_the_first_output_a_log_is_empty_and_open(tmp_path: Path) -> None:
    """A run that has not written anything has an empty log that is not complete."""
    (tmp_path / "run").mkdir()

    assert read_log(tmp_path, "run") == ("", 0, False)


def test_the_last_line_steers_no_terminal(tmp_path: Path) -> None:
    """Colours, titles and other control characters of a job's last words are no part of its run's error."""
    (tmp_path / records.LOG).write_bytes(b"\x1b]0;title\x07\x1b[1;31mError:\x1b[0m\tno \x08luck\x9b\r\n\x1b[0m\n")
    assert last_line(str(tmp_path)) == "Error:\tno luck\ufffd"


def test_the_last_line_is_the_last_that_says_something(tmp_path: Path) -> None:
    """Blank lines at the end are passed over, long lines cut; no log has no last line."""
    assert last_line(str(tmp_path)) == ""
    (tmp_path / records.LOG).write_text("first\n" + "x" * 20_000 + "\nthe end\n\n \n")
    assert last_line(str(tmp_path)) == "the end"
    (tmp_path / records.LOG).write_text("x" * 20_000)
    assert len(last_line(str(tmp_path))) == 500
