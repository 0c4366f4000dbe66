"""This file is where every ledger keeps rules and implied jobs: one a target, audited, seen by every replica."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from headgate.errors import NotFound
from headgate.flow.resolve import Rule, RuleKind, RuleSource
from headgate.flow.targets import implicit_job, parse_target
from headgate.ledger import rules
from headgate.ledger.catalogs import Declaration
from headgate.ledger.rows import job_spec
from headgate.ledger.rules import KeptRule
from headgate.ledger.store import wait_for
from headgate.model import Job, JobName, RunState

from .replica import Replica, Replicas, job

URN = "urn:li:dataset:(urn:li:dataPlatform:athena,c.d.t,PROD)"


def rule(value: str = URN, kind: RuleKind = RuleKind.URN, **target: str) -> Rule:
    return Rule(
        kind=kind,
        value=value,
        job=JobName(target["job"]) if "job" in target else None,
        function=target.get("function"),
        state_machine_arn=target.get("state_machine_arn"),
        region=target.get("region", ""),
        source=RuleSource.LEDGER,
    )


def put(replica: Replica, what: Rule, actor: str = "ann", reason: str | None = None) -> KeptRule:
    return wait_for(replica.ledger.write(lambda batch: rules.put(batch, what, actor=actor, reason=reason)))


def delete(replica: Replica, name: str) -> KeptRule:
    return wait_for(replica.ledger.write(lambda batch: rules.delete(batch, name, actor="bob", reason="gone")))


def kept(replica: Replica) -> list[KeptRule]:
    return replica.ledger.read(rules.read)


def test_a_rule_comes_back_as_it_was_given(ledger: Replica) -> None:
    """Each kind and each target, with who gave it, and its id as the place."""
    given = [
        rule(job="first"),
        rule("urn:li:tag:x", RuleKind.TAG, function="f", region="eu-west-1"),
        rule("athena:c.d", RuleKind.PREFIX, state_machine_arn="arn:x"),
        rule("", RuleKind.DEFAULT, function="g"),
    ]
    answers = [put(ledger, one) for one in given]
    found = kept(ledger)

    assert found == answers
    assert len({one.id for one in found}) == len(given)
    for before, after in zip(given, found, strict=True):
        assert (after.rule.kind, after.rule.value, after.rule.target, after.rule.region) == (
            before.kind, before.value, before.target, before.region,
        )  # fmt: skip
        assert after.rule.place == f"ledger:{after.id}"
        assert (after.rule.source, after.actor) == (RuleSource.LEDGER, "ann")


def test_there_is_one_rule_for_each_thing_covered(ledger: Replica) -> None:
    """A second one for the same dataset takes the first one's place, whatever it starts."""
    first = put(ledger, rule(job="first"))
    second = put(ledger, rule(function="f"), actor="bob")

    assert second.id == first.id
    assert [(one.rule.target, one.actor) for one in kept(ledger)] == [("Lambda f", "bob")]


def test_a_rule_is_deleted_by_id_or_by_what_it_covers(ledger: Replica) -> None:
    """The default by that word; one that is not there is NotFound, and the others stay."""
    one, two = put(ledger, rule(job="first")), put(ledger, rule("db", RuleKind.PREFIX, job="first"))
    default = put(ledger, rule("", RuleKind.DEFAULT, job="first"))

    with pytest.raises(NotFound):
        delete(ledger, "")
    assert delete(ledger, "default") == default
    assert delete(ledger, one.id) == one
    assert delete(ledger, "db") == two
    assert kept(ledger) == []
    for name in (one.id, "db", "default", ""):
        with pytest.raises(NotFound, match="headgate rules list"):
            delete(ledger, name)


def test_who_changed_a_rule_is_in_the_audit(ledger: Replica) -> None:
    """With what it started before and after, and why."""
    put(ledger, rule(job="first"), reason="new")
    put(ledger, rule(function="f", region="eu-west-1"))
    delete(ledger, URN)
    entries = [one for one in ledger.ledger.audit().items if one.action.startswith("rule.")]

    assert [(one.action, one.actor, one.reason, one.subject) for one in entries] == [
        ("rule.delete", "bob", "gone", f"urn {URN}"),
        ("rule.set", "ann", None, f"urn {URN}"),
        ("rule.set", "ann", "new", f"urn {URN}"),
    ]
    assert entries[1].detail == {"before": {"job": "first"}, "after": {"function": "f", "region": "eu-west-1"}}


