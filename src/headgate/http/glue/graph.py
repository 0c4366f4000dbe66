"""This file is where a workflow's triggers and jobs become the nodes and edges of its graph."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

Shape = dict[str, Any]


def node_id(kind: str, name: str) -> str:
    """The same for the same trigger or job in every run of every workflow."""
    return "wnode_" + hashlib.sha256(f"{kind}\0{name}".encode()).hexdigest()


def of(triggers: Sequence[Shape], runs: Mapping[str, Sequence[Shape]]) -> Shape:
    """The graph of these triggers; `runs` are the job runs of each job, where it is a run's graph."""
    jobs: dict[str, None] = {}
    edges: list[Shape] = []
    for one in triggers:
        own = node_id("TRIGGER", one["Name"])
        for condition in (one.get("Predicate") or {}).get("Conditions", ()):
            jobs[condition["JobName"]] = None
            edges.append({"SourceId": node_id("JOB", condition["JobName"]), "DestinationId": own})
        for action in one["Actions"]:
            jobs[action["JobName"]] = None
            edges.append({"SourceId": own, "DestinationId": node_id("JOB", action["JobName"])})
    nodes: list[Shape] = [
        {
            "Type": "TRIGGER",
            "Name": one["Name"],
            "UniqueId": node_id("TRIGGER", one["Name"]),
            "TriggerDetails": {"Trigger": one},
        }
        for one in triggers
    ]
    nodes.extend(
        {
            "Type": "JOB",
            "Name": name,
            "UniqueId": node_id("JOB", name),
            "JobDetails": {"JobRuns": list(runs.get(name, ()))},
        }
        for name in jobs
    )
    return {"Nodes": nodes, "Edges": edges}
