"""This file is where messages that could not be read are listed, tried again and thrown away over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from headgate import shapes
from headgate.http.answers import Answer
from headgate.http.asked import Actor, Because, Before, Limit, Name, Reason, TheGate, page_token
from headgate.runtime.dead_letters import DeadLetters

router = APIRouter(tags=["dead letters"])


@router.get("/dead-letters")
def dead_letters(gate: TheGate, before: Before, limit: Limit = 50) -> Response:
    """Messages of queues that could not be read, newest first, each with why and word for word."""
    page = DeadLetters(gate.ledger).page(before=before, limit=limit)
    return Answer(shapes.page_json([shapes.dead_letter_json(one) for one in page.items], page_token(page.next)))


@router.get("/dead-letters/{letter}")
def dead_letter(gate: TheGate, letter: Name) -> Response:
    """One of them."""
    return Answer(shapes.dead_letter_json(DeadLetters(gate.ledger).get(letter)))


@router.post("/dead-letters/{letter}/replay")
def replay(gate: TheGate, actor: Actor, letter: Name, because: Because | None = None) -> Response:
    """Read it again and take what it holds; then it is gone from the list. 400: it still cannot be read, and stays."""
    reason = because.reason if because else None
    receipts = DeadLetters(gate.ledger).replay(letter, actor=actor, reason=reason)
    return Answer({"id": letter, "events": [shapes.receipt_json(one) for one in receipts]})


@router.delete("/dead-letters/{letter}")
def delete(gate: TheGate, actor: Actor, letter: Name, reason: Annotated[Reason | None, Query()] = None) -> Response:
    """Throw it away; answers what it was."""
    return Answer(shapes.dead_letter_json(DeadLetters(gate.ledger).delete(letter, actor=actor, reason=reason)))
