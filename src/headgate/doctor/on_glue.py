"""This file is where a trigger that fires on AWS Glue is looked at, as far as headgate.yaml says why it does not."""

from __future__ import annotations

from collections.abc import Iterator

from headgate.doctor.finding import Finding, Rank
from headgate.model import TriggerName
from headgate.settings import Settings


def examine(name: str, settings: Settings) -> Iterator[Finding]:
    """What `validate` warns of, and where to look on. AWS is not asked: the plan does that."""
    trigger = settings.glue.triggers[TriggerName(name)]
    for one in settings.warnings:
        if one.message.startswith(f"triggers.{name}: "):
            what = f"headgate.yaml itself says why the trigger {name!r} may come to nothing"
            yield Finding(Rank.LIKELY, what, str(one), "change headgate.yaml; headgate plan")
    flow = f", in the workflow {trigger.workflow!r}" if trigger.workflow is not None else ""
    yield Finding(
        Rank.NOTE,
        f"the trigger {name!r} fires on AWS Glue, and never here",
        f"headgate.yaml says on: glue{flow}; whether it is there, active and as declared is in the plan",
        "headgate plan",
    )
