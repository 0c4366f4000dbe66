"""This file is where DataHub misbehaves, and every call still ends soon, in an answer or in a clear error."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from fakes.gms import TOKEN, FakeGms
from fakes.gms_wire import How
from worlds import ARN, DATASET, OTHER, PROPERTY, QUICK, dataset, job, proposal

from headgate.datahub import GmsClient
from headgate.datahub.client import entity_type
from headgate.datahub.wire import Limits, _seconds  # pyright: ignore[reportPrivateUsage] # its dates need no server
from headgate.errors import Invalid, InvalidConfiguration, Unavailable
from headgate.ports import DataHub

CALLS: dict[str, Callable[[DataHub], object]] = {
    "dataset": lambda hub: hub.dataset(DATASET),
    "producers": lambda hub: hub.producers(DATASET),
    "produces": lambda hub: hub.produces(job("a"), DATASET),
    "property_of": lambda hub: hub.property_of(job("a"), PROPERTY),
    "aspect": lambda hub: hub.aspect(DATASET, "status"),
    "emit": lambda hub: hub.emit(dataset(OTHER)),
}
PASSING: list[How] = ["500", "502", "503", "504", "429", "disconnect", "truncated", "lost"]
LASTING: dict[How, str] = {
    "500": "answered 500",
    "503": "answered 503",
    "429": "answered 429",
    "disconnect": "broke off",
    "truncated": "broke off",
    "slow": "in time",
    "drip": "in time",
    "html": "is that address DataHub's",
    "not_json": "no JSON",
    "redirect": "answered 302",
    "huge": "more than 1 MB",
    "401": "DATAHUB_GMS_TOKEN",
}


@pytest.fixture
def filled(gms: FakeGms) -> FakeGms:
    gms.add_dataset(DATASET, ["urn:li:tag:a"])
    gms.add_job(job("a"), [DATASET])
    gms.add_run("r", parent=job("a"), outputs=[DATASET], at=1000)
    gms.define_property("awsStepFunctionArn")
    gms.set_property(job("a"), PROPERTY, ARN)
    return gms


class Pauses:
    """Waits for nothing, and notes how long it should have."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return False


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def patient(filled: FakeGms, pauses: Pauses) -> Iterator[GmsClient]:
    made = GmsClient(filled.url, authorization=f"Bearer {TOKEN}", limits=Limits(), sleep=pauses)
    yield made
    made.close()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("how", PASSING)
def test_trouble_that_passes_is_not_seen(filled: FakeGms, hub: GmsClient, how: How, call: str) -> None:
    """Two bad answers, and the third is as good as the first would have been."""
    expected = CALLS[call](hub)
    filled.misbehave("/", how, times=2, seconds=0.001)

    assert CALLS[call](hub) == expected


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("how", LASTING)
def test_trouble_that_lasts_is_said(filled: FakeGms, how: How, call: str) -> None:
    """Unavailable, within the time that a call may take, with what was seen; never an answer made up."""
    silence, whole = (0.2, 0.6) if how in ("slow", "drip") else (5.0, 20.0)
    limits = Limits(silence=silence, whole=whole, write=whole, pause=0.001, longest_pause=0.01, answer=1 << 20)
    hub = GmsClient(filled.url, authorization=f"Bearer {TOKEN}", limits=limits)
    filled.misbehave("/", how, times=100, seconds=0.001 if how in ("429", "503") else 5)
    began = time.monotonic()
    with pytest.raises(Unavailable, match=LASTING[how]) as caught:
        CALLS[call](hub)
    hub.close()

    assert time.monotonic() - began < whole + 4
    assert TOKEN not in str(caught.value)
    assert len(filled.requests) <= limits.tries


