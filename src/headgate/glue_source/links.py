"""This file is where Lake Formation's resource links are followed: databases and tables that are others' by name only.

A link is ingested under its own name, said to be a copy of what it points to, and has the columns of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from datahub.configuration.common import OperationalError
from datahub.emitter.rest_emitter import INGEST_MAX_PAYLOAD_BYTES
from datahub.ingestion.graph.client import DataHubGraph

from headgate.errors import HeadgateError
from headgate.glue_source.aspects import Makers, Schema
from headgate.glue_source.proposals import Json, as_json
from headgate.glue_source.report import GlueReport
from headgate.glue_source.wire import GlueCatalog, Wire


def renamed(table: Wire, database: Wire, catalog_id: str | None) -> Wire:
    """A table as listed through a linked database, as one of that database that links to its owner's."""
    target: Mapping[str, Any] = database["TargetDatabase"]
    link = {
        "CatalogId": target.get("CatalogId") or table.get("CatalogId"),
        "DatabaseName": target.get("DatabaseName") or table.get("DatabaseName"),
        "Name": table["Name"],
    }
    whose = database.get("CatalogId") or catalog_id
    own = {"DatabaseName": database["Name"], **({"CatalogId": whose} if whose else {})}
    linked = table.get("TargetTable")  # an empty one is one to the other source, too
    return {**table, "TargetTable": link if linked is None else linked, **own}


class Links:
    """What tables that are links point to."""

    def __init__(self, make: Makers, catalog: GlueCatalog, report: GlueReport, graph: DataHubGraph | None) -> None:
        self._make = make
        self._catalog = catalog
        self._report = report
        self._graph = graph

    def owner(self, table: Wire, urn: str) -> str | None:
        """The dataset that a link is a copy of; None, and a warning, when that cannot be said."""
        target = table["TargetTable"]
        found = self._urn(target)
        if found is None:
            self._report.num_resource_link_missing_target += 1
            self._report.warning(
                title="Resource link missing target identifiers",
                message="A resource link does not say the account, database and name of its table, so it is ingested "
                "without lineage to it.",
                context=f"{table.get('DatabaseName')}.{table.get('Name')} -> {target}",
            )
        elif found == urn:
            self._report.num_resource_link_self_referential += 1
            self._report.warning(
                title="Resource link owner catalog not mapped",
                message="A resource link and its table have one URN, so neither lineage nor columns are taken from it. "
                "Map the owning account in catalog_to_platform_instance, or rename the link.",
                context=f"{urn} -> owning catalog {target.get('CatalogId')}",
            )
            found = None
        return found

    def schema(self, table: Wire, urn: str, full_name: str, ours: Callable[[Wire], Schema | None]) -> Schema | None:
        """The aspect schemaMetadata, of what a link points to, under the link's name: from DataHub, else from Glue."""
        target = table["TargetTable"]
        owner = self._urn(target)
        if owner is None or owner == urn:
            return None
        warned = False
        if self._graph:
            try:
                found = self._graph.get_schema_metadata(owner)
            except (OSError, ValueError, OperationalError) as error:  # of requests, they are OSErrors
                warned = self._warn("Failed to read resource-link owner schema from DataHub", owner, error)
            else:
                if found:
                    self._report.num_resource_link_schema_from_datahub += 1
                    body: Json = {**as_json(found), "schemaName": full_name}
                    return Schema(body, body["fields"], INGEST_MAX_PAYLOAD_BYTES)  # of unknown size: looked at
        try:
            described = self._catalog.table(target["CatalogId"], target["DatabaseName"], target["Name"])
        except HeadgateError as error:
            where = f"{target['DatabaseName']}.{target['Name']}"
            warned = self._warn("Failed to read resource-link owner schema from Glue", where, error)
        else:
            made = ours(described)
            if made is not None:
                self._report.num_resource_link_schema_from_glue += 1
                return made
        self._report.num_resource_link_schema_unresolved += 1
        if not warned:
            self._report.warning(
                title="Resource link schema could not be resolved",
                message="A resource link's table is neither in DataHub nor to be read from Glue, so the link has "
                "no columns.",
                context=f"{full_name} -> {owner}",
            )
        return None

    def _urn(self, target: Mapping[str, Any]) -> str | None:
        if not (target.get("CatalogId") and target.get("DatabaseName") and target.get("Name")):
            return None
        return self._make.urn(f"{target['DatabaseName']}.{target['Name']}")

    def _warn(self, title: str, where: str, error: Exception) -> bool:
        self._report.warning(
            title=title,  # pyright: ignore[reportArgumentType] - one of two texts of this file
            message="The columns of a resource link's table could not be read there.",
            context=where,
            exc=error,
        )
        return True
