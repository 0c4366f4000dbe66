"""This file is where each reason for which a trigger does not fire is seeded, and has to be told first."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from doctor_world import World, world

from headgate.doctor import Finding, Rank
from headgate.doctor.case import read
from headgate.doctor.trigger import ENGINES, examine
from headgate.errors import NotFound
from headgate.ledger import glue
from headgate.ledger.glue import Told
from headgate.ledger.store import wait_for
from headgate.model import Action, JobName, RunState, Trigger, TriggerName, TriggerType
from headgate.settings.engines import ENGINES as SETTINGS_ENGINES

PROJECT = """\
jobs:
  first: {engine: local, command: ["true"]}
  second: {engine: local, command: ["true"]}
  third: {engine: local, command: ["true"]}
  strict: {engine: local, command: ["true"], queue: false}
triggers:
  uploaded: {type: EVENT, s3: {bucket: raw-data, prefix: collections-data/, suffix: [.csv]}, actions: [first]}
  settling: {type: EVENT, s3: {bucket: slow}, settle: 60s, actions: [second]}
  unqueued: {type: EVENT, s3: {bucket: tight}, actions: [strict]}
  odd: {type: EVENT, s3: {bucket: odd, prefix: odd/in/}, actions: [second]}
  after-first: {type: CONDITIONAL, predicate: {conditions: [{job: first, state: SUCCEEDED}]}, actions: [second]}
  after-both:
    type: CONDITIONAL
    predicate: {logical: AND, conditions: [{job: first, state: SUCCEEDED}, {job: third, state: SUCCEEDED}]}
    actions: [second]
  as-on-aws:
    {type: CONDITIONAL, conditional_fires_for: triggered, predicate: {conditions: [{job: third, state: SUCCEEDED}]},
     actions: [second]}
  nightly: {type: SCHEDULED, schedule: "cron(0 3 * * ? *)", timezone: UTC, missed: skip, actions: [first]}
  by-hand: {type: ON_DEMAND, actions: [first]}
