"""This file is where it is tested that everything wrong with headgate.yaml is said, with its place and its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgate.errors import InvalidConfiguration
from headgate.settings import InvalidSettings, load

JOBS = """\
jobs:
  a: {engine: local, run: m.f}
  b: {engine: local, run: m.f}
  c: {engine: local, run: m.f}
"""

# Each pair is what is written (in a line) and, indented below it, a part of what is said about it.

A_JOB = """
{run: m.f}
    2:6: jobs.a: expected the key 'engine', one of local, recipe
{engin: local}
    did you mean 'engin'?
{engine: locl}
    2:15: jobs.a.engine: expected one of local, recipe, step_functions, lambda, glue, found 'locl'; did you mean
{engine: local}
    2:6: jobs.a: engine local needs exactly one of run or command or script, found none
{engine: local, run: m.f, script: x.py}
    found both run and script
{engine: local, run: f}
    2:27: jobs.a.run: expected a function as module.function, found 'f'
{engine: local, command: ls}
    2:31: jobs.a.command: expected a list of a program and its arguments
{engine: local, command: []}
    command needs at least the program to start
{engine: local, command: [a, {}]}
    2:35: jobs.a.command: expected a text, found a mapping
{engine: local, script: ''}
    2:30: jobs.a.script: expected a path, found ''
{engine: local, run: m.f, env: [A=1]}
    2:38: jobs.a.env: expected the name of an environment variable
{engine: local, run: m.f, env: [HEADGATE_TOKEN]}
    jobs.a.env: expected the name of an environment variable, other than our own HEADGATE_*, found 'HEADGATE_TOKEN'
{engine: local, command: ['', x]}
    command needs at least the program to start
{engine: local, run: m.f, memory: lots}
    2:40: jobs.a.memory: expected a size of at least 1M such as 512M or 2G, found 'lots'
{engine: local, run: m.f, cpu: 0}
    2:37: jobs.a.cpu: expected a number of cores such as 0.5 or 2, at most 1024, found '0'
{engine: local, run: m.f, max_retires: 1}
    2:32: there is no key 'max_retires' in jobs.a; did you mean 'max_retries'?
{engine: local, run: m.f, max_retries: 11}
    2:45: jobs.a.max_retries: expected a whole number from 0 to 10
{engine: local, run: m.f, max_retries: 1.5}
    found '1.5'
{engine: local, run: m.f, max_concurrent_runs: 0}
    2:53: jobs.a.max_concurrent_runs: expected a whole number of at least 1, found '0'
{engine: local, run: m.f, queue: maybe}
    2:39: jobs.a.queue: expected true or false, found 'maybe'
{engine: local, run: m.f, timeout: 0}
    2:41: jobs.a.timeout: expected a duration above zero
{engine: local, run: m.f, timeout: 5 parsecs}
    found '5 parsecs'
{engine: local, run: m.f, timeout: }
    jobs.a.timeout: expected a duration above zero such as 90 (seconds), 60m or 2h, or none for no limit, found nothing
{engine: local, run: m.f, retry: 3s}
    2:39: jobs.a.retry: expected a mapping of base, factor and cap
{engine: local, run: m.f, retry: {bas: 1s}}
    there is no key 'bas' in jobs.a.retry; did you mean 'base'?
{engine: local, run: m.f, retry: {base: 2h}}
    2:39: jobs.a.retry: base is longer than cap
{engine: local, run: m.f, retry: {factor: 0.5}}
    2:48: jobs.a.retry.factor: expected a number of at least 1
{engine: local, run: m.f, arguments: [a]}
    2:43: jobs.a.arguments: expected a mapping of --names to texts
{engine: local, run: m.f, arguments: {table: x}}
    2:44: jobs.a.arguments: a name begins with two dashes; did you mean '--table'?
{engine: local, run: m.f, arguments: {--a: }}
    jobs.a.arguments.--a: expected text, found nothing
{engine: local, run: m.f, arguments: {--a: [1]}}
    2:49: jobs.a.arguments.--a: expected text, found a list
{engine: local, run: m.f, state_machine_arn: x}
    2:32: there is no key 'state_machine_arn' in jobs.a; it is for engine step_functions
{engine: step_functions, state_machine_arn: x}
    2:50: jobs.a.state_machine_arn: expected an ARN such as
{engine: step_functions}
    2:6: jobs.a: engine step_functions needs state_machine_arn, found none
{engine: lambda, function: f, function_name: f}
    found both function and function_name
{engine: glue, job_name: g, region: here}
    2:42: jobs.a.region: expected an AWS region such as us-east-1
{engine: recipe}
    engine recipe needs recipe, found none
{engine: local, run: m.f, notify: {}}
    2:40: jobs.a.notify: expected a list of {on, url}
{engine: local, run: m.f, notify: [x]}
    2:41: jobs.a.notify[0]: expected a mapping, found 'x'
{engine: local, run: m.f, notify: [{on: [FAILED]}]}
    expected exactly one of url and webhook
{engine: local, run: m.f, notify: [{on: [FAILD], url: 'a://b'}]}
    2:47: jobs.a.notify[0].on: expected one of RECOVERED, ERROR, EXPIRED, FAILED, STOPPED, SUCCEEDED, TIMEOUT
{engine: local, run: m.f, notify: [{url: nowhere}]}
    2:47: jobs.a.notify[0].url: expected an apprise URL
{engine: local, run: m.f, notify: [{url: 'a://b', template: x}]}
    only a webhook has a template
