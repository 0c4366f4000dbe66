"""This file is where catalogs are looked at: what is news, who looks, and what one may do instead of answering."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import boto3
import pytest
from fakes.glue_catalog import FAULTS, FakeGlue
from hypothesis import given
from hypothesis import strategies as st
from journeys.world import until
from services.moto import CREDENTIALS, REGION, moto
from structlog.testing import capture_logs

from headgate.aws import Clients
from headgate.catalog import Catalog
from headgate.doors.catalog import Broken, CatalogDoor, Inside, Look, Turn
from headgate.doors.catalog.glue import look_at_glue
from headgate.doors.catalog.iceberg import look_at_s3
from headgate.doors.catalog.reading import changes, event_of, marks
from headgate.errors import LedgerUnavailable
from headgate.model import Action, CatalogWatch, Event, Job, JobName, Trigger, TriggerName, TriggerType

JOB = Job(name=JobName("refresh"), engine="local", target={"command": ["true"]})
GLUE = CatalogWatch(kind="glue", region=REGION)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def watching(watch: CatalogWatch = GLUE, **more: Any) -> Trigger:
    return Trigger(
        name=TriggerName("changed"), type=TriggerType.EVENT, catalog=watch, actions=[Action(job=JOB.name)], **more
    )


class Within:
    """A ledger that does as it is told, and remembers."""

    def __init__(self) -> None:
        self.triggers: list[Trigger] = [watching()]
        self.names: dict[str, str] = {}
        self.comparable = self.ever = False
        self.events: list[Event] = []
        self.fail: list[Exception] = []  #: what the next hand-overs fail with
        self.turns: list[Turn] = []  #: the next answers; else it is ours
        self.put_off: list[float] = []
        self.kept: list[frozenset[str]] = []
        self.broken: list[Exception] = []  #: what the next writes fail with

    def inside(self) -> Inside:
        return Inside(
            catalog=lambda: Catalog.of(1, [JOB], self.triggers),
            turn=lambda _name, _every: self.turns.pop(0) if self.turns else Turn(True),
            seen=lambda _: (self.comparable, self.ever, dict(self.names)),
            accept=self._accept,
            remember=self._remember,
            looked=self._looked,
            put_off=lambda _, seconds: _done(self.put_off.append(seconds)),
            keep_only=self._keep_only,
        )

    def _keep_only(self, names: Collection[str]) -> Future[None]:
        if self.broken:
            raise self.broken.pop()
        return _done(self.kept.append(frozenset(names)))

    def _accept(self, events: Sequence[Event]) -> Future[None]:
        if self.fail:
            failed: Future[None] = Future()
            failed.set_exception(self.fail.pop(0))
            return failed
        return _done(self.events.extend(events))

    def _remember(self, _: str, found: Mapping[str, str], gone: Collection[str]) -> Future[None]:
        self.names.update(found)
        for name in gone:
            del self.names[name]
        return _done(None)

    def _looked(self, _: str) -> Future[None]:
        self.comparable = self.ever = True
        return _done(None)

    def told(self) -> list[tuple[str, str]]:
        """What happened since it was last asked, in the order of names."""
        found = [(one.kind.removeprefix("Table"), one.object.key) for one in self.events if one.object]
        self.events.clear()
        return sorted(found, key=lambda one: one[1])


def _done(_: object) -> Future[None]:
    future: Future[None] = Future()
    future.set_result(None)
    return future


@pytest.fixture
def within() -> Within:
    return Within()


def look(tables: Mapping[str, str], **unread: str) -> Look:
    databases = sorted({name.partition(".")[0] for name in tables} - set(unread))
    return Look(tables=tables, databases=databases, unread=unread)


# -- what is news


def test_the_first_look_is_no_news(within: Within) -> None:
    """What is there already is what later looks are compared with."""
    seen = {"a.t": "1"}
    door = CatalogDoor(within.inside(), lambda _: look(seen))
    first = door.look(watching(), GLUE)
    seen |= {"a.t": "2", "a.u": "1"}
    second = door.look(watching(), GLUE)

    assert (first, second, door.look(watching(), GLUE)) == (0, 2, 0)
    assert within.told() == [("Updated", "a.t"), ("Created", "a.u")]


def test_the_first_look_may_be_asked_for(within: Within) -> None:
    """With at_first_start, once: not again when the trigger has been switched off and on."""
    door, trigger = CatalogDoor(within.inside(), lambda _: look({"a.t": "1"})), watching(at_first_start=True)
    door.look(trigger, GLUE)
    first = within.told()
    within.comparable, within.names = False, {}
    door.look(trigger, GLUE)

    assert (first, within.told()) == ([("Created", "a.t")], [])


def test_a_removed_table_is_news_to_those_who_want_it(within: Within) -> None:
    """By default it is not."""
    within.comparable = within.ever = True
    within.names = {"a.t": "1", "a.u": "1"}
    wants = CatalogWatch(kind="glue", region=REGION, changes=("removed",))
    door = CatalogDoor(within.inside(), lambda _: look({"a.t": "2"}))
    door.look(watching(wants), wants)

    assert within.told() == [("Removed", "a.u")]
    assert within.names == {"a.": "read", "a.t": "2"}


def test_a_crash_before_it_is_remembered_finds_it_again(within: Within) -> None:
    """With the same identity, which the ledger knows."""
    within.comparable, within.names = True, {"a.t": "1"}
    door = CatalogDoor(within.inside(), lambda _: look({"a.t": "2"}))
    door.look(watching(), GLUE)
    within.names = {"a.t": "1"}  # as if nothing had been remembered
    door.look(watching(), GLUE)
    first, second = within.events

    assert (first.identity, first.object) == (second.identity, second.object)
    assert (first.door, first.object and first.object.uri) == ("catalog", "glue:us-east-1/a.t")


def test_a_refused_hand_over_is_not_remembered(within: Within) -> None:
    """A ledger that is away gets it at the next look."""
    within.comparable, within.names = True, {"a.t": "1"}
    within.fail.append(LedgerUnavailable("away"))
    door = CatalogDoor(within.inside(), lambda _: look({"a.t": "2"}))
    with pytest.raises(LedgerUnavailable):
        door.look(watching(), GLUE)
    door.look(watching(), GLUE)

    assert within.told() == [("Updated", "a.t")]


def test_a_database_that_cannot_be_read_is_left_as_it_was(within: Within) -> None:
    """Its tables are not gone meanwhile; and what is in one that was never read is not news once it can be."""
    within.comparable, within.names = True, {"a.t": "1", "b.": "unread"}
    wants = CatalogWatch(kind="glue", region=REGION, changes=("created", "updated", "removed"))
    looks = [look({"b.v": "1"}, a="AccessDeniedException"), look({"a.t": "2", "b.v": "1", "b.w": "1"})]
    door = CatalogDoor(within.inside(), lambda _: looks.pop(0))
    door.look(watching(wants), wants)
    first, problems = within.told(), door.problems()
    door.look(watching(wants), wants)

    assert first == []
    assert problems == [
        "trigger changed: a database of its catalog cannot be read: AccessDeniedException;"
        " the server's log has the names"
    ]
    assert (within.told(), door.problems()) == ([("Updated", "a.t"), ("Created", "b.w")], [])


TABLES = st.dictionaries(st.sampled_from(["a.t", "a.u", "b.v", "b.c.w"]), st.sampled_from(["1", "2"]))


@given(st.lists(st.tuples(TABLES, st.sets(st.sampled_from(["a", "b", "b.c"]))), min_size=2, max_size=6))
def test_news_are_what_differs(looks: list[tuple[dict[str, str], set[str]]]) -> None:
    """Whatever is read and unread in between: once all is read, what is remembered is what is there; and a look that
    finds nothing new has no news.
    """
    names: dict[str, str] = {}
    tables: dict[str, str] = {}
    for tables, unread in [*looks, (looks[-1][0], set[str]())]:
        databases = {"a", "b", "b.c"}
        of = {name: name.rpartition(".")[0] for name in tables}
        found = Look(
            tables={name: version for name, version in tables.items() if of[name] not in unread},
            databases=sorted(databases - unread),
            unread=dict.fromkeys(unread, "denied"),
        )
        for change in list(changes(names, found)):
            if change.removed:
                del names[change.table]
        names.update({**found.tables, **marks(names, found)})
        again = list(changes(names, found))
        assert not [one for one in again if one.table.rpartition(".")[0] not in unread]

    assert {name: said for name, said in names.items() if not name.endswith(".")} == tables


def test_an_event_is_told_by_catalog_table_and_version() -> None:
    """And a removal from the version it removes."""
    look_a = Look(tables={"a.t": "1"}, databases=["a"])
    (created,) = changes({}, look_a)
    (removed,) = changes({"a.t": "1"}, Look(tables={}, databases=["a"]))
    other = CatalogWatch(kind="glue", region="eu-west-1")
    identities = {event_of(watch, one, NOW).identity for watch in (GLUE, other) for one in (created, removed)}

    assert len(identities) == 4
    assert event_of(GLUE, created, NOW).identity == event_of(GLUE, created, datetime.now(UTC)).identity


# -- the loop


def test_the_door_looks_when_it_is_its_turn(within: Within) -> None:
    """Not while another replica does; then it does, and goes on."""
    within.turns = [Turn(False, 0.02), Turn(True)]
    looked = threading.Event()

    def read(_: CatalogWatch) -> Look:
        assert not within.turns
        looked.set()
        return look({"a.t": "1"})

    door = CatalogDoor(within.inside(), read, tick=0.01)
    door.start()
    try:
        until(looked.is_set, "its turn")
        until(lambda: within.comparable, "the look to be remembered")
    finally:
        door.close()

    assert within.kept == [frozenset({"changed"})]


def test_a_catalog_that_is_away_is_left_alone_longer_and_longer(within: Within) -> None:
    """Its trouble is in /readyz without a name of AWS's, and goes when it is back."""
    watch = CatalogWatch(kind="glue", region=REGION, every=0.01)
    within.triggers = [watching(watch)]
    troubles = [Broken("ThrottlingException", "arn:aws:…: slow down", 0.03), Broken("x", "y"), LedgerUnavailable("z")]
    said: list[list[str]] = []

    def read(_: CatalogWatch) -> Look:
        said.append(door.problems())
        if troubles:
            raise troubles.pop(0)
        return look({"a.t": "1"})

    door = CatalogDoor(within.inside(), read, tick=0.005, jitter=lambda _least, most: most)
    door.start()
    try:
        until(lambda: within.comparable and not door.problems(), "a look that goes well")
    finally:
        door.close()

    assert said[1] == ["trigger changed: its catalog cannot be looked at (ThrottlingException)"]
    assert within.put_off[:3] == [0.03, 0.02, 0.04]