"""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, PROJECT) as made:
        yield made


def first(found: list[Finding]) -> Finding:
    """The one that is told first. Its command is one that exists, or it says what to change."""
    assert found, "nothing was found"
    one = found[0]
    if one.mend.startswith("headgate "):
        assert_typed(one.mend)
    assert one.evidence
    return one


def assert_typed(line: str) -> None:
    """The command line is understood as far as its options and arguments go."""
    from headgate.cli.tree import command

    words = shlex.split(line.partition(";")[0].partition(" && ")[0])[1:]
    node = command()
    while words and words[0] in getattr(node, "commands", {}):
        node = node.commands[words.pop(0)]
    node.make_context("headgate", words)


def test_a_disabled_trigger_is_told_before_all_else(here: World) -> None:
    """With the command that enables it."""
    here.switch("after-first", on=False)
    found = first(here.diagnose("after-first"))

    assert (found.rank, found.mend) == (Rank.BROKEN, "headgate triggers enable after-first")
    assert "DEACTIVATED" in found.evidence


def test_a_trigger_on_glue_is_looked_for_there(tmp_path: Path) -> None:
    """Nothing here knows it; what headgate.yaml says against it comes first."""
    text = (
        "jobs: {a: {engine: glue, job_name: a}, b: {engine: glue, job_name: b}}\n"
        "triggers:\n  far: {type: CONDITIONAL, on: glue, predicate: {conditions: [{job: a, state: SUCCEEDED}]},"
        " actions: [b]}\n"
    )
    with world(tmp_path, text) as made:
        found = made.diagnose("far")

    assert [one.rank for one in found] == [Rank.LIKELY, Rank.NOTE]
    assert "runs that StartJobRun starts" in first(found).evidence
    assert_typed(found[1].mend)
    assert "fires on AWS Glue, and never here" in found[1].what


def test_the_upstream_job_that_failed_is_named_with_its_run(here: World) -> None:
    """The trigger waits for SUCCEEDED; the run, its error and how to read its log are told."""
    run = here.ended(here.started("first"), RunState.FAILED, "no such table")
    found = first(here.diagnose("after-first"))

    assert found.what == "first ended FAILED, and the trigger waits for SUCCEEDED"
    assert "no such table" in found.evidence
    assert found.mend.startswith(f"headgate runs logs {run.id}")


def test_a_state_that_never_comes_is_told_with_those_that_came(here: World) -> None:
    """Of several runs none ended as watched."""
    here.ended(here.started("first"), RunState.FAILED)
    here.ended(here.started("first"), RunState.TIMEOUT)

    assert "of its newest 2 runs none ended SUCCEEDED (FAILED, TIMEOUT)" in first(here.diagnose("after-first")).evidence


def test_an_upstream_that_never_ran_is_run(here: World) -> None:
    found = first(here.diagnose("after-first"))

    assert found.what == "it waits for first to end SUCCEEDED, and first never ran"
    assert found.mend == "headgate run first"


def test_an_upstream_under_way_is_waited_for(here: World) -> None:
    """It says in which state the run is."""
    here.started("first")

    assert first(here.diagnose("after-first")).what == "the newest run of first has not ended: it is RUNNING"


def test_a_run_by_hand_under_awss_rule_is_explained(here: World) -> None:
    """X-01: `triggered` counts only runs that a trigger started, and so does AWS Glue."""
    here.ended(here.started("third"))
    found = first(here.diagnose("as-on-aws"))

    assert found.rank is Rank.BROKEN
    assert "started directly" in found.what
    assert "AWS Glue does the same" in found.evidence
    assert "conditional_fires_for: any" in found.mend


def test_what_works_here_and_not_on_aws_is_noted(here: World) -> None:
    """X-01 from the other side: nothing is wrong here, so it is only a note."""
    here.ended(here.started("first"))
    [fired] = here.gate.ledger.runs(trigger="after-first").items
    here.ended(here.taken(fired))
    found = here.diagnose("after-first")

    assert {one.rank for one in found} == {Rank.NOTE}
    assert any("on AWS Glue itself" in one.what for one in found)


def test_half_met_conditions_name_what_is_missing(here: World) -> None:
    """AND: the latch of `first` is set, `third` is still waited for."""
    here.ended(here.started("third"), RunState.SUCCEEDED)
    found = [one for one in here.diagnose("after-both") if "half met" in one.what]

    assert found[0].what == "its conditions are half met: it still waits for first SUCCEEDED"
    assert found[0].mend == "headgate run first"


def test_an_end_while_disabled_does_not_count(here: World) -> None:
    """And is not made up by enabling."""
    here.switch("after-first", on=False)
    here.ended(here.started("first"))
    here.switch("after-first", on=True)
    found = first(here.diagnose("after-first"))

    assert "while the trigger was disabled" in found.what
    assert found.mend == "headgate run second"
    here.started("second")
    assert [one.what for one in here.diagnose("after-first") if one.rank is not Rank.NOTE] == []


def test_a_run_without_downstream_fires_nothing(here: World) -> None:
    """Until what would have followed is started by hand, as it says."""
    here.ended(here.started("first", downstream=False))

    found = first(here.diagnose("after-first"))
    assert ("without what follows" in found.what, found.mend) == (True, "headgate run second")
    here.started("second")
    assert [one.what for one in here.diagnose("after-first") if one.rank is not Rank.NOTE] == []


def test_a_prefix_that_is_right_for_others_is_not_taken_from_them(here: World) -> None:
    """Where the trigger has fired before, the object is what is wrong, and the file only if all come so."""
    here.uploaded("collections-data/a.csv")
    here.uploaded("Collections-Data/b.csv")

    mend = first(here.diagnose("uploaded")).mend
    assert mend.startswith("upload it again under s3://raw-data/collections-data/; or, if all are to come so: set s3.p")


@pytest.mark.parametrize(
    ("bucket", "key", "said", "mend"),
    [
        ("raw-data", "collections-data%2Fa.csv", "URL-encoded", "decoded"),
        ("raw-data", "Collections-Data/a.csv", "upper and lower case", "s3.prefix: Collections-Data/"),
        ("raw-data", "/collections-data/a.csv", "slash", "s3.prefix"),
        ("raw-data", "collections-data.csv", "slash", "s3.prefix"),
        ("raw-data", "colections-data/a.csv", "nearly so", "s3.prefix: colections-data/"),
        ("raw-data", "collections-data/a.tsv", "ends with none of .csv", "s3.suffix: [.csv, .tsv]"),
        ("raw-data", "collections-data/a.csv.gz", "one more ending", "s3.suffix: [.csv, .csv.gz]"),
        ("raw_data", "collections-data/a.csv", "its bucket is 'raw_data'", "s3.bucket: raw_data"),
    ],
)
def test_an_object_that_nearly_fits_is_told_with_the_difference(
    here: World, bucket: str, key: str, said: str, mend: str
) -> None:
    """Encoded, other case, slashes, one letter, other endings, another bucket; and how to let it happen again."""
    event = here.uploaded(key, bucket).event
    found = first(here.diagnose("uploaded"))

    assert said in found.what
    assert mend in found.mend + found.what
    assert f"s3://{bucket}/{key}" in found.evidence
    assert "URL-encoded" in said or f"headgate events replay {event}" in found.mend


def test_what_is_never_ingested_says_why(here: World) -> None:
    """An empty object, and one that is still being written."""
    here.uploaded("collections-data/a.csv", size=0)
    assert "empty" in first(here.diagnose("uploaded")).what
    here.uploaded("collections-data/b.csv.tmp")
    assert "unfinished" in first(here.diagnose("uploaded")).what


def test_another_kind_of_event_is_told(here: World) -> None:
    here.uploaded("collections-data/a.csv", kind="ObjectRemoved:Delete")

    assert "does not take that kind of event" in first(here.diagnose("uploaded")).what


def test_an_object_that_came_while_disabled_is_replayed(here: World) -> None:
    here.switch("uploaded", on=False)
    event = here.uploaded("collections-data/a.csv").event
    here.switch("uploaded", on=True)
    found = first(here.diagnose("uploaded"))

    assert (found.what, found.mend) == (
        "the trigger was disabled when the object came",
        f"headgate events replay {event}",
    )


def test_without_any_event_the_doors_are_named(here: World) -> None:
    found = first(here.diagnose("uploaded"))

    assert found.what == "no event of bucket 'raw-data' ever came"
    assert "POST /api/ingestion/events" in found.evidence
    assert found.mend == "headgate doctor s3"


def test_events_that_were_for_others_are_counted(here: World) -> None:
    here.uploaded("elsewhere/x.bin")

    assert first(here.diagnose("uploaded")).what.startswith("of the newest 1 events of bucket 'raw-data' none")


def test_a_prefix_that_no_key_begins_with_is_told(here: World) -> None:
    """The bucket's name is no part of a key."""
    found = first(here.diagnose("odd"))

    assert (found.rank, "s3.prefix: in/" in found.mend) == (Rank.BROKEN, True)


