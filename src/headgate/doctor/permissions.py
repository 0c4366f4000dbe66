"""This file is where it is asked, for one thing that is started on AWS, whether it is there and whether we may.

Where AWS has a dry run (Lambda) that is asked; for the rest IAM is asked what our policies would allow. That takes
`iam:SimulatePrincipalPolicy`, and sees no policy of the organisation and none of the thing itself.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from headgate.aws import Clients, Fault, FaultKind, Place
from headgate.aws.clients import place_of
from headgate.aws.present import Presence, look
from headgate.doctor.deliveries import arn_of
from headgate.doctor.finding import Finding, Rank, unseen
from headgate.doctor.records import word
from headgate.model import Json
from headgate.settings import Settings
from headgate.settings.record import Queue

#: What asking whether a target is there takes (headgate.aws.present).
_TO_LOOK: Final[Mapping[str, str]] = {
    "step_functions": "states:DescribeStateMachine",
    "lambda": "lambda:GetFunction",
    "glue": "glue:GetJob",
}
_GLUE: Final = ("glue:StartJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:BatchStopJobRun")
_QUEUE: Final = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Something on AWS that is started: by whom, by which engine, and what."""

    what: str
    engine: str
    target: Mapping[str, Json] = field(hash=False)


def region_of(wanted: Wanted, functions: str) -> str:
    """The region a target says itself; `functions` is that of functions which say none. "" where nobody says."""
    parts = name_of(wanted).split(":")
    if len(parts) > 4 and parts[0] == "arn":
        return parts[3]
    return str(wanted.target.get("region") or (functions if wanted.engine == "lambda" else ""))


def name_of(wanted: Wanted) -> str:
    target = wanted.target
    for key in ("state_machine_arn", "function", "function_name", "job_name"):
        if target.get(key):
            return str(target[key])
    return ""


def examine(
    wanted: Wanted, settings: Settings, clients: Clients, *, account: str, arn: str, region: str
) -> Iterator[Finding]:
    """Whether its role can be assumed, whether it is there, and whether it may be started. `arn`: who we are."""
    where = region_of(wanted, settings.lambda_region)
    place = place_of(wanted.target, region=where)
    if place.role_arn:
        answer = clients.call(place, "sts", "get_caller_identity", {}, doing=f"for {wanted.what}", attempts=2)
        if isinstance(answer, Fault):
            yield _no_role(wanted, place.role_arn, place.external_id, arn, answer)
            return
    there = look(clients, wanted.engine, wanted.target, region=settings.lambda_region)
    name = name_of(wanted)
    match there.presence:
        case Presence.MISSING:
            yield Finding(
                Rank.BROKEN,
                f"{wanted.what} starts {name}, and there is none",
                f"{there.said} (region {where or region or 'unknown'})",
                _list_of(wanted.engine, where or region),
            )
            return
        case Presence.UNUSABLE:
            mend = _list_of(wanted.engine, where or region)
            yield Finding(Rank.BROKEN, f"{wanted.what} starts {name}, and it cannot be started", there.said, mend)
            return
        case Presence.DENIED:
            yield unseen(f"whether {name} is there ({wanted.what})", there.said, f"give us {_TO_LOOK[wanted.engine]}")
        case Presence.UNKNOWN:
            yield unseen(f"whether {name} is there ({wanted.what})", there.said, "headgate doctor aws, later")
        case _:
            pass
    if there.retries:
        yield Finding(
            Rank.POSSIBLE,
            f"{wanted.what} starts {name}, which Glue starts again by itself when it fails",
            f"its MaxRetries is {there.retries}; of what Glue starts itself no run here knows",
            f"set MaxRetries to 0 where {name} is defined, and max_retries: {there.retries} on {wanted.what} here",
        )
    if wanted.engine == "lambda":
        yield from _dry_run(wanted, clients, where)
        return
    for actions, resource in _needs(wanted, account, where or region):
        yield from simulate(clients, place.role_arn or arn, actions, resource, wanted.what)


def of_queue(queue: Queue, clients: Clients, *, arn: str) -> Iterator[Finding]:
    """Whether a queue of `sqs:` is there, and may be read."""
    said = clients.call(
        Place.of(queue, session="headgate-doctor", endpoint=queue.endpoint_url), "sqs", "get_queue_attributes",
        {"QueueUrl": queue.url, "AttributeNames": ["QueueArn"]}, doing=f"looking for the queue {queue.url}", attempts=2,
    )  # fmt: skip
    if isinstance(said, Fault) and said.kind is FaultKind.MISSING:
        mend = "aws sqs list-queues" + (f" --region {queue.region}" if queue.region else "")
        yield Finding(Rank.BROKEN, f"queue {queue.url} is to be read, and there is none", said.message, mend)
        return
    resource = arn_of(queue, clients.region())
    if resource:
        yield from simulate(clients, queue.role_arn or arn, _QUEUE, resource, f"queue {queue.url}")