def test_replicas_see_each_others_rules(replicas: Replicas) -> None:
    """The same rule set by all of them at once is one rule, and all of them read it."""
    those = [replicas.make() for _ in range(3)]
    barrier = threading.Barrier(len(those))

    def set_it(replica: Replica) -> str:
        barrier.wait()
        return put(replica, rule(function=f"f-{replica.id[-4:]}")).id

    with ThreadPoolExecutor(len(those)) as pool:
        ids = set(pool.map(set_it, those))
    seen = [kept(replica) for replica in those]

    assert len(ids) == 1
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) == 1


# -- the job a rule implies


def implied(text: str = "polygon-lambda") -> Job:
    target = parse_target(text, region="us-east-1")
    assert target is not None
    return implicit_job(target)


def test_an_implied_job_is_made_with_its_first_run(ledger: Replica) -> None:
    """In one transaction: the run is claimed at once. The second run uses the same job."""
    made = implied()
    first = ledger.ask(made.name, implicit=made)
    second = ledger.ask(made.name, implicit=made)

    assert job_spec(ledger.ledger.refresh().jobs[made.name]) == job_spec(made)
    assert {run.job for run in (first, second)} == {made.name}
    assert [run.id for run in ledger.claimed] == [first.id, second.id]
    assert first.state is RunState.STARTING
    assert [one.subject for one in ledger.ledger.audit().items if one.action == "job.create"].count(made.name) == 1


def test_a_job_that_is_not_implied_is_still_not_there(ledger: Replica) -> None:
    """Naming it is not enough."""
    with pytest.raises(NotFound):
        ledger.ask(implied().name)
    assert implied().name not in ledger.ledger.refresh().jobs


def test_an_implied_job_is_no_drift(ledger: Replica) -> None:
    """`plan` does not show it, and neither `serve` nor `apply` deletes it."""
    made = implied()
    ledger.declare([job("a")])
    ledger.ask(made.name, implicit=made)

    assert ledger.ledger.plan(Declaration({JobName("a"): job("a")}, {})) == []
    assert ledger.declare([job("a")]) == []
    assert made.name in ledger.ledger.refresh().jobs


def test_a_declared_job_of_that_name_is_taken(ledger: Replica) -> None:
    """Whoever wants another policy for a function declares it; a click changes nothing of that."""
    made = implied()
    own = job(made.name, max_concurrent_runs=7)
    ledger.declare([own])
    ledger.ask(made.name, implicit=made)

    assert ledger.ledger.refresh().jobs[made.name].max_concurrent_runs == 7


def test_an_implied_job_comes_back_when_it_is_named_again(ledger: Replica) -> None:
    """Deleted with the file that declared it, and then named by a rule."""
    made = implied()
    ledger.declare([job(made.name)])
    ledger.declare([])
    assert made.name not in ledger.ledger.refresh().jobs
    ledger.ask(made.name, implicit=made)

    assert job_spec(ledger.ledger.refresh().jobs[made.name]) == job_spec(made)


def test_replicas_that_imply_the_same_job_at_once_make_one(replicas: Replicas) -> None:
    """Every click gets its run, and there is one job."""
    those = [replicas.make() for _ in range(3)]
    made = implied("arn:aws:states:us-east-1:123456789012:stateMachine:earnings-ingest")
    barrier = threading.Barrier(len(those))

    def click(replica: Replica) -> str:
        barrier.wait()
        return replica.ask(made.name, implicit=made).id

    with ThreadPoolExecutor(len(those)) as pool:
        runs = list(pool.map(click, those))

    assert len(set(runs)) == len(those)
    for replica in those:
        assert job_spec(replica.ledger.refresh().jobs[made.name]) == job_spec(made)
        assert {run.id for run in replica.runs()} == set(runs)
