"""This file is where DataHub is asked for its secrets: as its system, as somebody who may not, and when it fails."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

import pytest
from fakes.gms import CLIENT_ID, CLIENT_SECRET, TOKEN, FakeGms
from fakes.gms_wire import How
from worlds import QUICK

from headgate.datahub.secrets import SecretReader
from headgate.datahub.wire import Limits
from headgate.errors import HeadgateError, MissingSecrets, SecretsDenied, Unavailable
from headgate.secrets import Secrets
from headgate.secrets.datahub import OfDataHub
from headgate.settings.record import DataHub, Secret

VALUE = "s3cr3t-of-datahub"


@pytest.fixture
def kept(gms: FakeGms) -> FakeGms:
    """A DataHub that has a hundred and twenty secrets."""
    for number in range(120):
        name = f"S{number}"
        value = {"name": name, "value": f"{VALUE}-{number}"}
        gms.aspects.put(f"urn:li:dataHubSecret:{name}", "dataHubSecretValue", value)
    return gms


#: Less patient still, for troubles that last.
SHORT = Limits(connect=0.5, silence=0.4, whole=1.0, pause=0.001, longest_pause=0.01, answer=1 << 20)
AS_SYSTEM: dict[str, Any] = {"client_id": CLIENT_ID, "client_secret": Secret(CLIENT_SECRET)}


def values(gms: FakeGms, *names: str, limits: Limits = QUICK, **credential: Any) -> Mapping[str, str]:
    """Ask with these credentials, else as the system."""
    reader = SecretReader(DataHub(gms_url=gms.url, **(credential or AS_SYSTEM)), limits=limits)
    try:
        return reader.values(names)
    finally:
        reader.close()


def test_the_system_is_told(kept: FakeGms) -> None:
    """Values by name, in portions; names it does not know are left out."""
    found = values(kept, *(f"S{number}" for number in range(120)), "NONE")

    assert found == {f"S{number}": f"{VALUE}-{number}" for number in range(120)}
    asked = [one.body["variables"]["input"]["secrets"] for one in kept.asked("getSecretValues")]
    assert [len(one) for one in asked] == [100, 21]


def test_the_system_client_goes_before_a_token(kept: FakeGms) -> None:
    """Of two credentials the one that is enough is shown; it goes as it is, not in base64."""
    more: dict[str, Any] = {"token": Secret(TOKEN), "client_id": CLIENT_ID, "client_secret": Secret(CLIENT_SECRET)}

    assert values(kept, "S1", **more) == {"S1": f"{VALUE}-1"}
    assert kept.requests[-1].headers["authorization"] == f"Basic {CLIENT_ID}:{CLIENT_SECRET}"
    assert kept.requests[-1].headers["user-agent"].startswith("headgate/")


def test_a_token_is_not_enough_and_that_is_explained(kept: FakeGms) -> None:
    """Since v1.6.0.6, whatever its privileges; DataHub's own error says nothing, so ours says what to do."""
    with pytest.raises(SecretsDenied) as told:
        values(kept, "S1", token=Secret(TOKEN))

    for word in (
        "S1",
        "1.6.0.6",
        "SECRET_SERVICE_CALLER_GUARD_MODE",
        "DATAHUB_SYSTEM_CLIENT_ID",
        "headgate secrets set",
    ):
        assert word in str(told.value)
    assert TOKEN not in str(told.value)


def test_a_token_of_a_system_user_is_enough(kept: FakeGms) -> None:
    """One whose corpUserInfo says so, with the privilege."""
    kept.add_user("sys", "urn:li:corpuser:ours", privileges=["MANAGE_SECRETS"])
    kept.aspects.put("urn:li:corpuser:ours", "corpUserInfo", {"active": True, "system": True})

    assert values(kept, "S1", token=Secret("sys")) == {"S1": f"{VALUE}-1"}


def test_without_the_privilege_it_is_named(kept: FakeGms) -> None:
    """The error that does say something."""
    kept.add_user("sys", "urn:li:corpuser:ours", privileges=[])
    kept.aspects.put("urn:li:corpuser:ours", "corpUserInfo", {"active": True, "system": True})

    with pytest.raises(SecretsDenied, match="MANAGE_SECRETS"):
        values(kept, "S1", token=Secret("sys"))


@pytest.mark.parametrize("more", [{"token": Secret("wrong-token")}, {"token": None}])
def test_a_wrong_credential_is_denied(kept: FakeGms, more: dict[str, Any]) -> None:
    """Or none at all."""
    with pytest.raises(SecretsDenied, match="does not take our credential") as told:
        values(kept, "S1", **more)
    assert "wrong-token" not in str(told.value)


@pytest.mark.parametrize("how", ["500", "502", "503", "429", "disconnect", "lost", "truncated"])
def test_a_passing_trouble_passes(kept: FakeGms, how: How) -> None:
    """To ask again does no harm."""
    kept.misbehave("/api/graphql", how, times=2, seconds=0.01)
    assert values(kept, "S1") == {"S1": f"{VALUE}-1"}


@pytest.mark.parametrize(
    "how", ["500", "503", "429", "disconnect", "slow", "drip", "html", "not_json", "redirect", "huge"]
)
def test_a_lasting_trouble_is_unavailable(kept: FakeGms, how: How) -> None:
    """And not a missing secret: the run waits."""
    kept.misbehave("/api/graphql", how, times=100)
    with pytest.raises(Unavailable):
        values(kept, "S1", limits=SHORT)


def test_it_is_a_provider_like_the_others(kept: FakeGms) -> None:
    """What it does not have is missing, with its address."""
    ours = SecretReader(DataHub(gms_url=kept.url, **AS_SYSTEM), limits=QUICK)
    secrets = Secrets([OfDataHub(ours.values, ours.place)])

    assert secrets.resolve(["S1"]) == {"S1": f"{VALUE}-1"}
    with pytest.raises(MissingSecrets, match=f"DataHub's secrets \\({ours.place}\\)"):
        secrets.resolve(["NONE"])
    assert CLIENT_SECRET not in repr(ours)
    ours.close()


def test_nothing_that_goes_wrong_tells_a_value(kept: FakeGms) -> None:
    """Answers cut off in the middle of the values are not quoted, as other answers are."""
    kept.misbehave("/api/graphql", "not_json", times=100)
    with pytest.raises(HeadgateError) as told:
        values(kept, "S1")
    assert "no JSON object, asked for secrets" in str(told.value)
    assert VALUE not in "".join(traceback.format_exception(told.value))