local
    2:6: jobs.a: expected a mapping, found 'local'
"""

A_TRIGGER = """
{actions: [a]}
    6:6: triggers.t: expected the key 'type', one of ON_DEMAND, SCHEDULED, CONDITIONAL, EVENT
{type: BANANA, actions: [a]}
    6:13: triggers.t.type: expected one of ON_DEMAND
{type: ON_DEMAND}
    6:6: triggers.t: expected at least one job in 'actions'
{type: ON_DEMAND, actions: []}
    6:33: triggers.t: expected at least one job in 'actions'
{type: ON_DEMAND, actions: a}
    6:33: triggers.t.actions: expected a list of job names or of
{type: ON_DEMAND, actions: [aa]}
    6:34: triggers.t: there is no job 'aa'; did you mean 'a'?
{type: ON_DEMAND, actions: [a, a]}
    6:37: triggers.t: the job 'a' stands twice in 'actions'
{type: ON_DEMAND, actions: [[a]]}
    6:34: triggers.t.actions[0]: expected a job's name or
{type: ON_DEMAND, actions: [{jop: a}]}
    triggers.t.actions[0]: expected the key 'job', a text that is not empty; did you mean 'jop'?
{type: ON_DEMAND, actions: [{job: a, timeout: none}]}
    triggers.t.actions[0].timeout: expected a duration
{type: ON_DEMAND, actions: [{job: a, arguments: {x: 1}}]}
    did you mean '--x'?
{type: ON_DEMAND, actions: [a], schedule: rate(1 hour)}
    6:38: there is no key 'schedule' in triggers.t; it is for SCHEDULED triggers
{type: ON_DEMAND, actions: [a], enabled: perhaps}
    triggers.t.enabled: expected true or false
{type: SCHEDULED, actions: [a]}
    triggers.t: expected the key 'schedule'
{type: SCHEDULED, actions: [a], schedule: banana}
    6:48: triggers.t: schedule
{type: SCHEDULED, actions: [a], schedule: 'cron(* * * * * *)'}
    6:48: triggers.t: schedule
{type: SCHEDULED, actions: [a], schedule: rate(1 hour), timezone: Europe/Berln}
    6:72: triggers.t: there is no time zone 'Europe/Berln'; did you mean 'Europe/Berlin'?
{type: SCHEDULED, schedule: rate(1 day), at_first_start: maybe, actions: [a]}
    triggers.t.at_first_start: expected true or false
{type: SCHEDULED, schedule: rate(1 day), actions: [{job: a, from_result: {--x: y}}]}
    triggers.t: the action 'a' has from_result, and only a CONDITIONAL trigger has results
{type: CONDITIONAL, predicate: {conditions: [{job: b, state: FAILED}]}, actions: [{job: a, from_result: {x: y}}]}
    triggers.t.actions[0].from_result: a name begins with two dashes; did you mean '--x'?
{type: CONDITIONAL, predicate: {conditions: [{job: b, state: FAILED}]}, actions: [{job: a, from_result: {--x: ''}}]}
    triggers.t.actions[0].from_result.--x: expected a text that is not empty
{type: SCHEDULED, actions: [a], schedule: rate(1 hour), timezone: Europe}
    there is no time zone 'Europe'
{type: SCHEDULED, actions: [a], schedule: rate(1 hour), missed: some}
    expected one of skip, once, all
{type: EVENT, actions: [a]}
    6:6: triggers.t: an EVENT trigger needs s3 with a bucket
{type: EVENT, actions: [a], s3: {prefix: x}}
    6:38: triggers.t.s3: expected the key 'bucket'
{type: EVENT, actions: [a], s3: {bucket: 's3://b'}}
    6:47: triggers.t.s3.bucket: expected a bucket's name, without s3:// and without a slash, found 's3://b'
{type: EVENT, actions: [a], s3: {bucket: b, sufix: .csv}}
    there is no key 'sufix' in triggers.t.s3; did you mean 'suffix'?
{type: EVENT, s3: {bucket: b}, every: 60s, actions: [a]}
    triggers.t: every is for triggers with a catalog
{type: EVENT, s3: {bucket: b}, catalog: {glue: {}}, actions: [a]}
    triggers.t: an EVENT trigger has s3 or a catalog, not both
{type: EVENT, catalog: , actions: [a]}
    triggers.t.catalog: expected a mapping with glue or iceberg
{type: EVENT, catalog: {glue: {}, iceberg: lake}, actions: [a]}
    triggers.t.catalog: expected one of glue and iceberg, found both
{type: EVENT, catalog: {changes: [created]}, actions: [a]}
    triggers.t.catalog: expected one of glue and iceberg, found neither
{type: EVENT, catalog: {glue: {regoin: x}}, actions: [a]}
    there is no key 'regoin' in triggers.t.catalog.glue; did you mean 'region'?
{type: EVENT, catalog: {glue: {}, changes: [delete]}, actions: [a]}
    triggers.t.catalog.changes: expected one of created, updated, removed, found 'delete'
{type: EVENT, catalog: {iceberg: wherever}, actions: [a]}
    triggers.t.catalog.iceberg.location: expected lake, or s3://bucket/prefix, found 'wherever'
{type: EVENT, catalog: {iceberg: {region: eu-west-1}}, actions: [a]}
    triggers.t.catalog.iceberg: expected the key 'location'
{type: EVENT, catalog: {glue: {}}, every: 500ms, actions: [a]}
    triggers.t.every: expected a duration of at least a second such as 60s or 5m, found '500ms'
{type: EVENT, actions: [a], s3: {bucket: b, events: [Put]}}
    expected an S3 event such as ObjectCreated:*
{type: EVENT, actions: [a], s3: {bucket: b}, max_objects: 10001}
    expected a whole number from 1 to 10000
{type: EVENT, actions: [a], s3: {bucket: b}, settle: soon}
    triggers.t.settle: expected a duration
{type: CONDITIONAL, actions: [b]}
    6:6: triggers.t: a CONDITIONAL trigger needs a predicate
{type: CONDITIONAL, actions: [b], predicate: {conditions: []}}
    expected at least one condition
{type: CONDITIONAL, actions: [b], predicate: {conditions: [{job: a}]}}
    6:65: triggers.t.predicate.conditions[0]: expected the key 'state', one of STOPPED, SUCCEEDED, FAILED, TIMEOUT
{type: CONDITIONAL, actions: [b], predicate: {conditions: [{job: a, state: RUNNING}]}}
    6:81: triggers.t.predicate.conditions[0].state: expected one of STOPPED, SUCCEEDED, FAILED, TIMEOUT, found 'RUNNING'
{type: CONDITIONAL, actions: [b], predicate: {conditions: [{job: x, state: FAILED}]}}
    there is no job 'x'
{type: CONDITIONAL, actions: [b], predicate: {logical: OR, conditions: [{job: a, state: FAILED}]}}
    triggers.t.predicate.logical: expected one of AND, ANY, found 'OR'
{type: CONDITIONAL, actions: [c], predicate: {conditions: [{job: a, state: FAILED}, {job: a, state: STOPPED}]}}
    6:90: triggers.t.predicate: a job is watched for one state, 'a' stands here twice
{type: CONDITIONAL, actions: [a], predicate: {conditions: [{job: a, state: FAILED}]}}
    6:35: triggers.t: the job 'a' is both watched and started by this trigger
{type: CONDITIONAL, actions: [b], predicate: {conditions: [{job: a, state: FAILED}]}, conditional_fires_for: all}
    triggers.t.conditional_fires_for: expected one of any, triggered, found 'all'
