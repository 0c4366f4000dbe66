"""This file is where secrets are asked of AWS: Secrets Manager, and SecureStrings of the Parameter Store (SSM).

A secret that holds a JSON object, as those that AWS makes for databases do, is picked apart by `id#key`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, cast

from headgate.aws import Clients, Fault, FaultKind, Place
from headgate.errors import Invalid, SecretsDenied, Unavailable
from headgate.secrets.resolving import in_time

TRIES = 3  #: of one question; to ask twice does no harm
READ = 5.0  #: seconds
PORTION = 10  #: parameters in one question, the most that SSM takes

_DENIED = (FaultKind.DENIED, FaultKind.NO_CREDENTIALS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfAws:
    """What both have in common: which names they know, under which of AWS's."""

    clients: Clients
    place: Place = field(default_factory=Place)
    prefix: str = ""  #: before a name that is not in `names`
    names: Mapping[str, str] = field(default_factory=dict[str, str])  #: name -> id, or id#key
    own_only: bool = False
    mixed: bool = False

    def _refs(self, names: Sequence[str]) -> dict[str, str]:
        """AWS's id of each name. With `names` and no prefix only those are asked for."""
        if self.names and not self.prefix:
            return {name: self.names[name] for name in names if name in self.names}
        return {name: self.names.get(name, self.prefix + name) for name in names}

    def _call(
        self, service: str, operation: str, arguments: Mapping[str, Any], *, doing: str, until: float
    ) -> dict[str, Any] | Fault:
        in_time(until, doing)
        return self.clients.call(self.place, service, operation, arguments, doing=doing, attempts=TRIES, read=READ)


class SecretsManager(_OfAws):
    """Secrets by their name or ARN; `name#key` is one member of a JSON object."""

    def where(self, names: Sequence[str]) -> str:
        return _where("AWS Secrets Manager", self._refs(names))

    def find(self, names: Sequence[str], *, until: float) -> Mapping[str, str]:
        values: dict[str, str] = {}
        asked: dict[str, str | None] = {}  # several names are often members of one secret
        for name, ref in self._refs(names).items():
            secret, _, key = ref.partition("#")
            if secret not in asked:
                asked[secret] = self._get(secret, until)
            text = asked[secret]
            value = text if text is None or not key else _member(text, key, f"the secret {secret}")
            if value is not None:
                values[name] = value
        return values

    def _get(self, secret: str, until: float) -> str | None:
        doing = f"reading the secret {secret} of AWS Secrets Manager"
        answer = self._call("secretsmanager", "get_secret_value", {"SecretId": secret}, doing=doing, until=until)
        if isinstance(answer, Fault):
            if answer.kind is FaultKind.MISSING:
                return None
            _refuse(answer)
        text = answer.get("SecretString")
        if not isinstance(text, str):
            raise Invalid(f"the secret {secret} of AWS Secrets Manager is binary; only texts can be put into a recipe")
        return text


class Parameters(_OfAws):
    """Parameters of SSM, decrypted; `name#key` is one member of a JSON object."""

    def where(self, names: Sequence[str]) -> str:
        return _where("the SSM Parameter Store", self._refs(names))

    def find(self, names: Sequence[str], *, until: float) -> Mapping[str, str]:
        refs = self._refs(names)
        wanted = list(dict.fromkeys(ref.partition("#")[0] for ref in refs.values()))
        found: dict[str, str] = {}
        for start in range(0, len(wanted), PORTION):
            found |= self._get(wanted[start : start + PORTION], until)
        values: dict[str, str] = {}
        for name, ref in refs.items():
            parameter, _, key = ref.partition("#")
            text = found.get(parameter)
            value = text if text is None or not key else _member(text, key, f"the parameter {parameter}")
            if value is not None:
                values[name] = value
        return values

    def _get(self, parameters: Sequence[str], until: float) -> dict[str, str]:
        doing = f"reading {', '.join(parameters)} of the SSM Parameter Store"
        arguments = {"Names": list(parameters), "WithDecryption": True}
        answer = self._call("ssm", "get_parameters", arguments, doing=doing, until=until)
        if isinstance(answer, Fault):
            _refuse(answer)
        found: dict[str, str] = {}
        told = cast("Sequence[Mapping[str, Any]]", answer.get("Parameters") or ())
        for one in sorted(told, key=lambda one: int(one.get("Version") or 0)):  # without a version the newest is meant
            for parameter in parameters:
                if _is(parameter, one) and isinstance(one.get("Value"), str):
                    found[parameter] = one["Value"]
        return found


def _is(parameter: str, one: Mapping[str, Any]) -> bool:
    """Whether this is what was asked for by a name or an ARN, perhaps with `:version` or `:label` behind it.

    What was asked for is told by its name and ARN, without what was behind them; that is its selector.
    """
    selector = str(one.get("Selector") or "")
    for known in (str(one.get("Name")), str(one.get("ARN"))):
        if parameter == known:
            return not selector
        if parameter.startswith(f"{known}:"):
            return parameter.removeprefix(known) == (selector or f":{one.get('Version')}")
    return False


def _member(text: str, key: str, where: str) -> str | None:
    """One member of a JSON object, as text; None where there is none of that name."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        # without its cause, which quotes the value
        raise Invalid(f"{where} is no JSON object, so it has no member {key!r}; leave #{key} out") from None
    if not isinstance(value, dict):
        raise Invalid(f"{where} is no JSON object, so it has no member {key!r}; leave #{key} out")
    member = cast("dict[str, object]", value).get(key)
    if member is None or isinstance(member, str):
        return member
    return json.dumps(member)


def _refuse(fault: Fault) -> NoReturn:
    if fault.kind in _DENIED:
        raise SecretsDenied(str(fault))
    if fault.later:
        raise Unavailable(str(fault))
    raise Invalid(str(fault))


def _where(what: str, refs: Mapping[str, str]) -> str:
    return f"{what} ({', '.join(refs.values())})" if refs else f"{what} (which has no entry under `names` for it)"
