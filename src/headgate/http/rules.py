"""This file is where rules are listed, kept and taken away over HTTP, and where the console shows them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, StrictBool
from starlette.responses import HTMLResponse, Response

from headgate import shapes
from headgate.console import pages
from headgate.errors import Invalid, NotFound
from headgate.flow.resolve import Rule, RuleKind, RuleSource
from headgate.gate import Gate
from headgate.http.answers import Answer
from headgate.http.asked import Actor, Because, Name, Reason, Text, TheGate
from headgate.http.auth import Caller
from headgate.model import JobName

router = APIRouter(tags=["rules"])
page_router = APIRouter(include_in_schema=False)


class RuleAsked(BaseModel):
    """Exactly one of `urn`, `tag`, `prefix` and `default`, and exactly one of `job`, `lambda`, `state_machine_arn`."""

    model_config = ConfigDict(extra="forbid")

    urn: Text | None = None
    tag: Text | None = None
    prefix: Text | None = None
    default: StrictBool = False
    job: Text | None = None
    function: Annotated[Text | None, Field(alias="lambda")] = None
    state_machine_arn: Text | None = None
    region: Annotated[Text, Field(max_length=40, pattern=r"^([a-z]{2}(-[a-z]+)+-\d)?$")] = ""
    reason: Reason | None = None

    def rule(self) -> Rule:
        """The rule that is meant. Raises Invalid where it is not exactly one."""
        covers = {RuleKind.URN: self.urn, RuleKind.TAG: self.tag, RuleKind.PREFIX: self.prefix}
        given = [(kind, value) for kind, value in covers.items() if value is not None]
        if self.default:
            given.append((RuleKind.DEFAULT, ""))
        if len(given) != 1:
            raise Invalid(f"expected exactly one of urn, tag, prefix and default, found {len(given)}")
        return Rule(
            kind=given[0][0],
            value=given[0][1],
            job=JobName(self.job) if self.job is not None else None,
            function=self.function,
            state_machine_arn=self.state_machine_arn,
            region=self.region,
            source=RuleSource.LEDGER,
        )


@router.get("/rules")
def rules(gate: TheGate, *, stale: bool = False) -> Response:
    """Every rule in force, the most precise first; those of the ledger have an `id` and can be changed here.

    `stale`: only those for datasets that DataHub does not know.
    """
    wanted = gate.datasets.stale_rules() if stale else gate.datasets.rules()
    return Answer(shapes.page_json(shapes.rules_json(wanted, gate.datasets.kept_rules()), None))


@router.get("/rules/{rule}")
def rule(gate: TheGate, rule: Name) -> Response:
    """One rule of the ledger."""
    found = next((one for one in gate.datasets.kept_rules() if one.id == rule), None)
    if found is None:
        raise NotFound("rule in the ledger", rule, "see `headgate rules list`")
    return Answer(shapes.kept_rule_json(found))


@router.put("/rules")
def put(gate: TheGate, actor: Actor, asked: RuleAsked) -> Response:
    """Keep a rule, in place of the one that covers the same. 403: its target is not allowed (datahub.allow.arns)."""
    return Answer(shapes.kept_rule_json(gate.datasets.set_rule(asked.rule(), actor=actor, reason=asked.reason)))


@router.delete("/rules/{rule:path}")
def delete(gate: TheGate, actor: Actor, rule: Name, reason: Annotated[Reason | None, Query()] = None) -> Response:
    """Take a rule of the ledger away, by its id or by what it covers; answers what it was."""
    return Answer(shapes.kept_rule_json(gate.datasets.delete_rule(rule, actor=actor, reason=reason)))


@router.post("/rules/{rule}/delete")
def delete_by_post(gate: TheGate, actor: Actor, rule: Name, because: Because | None = None) -> Response:
    """The same, with the reason in the body."""
    return Answer(
        shapes.kept_rule_json(gate.datasets.delete_rule(rule, actor=actor, reason=because.reason if because else None))
    )


@page_router.get("/headgate/rules")
def page(request: Request, gate: TheGate, urn: Annotated[Text, Query()] = "") -> Response:
    """The rules as a page, with a form for one more; with `urn` also which of them wins for that dataset."""
    caller: Caller = request.scope["headgate.caller"]
    html = pages.rules_page(
        rules=shapes.rules_json(gate.datasets.rules(), gate.datasets.kept_rules()),
        jobs=sorted(gate.ledger.refresh().jobs),
        warnings=gate.datasets.warnings(),
        urn=urn,
        found=_explained(gate, urn),
        can_leave=caller.by == "cookie",
        api_docs=gate.settings.api_docs,
    )
    return HTMLResponse(html, headers={"cache-control": "no-store"})


@page_router.get("/headgate/dataset/{urn:path}")
def dataset(request: Request, gate: TheGate, urn: str) -> Response:
    """A dataset: what a click on it starts, its runs, and the button that starts it."""
    caller: Caller = request.scope["headgate.caller"]
    html = pages.dataset_page(gate, urn, can_leave=caller.by == "cookie")
    return HTMLResponse(html, headers={"cache-control": "no-store"})


def _explained(gate: Gate, urn: str) -> shapes.Shape | None:
    if not urn:
        return None
    try:
        return shapes.explanation_json(gate.datasets.explain(urn))
    except Invalid as error:
        return {"job": None, "message": str(error), "losers": [], "notes": [], "refused": None}