"""

THE_TOP = """
trigers: {}
    5:1: there is no key 'trigers' at the top of the file; did you mean 'triggers'?
triggers: [a]
    5:11: triggers: expected a mapping of names to triggers, found a list
datasets: {}
    5:11: datasets: expected a list of rules, found a mapping
datasets: [x]
    5:12: datasets[0]: expected a mapping, found 'x'
datasets: [{job: a}]
    5:12: datasets[0]: expected exactly one of urn, tag, prefix, default, found none
datasets: [{default: true}]
    expected exactly one of job, lambda, state_machine_arn, found none
datasets: [{default: true, job: a, lambda: f}]
    found job and lambda
datasets: [{default: false, job: a}]
    5:22: datasets[0].default: expected true, found 'false'
datasets: [{default: true, job: aa}]
    5:33: datasets[0]: there is no job 'aa'; did you mean 'a'?
datasets: [{tag: layer.raw, job: a}]
    5:18: datasets[0].tag: expected a tag's URN such as urn:li:tag:layer.raw
datasets: [{urn: 'urn:li:dataset:x', job: a}]
    5:18: 'urn:li:dataset:x': what follows
datasets: [{prefix: x, job: a}, {prefix: x, job: b}]
    5:33: datasets[1]: there is a rule for the same prefix already, at headgate.yaml:5:12
