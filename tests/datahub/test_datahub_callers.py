"""This file is where callers are verified with their own credential, by token and by session."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fakes.gms import CLIENT_ID, CLIENT_SECRET, TOKEN, FakeGms
from worlds import DATASET, OTHER, QUICK

from headgate.datahub import GmsClient, connect
from headgate.datahub.client import GRANTED_FOR, KNOWN_FOR
from headgate.datahub.remembered import Remembered
from headgate.errors import NotAuthenticated, Unavailable
from headgate.ports import Credential
from headgate.settings.record import DataHub as Settings
from headgate.settings.record import Secret

ALICE = "urn:li:corpuser:alice"
BEARER = Credential(authorization="Bearer alices")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(gms: FakeGms, clock: Clock) -> Iterator[GmsClient]:
    """A client whose memory goes by this clock."""
    gms.add_user("alices", ALICE, ["MANAGE_INGESTION"], {DATASET: ["EXECUTE_ENTITY", "VIEW_ENTITY_PAGE"]})
    made = GmsClient(gms.url, frontend_url=gms.frontend_url, authorization=f"Bearer {TOKEN}", limits=QUICK, clock=clock)
    yield made
    made.close()


def test_a_token_is_shown_to_gms(timed: GmsClient, gms: FakeGms) -> None:
    """The caller's own, and not ours; the answer is the actor and the privileges on the platform."""
    identity = timed.identify(BEARER)

    assert identity.actor == ALICE
    assert identity.privileges == {"MANAGE_INGESTION"}
    (asked,) = gms.asked("me")
    assert (asked.server, asked.path) == ("gms", "/api/graphql")
    assert asked.headers["authorization"] == "Bearer alices"
    assert "cookie" not in asked.headers


def test_a_session_is_shown_to_the_frontend(timed: GmsClient, gms: FakeGms) -> None:
    """The whole Cookie header, other cookies in it, too, and no credential of ours."""
    cookie = f"theme=dark; name=J\xf6rg; {gms.session(ALICE)}"  # bytes of somebody else's, as servers hand them on

    assert timed.identify(Credential(cookie=cookie)).actor == ALICE
    (asked,) = gms.asked("me")
    assert (asked.server, asked.path) == ("frontend", "/api/v2/graphql")
    assert asked.headers["cookie"] == cookie
    assert "authorization" not in asked.headers


def test_with_both_the_token_counts(timed: GmsClient, gms: FakeGms) -> None:
    """A token that DataHub refuses is not mended by a session that came along."""
    with pytest.raises(NotAuthenticated):
        timed.identify(Credential(authorization="Bearer forged", cookie=gms.session(ALICE)))


@pytest.mark.parametrize(
    "forged",
    [
        "PLAY_SESSION=play-0-alice; actor=urn:li:corpuser:datahub",
        "PLAY_SESSION=play-0-alice",
        f"actor={ALICE}",
        "PLAY_SESSION=made-up; actor=urn:li:corpuser:alice",
    ],
    ids=["another actor", "no actor", "no session", "made up"],
)
def test_a_forged_session_is_nobody(timed: GmsClient, gms: FakeGms, forged: str) -> None:
    """Both cookies must be there and agree; DataHub judges that, not we."""
    assert gms.session(ALICE).startswith("PLAY_SESSION=play-0-alice")

    with pytest.raises(NotAuthenticated):
        timed.identify(Credential(cookie=forged))


@pytest.mark.parametrize(
    "shown",
    [
        "", "Bearer", "Bearer  ", "alices", f"Basic {CLIENT_ID}:{CLIENT_SECRET}", "Bearer a\r\nX-DataHub-Actor: b",
        "Bearer a\x00", "Bearer " + "a" * 40_000, "Bearer ключ",
    ],
)  # fmt: skip
def test_what_is_no_token_is_never_sent(timed: GmsClient, gms: FakeGms, shown: str) -> None:
    """Nothing, another scheme (the system client's, too), line ends, endless ones: nobody, and DataHub is not asked."""
    with pytest.raises(NotAuthenticated):
        timed.identify(Credential(authorization=shown))
    assert gms.requests == []


def test_a_session_needs_the_frontend(gms: FakeGms) -> None:
    """Without its address nobody can say whose session it is; the text says which setting that is."""
    gms.add_user("alices", ALICE)
    alone = GmsClient(gms.url, limits=QUICK)
    with pytest.raises(NotAuthenticated, match=r"datahub\.frontend_url"):
        alone.identify(Credential(cookie=gms.session(ALICE)))
    alone.close()


