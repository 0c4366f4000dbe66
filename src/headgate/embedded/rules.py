"""This file is where a change is held against what is stored: versions, conditions, and states that do not go back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final, cast

from headgate.embedded.changes import Change, Unmet
from headgate.errors import Invalid

#: States of an execution request that are final (datahub.md E.5). ROLLING_BACK may follow any.
FINAL: Final = frozenset({"SUCCESS", "CANCELLED", "ABORTED", "DUPLICATE"})
MOST_STRING: Final = 32_766  #: bytes of a structured property's text


class Verdict(Enum):
    WRITE = "write"
    NOTHING = "nothing"  #: it is said to have been done, and changes nothing


@dataclass(frozen=True, slots=True)
class Stored:
    """The newest version of an aspect. `at`: seconds since the epoch."""

    number: int
    value: Mapping[str, Any]
    at: float


Definition = Callable[[str], Mapping[str, Any] | None]


def condition(change: Change, before: Stored | None, *, entity_exists: bool) -> Verdict:
    """What the change type and the headers say. Raises Unmet: a condition of the writer's does not hold."""
    headers = {name.lower(): value for name, value in change.headers.items()}
    _versions(change, headers, before)
    taken = (change.kind == "CREATE" and before is not None) or (change.kind == "CREATE_ENTITY" and entity_exists)
    if taken:
        if headers.get("if-none-match") == "*":
            return Verdict.NOTHING
        what = change.spec.name if change.kind == "CREATE" else "the entity"
        raise Unmet(f"Cannot perform {change.kind} on {change.urn.text}: {what} already exists")
    if change.kind == "UPDATE" and before is None:
        raise Unmet(f"Cannot perform UPDATE on {change.urn.text}: {change.spec.name} does not exist")
    return Verdict.WRITE


def _versions(change: Change, headers: Mapping[str, str], before: Stored | None) -> None:
    wanted = headers.get("if-version-match")
    actual = before.number if before else -1
    if wanted is not None and wanted.strip() != str(actual):
        raise Unmet(f"{change.spec.name} of {change.urn.text}: Expected version {wanted}, actual version {actual}")
    for name, must_be_newer in (("if-modified-since", True), ("if-unmodified-since", False)):
        given = headers.get(name)
        if given is None or before is None:
            continue
        if (before.at > _instant(name, given)) is not must_be_newer:
            how = "not been" if must_be_newer else "been"
            raise Unmet(f"{change.spec.name} of {change.urn.text}: it has {how} modified since {given}")


def _instant(name: str, text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise Invalid(f"{name}: expected an ISO 8601 instant, got {text[:60]!r}") from error


def guard(
    change: Change, after: dict[str, Any], before: Stored | None, definition: Definition
) -> dict[str, Any] | None:
    """What is written in the end; None: nothing is. Raises Invalid: the rules of this aspect forbid it."""
    if change.spec.name == "dataHubExecutionRequestResult":
        return _request(change, after, before)
    if change.spec.name == "structuredProperties":
        return _properties(change, after, definition)
    if change.spec.name == "propertyDefinition" and before is not None:
        _definition(change, after, before.value)
    return after


def _request(change: Change, after: dict[str, Any], before: Stored | None) -> dict[str, Any] | None:
    old, new = (before.value.get("status") if before else None), after.get("status")
    if old not in FINAL or new == "ROLLING_BACK":
        return after
    if old == new:
        return None  # told twice: the first report stays
    raise Invalid(
        f"Invalid update to immutable state for aspect {change.spec.name} of {change.urn.text}: {old} → {new}"
    )


def _properties(change: Change, after: dict[str, Any], definition: Definition) -> dict[str, Any]:
    """Assignments of properties nobody defined are dropped, as DataHub does; if none is left the write is refused."""
    listed = after.get("properties")
    given = cast("list[Any]", listed) if isinstance(listed, list) else None
    if given is None or not all(isinstance(one, Mapping) for one in given):
        raise Invalid(f"structuredProperties of {change.urn.text}: properties: expected a list of objects")
    kept = [one for one in cast("list[Mapping[str, Any]]", given) if _assigned(change, one, definition)]
    if given and not kept:
        names = ", ".join(str(one.get("propertyUrn")) for one in cast("list[Mapping[str, Any]]", given))
        raise Invalid(f"structuredProperties of {change.urn.text}: none of {names} is defined; define it first")
    return {**after, "properties": kept}


def _assigned(change: Change, given: Mapping[str, Any], definition: Definition) -> bool:
    urn, listed = given.get("propertyUrn"), given.get("values")
    if not isinstance(urn, str) or not isinstance(listed, list):
        raise Invalid(f"structuredProperties of {change.urn.text}: expected propertyUrn and a list of values")
    found = definition(urn)
    if found is None:
        return False
    values = [_plain(change, urn, one) for one in cast("list[Any]", listed)]
    if found.get("cardinality", "SINGLE") == "SINGLE" and len(values) > 1:
        raise Invalid(f"structuredProperties of {change.urn.text}: {urn} takes one value, got {len(values)}")
    number = str(found.get("valueType", "")).endswith(".number")
    wrong = [one for one in values if isinstance(one, str) is number]
    if wrong:
        raise Invalid(f"structuredProperties of {change.urn.text}: {urn}: expected a {'number' if number else 'text'}")
    allowed = [_plain(change, urn, one.get("value")) for one in found.get("allowedValues") or []]
    if allowed and not set(values) <= set(allowed):
        raise Invalid(f"structuredProperties of {change.urn.text}: {urn}: expected one of {allowed}, got {values}")
    return True


def _plain(change: Change, urn: str, value: Any) -> str | float:
    """`{"string": "x"}` or `{"double": 1.0}` without its wrapping."""
    if isinstance(value, Mapping):
        found: Any = cast("Mapping[str, Any]", value)
        text, number = found.get("string"), found.get("double")
        if isinstance(text, str) and number is None:
            if len(text.encode("utf-8", "surrogatepass")) > MOST_STRING:
                raise Invalid(f"structuredProperties of {change.urn.text}: {urn}: longer than {MOST_STRING:,} bytes")
            return text
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            return float(number)
    raise Invalid(f'structuredProperties of {change.urn.text}: {urn}: expected {{"string": …}} or {{"double": …}}')


def _definition(change: Change, after: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Of a property that is defined already, only some things may change (datahub.md C.1)."""
    for name in ("qualifiedName", "valueType"):
        if after.get(name) != before.get(name):
            raise Invalid(f"propertyDefinition of {change.urn.text}: {name} cannot be changed")
    if before.get("cardinality") == "MULTIPLE" and after.get("cardinality", "SINGLE") == "SINGLE":
        raise Invalid(f"propertyDefinition of {change.urn.text}: MULTIPLE cannot become SINGLE")
    gone = set(before.get("entityTypes") or []) - set(after.get("entityTypes") or [])
    if gone:
        raise Invalid(f"propertyDefinition of {change.urn.text}: entityTypes can only be added; {sorted(gone)} is gone")
