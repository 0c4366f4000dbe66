"""This file is where what callers of the REST API may send is declared: parameters and bodies, by type."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, cast

from fastapi import Depends, Path, Query, Request
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, model_validator

from headgate.errors import Invalid
from headgate.gate import REASON_LENGTH, Gate
from headgate.http.auth import Caller
from headgate.model import Outcome, RunState

_MOST_SEQ: Final = 2**63 - 1


def sound(text: str) -> str:
    """Text every database column takes: no NUL, no half of a surrogate pair."""
    if "\0" in text:
        raise ValueError("expected text without a NUL character")
    if not text.isascii() and any("\ud800" <= one <= "\udfff" for one in text):
        raise ValueError("expected Unicode text, got half a surrogate pair")
    return text


def _written_out(at: object) -> object:
    """Refuse numbers, which pydantic takes for seconds since 1970: `2026` is meant for a year."""
    try:
        float(cast("str", at))
    except (TypeError, ValueError):
        return at
    raise ValueError("expected a time as in 2026-01-31T12:00:00Z")


def _with_zone(at: datetime) -> datetime:
    """A time without a zone is UTC."""
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("expected a time between the years 1 and 9999 in UTC") from None


def page_token(seq: int | None) -> str | None:
    """What a list's `next` holds. Opaque to callers, who hand it back as `before`."""
    return None if seq is None else f"p{seq:x}"


def _token_seq(token: str | None) -> int | None:
    if token is None:
        return None
    try:
        seq = int(token.removeprefix("p"), 16) if token.startswith("p") else -1
    except ValueError:
        seq = -1
    if not 0 <= seq <= _MOST_SEQ:
        raise Invalid(f"before: expected the `next` of an earlier page, got {token[:50]!r}")
    return seq


async def _before(
    before: Annotated[str | None, Query(description="What the page before gave as next.")] = None,
) -> int | None:
    return _token_seq(before)


async def _gate(request: Request) -> Gate:
    gate: Gate = request.app.state.gate
    return gate


async def _actor(request: Request) -> str:
    caller: Caller = request.scope["headgate.caller"]
    return caller.actor


TheGate = Annotated[Gate, Depends(_gate)]
Actor = Annotated[str, Depends(_actor)]
Before = Annotated[int | None, Depends(_before)]
Limit = Annotated[int, Query(ge=1, le=500, description="How many at most.")]
Text = Annotated[str, AfterValidator(sound), Field(max_length=4096)]
Given = Annotated[Text | None, Query()]
Name = Annotated[Text, Path()]
Moment = Annotated[datetime, BeforeValidator(_written_out), AfterValidator(_with_zone)]
Seq = Annotated[int, Path(ge=0, le=_MOST_SEQ)]
Offset = Annotated[int, Query(ge=0, le=_MOST_SEQ, description="Bytes from the log's beginning.")]
Number = Annotated[int | None, Query(ge=0, le=1_000_000, description="The attempt; the newest by default.")]
StateGiven = Annotated[RunState | None, Query()]
OutcomeGiven = Annotated[Outcome | None, Query()]
MomentGiven = Annotated[Moment | None, Query(description="RFC 3339; without a zone it is UTC.")]
Reason = Annotated[
    str, AfterValidator(sound), Field(max_length=REASON_LENGTH, description="Why; kept with the record.")
]
Value = Annotated[str, AfterValidator(sound)]


class _Body(BaseModel):
    """A body of ours: a key nobody knows is a typing mistake, and is told."""

    model_config = ConfigDict(extra="forbid")


class Because(_Body):
    reason: Reason | None = None


class TriggerStartAsked(_Body):
    """`key`: asked again with the same one, nothing starts twice. Arguments are the trigger's own, as in AWS Glue."""

    reason: Reason | None = None
    key: Annotated[Text, Field(min_length=1, max_length=255)] | None = None


class RunAsked(_Body):
    """Exactly one of `job` and `dataset`. `key`: asked again with the same one, the first run is answered."""

    job: Text | None = None
    dataset: Text | None = None
    arguments: dict[Value, Value] = Field(default_factory=dict)
    reason: Reason | None = None
    key: Annotated[Text, Field(min_length=1, max_length=255)] | None = None

    @model_validator(mode="after")
    def _one(self) -> RunAsked:
        if (self.job is None) == (self.dataset is None):
            raise ValueError("expected exactly one of job and dataset")
        if self.dataset is not None and self.key is not None:
            raise ValueError("key goes with job, not with dataset")
        return self


class ReplayAsked(_Body):
    """Either `events`, or a filter; `downstream` false: the runs it starts fire no conditional trigger."""

    events: Annotated[list[Text], Field(max_length=1_000)] | None = None
    prefix: Text | None = None
    since: Moment | None = None
    until: Moment | None = None
    failed: StrictBool = False
    downstream: StrictBool = True
    dry_run: StrictBool = False
    reason: Reason | None = None

    @model_validator(mode="after")
    def _some(self) -> ReplayAsked:
        if (
            self.events is None
            and self.prefix is None
            and self.since is None
            and self.until is None
            and not self.failed
        ):
            raise ValueError("expected events, prefix, since, until or failed, so that not everything is replayed")
        return self


class ApplyAsked(_Body):
    everything: StrictBool = Field(default=True, description="Mend drift too: delete, restore, enable and disable.")
