"""This file is where keys for AWS calls are made, listed and revoked over HTTP; a secret is told once, to its maker."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, StrictBool
from starlette.responses import Response

from headgate import shapes
from headgate.http.answers import Answer
from headgate.http.asked import Actor, Name, Reason, TheGate
from headgate.runtime.access_keys import LONGEST, AccessKeys

router = APIRouter(tags=["keys"])


class KeyAsked(BaseModel):
    """What the key is to be; all of it may be left out."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9._-]*$")] = ""
    lasts: Annotated[float | None, Field(strict=True, ge=60, le=LONGEST, description="Seconds until it expires.")] = (
        None
    )
    session: Annotated[StrictBool, Field(description="Calls must send a session token, too.")] = False
    reason: Reason | None = None


@router.get("/keys")
def keys(gate: TheGate) -> Response:
    """The keys there are and were, without their secrets."""
    found = AccessKeys(gate.ledger, gate.settings).list()
    return Answer(shapes.page_json([shapes.access_key_json(one) for one in found], None))


@router.post("/keys")
def create(gate: TheGate, actor: Actor, asked: KeyAsked) -> Response:
    """Make a key. Its secret is in this answer and never seen again."""
    made = AccessKeys(gate.ledger, gate.settings).create(
        name=asked.name, lasts=asked.lasts, session=asked.session, actor=actor, reason=asked.reason
    )
    told = {**shapes.access_key_json(made.key), "secret": made.secret, "session_token": made.session_token}
    return Answer(told, headers={"cache-control": "no-store"})


@router.delete("/keys/{key}")
def revoke(gate: TheGate, actor: Actor, key: Name, reason: Annotated[Reason | None, Query()] = None) -> Response:
    """Let nobody sign with it any more."""
    gone = AccessKeys(gate.ledger, gate.settings).revoke(key, actor=actor, reason=reason)
    return Answer(shapes.access_key_json(gone))