def test_a_mistake_ends_nothing(within: Within) -> None:
    """Other catalogs are looked at, the same one later; and it is told. Nor does a ledger that is away end the door."""
    reads: list[str] = []
    other = CatalogWatch(kind="iceberg", place="lake")
    within.triggers = [watching(), replace(watching(other), name=TriggerName("other"))]
    within.broken = [LedgerUnavailable("away")]

    def read(watch: CatalogWatch) -> Look:
        reads.append(watch.kind)
        if watch.kind == "glue":
            raise RuntimeError("a mistake")
        return look({})

    door = CatalogDoor(within.inside(), read, tick=0.005)
    door._closing = _Impatient(door._closing)  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue] - its pauses are no wait here
    with capture_logs():  # to draw a traceback takes a second
        door.start()
        try:
            until(lambda: "iceberg" in reads, "the other catalog's turn")
            problems = door.problems()
        finally:
            door.close()

    assert (reads[0], within.put_off != []) == ("glue", True)
    assert problems == ["trigger changed: a mistake of ours at its catalog: RuntimeError; the server's log says where"]


class _Impatient:
    """An event whose waiters wait a moment at most."""

    def __init__(self, of: threading.Event) -> None:
        self._of = of

    def wait(self, seconds: float) -> bool:
        return self._of.wait(min(seconds, 0.01))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)


