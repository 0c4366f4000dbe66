"""This file is where sealing is tried: keys, contexts, changed texts, and two who make the key file at once."""

from __future__ import annotations

import base64
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import CannotUnseal, InvalidConfiguration, Unavailable
from headgate.secrets.sealing import KEY_FILE, VARIABLE, Sealer

ONE = base64.b64encode(b"1" * 32).decode()
TWO = (b"2" * 32).hex()


def sealer(*keys: str) -> Sealer:
    return Sealer.of(Path("/nowhere"), {VARIABLE: " ".join(keys)})


@given(st.binary(max_size=200), st.text(max_size=20))
def test_what_is_sealed_opens(data: bytes, context: str) -> None:
    """In its own context, and as a text that fits into a line."""
    one = sealer(ONE)
    sealed = one.seal(data, context)

    assert one.open(sealed, context) == data
    assert sealed.isascii()
    assert sealed.split() == [sealed]


def test_the_same_twice_is_not_the_same() -> None:
    """Nobody who sees two rows knows that they hold one value."""
    one = sealer(ONE)
    assert one.seal(b"value", "secret:A") != one.seal(b"value", "secret:A")


def test_another_context_does_not_open_it() -> None:
    """A row's text put into another row is noticed."""
    one = sealer(ONE)
    with pytest.raises(CannotUnseal, match="the secret B"):
        one.open(one.seal(b"value", "secret:A"), "secret:B")


def test_any_change_is_noticed() -> None:
    """Each byte of it counts, and nonsense is no crash."""
    one = sealer(ONE)
    sealed = one.seal(b"value", "secret:A")
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(CannotUnseal) as told:
            one.open(changed, "secret:A")
        assert "value" not in str(told.value).replace("value ", "")
    for nonsense in (b"", b"hg1", b"hg1..", b"\xff\xff", b"hg1." + one.key_id.encode() + b".AAAA", sealed[:-8]):
        with pytest.raises(CannotUnseal):
            one.open(nonsense, "secret:A")


def test_keys_are_changed_one_after_the_other() -> None:
    """The first seals, all of them open; without its key a text says which is missing."""
    old, both, new = sealer(ONE), sealer(TWO, ONE), sealer(TWO)
    sealed = old.seal(b"value", "x")

    assert both.open(sealed, "x") == b"value"
    assert not both.current(sealed)
    again = both.seal(both.open(sealed, "x"), "x")
    assert both.current(again)
    assert new.open(again, "x") == b"value"
    with pytest.raises(CannotUnseal, match=f"{old.key_id}.*{VARIABLE} holds {new.key_id}"):
        new.open(sealed, "x")


@pytest.mark.parametrize("text", ["short", "A" * 43 + "!", "é", base64.b64encode(b"3" * 31).decode(), "0" * 63, " , "])
def test_what_is_no_key_is_refused_without_being_shown(text: str) -> None:
    """A key with a typing error is nearly a key."""
    with pytest.raises(InvalidConfiguration, match="openssl rand") as told:
        sealer(text)
    assert text.strip(" ,") == "" or text not in str(told.value)


def test_urlsafe_and_unpadded_keys_are_the_same_key() -> None:
    """However 32 bytes were written."""
    raw = bytes(range(224, 256))
    forms = [
        base64.b64encode(raw),
        base64.urlsafe_b64encode(raw),
        base64.b64encode(raw).rstrip(b"="),
        raw.hex().encode(),
    ]

    assert len({sealer(form.decode()).key_id for form in forms}) == 1


def test_the_repr_tells_no_key() -> None:
    """Only the ids, which tell nothing."""
    assert repr(sealer(ONE)) == f"Sealer(keys {sealer(ONE).key_id} of {VARIABLE})"


def test_a_home_gets_a_key_of_its_own(tmp_path: Path) -> None:
    """Made once, for its owner alone, and the same from then on."""
    home = tmp_path / "home"
    sealed = Sealer.of(home, {}).seal(b"value", "x")
    file = home / KEY_FILE

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Sealer.of(home, {}).open(sealed, "x") == b"value"
    assert [one.name for one in home.iterdir()] == [KEY_FILE]


def test_many_who_make_it_at_once_have_one_key(tmp_path: Path) -> None:
    """The first wins, and nobody seals with a key that is gone."""
    begin = threading.Barrier(8)
    made: list[Sealer] = []

    def make() -> None:
        begin.wait(10)
        made.append(Sealer.of(tmp_path, {}))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(10)

    assert len(made) == 8
    assert {one.key_id for one in made} == {Sealer.of(tmp_path, {}).key_id}


def test_a_key_others_can_read_is_not_used(tmp_path: Path) -> None:
    """It says how to mend that."""
    Sealer.of(tmp_path, {})
    (tmp_path / KEY_FILE).chmod(0o644)

    with pytest.raises(Unavailable, match="chmod 600"):
        Sealer.of(tmp_path, {})


def test_a_key_file_may_be_named(tmp_path: Path) -> None:
    """As Kubernetes mounts one; the variable wins over it."""
    file = tmp_path / "key"
    file.write_text(f"{TWO}\n{ONE}\n")
    file.chmod(0o644)

    assert Sealer.of(tmp_path, {}, file=file).key_id == sealer(TWO).key_id
    assert Sealer.of(tmp_path, {VARIABLE: ONE}, file=file).key_id == sealer(ONE).key_id
    with pytest.raises(Unavailable, match="cannot be read"):
        Sealer.of(tmp_path, {}, file=tmp_path / "none")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidConfiguration, match="no key of ours"):
        Sealer.of(tmp_path, {}, file=file)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """Instead of sealing with a key that is nowhere."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(Unavailable, match=VARIABLE):
            Sealer.of(tmp_path / "home", {})
    finally:
        tmp_path.chmod(0o700)


def test_a_home_that_is_a_file_says_so(tmp_path: Path) -> None:
    """The same for whoever may write everywhere."""
    (tmp_path / "home").write_text("")
    with pytest.raises(Unavailable, match=VARIABLE):
        Sealer.of(tmp_path / "home", {})