def test_a_workflows_event_trigger_without_its_tag_takes_nothing(here: World) -> None:
    """It is mended where it was made: through Glue's API."""
    actions = [Action(job=JobName("second"))]
    made = Trigger(name=TriggerName("arrived"), type=TriggerType.EVENT, actions=actions, workflow="w")
    told = Told(members={"Type": "EVENT"}, tags={})
    wait_for(here.ledger.write(lambda batch: glue.create_trigger(batch, made, told, actor="ann")))
    found = first(here.diagnose("arrived"))

    assert (found.rank, "headgate:s3" in found.evidence) == (Rank.BROKEN, True)
    assert found.mend.endswith(":trigger/arrived --tags-to-add headgate:s3=s3://BUCKET/PREFIX")


def test_what_fired_before_explains_away_what_was_skipped_earlier(here: World) -> None:
    """An old near miss is no reason any more."""
    here.uploaded("Collections-Data/a.csv")
    receipt = here.uploaded("collections-data/a.csv")
    here.ended(here.taken(here.ledger.run(str(receipt.decisions[0].run))))
    found = here.diagnose("uploaded")

    assert {one.rank for one in found} == {Rank.NOTE}


def test_an_open_settle_time_is_told(here: World) -> None:
    here.uploaded("a.csv", "slow")
    found = [one for one in here.diagnose("settling") if one.rank is Rank.LIKELY]

    assert "until its settle time is over" in found[0].what


def test_a_job_at_its_limit_names_who_holds_the_place(here: World) -> None:
    """With the command that frees it."""
    holding = here.started("first")
    here.uploaded("collections-data/a.csv")
    found = [one for one in here.diagnose("uploaded") if one.rank is Rank.LIKELY]

    assert "first is at its limit of 1" in found[0].what
    assert found[0].mend == f"headgate runs stop {holding.id}"


def test_a_limit_without_a_queue_is_told(here: World) -> None:
    """The run was refused, and stays so."""
    here.started("strict")
    here.uploaded("a.csv", "tight")
    found = [one for one in here.diagnose("unqueued") if one.rank is Rank.LIKELY]

    assert "does not queue" in found[0].what
    assert "queue: true" in found[0].mend


def test_a_run_that_fired_and_failed_is_told(here: World) -> None:
    receipt = here.uploaded("collections-data/a.csv")
    run = here.ended(here.taken(here.ledger.run(str(receipt.decisions[0].run))), RunState.FAILED, "boom")
    found = first(here.diagnose("uploaded"))

    assert found.evidence == "boom"
    assert found.mend == f"headgate runs logs {run.id}"


def test_a_job_that_is_gone_is_told(here: World) -> None:
    """At once at the trigger that starts it, and at the one that watches it."""
    here.ledger.delete_job("first", actor="ann").result(30)
    here.ledger.refresh()

    assert first(here.diagnose("uploaded")).what == "it starts the job 'first', and there is none"
    assert first(here.diagnose("after-first")).what == "it watches the job 'first', and there is none"


