"""This file is where it is found out who we are on AWS, in which region, and whether what jobs start can be started.

Nothing is started: AWS is asked who we are, whether a thing is there, and what our policies would allow.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headgate.aws import Clients, Fault, FaultKind, Place
from headgate.aws.clients import load
from headgate.aws.present import ENGINES
from headgate.doctor import permissions
from headgate.doctor.finding import Finding, Rank, ranked, unseen
from headgate.doctor.records import Records
from headgate.errors import MissingExtra
from headgate.settings import Settings

#: Where STS is asked when no region is set: it answers the same everywhere.
_ANYWHERE: Final = "us-east-1"


@dataclass(frozen=True, slots=True)
class Who:
    """Whom AWS knows our credentials as."""

    arn: str
    account: str


def diagnose(
    records: Records, settings: Settings, clients: Clients, environ: Mapping[str, str] = os.environ
) -> list[Finding]:
    """Credentials, region, and all that jobs, rules and queues name, ranked."""
    wanted = list(_wanted(records))
    return ranked(_examine(wanted, settings, clients, environ))


def _wanted(records: Records) -> Iterator[permissions.Wanted]:
    """What is started on AWS, by jobs and by rules that name it themselves."""
    for job in records.jobs():
        if job["engine"] in ENGINES:
            yield permissions.Wanted(f"job {job['name']!r}", job["engine"], job["target"])
    for rule in records.rules(stale=False):
        what = f"rule {rule['kind']} {rule['value']} ({rule['place']})"
        if rule["lambda"] is not None:
            yield permissions.Wanted(what, "lambda", {"function": rule["lambda"], "region": rule["region"]})
        elif rule["state_machine_arn"] is not None:
            yield permissions.Wanted(what, "step_functions", {"state_machine_arn": rule["state_machine_arn"]})


def _examine(
    wanted: Sequence[permissions.Wanted], settings: Settings, clients: Clients, environ: Mapping[str, str]
) -> Iterator[Finding]:
    needed = bool(wanted or settings.sqs)
    if not needed:
        yield Finding(Rank.NOTE, "nothing here is on AWS", "no job, rule or queue names anything there")
    try:
        load()
    except MissingExtra as error:
        rank = Rank.BROKEN if needed else Rank.NOTE
        yield Finding(rank, "what calls to AWS need is not installed", str(error), "pip install 'headgate[aws]'")
        return
    answer = clients.call(
        Place(region=_region(environ) or _ANYWHERE), "sts", "get_caller_identity", {}, doing="asking who we are",
        attempts=2,
    )  # fmt: skip
    if isinstance(answer, Fault):
        # with nothing on AWS it is nobody's trouble that nobody knows us there
        found = _nobody(answer, environ)
        yield found if needed else Finding(Rank.NOTE, found.what, found.evidence, found.mend)
        return
    who = Who(str(answer["Arn"]), str(answer["Account"]))
    how, default = _session()
    yield from _regions(wanted, settings, environ, default)
    profile = environ.get("AWS_PROFILE") or "default"
    yield Finding(Rank.NOTE, f"AWS knows us as {who.arn}", f"credentials by {how}; profile {profile}")
    region = _region(environ) or default
    for one in dict.fromkeys(wanted):
        yield from permissions.examine(one, settings, clients, account=who.account, arn=who.arn, region=region)
    for queue in settings.sqs:
        yield from permissions.of_queue(queue, clients, arn=who.arn)


def _region(environ: Mapping[str, str]) -> str:
    return environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""


def _session() -> tuple[str, str]:
    """By which way the credentials came (never what they are), and the profile's region. They are there by now."""
    session, _ = load()
    made: Any = session.Session()
    found = made.get_credentials()
    return str(getattr(found, "method", "an unknown way")), str(made.region_name or "")


def _nobody(fault: Fault, environ: Mapping[str, str]) -> Finding:
    profile = environ.get("AWS_PROFILE", "")
    tried = "AWS_ACCESS_KEY_ID, profile " + (profile or "default") + ", and the role of this machine or container"
    if fault.code == "ProfileNotFound":
        return Finding(
            Rank.BROKEN, f"there is no AWS profile {profile!r}", fault.message, "aws configure list-profiles"
        )
    match fault.kind:
        case FaultKind.NO_CREDENTIALS:
            return Finding(
                Rank.BROKEN,
                "there are no AWS credentials",
                f"looked for {tried}",
                f"aws configure --profile {profile}" if profile else "aws configure",
            )
        case FaultKind.EXPIRED:
            mend = (
                f"aws sso login --profile {profile}" if profile else "renew them where they come from (aws sso login)"
            )
            return Finding(Rank.BROKEN, "the AWS credentials ran out", f"{fault.code}: {fault.message}", mend)
        case FaultKind.DENIED:
            mend = "aws sts get-caller-identity"
            return Finding(
                Rank.BROKEN, "AWS does not take the credentials", f"{fault.code}: {fault.message}; {tried}", mend
            )
        case _:
            return unseen("AWS", str(fault), "aws sts get-caller-identity")


def _regions(
    wanted: Sequence[permissions.Wanted], settings: Settings, environ: Mapping[str, str], default: str
) -> Iterator[Finding]:
    ours, others = environ.get("AWS_REGION", ""), environ.get("AWS_DEFAULT_REGION", "")
    if ours and others and ours != others:
        yield Finding(
            Rank.LIKELY,
            f"two regions are set: AWS_REGION={ours} and AWS_DEFAULT_REGION={others}",
            f"Headgate takes {ours}; boto3 and the aws command of version 1 take {others}",
            f"export AWS_DEFAULT_REGION={ours}",
        )
    if ours or others or default:
        return
    lost = [one.what for one in wanted if not permissions.region_of(one, settings.lambda_region)]
    if lost:
        yield Finding(
            Rank.BROKEN,
            f"no AWS region is set, and {', '.join(lost)} names none",
            "looked for AWS_REGION, AWS_DEFAULT_REGION and the profile's region",
            "export AWS_REGION=us-east-1 (the region the target is in)",
        )