def test_a_trigger_that_is_off_is_not_looked_at_and_forgotten(within: Within) -> None:
    """What happens meanwhile is not made up."""
    reads: list[int] = []

    def read(_: CatalogWatch) -> Look:
        reads.append(1)
        return look({})

    door = CatalogDoor(within.inside(), read, tick=0.005)
    within.triggers = [watching(enabled=False)]
    door.start()
    try:
        until(lambda: within.kept == [frozenset()], "it to be forgotten")
        within.triggers = [watching()]
        until(lambda: reads, "a look")
    finally:
        door.close()

    assert within.kept == [frozenset(), frozenset({"changed"})]


# -- Glue and S3


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with moto() as url, pytest.MonkeyPatch.context() as patched:
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": url}.items():
            patched.setenv(name, value)
        yield url


@pytest.fixture(scope="module")
def clients(aws: str) -> Clients:
    del aws
    return Clients()


def client(url: str, service: str) -> Any:
    return boto3.client(
        service, endpoint_url=url, region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing"
    )


def test_glues_tables_have_versions(aws: str, clients: Clients, within: Within) -> None:
    """moto's: those of the databases that are watched; each change of a table is a new version."""
    glue = client(aws, "glue")
    for database in ("sales", "raw_a", "hr"):
        glue.create_database(DatabaseInput={"Name": database})
        for name in ("t7", "t8") if database == "sales" else ("t0",):
            glue.create_table(DatabaseName=database, TableInput={"Name": name})
    watch = CatalogWatch(kind="glue", region=REGION, databases=("sales", "raw_*"))
    door = CatalogDoor(within.inside(), lambda one: look_at_glue(clients, one))
    door.look(watching(watch), watch)
    count = len([name for name in within.names if not name.endswith(".")])
    glue.update_table(DatabaseName="sales", TableInput={"Name": "t7", "Description": "changed"})
    glue.delete_table(DatabaseName="sales", Name="t8")
    glue.create_table(DatabaseName="sales", TableInput={"Name": "t8"})
    glue.create_table(DatabaseName="raw_a", TableInput={"Name": "new"})
    glue.create_table(DatabaseName="hr", TableInput={"Name": "new"})
    glue.create_database(DatabaseInput={"Name": "raw_b"})
    glue.create_table(DatabaseName="raw_b", TableInput={"Name": "t"})
    glue.close()
    door.look(watching(watch), watch)

    assert count == 3
    assert within.told() == [
        ("Created", "raw_a.new"), ("Created", "raw_b.t"), ("Updated", "sales.t7"), ("Updated", "sales.t8"),
    ]  # fmt: skip


