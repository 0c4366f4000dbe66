"""This file is where a running server reads its headgate.yaml again: what follows, what waits, what is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from served import API, DATASET, PROJECT, World

from headgate.errors import LedgerUnavailable
from headgate.settings import load
from headgate.settings.again import needs_restart, read_again


@pytest.fixture
def file(world: World) -> Path:
    """The file of a server that reads it again, as `headgate serve` does."""
    world.gate.definitions.read_again = partial(read_again, world.settings, {})
    assert world.settings.config_file
    return world.settings.config_file


def changes(world: World, *, apply: bool = False) -> list[tuple[str, str, str]]:
    items = (world.post("/apply") if apply else world.get("/plan"))["items"]
    return [(one["kind"], one["name"], one["does"]) for one in items]


def edit(file: Path, *pairs: tuple[str, str]) -> None:
    text = file.read_text("utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, "utf-8")


EDITED = (
    ("max_retries: 1", "max_retries: 3"),
    ("  views:", '  new: {engine: local, command: ["true"]}\n  views:'),
    ('PROD)", job: ingest}', 'PROD)", job: new}\n  - {tag: "urn:li:tag:raw", job: views}'),
)  # fmt: skip
MADE = [("job", "ingest", "update"), ("job", "new", "create"),
        ("rule", "tag urn:li:tag:raw", "create"), ("rule", f"urn {DATASET}", "update")]  # fmt: skip


def test_what_the_plan_shows_of_an_edited_file_is_what_apply_does(world: World, file: Path) -> None:
    """Jobs and rules are in force with the answer; before it, nothing is."""
    edit(file, *EDITED)

    assert changes(world) == MADE
    assert world.gate.datasets.resolve(DATASET).job == "ingest", "a plan changes nothing"
    assert "new" not in world.ledger.refresh().jobs
    assert changes(world, apply=True) == MADE
    assert changes(world) == []
    assert world.gate.datasets.resolve(DATASET).job == "new"
    assert world.get("/jobs/ingest")["max_retries"] == 3
    assert world.start("new").job == "new"
    entries = [(one["action"], one["subject"], one["actor"]) for one in world.get("/audit")["items"]]
    actor = "urn:li:corpuser:local"
    for kind, name, does in MADE:
        assert (f"{kind}.{does}", name, actor) in entries


def test_where_a_rule_stands_is_no_change(world: World, file: Path) -> None:
    """A line more in the file changes no rule; the rule's place is the new one after `apply`."""
    before = world.gate.datasets.explain(DATASET)
    edit(file, ("datasets:", "# a line\ndatasets:"))
    assert changes(world) == []
    assert changes(world, apply=True) == []
    assert world.gate.datasets.explain(DATASET).message != before.message


def test_what_only_a_restart_puts_in_force_is_named_and_left(world: World, file: Path) -> None:
    """The rest of the file is applied; the setting is not, and stays named in /readyz until it is as it was."""
    text = f"{PROJECT}lease: 7s\nlake: {{catalog: other}}\ndatahub: {{strict: true}}\n"
    file.write_text(text.replace("max_retries: 1", "max_retries: 2"), "utf-8")

    waiting = [("setting", name, "restart") for name in ("datahub.strict", "lake.catalog", "lease")]
    assert changes(world, apply=True) == [("job", "ingest", "update"), *waiting]
    assert changes(world) == waiting, "applying does not make it so"
    assert (world.gate.settings.lease, world.gate.settings.datahub.strict) == (15.0, False)
    [warning] = world.gate.definitions.restart_warnings()
    assert "datahub.strict, lake.catalog, lease" in warning
    assert [one["after"]["value"] for one in world.get("/plan")["items"]] == [True, "other", 7.0]

    file.write_text(PROJECT, "utf-8")
    assert changes(world) == [("job", "ingest", "update")]
    assert world.gate.definitions.restart_warnings() == []


SECRETS = """
auth: {token: one-secret}
notify: [{webhook: "https://h.example/one-secret"}]
datahub: {gms_url: "http://u:right-secret@gms.example", token: one-secret}
"""


