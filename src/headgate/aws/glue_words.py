"""This file is where our words for triggers become AWS Glue's, for its API and for ours that equals it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from headgate.model import JobName, Trigger

Members = dict[str, Any]


def minutes(seconds: float) -> int:
    """Glue's unit of time limits; a part of one counts as one."""
    return max(1, math.ceil(seconds / 60))


def actions_of(trigger: Trigger, named: Mapping[JobName, str] | None = None) -> list[Members]:
    """Its Actions; `named` has Glue's names of jobs that have others here."""
    names = named or {}
    return [
        {
            "JobName": str(names.get(one.job, one.job)),
            **({"Arguments": dict(one.arguments)} if one.arguments else {}),
            **({"Timeout": minutes(one.timeout)} if one.timeout else {}),
        }
        for one in trigger.actions
    ]


def predicate_of(trigger: Trigger, named: Mapping[JobName, str] | None = None) -> Members | None:
    """Its Predicate; None for a trigger that watches nothing."""
    if trigger.predicate is None:
        return None
    names = named or {}
    return {
        "Logical": trigger.predicate.logical.value,
        "Conditions": [
            {"LogicalOperator": "EQUALS", "JobName": str(names.get(one.job, one.job)), "State": one.state.value}
            for one in trigger.predicate.conditions
        ],
    }