class Played:
    """A Glue that a test gives its tables, and what calls it; one for all tests, since its client takes its time."""

    def __init__(self, fake: FakeGlue) -> None:
        self.fake = fake
        self.clients = Clients()

    def has(self, tables: Mapping[str, Sequence[str]]) -> None:
        self.fake.databases = {name: {} for name in tables}
        self.fake.tables = {name: [{"Name": one} for one in names] for name, names in tables.items()}
        self.fake.failing = None
        self.fake.forget_pages()

    def fails(self, fault: str, *, at: str) -> None:
        """What is asked of this database goes wrong."""
        self.fake.failing = lambda operation, asked, _: (
            fault if operation == "GetTables" and asked["DatabaseName"] == at else None
        )


@pytest.fixture(scope="module")
def glue() -> Iterator[Played]:
    with FakeGlue({}, {}) as fake, pytest.MonkeyPatch.context() as patched:
        patched.setattr("headgate.doors.catalog.glue._TRIES", 1)
        played = Played(fake)
        with pytest.MonkeyPatch.context() as environment:
            for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL_GLUE": fake.url}.items():
                environment.setenv(name, value)
            look_at_glue(played.clients, GLUE)  # its client is made now, and keeps to this address
        yield played


def test_all_pages_are_read(glue: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of databases and of tables; a list that does not end is not believed."""
    glue.has({f"d{number}": ["t"] for number in range(120)} | {"x": [f"t{number}" for number in range(230)]})
    found = look_at_glue(glue.clients, CatalogWatch(kind="glue", region=REGION, databases=("d119", "x*")))
    endless = (200, b'{"TableList": [{"Name": "t"}], "NextToken": "same"}')
    monkeypatch.setitem(cast("dict[str, Any]", FAULTS), "endless", endless)
    glue.fails("endless", at="x")
    with pytest.raises(Broken, match="does not end"):
        look_at_glue(glue.clients, CatalogWatch(kind="glue", region=REGION, databases=("x",)))

    assert len(found.tables) == 231


def test_a_database_that_is_not_there_is_said(clients: Clients) -> None:
    """Where it is named; the others are read."""
    found = look_at_glue(clients, CatalogWatch(kind="glue", region=REGION, databases=("sales", "salse")))

    assert (found.databases, found.unread) == (["sales"], {"salse": "there is no such database"})
    assert "sales.t7" in found.tables


@pytest.mark.parametrize(
    ("fault", "word"),
    [("throttle", "ThrottlingException"), ("error", "InternalServiceException"), ("lost", "ConnectionClosedError"),
     ("html", "ResponseParserError"), ("other", "no answer of AWS's")],
)  # fmt: skip
def test_a_glue_that_misbehaves_is_not_believed(glue: Played, fault: str, word: str) -> None:
    """Whatever it does at the third call: nothing is taken for gone, and the reason is one word."""
    glue.has({"a": ["t"], "b": ["t"], "c": ["t"]})
    glue.fails(fault, at="b")
    with pytest.raises(Broken) as raised:
        look_at_glue(glue.clients, GLUE)

    assert raised.value.word == word


def test_a_database_that_is_denied_is_left_out(glue: Played) -> None:
    """It is named with AWS's word, and the others are read."""
    glue.has({"a": ["t"], "b": ["t"]})
    glue.fails("denied", at="a")
    found = look_at_glue(glue.clients, GLUE)

    assert (set(found.tables), found.unread) == ({"b.t"}, {"a": "AccessDeniedException"})


def test_iceberg_tables_are_found_by_their_metadata(aws: str, clients: Clients, within: Within) -> None:
    """By version-hint.text or the newest metadata file, at any depth that is meant; data is not looked at."""
    s3 = client(aws, "s3")
    s3.create_bucket(Bucket="lake")

    def put(*keys: str) -> None:
        for key in keys:
            s3.put_object(Bucket="lake", Key=key, Body=key.encode())

    put(
        "wh/sales/orders/metadata/v1.metadata.json",
        "wh/sales/orders/metadata/v2.metadata.json",
        "wh/sales/orders/data/x.parquet",
        "wh/sales/items/metadata/00001-aa.metadata.json",
        "wh/sales/items/metadata/00000-bb.metadata.json",
        "wh/sales/none/readme.txt",
        "other/x/metadata/v1.metadata.json",
    )
    s3.put_object(Bucket="lake", Key="wh/sales/orders/metadata/version-hint.text", Body=b"2")
    watch = CatalogWatch(kind="iceberg", place="s3://lake/wh")
    door = CatalogDoor(within.inside(), lambda one: look_at_s3(clients, one))
    door.look(watching(watch), watch)
    first = {name: version for name, version in within.names.items() if not name.endswith(".")}
    put(
        "wh/sales/items/metadata/00002-cc.metadata.json",
        "wh/sales/items/data/y.parquet",
        "wh/hr/people/metadata/00000-dd.metadata.json",
    )
    s3.put_object(Bucket="lake", Key="wh/sales/orders/metadata/version-hint.text", Body=b"3")
    door.look(watching(watch), watch)
    with pytest.raises(Broken, match="NoSuchBucket"):
        look_at_s3(clients, CatalogWatch(kind="iceberg", place="s3://gone/wh"))
    s3.close()

    assert set(first) == {"sales.orders", "sales.items"}
    assert first["sales.items"] == "00001-aa.metadata.json"
    assert within.told() == [("Created", "hr.people"), ("Updated", "sales.items"), ("Updated", "sales.orders")]
