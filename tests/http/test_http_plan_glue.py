"""This file is where the plan on AWS Glue is asked of a server, which makes it with its own credentials."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from adopt.world import CREATED, ENVIRON, PROJECT, VIEWS
from fakes.glue_definitions import FakeGlue
from served import API, World, serving

from headgate.adopt import Adoption
from headgate.aws import Clients
from headgate.cli.remote import connected
from headgate.errors import Unavailable


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGlue]:
    fake = FakeGlue()
    with fake:
        for name, value in {**ENVIRON, "AWS_ENDPOINT_URL": fake.url}.items():
            monkeypatch.setenv(name, value)
        fake.jobs["views"] = dict(VIEWS)
        yield fake


def test_a_server_makes_glue_what_its_file_declares(tmp_path: Path, far: FakeGlue) -> None:
    """The plan, what was done, who did it; and what a client is told when AWS does not let the server look."""
    world = World(tmp_path, project=PROJECT)
    world.gate.definitions.adoption = Adoption(
        world.ledger, clients=Clients(environ=ENVIRON), environ=ENVIRON, pause=lambda _seconds: None
    )
    try:
        with serving(world) as url, connected(url, None) as client:
            found = client.plan_glue()
            assert [f"{one['does']} {one['kind']} {one['name']}" for one in found] == CREATED
            assert {one["on"] for one in found} == {"glue"}
            assert (far.changes(), client.plan()) == ([], [])
            there = [(one["name"], one["on"], one["state"], one["workflow"]) for one in client.triggers()]
            assert there == [("after", "glue", None, "w"), ("start", "glue", None, "w")]
            assert world.get("/triggers/after")["on"] == "glue"
            page = world.call("GET", "/headgate/").text
            assert "<b>after</b> <small>on AWS Glue</small>" in page
            assert len(client.apply_glue()) == len(CREATED)
            assert client.plan_glue() == []
            by = {(one["actor"], one["action"]) for one in world.get("/audit")["items"] if "glue" in one["action"]}
            assert by == {("urn:li:corpuser:local", f"glue.{kind}.create") for kind in ("workflow", "job", "trigger")}

            far.fault("GetJobs", "denied")
            answer = world.call("GET", f"{API}/plan/glue")
            assert (answer.status_code, "glue:GetJobs" in answer.json()["message"]) == (503, True)
            far.fault("GetJobs", "denied")
            with pytest.raises(Unavailable, match="not authorized"):
                client.apply_glue()
    finally:
        world.close()


def test_where_nothing_is_declared_nothing_is_asked(world: World) -> None:
    """No boto3, no credentials, no wait: most projects have nothing on Glue."""
    assert world.get("/plan/glue")["items"] == []
    assert world.call("POST", f"{API}/apply/glue").json()["items"] == []
