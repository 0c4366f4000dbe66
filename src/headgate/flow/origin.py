"""This file is where it is said in one word where a run came from: a trigger, a click, DataHub's pages, a person."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from headgate.flow.click import DATASET
from headgate.model import Run

#: The argument that holds the execution request a run carries out, and how the reason of such a run begins.
REQUEST: Final = "--request"
BY_HAND, BY_SCHEDULE = "DataHub: ", "DataHub's schedule: "


class Origin(StrEnum):
    TRIGGER = "trigger"
    CLICK = "click"  #: on a dataset's page
    MANUAL_UI = "manual-ui"  #: on DataHub's page of ingestions
    SCHEDULED_UI = "scheduled-ui"  #: by the schedule that is set there
    MANUAL = "manual"  #: by a command, the console, or an API


def origin_of(run: Run) -> Origin:
    """Where a run came from. One that repeats a request of DataHub's by hand came from that hand."""
    reason = run.cause.reason or ""
    if run.cause.trigger is not None:
        return Origin.TRIGGER
    if REQUEST in run.arguments and reason.startswith((BY_HAND, BY_SCHEDULE)):
        return Origin.MANUAL_UI if reason.startswith(BY_HAND) else Origin.SCHEDULED_UI
    return Origin.CLICK if DATASET in run.arguments else Origin.MANUAL