@pytest.mark.parametrize("call", CALLS)
def test_nobody_there_is_said(call: str) -> None:
    """A port at which nobody listens: the address is named."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        hub = GmsClient(f"http://127.0.0.1:{port}", limits=QUICK)
        with pytest.raises(Unavailable, match=rf"127\.0\.0\.1:{port} cannot be reached: nothing listens there"):
            CALLS[call](hub)
        hub.close()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (socket.gaierror(socket.EAI_NONAME, "?"), "gms.invalid:8080 cannot be reached: there is no such host"),
        (
            socket.gaierror(socket.EAI_AGAIN, "?"),
            "gms.invalid:8080 cannot be reached: its name cannot be looked up now",
        ),
    ],
    ids=["no such name", "no name server"],
)
def test_a_name_nobody_knows_is_told_from_a_port_nobody_listens_at(
    monkeypatch: pytest.MonkeyPatch, error: OSError, said: str
) -> None:
    """What to mend is another thing: the spelling, DNS, or the server."""

    def unknown(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    hub = GmsClient("http://gms.invalid:8080", limits=QUICK)
    with pytest.raises(Unavailable, match=said):
        hub.aspect(DATASET, "status")
    hub.close()


def test_a_server_without_tls_is_said(filled: FakeGms) -> None:
    """`https://` at a port that speaks plain HTTP, which is most often a copied address."""
    hub = GmsClient(filled.url.replace("http://", "https://"), limits=QUICK)
    with pytest.raises(Unavailable, match="cannot be reached: it is not trusted, or speaks no TLS"):
        hub.aspect(DATASET, "status")
    hub.close()


def test_a_pause_is_as_long_as_datahub_asks(filled: FakeGms, patient: GmsClient, pauses: Pauses) -> None:
    """Retry-After in seconds; without one the pauses double, with jitter."""
    filled.misbehave("/api/graphql", "429", times=1, seconds=3)
    patient.dataset(DATASET)
    assert pauses.seconds == [3.0]

    pauses.seconds.clear()
    filled.misbehave("/api/graphql", "500", times=3)
    patient.dataset(DATASET)
    assert [round(0.2 * 2**n, 1) * 0.5 <= one <= 0.2 * 2**n for n, one in enumerate(pauses.seconds)] == [True] * 3


def test_a_pause_that_is_too_long_is_not_waited(filled: FakeGms, patient: GmsClient, pauses: Pauses) -> None:
    """The outbox, or the person, comes back later; the text says when."""
    filled.misbehave("/api/graphql", "503", times=1, seconds=600)

    with pytest.raises(Unavailable, match="left alone for 600 s"):
        patient.dataset(DATASET)
    assert pauses.seconds == []


def test_retry_after_may_be_a_date() -> None:
    """HTTP allows both; what makes no sense counts as none."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)

    assert 55 < _seconds(soon) <= 60
    assert [_seconds(one) for one in ("", "soon", "-5", "7", "Mon, 99 Foo 2020 99:99:99 GMT")] == [0, 0, 0, 7, 0]


CLAIM = {"headers": {"If-Version-Match": "-1"}}


@pytest.mark.parametrize(
    "condition", [CLAIM, {"change_type": "CREATE"}, {"change_type": "CREATE_ENTITY"}], ids=["claim", "create", "entity"]
)
@pytest.mark.parametrize("how", ["lost", "disconnect", "500", "504", "slow"])
def test_a_write_with_a_condition_is_not_repeated_blindly(
    filled: FakeGms, hub: GmsClient, how: How, condition: dict[str, object]
) -> None:
    """The first may have been taken, and would make the second a lie: it is Unavailable, never refused."""
    filled.misbehave("/aspects", how, times=1, seconds=5.0)

    with pytest.raises(Unavailable):
        hub.emit([proposal(OTHER, "status", {"removed": False}, **condition)])
    assert len(filled.proposals) == 1


@pytest.mark.parametrize("how", ["429", "503"])
def test_a_write_with_a_condition_is_repeated_where_none_was_taken(filled: FakeGms, hub: GmsClient, how: How) -> None:
    """DataHub says that it did nothing."""
    filled.misbehave("/aspects", how, times=2, seconds=0.001)
    hub.emit([proposal(OTHER, "status", {"removed": False}, **CLAIM)])

    assert filled.aspects.get(OTHER, "status") == {"removed": False}


@pytest.mark.parametrize(
    ("code", "kind"), [(400, Invalid), (403, Unavailable), (404, None), (409, Invalid), (500, Unavailable)]
)
def test_graphql_errors_go_by_their_code(
    filled: FakeGms, hub: GmsClient, code: int, kind: type[Exception] | None
) -> None:
    """They come with status 200. Not found is an answer: the dataset is not there."""
    filled.misbehave("/api/graphql", "graphql_error", code=code)
    if kind is None:
        assert not hub.dataset(DATASET).exists
        return

    with pytest.raises(kind):
        hub.dataset(DATASET)


