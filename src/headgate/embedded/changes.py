"""This file is where what is to be written is checked at the door: proposals become changes, or are refused.

Everything that can be said of a change without looking at what is stored is said here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import msgspec

from headgate.embedded import urns
from headgate.embedded.registry import AspectSpec, EntitySpec, registry
from headgate.embedded.urns import Urn
from headgate.errors import Conflict, Invalid
from headgate.model import Json
from headgate.ports import Proposal

KINDS: Final = frozenset({"UPSERT", "CREATE", "CREATE_ENTITY", "UPDATE", "PATCH", "DELETE", "RESTATE"})
MOST_ASPECT: Final = 16_000_000  #: characters of an aspect, as DataHub's own limit
MOST_CHANGES: Final = 5_000  #: in one call

_encode = msgspec.json.Encoder(order="deterministic").encode
_OBJECT = msgspec.json.Decoder(dict[str, Any])
_ANY = msgspec.json.Decoder()


class Malformed(Invalid):
    """The request itself is not what it should be, before any rule of the catalog is asked."""


class Unmet(Conflict):
    """A condition the writer set (a version, a time, CREATE) does not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of one aspect, checked. `value`: the aspect, or with PATCH the operations or their envelope."""

    urn: Urn
    spec: AspectSpec
    kind: str
    value: Any
    system: Mapping[str, Any] = field(default_factory=dict[str, Any])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def dumps(value: object) -> str:
    """JSON with its keys in order, so that equal aspects are equal texts."""
    return _encode(value).decode()


def loads(text: str) -> dict[str, Any]:
    return _OBJECT.decode(text)


def of_proposal(proposal: Proposal) -> Change:
    """A change of Headgate's own. Raises Invalid."""
    return make(
        entity=proposal.entity_type,
        urn=proposal.entity_urn,
        aspect=proposal.aspect_name,
        kind=proposal.change_type,
        value=proposal.aspect,
        headers=proposal.headers,
    )


def of_restli(proposal: object) -> Change:
    """A rest.li MetadataChangeProposal: the aspect is JSON inside a text.

    Raises:
        Malformed: a part is missing or of another type. Invalid: it is not an aspect DataHub knows.
    """
    if not isinstance(proposal, Mapping):
        raise Malformed("proposal: expected a JSON object")
    given = cast("Mapping[str, Any]", proposal)
    entity = given.get("entityType")
    if not isinstance(entity, str):
        raise Malformed("proposal.entityType: expected a text")
    urn = given.get("entityUrn")
    if urn is None:
        spec = registry().entities.get(entity)
        if spec is None or "entityKeyAspect" not in given:
            raise Malformed("proposal: expected entityUrn or entityKeyAspect")
        urn = urns.of_key(spec, cast("Mapping[str, Json]", _generic(given["entityKeyAspect"], "entityKeyAspect"))).text
    kind = given.get("changeType", "UPSERT")
    name = given.get("aspectName")
    value = {} if kind == "DELETE" else _generic(given.get("aspect"), "aspect")
    return make(
        entity=entity,
        urn=urn,
        aspect=name,
        kind=kind,
        value=value,
        system=system_metadata(given.get("systemMetadata")),
        headers=headers_of(given.get("headers")),
    )


def make(
    *,
    entity: str,
    urn: object,
    aspect: object,
    kind: object,
    value: object,
    system: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Change:
    """Check a change. Raises Invalid: it can never be written, whatever is stored."""
    parsed = urns.parse(urn)
    _same_kind(entity, parsed.spec)
    if not isinstance(aspect, str) or aspect not in parsed.spec.aspects or aspect not in registry().aspects:
        raise Invalid(f"aspectName: {parsed.spec.name} has no aspect {str(aspect)[:80]!r}")
    if kind not in KINDS:
        raise Invalid(f"changeType: expected one of {', '.join(sorted(KINDS))}, got {str(kind)[:40]!r}")
    spec = registry().aspects[aspect]
    if kind == "PATCH":
        if not isinstance(value, (Mapping, list)):
            raise Invalid(f"{aspect}: expected a JSON patch: a list of operations, or an object with `patch`")
    elif not isinstance(value, Mapping):
        raise Invalid(f"{aspect}: expected a JSON object")
    elif kind != "DELETE":
        check(parsed, spec, cast("Mapping[str, Any]", value))
    return Change(urn=parsed, spec=spec, kind=str(kind), value=value, system=system or {}, headers=headers or {})


def check(urn: Urn, spec: AspectSpec, value: Mapping[str, Any]) -> None:
    """What an aspect must have by itself. Raises Invalid."""
    missing = [name for name in spec.required if value.get(name) is None]
    if missing:
        raise Invalid(f"{spec.name} of {urn.text}: {' and '.join(missing)}: required, and missing")
    if spec.timeseries and not isinstance(value.get("timestampMillis"), int):
        raise Invalid(f"{spec.name} of {urn.text}: timestampMillis: expected milliseconds since the epoch")
    if spec.name == urn.spec.key and any(str(value[one]) != part for one, part in urn.key.items()):
        raise Invalid(f"{spec.name}: expected the key of {urn.text}, got another one")
    if spec.name == "status" and not isinstance(value.get("removed", False), bool):
        raise Invalid(f"status of {urn.text}: removed: expected true or false")


def system_metadata(given: object) -> dict[str, Any]:
    """The sender's system metadata; `datahub put --run-id` sends it as JSON inside a text."""
    if isinstance(given, str):
        given = _decoded(given, "systemMetadata")
    return dict(cast("Mapping[str, Any]", given)) if isinstance(given, Mapping) else {}


def headers_of(given: object) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise Malformed("headers: expected an object of texts")
    return {str(name): str(value) for name, value in cast("Mapping[object, object]", given).items()}


def _same_kind(entity: str, spec: EntitySpec) -> None:
    named = registry().entity(entity)
    if named is None:
        raise Invalid(f"entityType: there is no entity type {entity[:60]!r}")
    if named.name != spec.name:
        raise Invalid(f"entityType: {entity} does not go with a URN of {spec.name}")


def _generic(given: object, name: str) -> Any:
    """The JSON inside a GenericAspect, `{contentType, value}`."""
    if not isinstance(given, Mapping):
        raise Malformed(f"proposal.{name}: expected {{contentType, value}}")
    aspect = cast("Mapping[str, Any]", given)
    kind, text = aspect.get("contentType", "application/json"), aspect.get("value")
    if not str(kind).startswith("application/json"):  # application/json-patch+json, too
        raise Malformed(f"proposal.{name}.contentType: expected application/json, got {str(kind)[:60]!r}")
    if not isinstance(text, str):
        raise Malformed(f"proposal.{name}.value: expected a text that holds JSON")
    if len(text) > MOST_ASPECT:
        raise Invalid(f"proposal.{name}.value: longer than {MOST_ASPECT:,} characters")
    return _decoded(text, f"proposal.{name}.value")


def _decoded(text: str, name: str) -> Any:
    try:
        return _ANY.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise Malformed(f"{name}: expected JSON inside the text: {error}") from error
    except RecursionError as error:
        raise Malformed(f"{name}: nested too deeply") from error


def many(those: Sequence[Any], what: str) -> Sequence[Any]:
    if len(those) > MOST_CHANGES:
        raise Malformed(f"{what}: {len(those):,} at once; at most {MOST_CHANGES:,}")
    return those