def test_an_identity_is_known_for_a_while(timed: GmsClient, gms: FakeGms, clock: Clock) -> None:
    """One call for many clicks; a token that was taken back is noticed after that while."""
    for _ in range(5):
        timed.identify(BEARER)
    assert len(gms.asked("me")) == 1

    gms.forget_user("alices")
    clock.now += KNOWN_FOR + 1
    with pytest.raises(NotAuthenticated):
        timed.identify(BEARER)


def test_nobody_is_not_remembered(timed: GmsClient, gms: FakeGms) -> None:
    """Who was refused and then made known is let in at once."""
    with pytest.raises(NotAuthenticated):
        timed.identify(Credential(authorization="Bearer bobs"))
    gms.add_user("bobs", "urn:li:corpuser:bob")

    assert timed.identify(Credential(authorization="Bearer bobs")).actor == "urn:li:corpuser:bob"


def test_privileges_are_asked_with_the_callers_own_credential(timed: GmsClient, gms: FakeGms, clock: Clock) -> None:
    """For this dataset; remembered shortly, so that what is granted now counts soon."""
    identity = timed.identify(BEARER)
    assert timed.privileges(BEARER, identity, DATASET) == {"EXECUTE_ENTITY", "VIEW_ENTITY_PAGE"}
    assert timed.privileges(BEARER, identity, DATASET) == {"EXECUTE_ENTITY", "VIEW_ENTITY_PAGE"}
    assert timed.privileges(BEARER, identity, OTHER) == frozenset()

    asked = gms.asked("getGrantedPrivileges")
    assert [one.body["variables"] for one in asked] == [
        {"actor": ALICE, "dataset": DATASET},
        {"actor": ALICE, "dataset": OTHER},
    ]
    assert {one.headers["authorization"] for one in asked} == {"Bearer alices"}
    gms.add_user("alices", ALICE, grants={})
    clock.now += GRANTED_FOR + 1
    assert timed.privileges(BEARER, identity, DATASET) == frozenset()


def test_who_may_not_ask_has_no_privileges(timed: GmsClient, gms: FakeGms) -> None:
    """DataHub's UNAUTHORIZED to the question is an answer: none."""
    identity = timed.identify(BEARER)
    gms.misbehave("/api/graphql", "graphql_error", code=403, operation="getGrantedPrivileges")

    assert timed.privileges(BEARER, identity, DATASET) == frozenset()


def test_a_token_taken_back_forgets_the_identity(timed: GmsClient, gms: FakeGms) -> None:
    """It shows at the question for privileges, though the identity would still be known."""
    identity = timed.identify(BEARER)
    gms.forget_user("alices")
    with pytest.raises(NotAuthenticated):
        timed.privileges(BEARER, identity, DATASET)

    with pytest.raises(NotAuthenticated):
        timed.identify(BEARER)


@pytest.mark.parametrize("how", ["500", "html", "truncated", "disconnect", "not_json", "redirect"])
def test_a_datahub_that_is_ill_is_no_verdict(timed: GmsClient, gms: FakeGms, how: str) -> None:
    """Neither let in nor told to log in: unavailable, for tokens and for sessions."""
    gms.misbehave("graphql", how, times=20)  # type: ignore[arg-type] # one of its words

    for credential in (BEARER, Credential(cookie=gms.session(ALICE))):
        with pytest.raises(Unavailable):
            timed.identify(credential)


@pytest.mark.parametrize("code", [401, 403, 404])
def test_a_me_that_is_refused_is_nobody(timed: GmsClient, gms: FakeGms, code: int) -> None:
    """GraphQL says it with status 200."""
    gms.misbehave("/api/graphql", "graphql_error", code=code)

    with pytest.raises(NotAuthenticated):
        timed.identify(BEARER)


def test_many_at_once_are_each_themselves(gms: FakeGms) -> None:
    """The pool and the memories are shared by threads: nobody becomes somebody else."""
    for number in range(24):
        gms.add_user(f"t{number}", f"urn:li:corpuser:u{number}", grants={"*": [f"P{number}"]})
    shared = GmsClient(gms.url, limits=QUICK)

    def one(number: int) -> tuple[str, frozenset[str]]:
        credential = Credential(authorization=f"Bearer t{number % 24}")
        identity = shared.identify(credential)
        return identity.actor, shared.privileges(credential, identity, DATASET)

    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(one, range(96)))
    shared.close()
    assert found == [(f"urn:li:corpuser:u{number % 24}", frozenset({f"P{number % 24}"})) for number in range(96)]