inboxes: {b: }
    inboxes.b: expected a path, found nothing
inboxes: {b: ./x, c: ./x/y}
    5:22: inboxes.c: the folder overlaps with the inbox b
inboxes: {b: .headgate}
    5:14: inboxes.b: the folder overlaps with the home
inboxes: {b/c: ./x}
    5:11: inboxes: expected a bucket's name, without s3:// and without a slash, found 'b/c'
port: 99999
    5:7: port: expected a whole number from 0 to 65535, found '99999'
database_url: postgres://u:geheim@h/d
    5:15: database_url: expected sqlite:////absolute
retention_days: 0
    5:17: retention_days: expected a whole number from 1
lease: -1s
    5:8: lease: expected a duration above zero
conditional_fires_for: some
    5:24: conditional_fires_for: expected one of any, triggered
log: {levl: info}
    5:7: there is no key 'levl' in log; did you mean 'level'?
auth: secret
    5:7: auth: expected a mapping of token and events_token
datahub: {gms: x}
    there is no key 'gms' in datahub; did you mean 'gms_url'?
datahub: {gms_url: localhost}
    5:20: datahub.gms_url: expected an http or https URL, found 'localhost'
datahub: {job_arn_property: 'urn:li:tag:x'}
    expected the URN of a structured property
datahub: {allow: {arn: []}}
    there is no key 'arn' in datahub.allow; did you mean 'arns'?
datahub: {cors_origins: ['*']}
    expected an origin such as https://datahub.example.com, found '*'
"""


def pairs(table: str) -> list[tuple[str, str]]:
    lines = [line for line in table.splitlines() if line]
    return [(written, said.strip()) for written, said in zip(lines[::2], lines[1::2], strict=True)]


def problems(folder: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    """What is wrong with a file, each without the folder's name."""
    file = folder / "headgate.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(InvalidSettings) as raised:
        load(file, environ or {})
    return [str(problem).replace(f"{folder}/", "") for problem in raised.value.problems]


