"""This file is where headgate.yaml is read again while the server runs: what can follow at once, and what cannot.

Jobs, triggers, functions and the rules of `datasets:` are taken over while it runs. Everything else was built into the
running parts at their start (ports, tokens, DataHub's client, inboxes, queues, receivers of notifications), so a
difference there is told, and waits for a restart.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Final

from headgate.flow.resolve import Rule, RuleKind, RuleSource
from headgate.model import Json
from headgate.settings.load import load
from headgate.settings.record import Secret, Settings

#: The beginnings of the names of what is taken over while the server runs.
_LIVE: Final = ("jobs.", "triggers.", "datasets[", "functions.", "DATAHUB_INGESTION_")
_LIVE_FIELDS: Final = ("jobs", "triggers", "rules", "functions", "glue", "warnings", "effective")
#: Where a field's setting has another name.
_NAMES: Final = {
    "token": "auth.token",
    "events_token": "auth.events_token",
    "log_level": "log.level",
    "log_format": "log.format",
    "lambda_region": "aws.lambda_region",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that says something else now than at the start. The values are as `config show` prints them."""

    name: str
    before: Json
    after: Json


def read_again(begun: Settings, environ: Mapping[str, str]) -> Settings:
    """The settings as the server's own file says them now; where it was started without one, those of its start.

    Raises:
        InvalidSettings: something is wrong in it, as at a start.
    """
    return begun if begun.config_file is None else load(begun.config_file, environ)


def with_definitions(running: Settings, read: Settings) -> Settings:
    """The running settings with what can follow at once."""
    effective = [one for one in running.effective if not one.name.startswith(_LIVE)]
    effective += [one for one in read.effective if one.name.startswith(_LIVE)]
    live = {name: getattr(read, name) for name in _LIVE_FIELDS}
    return replace(running, **{**live, "effective": tuple(effective)})


def needs_restart(running: Settings, read: Settings) -> list[Difference]:
    """Every other setting that differs, by name. Of what is masked, only that it differs."""
    before, after = _shown(running), _shown(read)
    names = {name for name in {**before, **after} if before.get(name) != after.get(name)}
    told = {one.name: one for one in running.notify}, {one.name: one for one in read.notify}
    names |= {name for name in {**told[0], **told[1]} if told[0].get(name) != told[1].get(name)}
    for one in fields(Settings):
        if one.name not in _LIVE_FIELDS:
            was, now = getattr(running, one.name), getattr(read, one.name)
            names |= _unseen(_NAMES.get(one.name, one.name), was, now, names)
    return [Difference(name, before.get(name), after.get(name)) for name in sorted(names)]


def _unseen(name: str, was: object, now: object, seen: Set[str]) -> set[str]:
    """The names of what differs in a field and cannot be seen in the effective settings, such as a token."""
    if was == now:
        return set()
    inner = {
        f"{name}.{one.name}"
        for one in (fields(was) if is_dataclass(was) else ())
        if isinstance(secret := getattr(was, one.name), Secret) and secret != getattr(now, one.name)
    }
    known = inner or any(one.startswith((f"{name}.", f"{name}[")) or f".{name}[" in one for one in seen)
    return inner if known or name in seen else {name}


def rule_key(rule: Rule) -> str:
    """What a rule covers, as it is named: `default`, `tag urn:li:tag:x`."""
    return rule.kind.value if rule.kind is RuleKind.DEFAULT else f"{rule.kind.value} {rule.value}"


def declared_rules(settings: Settings) -> dict[str, Rule]:
    """The rules of `datasets:` by what they cover."""
    return {rule_key(one): one for one in settings.rules if one.source is RuleSource.CONFIGURATION}


def rule_spec(rule: Rule) -> dict[str, Json]:
    """What a rule starts."""
    found = {
        "job": rule.job, "lambda": rule.function, "state_machine_arn": rule.state_machine_arn, "region": rule.region,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value}


def _shown(settings: Settings) -> dict[str, Json]:
    return {one.name: one.value for one in settings.effective if not one.name.startswith(_LIVE)}
