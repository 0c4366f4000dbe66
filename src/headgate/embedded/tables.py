"""This file is where a table that a run has written becomes known to the catalog: by a message of the run's end.

The message is in the transaction that ends the run, so no crash comes between the two; told twice, it says the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from headgate.embedded import urns
from headgate.errors import Invalid
from headgate.model import Json, Run, RunState
from headgate.ports import Message, Proposal
from headgate.reports.datahub import messages_for

PLATFORM: Final = "iceberg"
#: What of a run's result is told of its table.
_TOLD: Final = ("snapshot_id", "rows", "rows_written")


def written(run: Run) -> Sequence[Message]:
    """For `Ledger.announce`: what to tell of the lake table a successful run has written, if it has. Pure."""
    table = run.result.get("table")
    if run.state is not RunState.SUCCEEDED or not isinstance(table, str):
        return ()
    urn = urns.dataset(PLATFORM, table)
    try:
        urns.parse(urn)
    except Invalid:
        return ()  # a job's result may say anything; what is no table's name makes no dataset
    return messages_for(
        [
            Proposal(entity_type="dataset", entity_urn=urn, aspect_name="status", aspect={"removed": False}),
            Proposal(
                entity_type="dataset",
                entity_urn=urn,
                aspect_name="datasetProperties",
                change_type="PATCH",
                aspect=_properties(run, table),
            ),
        ]
    )


def _properties(run: Run, table: str) -> list[Json]:
    told: Mapping[str, str] = {
        "headgate.run": run.id,
        "headgate.job": run.job,
        **{f"headgate.{name}": str(run.result[name]) for name in _TOLD if run.result.get(name) is not None},
    }
    return [
        {"op": "add", "path": "/name", "value": table.rpartition(".")[2]},
        {"op": "add", "path": "/qualifiedName", "value": table},
        *({"op": "add", "path": f"/customProperties/{name}", "value": text} for name, text in told.items()),
    ]
