"""This file is where `notify:` is read, at the top of the file and in a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from headgate.model import TERMINAL, JobName
from headgate.settings.kinds import ANY_TEXT, one_of, pattern
from headgate.settings.nodes import Table
from headgate.settings.reading import Key, Named, Part, Section
from headgate.settings.record import Notification, Secret

NOTIFY: Final = Part(
    name="notify",
    expected="a list of {on, url} or {on, webhook, template}",
    description="Who is told of which ends: one message a failure, one a recovery.",
)
ON: Final = Part(
    name="on",
    expected="a list of run states and RECOVERED",
    description="Which ends are told: FAILED, TIMEOUT, ERROR and RECOVERED (the first success after a failure) unless"
    " it says otherwise.",
)
_WEB: Final = pattern("an http or https URL", r"https?://\S+|")
_APPRISE: Final = pattern(
    "an apprise URL such as slack://TOKEN/CHANNEL or mailto://...", r"[A-Za-z][A-Za-z0-9+.-]*://\S+|"
)
URL: Final = Key(
    name="url", kind=_APPRISE, default="", secret=True, description="An apprise URL. Empty: this one is switched off."
)
WEBHOOK: Final = Key(
    name="webhook", kind=_WEB, default="", secret=True, description="A URL the run is posted to. Empty: switched off."
)
TEMPLATE: Final = Key(
    name="template",
    kind=ANY_TEXT,
    default="",
    description="Jinja template of a webhook's body; by default the run as JSON.",
)
NOTIFICATION: Final[Sequence[Named]] = (ON, URL, WEBHOOK, TEMPLATE)

_ENDS: Final = one_of("RECOVERED", *sorted(state.value for state in TERMINAL))
_DEFAULT: Final = ("FAILED", "TIMEOUT", "ERROR", "RECOVERED")


def read_notifications(owner: Section, job: JobName | None = None) -> list[Notification]:
    """Read `notify:` of a job or of the whole file; one without an address (a variable left empty) is left out."""
    notifications: list[Notification] = []
    for index, node in enumerate(owner.items(NOTIFY)):
        name = owner.path(f"notify[{index}]")
        if not isinstance(node, Table):
            owner.report.unexpected(node, name, "a mapping")
            continue
        section = Section(node, name, owner.report)
        section.only(NOTIFICATION)
        if section.has(URL) == section.has(WEBHOOK):
            section.report.problem(section.place, f"{name}: expected exactly one of url and webhook")
            continue
        if section.has(TEMPLATE) and not section.has(WEBHOOK):
            section.report.problem(section.place_of(TEMPLATE), f"{name}: only a webhook has a template")
        on = section.texts(ON, _ENDS, _DEFAULT, alone=True)
        url = section.get(WEBHOOK if section.has(WEBHOOK) else URL)
        template = section.get(TEMPLATE) if section.has(TEMPLATE) else ""
        if url and on:
            address = Secret(url)
            webhook = section.has(WEBHOOK)
            notifications.append(
                Notification(name=name, on=on, url=address, webhook=webhook, template=template, job=job)
            )
    return notifications
