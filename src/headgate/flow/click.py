"""This file is where a click on a dataset is judged: what it asks for, whether it may, and what it would start."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, cast

from headgate.errors import Forbidden, Invalid
from headgate.flow.resolution import Resolution
from headgate.flow.resolve import check_data_job, parse_dataset
from headgate.model import Job, JobName, Json
from headgate.ports import Credential, DataHub, DatasetFacts, Identity

#: What a click adds to the run's arguments, so that every engine can hand it on.
DATASET: Final = "--datasetUrn"
JOB_URN: Final = "--jobUrn"
METADATA: Final = "--metadata"
DOOR: Final = "click"
#: With this privilege on the platform as a whole one may start everything.
MANAGES: Final = "MANAGE_INGESTION"

LONGEST_URN: Final = 2_048
LONGEST_REASON: Final = 2_000
LONGEST_METADATA: Final = 16_384  #: characters of it as JSON

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_UNSTORABLE: Final = re.compile(r"[\x00\ud800-\udfff]")


class Why(StrEnum):
    """Why a click starts nothing."""

    UNKNOWN_DATASET = "unknown_dataset"
    NO_RIGHT = "no_right"
    NOT_PRODUCER = "not_producer"  #: the job it names does not produce the dataset
    NO_JOB = "no_job"
    POLICY = "policy"  #: what would be started is not on the allow-list


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """What was asked for, with every part of the right form."""

    dataset: str
    job_urn: str | None = None
    reason: str | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Whose click it is. Without an identity in DataHub: someone we trust ourselves, who may start everything."""

    actor: str
    credential: Credential = field(default_factory=Credential)
    identity: Identity | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing was started; the message is for the clicker."""

    why: Why
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A click that may happen, and the job it starts."""

    click: Click
    actor: str
    job: JobName
    words: str  #: the job in human words, without names of AWS
    implicit: Job | None = None  #: that job, where it may not be in the ledger yet

    @property
    def arguments(self) -> dict[str, str]:
        """Over the job's own: which dataset is meant, by which DataJob, and what else the caller sent."""
        click = self.click
        given = {DATASET: click.dataset, JOB_URN: click.job_urn or ""}
        if click.metadata:
            given[METADATA] = json.dumps(click.metadata, ensure_ascii=False, separators=(",", ":"))
        return {key: value for key, value in given.items() if value}


#: The resolver: given the dataset, the DataJob that was named, and what DataHub knows of the dataset.
Resolve = Callable[[str, str | None, DatasetFacts | None], Resolution]


# -- what was asked for


def read(body: Json) -> Click:
    """Take the body of a click apart: `{datasetUrn, jobUrn?, reason?, metadata?}`; other keys are not looked at.

    Raises:
        Invalid: the message names the field and what was expected.
    """
    if not isinstance(body, Mapping):
        raise Invalid(f"body: expected a JSON object with datasetUrn, got {_shape(body)}")
    given = cast("Mapping[str, Json]", body)
    return Click(
        dataset=read_dataset(given.get("datasetUrn")),
        job_urn=_job_urn(given.get("jobUrn")),
        reason=_reason(given.get("reason")),
        metadata=_metadata(given.get("metadata")),
    )


def read_dataset(value: Json) -> str:
    """A dataset's URN. Raises Invalid."""
    if value is None or value == "":
        raise Invalid("datasetUrn: is missing; expected a dataset's URN")
    urn = _urn("datasetUrn", value)
    try:
        parse_dataset(urn)
    except Invalid as error:
        raise Invalid(f"datasetUrn: {error}") from error
    return urn


def dataset_name(urn: str) -> str:
    """What people call the dataset of this (well-formed) URN."""
    return parse_dataset(urn).name


def _job_urn(value: Json) -> str | None:
    if value is None:
        return None
    urn = _urn("jobUrn", value)
    try:
        check_data_job(urn)
    except Invalid as error:
        raise Invalid(f"jobUrn: {error}") from error
    return urn


def _urn(name: str, value: Json) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{name}: expected a URN as text, got {_shape(value)}")
    if len(value) > LONGEST_URN:
        raise Invalid(f"{name}: {len(value):,} characters; a URN has at most {LONGEST_URN:,}")
    if _CONTROL.search(value) or value != value.strip():
        raise Invalid(f"{name}: has control characters, half a character, or spaces around it")
    return value


def _reason(value: Json) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise Invalid(f"reason: expected text, got {_shape(value)}")
    if len(value) > LONGEST_REASON:
        raise Invalid(f"reason: {len(value):,} characters; at most {LONGEST_REASON:,} are kept")
    if _UNSTORABLE.search(value):
        raise Invalid("reason: has a NUL character or half a character")
    return value.strip() or None


def _metadata(value: Json) -> Mapping[str, Json]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Invalid(f"metadata: expected a JSON object, got {_shape(value)}")
    found = cast("Mapping[str, Json]", value)
    try:
        text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        raise Invalid("metadata: is nested too deeply") from None
    if len(text) > LONGEST_METADATA:
        raise Invalid(f"metadata: {len(text):,} characters as JSON; at most {LONGEST_METADATA:,} are passed on")
    if _UNSTORABLE.search(text) or "\\u0000" in text:
        raise Invalid("metadata: has a NUL character or half a character")
    return found


def _shape(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case Mapping():
            return "an object"
        case _:
            return "a list"


# -- whether it may


def consider(
    click: Click,
    who: Who,
    *,
    datahub: DataHub | None,
    resolve: Resolve,
    privileges: Sequence[str],
    unknown: str = "DataHub knows no dataset {}",
) -> Wish | Refusal:
    """Find out whether the click may start something, and what. Nothing is started.

    Args:
        click: what was asked for.
        who: the caller, already verified.
        datahub: who knows datasets, rights and lineage; None: nobody, so rules alone decide.
        resolve: the resolver; it raises Forbidden for a DataJob that does not produce the dataset.
        privileges: one of these on the dataset is enough, as is MANAGE_INGESTION on the platform.
        unknown: what is said of a dataset that is not there; `{}` is its URN.

    Raises:
        Unavailable: DataHub or the ledger cannot be asked now.
    """
    facts = None
    if datahub is not None:
        facts = datahub.dataset(click.dataset)
        if not facts.exists:
            return Refusal(Why.UNKNOWN_DATASET, unknown.format(click.dataset))
        if (right := _right(click, who, datahub, privileges)) is not None:
            return right
    try:
        found = resolve(click.dataset, click.job_urn, facts)
    except Forbidden as error:
        return Refusal(Why.NOT_PRODUCER, str(error))
    if found.job is None:
        return Refusal(Why.POLICY, found.refused) if found.refused else Refusal(Why.NO_JOB, found.words)
    return Wish(click=click, actor=who.actor, job=found.job, implicit=found.implicit, words=found.words)


def _right(click: Click, who: Who, datahub: DataHub, privileges: Sequence[str]) -> Refusal | None:
    if who.identity is None or MANAGES in who.identity.privileges:
        return None
    granted = datahub.privileges(who.credential, who.identity, click.dataset)
    if MANAGES in granted or not granted.isdisjoint(privileges):
        return None
    wanted = " or ".join([*privileges, f"{MANAGES} (platform)"])
    return Refusal(Why.NO_RIGHT, f"{who.actor} may not run the ingestion of this dataset; DataHub must grant {wanted}")
