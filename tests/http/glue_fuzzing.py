"""This file is where made-up calls of Glue's API come from: botocore's model says what fits, and what does not."""

from __future__ import annotations

import json
import random
from typing import Any, Final

from botocore.session import get_session
from gluing import strictly
from served import World

from headgate.http.glue import wire
from headgate.model import RunState

SERVED: Final = sorted({*wire.QUICK, *wire.OPERATIONS})
GLUE: Final = get_session().get_service_model("glue")
NAMES: Final = (
    "ingest",
    "views",
    "picky",
    "none",
    "uploaded",
    "after-ingest",
    "nightly",
    "asked",
    "made",
    "w",
    "\u00e4 \U0001f600",
)
STRANGE: Final = (
    "", "x" * 300, "a\nb", "\x00", "\u2028", "../../etc", "s3://", "cron(0 0 * * ? *)", "arn:aws:glue:::job/x",
    "arn:aws:glue:::job/\x00", "jr_" + "0" * 64, "%00", "{{7*7}}", "' or 1=1 --",
)  # fmt: skip
WRONG: Final = (None, True, -1, 2**40, 1.5, "", "x", [], {}, [None], {"a": None}, [[[]]], "\ud83d\ude00" * 200)


class Maker:
    """Makes inputs from botocore's model: fitting ones, and ones with something wrong in them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def value(self, shape: Any, depth: int, spoil: float) -> Any:  # noqa: PLR0911 - one for each type
        if self.random.random() < spoil:
            return self.random.choice(WRONG)
        kind = shape.type_name
        if kind == "structure":
            return self.structure(shape, depth, spoil)
        if kind == "list":
            size = self.random.randint(0, 2) if depth < 4 else 0
            return [self.value(shape.member, depth + 1, spoil) for _ in range(size)]
        if kind == "map":
            size = self.random.randint(0, 2) if depth < 4 else 0
            return {self.text(shape.key): self.value(shape.value, depth + 1, spoil) for _ in range(size)}
        if kind == "string":
            return self.text(shape)
        if kind == "boolean":
            return self.random.random() < 0.5
        if kind in ("double", "float"):
            return self.random.choice([0, 0.5, 10.0])
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 20)
        return self.random.randint(low, min(high, low + 20))

    def structure(self, shape: Any, depth: int, spoil: float) -> dict[str, Any]:
        chance = 0.6 if depth == 0 else 0.3 if depth < 4 else 0.0
        wanted = [name for name in shape.members if name in shape.required_members or self.random.random() < chance]
        return {name: self.value(shape.members[name], depth + 1, spoil) for name in wanted}

    def changed(self, right: dict[str, Any], shape: Any) -> dict[str, Any]:
        """A call that is taken, with one of its members gone, replaced or put in."""
        name = self.random.choice(list(shape.members))
        found = {key: value for key, value in right.items() if key != name}
        if name in right and self.random.random() < 0.2:
            return found
        return {**found, name: self.value(shape.members[name], 1, 0.5)}

    def text(self, shape: Any) -> str:
        if shape.enum:
            return str(self.random.choice(shape.enum))
        return str(self.random.choice(NAMES if self.random.random() < 0.8 else STRANGE))


COMMAND: Final = {"Name": "pythonshell", "ScriptLocation": "x.py"}
HEADERS: Final = {"content-type": "application/x-amz-json-1.1"}


def prepared(world: World) -> dict[str, dict[str, Any]]:
    """Fill a gate with something of everything; answers a call of each operation that is taken there, once."""

    def call(operation: str, **body: Any) -> Any:
        answer = _call(world, operation, body)
        assert answer.status_code == 200, (operation, answer.text)
        return answer.json()

    limit = {"MaxConcurrentRuns": 50}
    call("CreateJob", Name="made", Role="r", Command=COMMAND, ExecutionProperty=limit)
    call("CreateWorkflow", Name="w", DefaultRunProperties={"a": "b"})
    call("CreateTrigger", Name="go", WorkflowName="w", Type="ON_DEMAND", Actions=[{"JobName": "made"}])
    call("CreateTrigger", Name="late", Type="SCHEDULED", Schedule="cron(0 3 * * ? *)", Actions=[{"JobName": "made"}])
    over = call("StartWorkflowRun", Name="w")["RunId"]
    world.end(world.begin(world.ledger.runs(job="made").items[0]), RunState.FAILED, retryable=False)
    nodes = call("GetWorkflowRun", Name="w", RunId=over, IncludeGraph=True)["Run"]["Graph"]["Nodes"]
    under_way = call("StartWorkflowRun", Name="w")["RunId"]
    bookmarked = {"--job-bookmark-option": "job-bookmark-enable"}
    ended = call("StartJobRun", JobName="made", Arguments=bookmarked)["JobRunId"]
    world.end(world.begin(world.ledger.run(ended)))
    running = call("StartJobRun", JobName="made")["JobRunId"]
    arn = "arn:aws:glue:us-east-1:123456789012:workflow/w"
    job = {"Role": "r", "Command": COMMAND}
    flow: dict[str, Any] = {"Name": "w", "RunId": under_way}
    return {
        "CreateJob": {"Name": "new", **job},
        "UpdateJob": {"JobName": "made", "JobUpdate": {**job, "ExecutionProperty": limit}},
        "DeleteJob": {"JobName": "made"},
        "GetJob": {"JobName": "made"},
        "GetJobs": {"MaxResults": 2},
        "ListJobs": {"MaxResults": 2},
        "BatchGetJobs": {"JobNames": ["made", "none"]},
        "StartJobRun": {"JobName": "made", "Arguments": {"--a": "b"}},
        "GetJobRun": {"JobName": "made", "RunId": ended, "PredecessorsIncluded": True},
        "GetJobRuns": {"JobName": "made", "MaxResults": 2},
        "BatchStopJobRun": {"JobName": "made", "JobRunIds": [running, ended]},
        "GetJobBookmark": {"JobName": "made"},
        "ResetJobBookmark": {"JobName": "made"},
        "CreateTrigger": {"Name": "new", "Type": "ON_DEMAND", "Actions": [{"JobName": "made"}]},
        "UpdateTrigger": {
            "Name": "late",
            "TriggerUpdate": {"Schedule": "cron(0 4 * * ? *)", "Actions": [{"JobName": "made"}]},
        },
        "DeleteTrigger": {"Name": "late"},
        "GetTrigger": {"Name": "late"},
        "GetTriggers": {"DependentJobName": "made"},
        "ListTriggers": {"MaxResults": 2},
        "BatchGetTriggers": {"TriggerNames": ["late", "none"]},
        "StartTrigger": {"Name": "late"},
        "StopTrigger": {"Name": "late"},
        "CreateWorkflow": {"Name": "new", "DefaultRunProperties": {"a": "b"}},
        "UpdateWorkflow": {"Name": "w", "Description": "d"},
        "DeleteWorkflow": {"Name": "w"},
        "GetWorkflow": {"Name": "w", "IncludeGraph": True},
        "ListWorkflows": {"MaxResults": 2},
        "BatchGetWorkflows": {"Names": ["w", "none"], "IncludeGraph": True},
        "StartWorkflowRun": {"Name": "w", "RunProperties": {"a": "c"}},
        "GetWorkflowRun": {**flow, "IncludeGraph": True},
        "GetWorkflowRuns": {"Name": "w", "MaxResults": 1},
        "GetWorkflowRunProperties": flow,
        "PutWorkflowRunProperties": {**flow, "RunProperties": {"a": "d"}},
        "StopWorkflowRun": flow,
        "ResumeWorkflowRun": {
            "Name": "w", "RunId": over, "NodeIds": [one["UniqueId"] for one in nodes if one["Type"] == "JOB"],
        },
        "GetTags": {"ResourceArn": arn},
        "TagResource": {"ResourceArn": arn, "TagsToAdd": {"a": "b"}},
        "UntagResource": {"ResourceArn": arn, "TagsToRemove": ["a"]},
    }  # fmt: skip


def send_made_up(world: World, operation: str, make: Maker, calls: int) -> dict[int, int]:
    """Send calls of an operation: first one that is taken, then such with one thing changed, and made up ones.

    Of those made up of the model one in two fits it and the others do not. Every answer has the protocol's shape: those
    that do it the model's members, refusals an error that the operation or the protocol knows; and what is refused has
    changed nothing. Answers how many came to which status.
    """
    right = prepared(world)[operation]
    model: Any = GLUE.operation_model(operation)
    allowed = {one.name for one in model.error_shapes} | {"ValidationException", "SerializationException"}
    seen: dict[int, int] = {}
    for number in range(calls):
        if number % 10 == 9:
            body = make.random.choice(WRONG)
        elif number % 2 == 0:
            body = make.changed(right, model.input_shape) if number else right
        else:
            body = make.structure(model.input_shape, 0, (0.0, 0.0, 0.05, 0.3)[number // 2 % 4])
        before = _state(world)
        answer = _call(world, operation, body)
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
        assert answer.headers["content-type"] == "application/x-amz-json-1.1", (body, answer.text)
        found = answer.json()
        if answer.status_code == 200:
            strictly(found, model.output_shape, operation)
            continue
        assert (answer.status_code, found["__type"] in allowed) == (400, True), (body, answer.text)
        assert _state(world) == before, (body, answer.text)
    return seen


def _call(world: World, operation: str, body: Any) -> Any:
    headers = {**HEADERS, "x-amz-target": f"AWSGlue.{operation}"}
    return world.call("POST", "/", content=json.dumps(body).encode(), headers=headers)


def _state(world: World) -> Any:
    """What a refused call leaves as it is: the runs, and how the definitions stand."""
    runs = world.ledger.runs(limit=1).items
    return runs[0].seq if runs else 0, world.ledger.refresh().version, world.ledger.counts()