def test_what_datahub_refuses_says_why(filled: FakeGms, hub: GmsClient) -> None:
    """The entity, the aspect, and DataHub's own words; in a batch, how many came along."""
    unknown = {"properties": [{"propertyUrn": "urn:li:structuredProperty:nowhere", "values": [{"string": "x"}]}]}
    bad = proposal(job("b"), "structuredProperties", unknown)

    with pytest.raises(Invalid, match=r"structuredProperties of urn:li:dataJob.*no structured property"):
        hub.emit([bad])
    with pytest.raises(Invalid, match="one of 3 proposals"):
        hub.emit([*dataset(OTHER), bad])
    assert filled.aspects.get(OTHER, "status") is None


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("400", Invalid), ("404", Invalid), ("413", Invalid), ("422", Invalid),
        ("401", Unavailable), ("403", Unavailable), ("500", Unavailable), ("html", Unavailable),
    ],
)  # fmt: skip
def test_a_refusal_is_for_good_or_waits_for_somebody(
    filled: FakeGms, hub: GmsClient, how: How, kind: type[Exception]
) -> None:
    """What is wrong with the proposal stays wrong; a right that we lack can be given, and then it is written."""
    filled.misbehave("/aspects", how, times=9)
    with pytest.raises(kind):
        hub.emit(dataset(OTHER))

    filled.behave()
    hub.emit(dataset(OTHER))


def test_a_property_with_two_values_is_no_target(filled: FakeGms, hub: GmsClient) -> None:
    """Neither is taken at random: the text names the property and the job."""
    filled.set_property(job("a"), PROPERTY, ARN, ARN + "-2")

    with pytest.raises(Invalid, match="has 2 values"):
        hub.property_of(job("a"), PROPERTY)


def test_one_question_finds_a_property(filled: FakeGms, hub: GmsClient) -> None:
    """Exactly one read for the job; a bare id is taken for the property's URN."""
    filled.requests.clear()
    assert hub.property_of(job("a"), "awsStepFunctionArn") == ARN

    assert [one.operation for one in filled.requests] == ["dataJob"]
    assert filled.requests[0].body["variables"] == {"job": job("a")}


def test_a_job_is_found_behind_many_runs(filled: FakeGms, hub: GmsClient) -> None:
    """Runs produce, too, and may fill whole pages of the lineage before a job comes."""
    jobs_last = [job("z"), job("a")]
    for number in range(230):
        filled.add_run(f"n{number}", parent=None, outputs=[DATASET], at=number)
    filled.add_job(job("z"), [DATASET])

    assert sorted(hub.producers(DATASET)) == sorted(jobs_last)


def test_a_frontend_in_place_of_gms_is_noticed(filled: FakeGms) -> None:
    """The text says what the address should be."""
    wrong = GmsClient(filled.frontend_url, authorization=f"Bearer {TOKEN}", limits=QUICK)
    with pytest.raises(Unavailable, match="/api/gms"):
        wrong.config()
    with pytest.raises(Unavailable, match="is that address DataHub's"):
        wrong.aspect(DATASET, "status")
    wrong.close()


@pytest.mark.parametrize("url", ["http://", "ftp://host", "nonsense", "http://[::1", "http://host:99999/"])
def test_an_address_that_is_none_is_a_setting_that_is_wrong(url: str) -> None:
    """Said when the client is made, not at the first click."""
    with pytest.raises(InvalidConfiguration):
        GmsClient(url)


def test_closing_ends_a_wait(filled: FakeGms) -> None:
    """A process that ends does not sit out a pause of minutes."""
    hub = GmsClient(filled.url, authorization=f"Bearer {TOKEN}", limits=Limits(whole=500))
    filled.misbehave("/", "503", times=100, seconds=400)
    ended = threading.Event()
    said: list[str] = []

    def call() -> None:
        try:
            hub.dataset(DATASET)
        except Unavailable as error:
            said.append(str(error))
        ended.set()

    thread = threading.Thread(target=call)
    thread.start()
    until = time.monotonic() + 10
    while not filled.requests and time.monotonic() < until:
        time.sleep(0.005)
    hub.close()
    assert ended.wait(10)
    thread.join()
    assert "this process is ending" in said[0]
    with pytest.raises(Unavailable, match="closed"):
        hub.dataset(DATASET)


def test_answers_of_another_shape_are_no_crash(gms: FakeGms, hub: GmsClient) -> None:
    """An entity with none of its fields: nothing exists, nobody produces, no property."""
    gms.add_run("odd", parent=None, outputs=[DATASET], at=1)
    gms.aspects.put("urn:li:dataProcessInstance:odd", "dataProcessInstanceProperties", {})

    assert (hub.dataset(DATASET).exists, list(hub.producers(DATASET))) == (False, [])


@pytest.mark.parametrize(
    "urn", ["", "urn:li:dataset", "urn:li:dataset:", "urn:li::x", "dataset:(a)", "urn:lx:dataset:x"]
)
def test_a_type_is_read_from_a_urn_or_not_at_all(urn: str) -> None:
    """What has no type is refused with what one looks like."""
    assert entity_type(DATASET) == "dataset"
    with pytest.raises(Invalid, match="urn:li:dataset"):
        entity_type(urn)