@pytest.mark.parametrize(
    ("changed", "names"),
    [("one-secret", {"auth.token", "datahub.token", "notify[0]"}), ("right-secret", {"datahub"})],
)
def test_a_secret_that_changed_is_named_and_not_shown(tmp_path: Path, changed: str, names: set[str]) -> None:
    """Tokens, addresses of notifications and passwords in URLs look the same masked; that they differ is told."""
    file = tmp_path / "headgate.yaml"
    file.write_text(SECRETS, "utf-8")
    began = load(file, {})
    file.write_text(SECRETS.replace(changed, "other-secret"), "utf-8")

    found = needs_restart(began, read_again(began, {}))
    assert {one.name for one in found} == names
    assert "-secret" not in repr(found)


def test_a_job_s_new_receiver_waits_for_a_restart(world: World, file: Path) -> None:
    """Who is told is built at the start, also where the job names it."""
    edit(file, ("description: Reads files.", "description: Reads files., notify: [{webhook: 'https://h.example/x'}]"))
    assert ("setting", "jobs.ingest.notify[0]", "restart") in changes(world)


WRONG = ["jobs: [", PROJECT.replace("max_retries: 1", "max_retries: many").replace("job: ingest}", "job: nobody}")]


@pytest.mark.parametrize("text", WRONG)
def test_a_file_that_is_wrong_is_refused_whole_with_its_places(world: World, file: Path, text: str) -> None:
    """400 for plan and apply, every place named; what was in force stays."""
    file.write_text(text.replace('views: {engine: local, command: ["true"]}\n', ""), "utf-8")
    jobs = dict(world.ledger.refresh().jobs)

    for method, path in (("GET", "/plan"), ("POST", "/apply")):
        answer = world.call(method, API + path, **({"json": {}} if method == "POST" else {}))
        assert answer.status_code == 400
        found: list[dict[str, Any]] = answer.json()["problems"]
        assert all(one["line"] and one["column"] and one["message"] for one in found)
        assert all(f"{file.name}:{one['line']}:{one['column']}: " in answer.json()["message"] for one in found)
    assert world.ledger.refresh().jobs == jobs
    assert world.gate.datasets.resolve(DATASET).job == "ingest"


def test_a_file_that_is_gone_takes_nothing_away(world: World, file: Path) -> None:
    """An editor that replaces the file, or a mount that is away: no empty configuration is applied."""
    jobs = dict(world.ledger.refresh().jobs)
    file.unlink()
    answer = world.call("POST", f"{API}/apply", json={})
    assert (answer.status_code, "headgate.yaml" in answer.json()["message"]) == (400, True)
    assert world.ledger.refresh().jobs == jobs


def test_a_caller_names_no_file(world: World, file: Path, tmp_path: Path) -> None:
    """Only the server's own file is read, whatever the call says."""
    other = tmp_path / "other.yaml"
    other.write_text("jobs: {}\n", "utf-8")
    for body in ({"config": str(other)}, {"path": str(other)}, {"file": str(other)}):
        assert world.call("POST", f"{API}/apply", json=body).status_code == 400
    answer = world.call("GET", f"{API}/plan", params={"config": str(other), "path": str(other)})
    assert answer.json()["items"] == []
    assert file.exists()


def test_a_ledger_that_is_away_leaves_the_rules_as_they_were(world: World, file: Path) -> None:
    """Nothing is half applied: the rules follow only once the jobs they start are there."""
    edit(file, *EDITED)
    world.ledger.close()
    with pytest.raises(LedgerUnavailable):
        world.gate.definitions.apply(everything=True, actor="ann")
    assert [one.job for one in world.gate.settings.rules] == ["ingest"]


def test_a_server_without_a_file_applies_what_it_began_with(world: World) -> None:
    """There is nothing to read again, so nothing is taken away."""
    jobs = set(world.ledger.refresh().jobs)
    world.gate.definitions.settings = replace(world.gate.settings, config_file=None)
    world.gate.definitions.read_again = partial(read_again, world.gate.settings, {})
    assert changes(world, apply=True) == []
    assert set(world.ledger.refresh().jobs) == jobs
