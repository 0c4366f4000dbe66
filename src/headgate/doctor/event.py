"""This file is where it is found out why an EVENT trigger did not fire: what came, and what nearly fitted."""

from __future__ import annotations

from collections.abc import Iterator

from headgate.doctor.case import EVENTS, Case
from headgate.doctor.finding import Finding, Rank
from headgate.doctor.near import Near, near, setting, suspicious
from headgate.doctor.records import Doc, moment, told, word


def examine(case: Case) -> Iterator[Finding]:
    """The newest event it skipped that was meant for it, else what can be said of its filter and of its doors."""
    wanted = case.trigger["objects"]
    if (watch := case.trigger.get("catalog")) is not None:
        yield from _catalog(case, watch)
        return
    if wanted is None and case.trigger.get("workflow"):
        arn = f"arn:aws:glue:us-east-1:000000000000:trigger/{case.name}"
        mend = f"aws glue tag-resource --resource-arn {word(arn)} --tags-to-add headgate:s3=s3://BUCKET/PREFIX"
        why = "EventBridge, which tells a workflow's trigger of objects on AWS, is not here; the tag headgate:s3 is"
        yield Finding(Rank.BROKEN, "it has no tag that names a bucket", why, mend)
        return
    if wanted is None:
        yield Finding(Rank.BROKEN, "it names no bucket", "s3: is missing", _then(case, "s3.bucket", "a bucket"))
        return
    odd = suspicious(wanted)
    if odd is not None:
        yield Finding(Rank.BROKEN, odd.what, f"prefix {wanted['prefix']!r}", _then(case, odd.key, odd.value))
    last = _decision(case)
    if last is not None and last["outcome"] != "skipped" and last is case.decisions[0]:
        yield Finding(Rank.NOTE, f"it last fired at {told(moment(last['at']))}", str(last["reason"]))
        return
    nearly = list(_near(case, wanted))
    if nearly:
        yield from nearly[:3]
    else:
        yield from _nothing_near(case, wanted)


def _catalog(case: Case, watch: Doc) -> Iterator[Finding]:
    """What the trigger watches, when it last fired, and whether the catalog can be looked at."""
    for warning in case.status.get("readiness", {}).get("warnings", ()):
        if str(warning).startswith(f"trigger {case.name}: "):
            yield Finding(
                Rank.LIKELY, str(warning), "see the server's log for what was answered", "headgate doctor aws"
            )
    last = _decision(case)
    of = ", ".join(watch["databases"]) or "all databases"
    yield Finding(
        Rank.NOTE,
        f"it last fired at {told(moment(last['at']))}" if last else "no table changed since it looks",
        f"it looks at {watch['name']} ({of}) each {watch['every']:g} s for what is {' or '.join(watch['changes'])};"
        " what was there at the first look is no change",
    )


def _decision(case: Case) -> Doc | None:
    return next((one for one in case.decisions if one["outcome"] != "skipped"), None)


def _near(case: Case, wanted: Doc) -> Iterator[Finding]:
    """Events that were meant for it, newest first."""
    for one in case.events:
        what = one["object"]
        reasons = {decided["trigger"]: decided for decided in one["decisions"]}
        mine, nobodys = reasons.get(case.name), reasons.get("")
        if mine is not None and mine["outcome"] != "skipped":
            return  # what was skipped before the last that fired explains nothing
        evidence = f"{what['uri']} came at {told(moment(one['received_at']))} by the door {one['door']}"
        again = f"headgate events replay {one['id']}"
        if mine is not None and mine["reason"].startswith("disabled:"):
            yield Finding(
                Rank.LIKELY, "the trigger was disabled when the object came", f"{evidence}: {mine['reason']}", again
            )
        elif mine is not None and mine["reason"].startswith("event:"):
            yield Finding(
                Rank.LIKELY,
                f"the object came, and the trigger does not take that kind of event ({mine['reason']})",
                evidence,
                f"{_then(case, 's3.events', '[' + one['kind'] + ']')} && {again}",
            )
        elif nobodys is not None and _fits(wanted, what) and not nobodys["reason"].startswith(("prefix:", "bucket:")):
            yield Finding(
                Rank.LIKELY,
                f"the object is never ingested: {nobodys['reason']}",
                evidence,
                "upload it whole, under a name that neither begins with a dot nor ends with .tmp or .part",
            )
        elif (found := near(wanted, what["bucket"], what["key"])) is not None:
            yield Finding(Rank.LIKELY, f"an object nearly fits: {found.what}", evidence, _mend(case, found, again))


def _fits(wanted: Doc, what: Doc) -> bool:
    return what["bucket"] == wanted["bucket"] and what["key"].startswith(wanted["prefix"])


def _mend(case: Case, found: Near, again: str) -> str:
    if not found.key:
        return "send the key as S3 does: encoded once in S3's own notifications, plain in EventBridge's; or rename it"
    change = f"{_in_force(case, setting(found, case.trigger['objects']))} && {again}"
    if found.key == "s3.prefix" and _decision(case) is not None:  # what the trigger took, it is to take as before
        right = f"s3://{case.trigger['objects']['bucket']}/{case.trigger['objects']['prefix']}"
        return f"upload it again under {right}; or, if all are to come so: {change}"
    return change


def _then(case: Case, key: str, value: str) -> str:
    return _in_force(case, f"{key}: {value}")


def _in_force(case: Case, said: str) -> str:
    return f"set {said} at triggers.{case.name} in headgate.yaml, then: headgate apply"


def _nothing_near(case: Case, wanted: Doc) -> Iterator[Finding]:
    bucket = str(wanted["bucket"])
    here = [one for one in case.events if one["object"]["bucket"] == bucket]
    if here:
        first = here[0]
        reason = next((str(one["reason"]) for one in first["decisions"]), "no decision")
        yield Finding(
            Rank.LIKELY,
            f"of the newest {len(here)} events of bucket {bucket!r} none was for it",
            f"the newest is {first['object']['uri']}: {reason}",
            f"headgate events list --prefix {word(bucket + '/' + str(wanted['prefix']))}",
        )
        return
    doors = ", ".join(_doors(case, bucket))
    yield Finding(
        Rank.LIKELY,
        f"no event of bucket {bucket!r} ever came",
        f"none of the newest {EVENTS} events is of it; it could come by {doors}",
        "headgate doctor s3",
    )


def _doors(case: Case, bucket: str) -> Iterator[str]:
    if bucket in case.inboxes:
        yield f"the folder {case.inboxes[bucket]}"
    if case.queues:
        yield "the SQS queues of sqs:"
    yield "POST /api/ingestion/events"