def test_only_a_frontend_reaches_gms_through_it(gms: FakeGms) -> None:
    """`<frontend>/api/gms` stands for GMS, with our token."""
    gms.add_dataset(DATASET)
    made = connect(Settings(frontend_url=gms.frontend_url + "/", token=Secret(TOKEN)))

    assert made.dataset(DATASET).exists
    assert made.version() == gms.version
    made.close()
    assert {one.server for one in gms.requests} == {"frontend"}
    assert [one.path for one in gms.requests] == ["/api/gms/api/graphql", "/api/gms/config"]


def test_the_system_client_is_shown_as_it_is(gms: FakeGms) -> None:
    """`Basic id:secret`, not in base64; a token, where there is one, wins over it."""
    gms.add_dataset(DATASET)
    system = Settings(gms_url=gms.url, client_id=CLIENT_ID, client_secret=Secret(CLIENT_SECRET))
    both = Settings(gms_url=gms.url, client_id="x", client_secret=Secret("y"), token=Secret(TOKEN))
    for settings in (system, both):
        made = connect(settings)
        assert made.dataset(DATASET).exists
        made.close()

    shown = [one.headers["authorization"] for one in gms.requests]
    assert shown == [f"Basic {CLIENT_ID}:{CLIENT_SECRET}", f"Bearer {TOKEN}"]


def test_no_secret_shows(gms: FakeGms) -> None:
    """Not in a repr, not in what an error says: neither our token, nor the caller's, nor the address's password."""
    with_password = gms.url.replace("http://", "http://gate:hush-hush@")
    made = connect(Settings(gms_url=with_password, token=Secret("our-own-token")))
    credential = Credential(authorization="Bearer callers-token", cookie="PLAY_SESSION=callers-cookie")
    said = [repr(made), repr(credential), repr(made.__dict__)]
    for call in (lambda: made.identify(credential), lambda: made.dataset(DATASET)):
        with pytest.raises((NotAuthenticated, Unavailable)) as caught:
            call()
        said.append(repr(caught.value))
    made.close()

    hidden = ("hush-hush", "callers-token", "callers-cookie", "our-own-token")
    assert not [secret for secret in hidden for text in said[:2] + said[3:] if secret in text]


def test_a_password_in_the_address_is_for_the_proxy_before_datahub(gms: FakeGms) -> None:
    """It is shown where nothing else is, and any credential wins over it."""
    gms.auth = False
    gms.add_dataset(DATASET)
    made = GmsClient(gms.url.replace("http://", "http://gate:pass@"), limits=QUICK)
    assert made.dataset(DATASET).exists
    made.close()

    assert gms.requests[0].headers["authorization"] == "Basic Z2F0ZTpwYXNz"


def test_a_session_that_an_answer_sets_is_nobody_elses(gms: FakeGms) -> None:
    """The frontend renews cookies; the next caller, who comes with a token, is not taken for the one before."""
    gms.add_user("alices", ALICE)
    gms.add_user("bobs", "urn:li:corpuser:bob")
    cookie = gms.session(ALICE)
    gms.set_cookie = cookie.split("; ")[0] + "; Path=/"
    through = GmsClient("", frontend_url=gms.frontend_url, limits=QUICK)
    actors = [
        through.identify(one).actor
        for one in (Credential(cookie=cookie), Credential(authorization="Bearer alices"),
                    Credential(authorization="Bearer bobs"))
    ]  # fmt: skip
    through.close()

    assert actors == [ALICE, ALICE, "urn:li:corpuser:bob"]
    assert [one.headers.get("cookie") for one in gms.requests] == [cookie, None, None]


def test_where_datahub_verifies_nobody_no_token_counts() -> None:
    """With authentication off in GMS any token is the system's; a session of the frontend still is somebody's."""
    with FakeGms(auth=False) as open_to_all:
        open_to_all.add_user("alices", ALICE)
        made = GmsClient(open_to_all.url, frontend_url=open_to_all.frontend_url, limits=QUICK)
        with pytest.raises(NotAuthenticated, match="METADATA_SERVICE_AUTH_ENABLED"):
            made.identify(Credential(authorization="Bearer anything"))
        assert made.identify(Credential(cookie=open_to_all.session(ALICE))).actor == ALICE
        made.close()


def test_memory_is_bounded(clock: Clock) -> None:
    """The oldest goes when it is full, and what is out of date is not answered."""
    kept: Remembered[int] = Remembered(10.0, most=3, clock=clock)
    for number in range(5):
        kept.put(number, "key", str(number))

    assert [kept.get("key", str(number)) for number in range(5)] == [None, None, 2, 3, 4]
    clock.now += 11
    assert kept.get("key", "4") is None
    assert kept.get("ke", "y4") is None
    assert len(kept) == 2
