"""This file is where our own secrets are kept, found again, and changed from key to key."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from secrets_played import VALUE

from headgate.app import App
from headgate.aws import Clients
from headgate.errors import CannotUnseal, Invalid, NotFound
from headgate.ledger import schema
from headgate.ledger.store import Ledger, wait_for
from headgate.runtime.secrets import SecretStore, resolver
from headgate.secrets.resolving import LARGEST
from headgate.secrets.sealing import KEY_FILE, VARIABLE
from headgate.settings import Settings, load

ONE, TWO = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
ME = "urn:li:corpuser:me"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / "headgate.yaml").write_text("jobs: {}\n")
    return load(tmp_path, {})


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    settings.home.mkdir()
    made = Ledger(settings.database_url)
    made.open()
    yield made
    made.close()


def test_a_secret_is_kept_listed_found_and_deleted(settings: Settings, ledger: Ledger) -> None:
    """Under its name; set again it is another value, and each change is in the audit without it."""
    store = SecretStore(ledger, settings)
    store.put("DB", "first-value", actor=ME)
    kept = store.put("DB", VALUE, actor=ME, reason="changed")

    assert store.names() == [kept]
    assert (kept.name, kept.actor) == ("DB", ME)
    assert resolver(settings, ledger, Clients()).resolve(["DB"]) == {"DB": VALUE}
    assert store.delete("DB", actor=ME).name == "DB"
    assert store.names() == []
    with pytest.raises(NotFound, match="secrets list"):
        store.delete("DB", actor=ME)
    entries = ledger.audit().items
    assert [(one.action, one.subject, one.reason, dict(one.detail)) for one in entries] == [
        ("secret.delete", "DB", None, {}),
        ("secret.set", "DB", "changed", {"replaced": True}),
        ("secret.set", "DB", None, {"replaced": False}),
    ]


def test_the_ledger_holds_no_value(settings: Settings, ledger: Ledger) -> None:
    """Not in the database, its journal, or anywhere in the home."""
    SecretStore(ledger, settings).put("DB", VALUE, actor=ME)
    ledger.close()

    held = b"".join(file.read_bytes() for file in settings.home.rglob("*") if file.is_file())
    forms = [VALUE.encode(), base64.b64encode(VALUE.encode()), VALUE.encode("unicode_escape")]
    assert [form for form in forms if form in held] == []


def test_a_row_in_anothers_place_does_not_open(settings: Settings, ledger: Ledger) -> None:
    """Whoever can write the database still cannot choose what a recipe gets."""
    store = SecretStore(ledger, settings)
    store.put("A", "value-of-a", actor=ME)
    store.put("B", "value-of-b", actor=ME)
    sealed = dict(store.provider().sealed(["A", "B"]))
    swapped = store.provider().__class__(lambda _names: {"A": sealed["B"]}, store.provider().sealer)

    with pytest.raises(CannotUnseal, match="the secret A"):
        swapped.find(["A"], until=1)


def test_keys_are_rotated(settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new one in front, all sealed again, the old one gone; what no key opens is named and stays."""
    monkeypatch.setenv(VARIABLE, ONE)
    SecretStore(ledger, settings).put("OLD", "old-value", actor=ME)
    monkeypatch.setenv(VARIABLE, f"{TWO},{ONE}")
    store = SecretStore(ledger, settings)
    store.put("NEW", "new-value", actor=ME)

    assert store.rotate(actor=ME, reason="yearly") == (["OLD"], [])
    assert store.rotate(actor=ME) == ([], [])
    assert [one.action for one in ledger.audit().items].count("secret.rotate") == 1
    monkeypatch.setenv(VARIABLE, TWO)
    assert resolver(settings, ledger, Clients()).resolve(["OLD", "NEW"]) == {"OLD": "old-value", "NEW": "new-value"}
    monkeypatch.setenv(VARIABLE, ONE)
    assert SecretStore(ledger, settings).rotate(actor=ME) == ([], ["NEW", "OLD"])
    monkeypatch.setenv(VARIABLE, TWO)
    _damage(ledger, "NEW")
    assert SecretStore(ledger, settings).rotate(actor=ME) == ([], ["NEW"])
    monkeypatch.setenv(VARIABLE, ONE)
    with pytest.raises(CannotUnseal, match="holds"):
        resolver(settings, ledger, Clients()).resolve(["OLD"])


def _damage(ledger: Ledger, name: str) -> None:
    """As a disk does, or somebody with an editor: even to what is no ASCII."""
    table = schema.secret
    changed = table.update().where(table.c.name == name).values(sealed="hg1.é.AAAA")
    wait_for(ledger.write(lambda batch: batch.connection.execute(changed).rowcount))


def test_a_key_that_is_gone_is_not_made_anew(settings: Settings, ledger: Ledger) -> None:
    """It would open nothing, and stand in the way of the one that is put back; only who sets a secret makes one."""
    SecretStore(ledger, settings).put("DB", "value-of-db", actor=ME)
    (settings.home / KEY_FILE).rename(settings.home / "elsewhere")
    store = SecretStore(ledger, settings)

    with pytest.raises(CannotUnseal, match=f"{KEY_FILE} is gone"):
        resolver(settings, ledger, Clients()).resolve(["DB"])
    for ask in (store.closed, lambda: store.rotate(actor=ME)):
        with pytest.raises(CannotUnseal, match="put it back"):
            ask()
    assert not (settings.home / KEY_FILE).exists()
    (settings.home / "elsewhere").rename(settings.home / KEY_FILE)
    assert store.closed() == []
    assert resolver(settings, ledger, Clients()).resolve(["DB"]) == {"DB": "value-of-db"}
    _damage(ledger, "DB")
    with pytest.raises(CannotUnseal, match="the secret DB"):
        resolver(settings, ledger, Clients()).resolve(["DB"])


def test_a_list_needs_no_key(settings: Settings, ledger: Ledger) -> None:
    """Nor is one made for looking."""
    store = SecretStore(ledger, settings)
    assert store.names() == []
    assert resolver(settings, ledger, Clients()).resolve([]) == {}
    assert not (settings.home / KEY_FILE).exists()


@pytest.mark.parametrize("value", ["", "a\0b", "x" * (LARGEST + 1), "\ud800"])
def test_what_is_no_value_is_refused(settings: Settings, ledger: Ledger, value: str) -> None:
    """Without being shown."""
    with pytest.raises(Invalid) as told:
        SecretStore(ledger, settings).put("A", value, actor=ME)
    assert "xxx" not in str(told.value)
    with pytest.raises(Invalid, match="no name"):
        SecretStore(ledger, settings).put("a/b", "value", actor=ME)


def test_readiness_warns_of_a_key_that_is_gone(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name, and before a run fails for it; without secrets nothing is asked of any key."""
    app = App.build(settings, worker=False, doors=False)
    app.ledger.open()
    try:
        assert app.readiness()["warnings"] == []
        assert not (settings.home / KEY_FILE).exists()
        monkeypatch.setenv(VARIABLE, ONE)
        SecretStore(ledger, settings).put("DB", "value-of-db", actor=ME)
        assert app.readiness()["warnings"] == []
    finally:
        app.ledger.close()
    monkeypatch.setenv(VARIABLE, TWO)
    after = App.build(settings, worker=False, doors=False)
    after.ledger.open()
    try:
        assert after.readiness()["warnings"] == ["1 secrets are sealed with a key that is not here: DB"]
    finally:
        after.ledger.close()