@pytest.mark.parametrize(("keys", "problem"), pairs(A_JOB))
def test_a_wrong_job_is_named(tmp_path: Path, keys: str, problem: str) -> None:
    """Every key of a job says what was expected of it, what was found, and where."""
    assert any(problem in one for one in problems(tmp_path, f"jobs:\n  a: {keys}\n"))


@pytest.mark.parametrize(("keys", "problem"), pairs(A_TRIGGER))
def test_a_wrong_trigger_is_named(tmp_path: Path, keys: str, problem: str) -> None:
    """Every rule of a trigger says what was expected, what was found, and where."""
    assert any(problem in one for one in problems(tmp_path, f"{JOBS}triggers:\n  t: {keys}\n"))


@pytest.mark.parametrize(("rest", "problem"), pairs(THE_TOP))
def test_what_is_wrong_at_the_top_is_named(tmp_path: Path, rest: str, problem: str) -> None:
    """Every other key says what was expected, what was found, and where."""
    assert any(problem in one for one in problems(tmp_path, f"{JOBS}{rest}\n"))


def test_everything_is_said_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    """One look at the message is enough to mend the whole file."""
    found = problems(tmp_path, "jobs:\n  a: {engine: x}\n  b: {engine: y}\ntriggers:\n  t: {type: z}\nprot: 1\n")

    assert [one.split(": ")[0] for one in found] == [
        "headgate.yaml:2:15",
        "headgate.yaml:3:15",
        "headgate.yaml:5:13",
        "headgate.yaml:6:1",
    ]


def test_many_problems_read_as_a_list(tmp_path: Path) -> None:
    """The error is one InvalidConfiguration, whose text counts and lists the problems; one alone stands for itself."""
    file = tmp_path / "headgate.yaml"
    file.write_text("a: 1\nb: 2\n", "utf-8")
    with pytest.raises(InvalidConfiguration) as raised:
        load(file, {})

    assert str(raised.value).startswith(f"2 problems:\n  {file}:1:1: there is no key 'a'")
    file.write_text("a: 1\n", "utf-8")
    with pytest.raises(InvalidConfiguration, match=r"^\S+headgate.yaml:1:1: there is no key 'a'") as raised:
        load(file, {})
    assert (raised.value.line, raised.value.column) == (1, 1)


def test_a_circle_of_conditional_triggers_is_named(tmp_path: Path) -> None:
    """Triggers that would start each other for ever are refused, with the whole circle."""
    found = problems(
        tmp_path,
        JOBS + "triggers:\n"
        "  ab: {type: CONDITIONAL, predicate: {conditions: [{job: a, state: SUCCEEDED}]}, actions: [b]}\n"
        "  bc: {type: CONDITIONAL, predicate: {conditions: [{job: b, state: SUCCEEDED}]}, actions: [c]}\n"
        "  ca: {type: CONDITIONAL, predicate: {conditions: [{job: c, state: FAILED}]}, actions: [a], enabled: false}\n",
    )

    assert found == [
        "headgate.yaml:8:7: triggers.ca: conditional triggers start each other in a circle and would never stop:"
        " a -(ab)-> b -(bc)-> c -(ca)-> a; take one of them out"
    ]


def test_a_secret_from_a_variable_stays_out_of_the_message(tmp_path: Path) -> None:
    """A value that came from the environment is named by its variable and not printed."""
    found = problems(tmp_path, "port: ${SECRET}\n", {"SECRET": "hunter2"})

    assert found == ["headgate.yaml:1:7: port: expected a whole number from 0 to 65535, found the value of SECRET"]
    assert "geheim" not in "".join(problems(tmp_path, "database_url: postgres://u:geheim@h/d\n"))


def test_a_problem_in_an_expression_does_not_make_another(tmp_path: Path) -> None:
    """A variable that is not set is the one thing said about its value."""
    assert problems(tmp_path, "port: ${PORT}\n") == [
        "headgate.yaml:1:7: the environment variable PORT is not set: set it, or write ${PORT:-default}"
    ]
