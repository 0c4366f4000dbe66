"""This file is where DataHub is given the structured property that names a DataJob's Step Functions state machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from headgate.datahub.answers import record, sequence
from headgate.datahub.client import PROPERTY, GmsClient
from headgate.errors import Conflict, Invalid, Unavailable

STRING: Final = "urn:li:dataType:datahub.string"
DATA_JOB: Final = "urn:li:entityType:datahub.dataJob"


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """The property that is there now, and whether it was made just now."""

    urn: str
    created: bool


def definition(name: str) -> Mapping[str, Any]:
    """What the mutation is given."""
    return {
        "id": name,
        "qualifiedName": name,
        "displayName": "AWS Step Function ARN",
        "description": "Step Functions state machine ARN for this job",
        "immutable": False,
        "valueType": STRING,
        "cardinality": "SINGLE",
        "entityTypes": [DATA_JOB],
    }


def bootstrap(client: GmsClient, prop: str) -> Bootstrapped:
    """Make the structured property (a URN or a bare id), or see that the one that is there fits.

    Raises:
        Conflict: it is there and does not fit; the text says in what, and what to do.
        Invalid, Unavailable: DataHub refuses, or cannot be asked.
    """
    urn = prop if prop.startswith(PROPERTY) else PROPERTY + prop
    if _there(client, urn):
        return Bootstrapped(urn, created=False)
    try:
        made = client.ask("create_structured_property", {"input": definition(urn[len(PROPERTY) :])}, changes=True)
    except (Invalid, Unavailable):
        # somebody else made it meanwhile, or the first answer was lost
        if _there(client, urn):
            return Bootstrapped(urn, created=False)
        raise
    answered = record(made.get("createStructuredProperty")).get("urn")
    if answered != urn:
        raise Unavailable(f"DataHub was asked for {urn} and answered {answered!r}")
    return Bootstrapped(urn, created=True)


def _there(client: GmsClient, urn: str) -> bool:
    """Whether the property is there. Raises Conflict: it is, and does not fit."""
    found = client.aspect(urn, "propertyDefinition")
    if found is None:
        return False
    wrong = misfits(found)
    if record(client.aspect(urn, "status")).get("removed") is True:
        wrong.append("it is deleted (softly), and DataHub refuses values of it: restore it")
    if wrong:
        raise Conflict(
            f"{urn} is there, but cannot hold the ARN of a job's state machine: {'; '.join(wrong)}."
            " Mend it in DataHub (Govern > Structured Properties), or name another property in datahub.job_arn_property"
        )
    return True


def misfits(found: Mapping[str, Any]) -> list[str]:
    """In what a definition cannot do what we need, each with what would. Names and descriptions are free."""
    wrong: list[str] = []
    if found.get("valueType") != STRING:
        wrong.append(f"its valueType is {found.get('valueType')}, not {STRING} (cannot be changed)")
    if found.get("cardinality", "SINGLE") != "SINGLE":
        wrong.append(f"its cardinality is {found.get('cardinality')}, not SINGLE (cannot be changed)")
    if DATA_JOB not in sequence(found.get("entityTypes")):
        wrong.append(f"its entityTypes lack {DATA_JOB} (may be added)")
    if found.get("immutable") is True:
        wrong.append("it is immutable: an ARN once set could never be changed")
    if found.get("allowedValues"):
        wrong.append("it takes allowedValues only")
    return wrong
