"""This file is where it is decided whether a recipe calls AWS, and under which name it takes on a role there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from headgate.recipes import text

_SOURCES: Final = frozenset({"glue", "headgate-glue", "s3", "athena", "dynamodb", "sagemaker", "redshift", "kinesis"})


def uses_aws(document: Mapping[str, Any]) -> bool:
    """By its source, or by a key of its settings."""
    if any(name in _SOURCES for names in text.part_types(document).values() for name in names):
        return True
    return any(key.startswith("aws_") for path, _ in text.texts(document) for key in path)


def with_session(document: text.Document, session: str) -> text.Document:
    """The recipe (its values put in) with a name for the session of every role its source assumes by `aws_role`.

    CloudTrail then shows which run a call belongs to. A name that the recipe gives itself stays.
    """
    source: Any = document.get("source")
    if not isinstance(source, dict) or not isinstance(source.get("config"), dict):
        return document
    given = cast("text.Document", source)
    return {**document, "source": {**given, "config": _named(given["config"], session)}}


def _named(config: Mapping[str, Any], session: str) -> text.Document:
    found: text.Document = {}
    for key, value in config.items():
        if key == "aws_role" and value and isinstance(value, str | list):
            roles = [value] if isinstance(value, str) else cast("list[Any]", value)
            found[key] = [_role(one, session) for one in roles]
        else:
            found[key] = _named(cast("text.Document", value), session) if isinstance(value, dict) else value
    return found


def _role(role: Any, session: str) -> Any:
    if isinstance(role, str):
        return {"RoleArn": role, "RoleSessionName": session}
    return {"RoleSessionName": session, **cast("text.Document", role)} if isinstance(role, dict) else role
