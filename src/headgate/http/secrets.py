"""This file is where our own secrets are listed by name, set and taken away over HTTP; a value never comes out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from headgate import shapes
from headgate.http.answers import Answer
from headgate.http.asked import Actor, Because, Name, Reason, TheGate, Value
from headgate.runtime.secrets import SecretStore

router = APIRouter(tags=["secrets"])


class SecretAsked(BaseModel):
    """The value, which is sealed before it is kept."""

    model_config = ConfigDict(extra="forbid")

    value: Annotated[Value, Field(json_schema_extra={"writeOnly": True, "format": "password"})]
    reason: Reason | None = None


@router.get("/secrets")
def secrets(gate: TheGate) -> Response:
    """The names of our own secrets, who set each last, and when. Values are told to nobody."""
    found = SecretStore(gate.ledger, gate.settings).names()
    return Answer(shapes.page_json([shapes.kept_secret_json(one) for one in found], None))


@router.post("/secrets/rotate")
def rotate(gate: TheGate, actor: Actor, because: Because | None = None) -> Response:
    """Seal with the key that seals now what is sealed with another; `closed` are those that no key here opens."""
    store = SecretStore(gate.ledger, gate.settings)
    sealed, closed = store.rotate(actor=actor, reason=because.reason if because else None)
    return Answer({"sealed": sealed, "closed": closed})


@router.put("/secrets/{secret}")
def put(gate: TheGate, actor: Actor, secret: Name, asked: SecretAsked) -> Response:
    """Keep a value under this name, in place of the one there is."""
    store = SecretStore(gate.ledger, gate.settings)
    return Answer(shapes.kept_secret_json(store.put(secret, asked.value, actor=actor, reason=asked.reason)))


@router.delete("/secrets/{secret}")
def delete(gate: TheGate, actor: Actor, secret: Name, reason: Annotated[Reason | None, Query()] = None) -> Response:
    """Take it away; answers what it was."""
    store = SecretStore(gate.ledger, gate.settings)
    return Answer(shapes.kept_secret_json(store.delete(secret, actor=actor, reason=reason)))
