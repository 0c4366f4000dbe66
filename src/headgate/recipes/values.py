"""This file is where the values of a recipe's `${NAME}` are asked for, and which of them are secret is decided."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, Protocol

from headgate.errors import Invalid, MissingSecrets
from headgate.recipes import text
from headgate.secrets import Values
from headgate.supervision import private

#: Ours: where our database is and who may call us is nobody's recipe's business.
_RESERVED: Final = "HEADGATE_"
#: Values that would be masked in every second word, and tell nothing.
_WORDS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "none", "null", "prod", "dev", "test", "default"})
#: What a variable that is used for nothing else, and alone there, is not secret for.
_PLAIN_KEYS: Final = frozenset(
    {
        "type", "env", "server", "url", "base_url", "host", "host_port", "port", "account_id", "region", "aws_region",
        "aws_role", "aws_profile", "aws_endpoint_url", "catalog_id", "warehouse", "database", "schema", "role",
        "project_id", "platform", "platform_instance", "path", "filename", "pipeline_name", "run_id", "site",
        "workspace", "allow", "deny",
    }
)  # fmt: skip


class Resolver(Protocol):
    """Who has the values: `headgate.secrets.Secrets`."""

    def resolve(self, names: Iterable[str], *, foreign: bool = False) -> Values:
        """The values of all of these names; raises as `Secrets.resolve` does."""
        ...


class Environment:
    """Values from the environment alone."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def resolve(self, names: Iterable[str], *, foreign: bool = False) -> Values:
        wanted = list(names)
        found = {} if foreign else {name: self._environ[name] for name in wanted if name in self._environ}
        if missing := [name for name in wanted if name not in found]:
            raise MissingSecrets(missing, ["the environment"])
        return Values(found, mixed=found)


def values_of(document: text.Document, resolver: Resolver, *, foreign: bool) -> Values:
    """The values a recipe asks for. What has a default may be missing.

    Raises:
        MissingSecrets: it can not do without one that nobody has. Invalid: it asks for what is ours, or for something
            with no name. SecretsDenied, CannotUnseal, Unavailable: see `Secrets.resolve`.
    """
    wanted = text.variables(document)
    if ours := next((name for name in wanted if name.startswith(_RESERVED)), ""):
        raise Invalid(f"the recipe asks for ${{{ours}}}; variables named {_RESERVED}… are Headgate's own")
    names = list(wanted)
    if not names:
        return Values()
    try:
        return resolver.resolve(names, foreign=foreign)
    except MissingSecrets as error:
        if needed := [name for name in error.names if wanted.get(name, True)]:
            raise MissingSecrets(needed, error.looked, text.messages(document)) from error
        there = [name for name in names if name not in error.names]
    return resolver.resolve(there, foreign=foreign) if there else Values()


def plain_names(document: text.Document, values: Mapping[str, str], mixed: Collection[str]) -> list[str]:
    """Which of the values need no mask: words such as `true`, and what is only used where nothing is secret.

    To mask a region's name would spoil every other line of a log, and hide nothing. What was kept as a secret is one,
    though, and so is a URL with a password: only of `mixed`, those from the environment, it goes by their use.
    """
    used = _uses(document)
    return [
        name
        for name, value in values.items()
        if value.strip().lower() in _WORDS
        or (name in mixed and name in used and not private.names({name: value}) and all(map(_is_plain, used[name])))
    ]


def _uses(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """For each name the keys it is used at; "" where it is only a part of the text there."""
    found: dict[str, list[str]] = {}
    for path, value in text.texts(document):
        for name in text.variables({"": value}):
            alone = value.startswith((f"${{{name}}}", f"${{{name}:")) and value.endswith("}") and value.count("${") == 1
            keys = [key for key in path if not key.isdigit()]
            found.setdefault(name, []).append(keys[-1] if alone and keys else "")
    return found


def _is_plain(key: str) -> bool:
    return key in _PLAIN_KEYS or key.startswith(("extract_", "include_", "ignore_", "enable_", "emit_", "max_"))
