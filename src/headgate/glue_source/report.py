"""This file is where a run of the source counts: what DataHub's report of a source shows, without a database beside."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from datahub.ingestion.api.report import EntityFilterReport, Report
from datahub.ingestion.source.state.stale_entity_removal_handler import StaleEntityRemovalSourceReport
from datahub.utilities.lossy_collections import LossyList


@dataclass
class GlueReport(StaleEntityRemovalSourceReport):
    """What the other source reports, by the same names."""

    catalog_id: str | None = None
    tables_scanned: int = 0
    views_scanned: int = 0
    filtered: LossyList[str] = field(default_factory=LossyList[str])
    databases: EntityFilterReport = field(default_factory=lambda: EntityFilterReport(type="database"))
    sql_aggregator: Report | None = None
    num_dataset_invalid_delta_schema: int = 0
    num_dataset_valid_delta_schema: int = 0
    num_resource_link_database_tables: int = 0
    num_resource_link_missing_target: int = 0
    num_resource_link_self_referential: int = 0
    num_resource_link_schema_from_datahub: int = 0
    num_resource_link_schema_from_glue: int = 0
    num_resource_link_schema_unresolved: int = 0
    _kinds: Counter[tuple[str, tuple[str, ...]]] = field(default_factory=Counter[tuple[str, tuple[str, ...]]])

    def dataset(self, subtype: str, aspects: tuple[str, ...]) -> None:
        """Count a dataset, of which these aspects were made. The inherited way keeps a row of SQLite for each."""
        self.events_produced += len(aspects)
        self._kinds[subtype, aspects] += 1

    def compute_stats(self) -> None:
        """Work out what is shown; may come more than once."""
        closed = self._file_based_dict is None  # then what was worked out before stays
        super().compute_stats()  # starts over with what was counted the inherited way
        if closed:
            return
        for (subtype, aspects), times in self._kinds.items():
            each = Counter(aspects)
            full = self.aspects_by_subtypes_full_count["dataset"].setdefault(subtype, {})
            there = self.aspects_by_subtypes["dataset"].setdefault(subtype, {})
            for aspect, count in each.items():
                self.aspects["dataset"][aspect] += count * times
                full[aspect] = full.get(aspect, 0) + count * times
                there[aspect] = there.get(aspect, 0) + times
