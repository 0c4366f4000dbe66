"""This file is where people are told through apprise or a webhook. Addresses are never in the ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from headgate.errors import Unavailable
from headgate.flow.announce import RECOVERED
from headgate.model import Json

TIMEOUT = 10.0  #: seconds for one delivery


@dataclass(frozen=True, slots=True)
class Notifier:
    """One address. `report` raises Unavailable when the message did not get there; the outbox tries again.

    `template`: Jinja, for a webhook's body. It knows what the default body has: kind, run, job, state, error, attempt,
    trigger, actor, started_at, ended_at and text; in JSON a value is written `{{ text | tojson }}`.
    """

    name: str
    url: str
    webhook: bool = False
    template: str = ""

    def report(self, kind: str, payload: Mapping[str, Json]) -> None:
        if self.webhook:
            self._post(kind, payload)
        else:
            self._apprise(kind, payload)

    def _post(self, kind: str, payload: Mapping[str, Json]) -> None:
        values = {**payload, "kind": kind, "text": words(kind, payload)}
        import httpx  # noqa: PLC0415 - see app/parts.py: a tenth of a second that only a message needs

        body = self._filled(values) if self.template else json.dumps(values)
        try:
            answer = httpx.post(
                self.url, content=body.encode(), headers={"Content-Type": "application/json"}, timeout=TIMEOUT
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"{self.name}: {type(error).__name__}: the receiver could not be reached") from error
        if not answer.is_success:
            raise Unavailable(f"{self.name}: the receiver answered {answer.status_code}")

    def _filled(self, values: Mapping[str, Json]) -> str:
        from jinja2 import TemplateError  # noqa: PLC0415 - only a template needs it
        from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415

        # the sandbox: who writes a template says what is told, not what this process does
        environment = ImmutableSandboxedEnvironment(autoescape=False, keep_trailing_newline=True)
        try:
            return environment.from_string(self.template).render(values)
        except TemplateError as error:
            raise Unavailable(f"{self.name}: the template of the webhook is wrong: {error}") from error

    def _apprise(self, kind: str, payload: Mapping[str, Json]) -> None:
        import apprise  # noqa: PLC0415 - 25 MB that only a message needs

        asset = apprise.AppriseAsset(app_id="Headgate", async_mode=False)
        sender = apprise.Apprise(asset=asset)
        if not sender.add(self.url):
            raise Unavailable(f"{self.name}: apprise knows no such kind of address")
        level = apprise.NotifyType.SUCCESS if kind in (RECOVERED, "SUCCEEDED") else apprise.NotifyType.FAILURE
        if not sender.notify(title=title(kind, payload), body=words(kind, payload), notify_type=level):
            raise Unavailable(f"{self.name}: the receiver did not take it")


def title(kind: str, payload: Mapping[str, Json]) -> str:
    return f"{payload['job']}: {'recovered' if kind == RECOVERED else kind}"


def words(kind: str, payload: Mapping[str, Json]) -> str:
    """The message for a person."""
    if kind == RECOVERED:
        return f"{payload['job']} works again: run {payload['run']} SUCCEEDED."
    lines = [f"{payload['job']} ended {payload['state']} (run {payload['run']})."]
    if payload.get("error"):
        lines.append(str(payload["error"]))
    if payload.get("trigger"):
        lines.append(f"Started by the trigger {payload['trigger']}.")
    lines.append(f"See: headgate runs show {str(payload['run'])[:15]}")
    return "\n".join(lines)
