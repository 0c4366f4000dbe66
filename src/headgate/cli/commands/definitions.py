"""This file is where jobs and triggers are listed and triggers switched."""

from __future__ import annotations

from typing import Any

from headgate.cli import logs, session
from headgate.cli.client import Doc
from headgate.cli.options import AsOutput, Config, Reason, TriggerName
from headgate.cli.printing import Output, print_json, print_table, say
from headgate.cli.times import clock


def list_jobs(output: AsOutput = Output.TABLE, config: Config = None) -> None:
    """The jobs, with their policy and their newest run."""
    settings = session.settings(config)
    logs.of_command(settings)
    with session.reading(settings) as client:
        found = client.jobs()
    if output is Output.JSON:
        print_json(found)
        return
    rows = [
        [one["name"], one["engine"], one["max_concurrent_runs"], one["max_retries"],
         sum((one.get("runs") or {}).values()) or "", (one.get("last_run") or {}).get("state"),
         clock((one.get("last_run") or {}).get("created_at"))]
        for one in found
    ]  # fmt: skip
    columns = ["JOB", "ENGINE", "LIMIT", "RETRIES", "UNDER WAY", "LAST", "AT"]
    print_table(columns, rows, empty="No jobs. headgate.yaml declares them; `headgate init DIR` writes an example")


def list_triggers(output: AsOutput = Output.TABLE, config: Config = None) -> None:
    """The triggers, what each waits for, and what it starts; those on AWS Glue last."""
    settings = session.settings(config)
    logs.of_command(settings)
    with session.reading(settings) as client:
        found = client.triggers()
    if output is Output.JSON:
        print_json(found)
        return
    rows = [
        [one["name"], one["type"], one["state"] or "on AWS Glue", waits_for(one),
         ", ".join(action["job"] for action in one["actions"])]
        for one in found
    ]  # fmt: skip
    print_table(["TRIGGER", "TYPE", "STATE", "WHEN", "STARTS"], rows, empty="No triggers. headgate.yaml declares them")


def enable(trigger: TriggerName, reason: Reason = None, output: AsOutput = Output.TABLE, config: Config = None) -> None:
    """Let a trigger fire again. What passed while it was disabled is not made up."""
    _switch(trigger, True, reason, output, config)


def disable(
    trigger: TriggerName, reason: Reason = None, output: AsOutput = Output.TABLE, config: Config = None
) -> None:
    """Let a trigger fire no more; what it started goes on. Events are kept, each with why it was skipped."""
    _switch(trigger, False, reason, output, config)


def _switch(trigger: str, enabled: bool, reason: str | None, output: Output, config: Config) -> None:
    settings = session.settings(config)
    logs.of_command(settings)
    with session.writing(settings) as client:
        switched = client.switch(trigger, enabled=enabled, reason=reason)
    if output is Output.JSON:
        print_json(switched)
    else:
        say(f"{switched['name']} {switched['state']}")


def waits_for(trigger: Doc) -> str:
    """What must happen for the trigger to fire, in a few words."""
    if objects := trigger.get("objects"):
        suffixes = ",".join(objects["suffix"])
        return f"s3://{objects['bucket']}/{objects['prefix']}*{suffixes and f' ({suffixes})'}"
    if watch := trigger.get("catalog"):
        databases = ",".join(watch["databases"])
        return f"tables of {watch['name']}{databases and f' ({databases})'}"
    if trigger.get("schedule"):
        following = clock(trigger.get("next_tick"))
        return f"{trigger['schedule']} {trigger['timezone']}{following and f', next {following}'}"
    predicate: Any = trigger.get("predicate")
    if predicate:
        word = " and " if predicate["logical"] == "AND" else " or "
        return word.join(f"{one['job']} {one['state']}" for one in predicate["conditions"])
    return ""