def _list_of(engine: str, region: str) -> str:
    at = f" --region {region}" if region else ""
    return {
        "step_functions": f"aws stepfunctions list-state-machines{at}",
        "lambda": f"aws lambda list-functions{at}",
        "glue": f"aws glue list-jobs{at}",
    }[engine]


def _no_role(wanted: Wanted, role: str, external_id: str, arn: str, fault: Fault) -> Finding:
    if fault.kind is not FaultKind.DENIED:
        return unseen(f"the role {role} ({wanted.what})", str(fault), "headgate doctor aws, later")
    more = f" --external-id {word(external_id)}" if external_id else ""
    return Finding(
        Rank.BROKEN,
        f"the role {role} of {wanted.what} cannot be assumed",
        f"{fault.code}: {fault.message}; its trust policy must let {arn} in, and we need sts:AssumeRole on it",
        f"aws sts assume-role --role-arn {role} --role-session-name headgate-doctor{more}",
    )


def _dry_run(wanted: Wanted, clients: Clients, region: str) -> Iterator[Finding]:
    name = name_of(wanted)
    asked: dict[str, str] = {"FunctionName": name, "InvocationType": "DryRun"}
    if wanted.target.get("qualifier"):
        asked["Qualifier"] = str(wanted.target["qualifier"])
    place = place_of(wanted.target, region=region)
    answer = clients.call(place, "lambda", "invoke", asked, doing=f"a dry run of {name}", attempts=2)
    if not isinstance(answer, Fault):
        return
    if answer.kind is FaultKind.DENIED:
        yield Finding(
            Rank.BROKEN,
            f"{wanted.what} may not call the function {name}",
            f"{answer.code}: {answer.message}",
            f"give us lambda:InvokeFunction on it, then: aws lambda invoke --function-name {word(name)}"
            " --invocation-type DryRun /dev/null",
        )
    else:
        yield unseen(f"whether {wanted.what} may call {name}", str(answer), "headgate doctor aws, later")


def _needs(wanted: Wanted, account: str, region: str) -> Iterator[tuple[Sequence[str], str]]:
    """What starting, following and stopping takes, and on what."""
    name = name_of(wanted)
    if wanted.engine == "glue":
        yield _GLUE, f"arn:aws:glue:{region}:{account}:job/{name}"
        return
    yield ("states:StartExecution",), name
    executions = ":".join(name.split(":")[:7]).replace(":stateMachine:", ":execution:") + ":*"
    yield ("states:DescribeExecution", "states:StopExecution"), executions


def principal_of(arn: str) -> str:
    """The role or user whose policies count: of an assumed role's session, the role."""
    parts = arn.split(":", 5)
    if parts[2:3] == ["sts"] and parts[-1].startswith("assumed-role/"):
        return ":".join([*parts[:2], "iam", "", parts[4], "role/" + parts[-1].split("/")[1]])
    return arn


def simulate(clients: Clients, arn: str, actions: Sequence[str], resource: str, what: str) -> Iterator[Finding]:
    """Ask IAM whether the principal's policies allow the actions on the resource."""
    principal = principal_of(arn)
    if principal.endswith(":root"):
        return  # it may everything, and cannot be simulated
    asked = {"PolicySourceArn": principal, "ActionNames": list(actions), "ResourceArns": [resource]}
    place = place_of({}, region="us-east-1")
    doing = f"asking what {principal} may do"
    answer = clients.call(place, "iam", "simulate_principal_policy", asked, doing=doing, attempts=2)
    if isinstance(answer, Fault):
        mend = "give us iam:SimulatePrincipalPolicy"
        yield unseen(f"what the policies of {principal} allow", f"{answer.code}: {answer.message}", mend)
        return
    denied = [
        str(one["EvalActionName"])
        for one in answer.get("EvaluationResults") or ()
        if one.get("EvalDecision") != "allowed"
    ]
    if denied:
        yield Finding(
            Rank.BROKEN,
            f"{what}: {principal.rpartition('/')[2]} may not {', '.join(denied)}",
            f"IAM says so of {principal} on {resource}",
            _allow(principal, denied, resource),
        )


def _allow(principal: str, actions: Sequence[str], resource: str) -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))
    kind = "user" if ":user/" in principal else "role"
    name = principal.rpartition("/")[2]
    return (
        f"aws iam put-{kind}-policy --{kind}-name {word(name)} --policy-name headgate"
        f" --policy-document {shlex.quote(policy)}"
    )