def test_a_missing_extra_is_told(here: World) -> None:
    """Where runs would happen in this Python."""
    case = read("uploaded", here.records, here.settings, datetime.now(UTC))
    job = {**case.jobs["first"], "engine": "glue"}
    found = list(examine(replace(case, jobs={**case.jobs, "first": job}, lacking=("aws",))))

    assert found[0].mend == "pip install 'headgate[aws]'"
    assert set(ENGINES) == set(SETTINGS_ENGINES)


def test_without_a_server_nothing_fires_by_itself(here: World) -> None:
    here.records.served = False

    assert first(here.diagnose("uploaded")).mend == "headgate serve"
    assert "no server" not in first(here.diagnose("after-first")).what


def test_without_a_worker_nothing_runs(here: World) -> None:
    """And a server that does not say how it is, is not taken for well."""
    here.records.says = {"workers": [{"alive": False}], "readiness": {"problems": ["the disk is full"]}}
    found = here.diagnose("uploaded")
    assert found[0].mend == "headgate worker"
    assert any(one.evidence == "the disk is full" for one in found)
    here.records.says = {}
    assert Rank.UNSEEN in {one.rank for one in here.diagnose("uploaded")}


def test_a_schedule_that_is_not_due_yet_says_when(here: World) -> None:
    found = first(here.diagnose("nightly"))

    assert found.what.startswith("it is due next at ")
    assert "03:00" in found.what


def test_missed_ticks_are_counted_with_the_policy(here: World) -> None:
    """Nobody was there for three days, and `missed: skip` drops what passed."""
    found = first(here.diagnose("nightly", at=datetime.now(UTC) + timedelta(days=3, minutes=5)))

    assert found.what.startswith(("3 of its times passed", "4 of its times passed"))
    assert "missed: skip" in found.evidence
    assert "missed: once" in found.mend


def test_a_schedule_in_another_zone_is_told(here: World) -> None:
    """In the zone of this machine it would have fired by now."""
    case = read("nightly", here.records, here.settings, datetime.now(UTC))
    at = datetime(2027, 1, 10, 2, 30, tzinfo=UTC)
    trigger = {**case.trigger, "last_tick": "2027-01-10T01:00:00.000000Z"}
    found = list(examine(replace(case, trigger=trigger, now=at, zone_here="Europe/Berlin")))

    assert found[0].what == "its times are in UTC; in Europe/Berlin it would have fired at 2027-01-10 02:00:00 UTC"
    assert "timezone: Europe/Berlin" in found[0].mend


def test_a_schedule_nobody_can_read_is_told(here: World) -> None:
    """A text, a zone and a year that are no good, as an API may have left them."""
    case = read("nightly", here.records, here.settings, datetime.now(UTC))
    for key, value, said in (
        ("schedule", "banana", "cannot be read"),
        ("timezone", "Europe/Atlantis", "is not known"),
        ("schedule", "cron(0 3 * * ? 2001)", "no next time"),
    ):
        trigger = {**case.trigger, key: value, "next_tick": None}
        assert said in next(iter(examine(replace(case, trigger=trigger)))).what


def test_on_demand_waits_for_somebody(here: World) -> None:
    """CREATED is its state for ever."""
    assert "its state stays CREATED" in first(here.diagnose("by-hand")).what
    here.gate.fire("by-hand", actor="ann")
    assert all("nobody ever did" not in one.evidence for one in here.diagnose("by-hand"))


def test_a_trigger_that_is_not_there(here: World) -> None:
    """A misspelt one is suggested; one that is declared and was deleted is applied."""
    with pytest.raises(NotFound, match="did you mean 'uploaded'"):
        here.diagnose("uplaoded")
    here.settings = replace(here.settings, triggers={**here.settings.triggers, "gone": here.settings.triggers["odd"]})  # type: ignore[dict-item] # a name
    assert first(here.diagnose("gone")).mend == "headgate apply"


def test_what_is_changed_in_the_file_is_applied(here: World) -> None:
    """`headgate apply` puts it in force, whether a server runs (which reads its file again) or not."""
    event = here.uploaded("Collections-Data/a.csv").event
    served = first(here.diagnose("uploaded")).mend
    here.records.served = False
    alone = next(one.mend for one in here.diagnose("uploaded") if "nearly fits" in one.what)

    change = "set s3.prefix: Collections-Data/ at triggers.uploaded in headgate.yaml"
    assert served == alone == f"{change}, then: headgate apply && headgate events replay {event}"
