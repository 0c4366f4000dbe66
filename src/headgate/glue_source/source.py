"""This file is where the source is that DataHub loads: databases, tables and views of Glue's catalog, as work units."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, Final

from datahub.configuration.common import ConfigModel
from datahub.emitter.mce_builder import get_sys_time
from datahub.emitter.rest_emitter import INGEST_MAX_PAYLOAD_BYTES
from datahub.ingestion.api.common import PipelineContext
from datahub.ingestion.api.decorators import SupportStatus, config_class, platform_name, support_status
from datahub.ingestion.api.source import Source
from datahub.ingestion.api.workunit import MetadataWorkUnit
from datahub.ingestion.api.workunit_processor import WorkunitProcessorContext
from datahub.ingestion.source.state.stateful_ingestion_base import StatefulIngestionSourceBase
from datahub.ingestion.workunit_processors import (
    AutoBrowsePathV2Processor,
    AutoMaterializeReferencedTagsTermsProcessor,
    AutoPatchLastModifiedProcessor,
    AutoStaleEntityRemovalProcessor,
    AutoStatusAspectProcessor,
    AutoWorkunitsReporterProcessor,
    EnsureAspectSizeProcessor,
    ValidateDuplicateSchemaFieldPathsProcessor,
    ValidateEmptySchemaFieldPathsProcessor,
    ValidateInputFieldsProcessor,
)
from datahub.metadata.schema_classes import (
    MetadataChangeEventClass,
    StatusClass,
    SystemMetadataClass,
    ViewPropertiesClass,
)

from headgate.errors import HeadgateError
from headgate.glue_source import lineage
from headgate.glue_source.aspects import (
    Here,
    Makers,
    Named,
    Schema,
    columns_of,
    delta_columns,
    is_delta,
    named,
    operation,
    storage_of,
)
from headgate.glue_source.columns import Field
from headgate.glue_source.links import Links, renamed
from headgate.glue_source.options import GlueOptions, beyond, unknown
from headgate.glue_source.proposals import Json, Prepared, PreparedPatch, unit
from headgate.glue_source.report import GlueReport
from headgate.glue_source.views import VIRTUAL, Views, definition_of
from headgate.glue_source.wire import GlueCatalog, Unread, Wire

logger = logging.getLogger(__name__)

#: What DataHub does to the work units of any source, and ours have done to them from the start.
_DONE = (
    AutoStatusAspectProcessor,
    AutoMaterializeReferencedTagsTermsProcessor,
    ValidateDuplicateSchemaFieldPathsProcessor,
    ValidateEmptySchemaFieldPathsProcessor,
    AutoBrowsePathV2Processor,
    AutoWorkunitsReporterProcessor,
    AutoPatchLastModifiedProcessor,
    ValidateInputFieldsProcessor,
    EnsureAspectSizeProcessor,
)


#: How often Python looks for garbage in a run: what is made lives until the sink has written it, and the looking took a
#: sixth of the time.
_SELDOM: Final = (50_000, 20, 20)

#: Bytes of JSON; DataHub's own limit for a schema, which is a little below what its server takes.
LIMIT: Final = int(INGEST_MAX_PAYLOAD_BYTES * 0.985)

#: How large other aspects can be at most, that may be large.
_MAY_BE_LARGE: Final[Mapping[str, Callable[[Json], int]]] = {
    "viewProperties": lambda body: 200 + 6 * len(body["viewLogic"]),
    "upstreamLineage": lineage.bytes_at_most,
}


@platform_name("Glue")
@config_class(GlueOptions)
@support_status(SupportStatus.BETA)
class HeadgateGlueSource(StatefulIngestionSourceBase):  # pyright: ignore[reportUntypedBaseClass] - decorated
    """Reads databases, tables and views of AWS Glue's catalog."""

    def __init__(self, config: GlueOptions, ctx: PipelineContext) -> None:
        super().__init__(config, ctx)
        self.source_config = config
        self.report: GlueReport = GlueReport(catalog_id=config.catalog_id)
        self.catalog = GlueCatalog(
            config.get_glue_client(), catalog_id=config.catalog_id, attempts=config.aws_retry_num + 1
        )
        self._make = Makers(config, self.catalog.partition(config.aws_region))
        self._views = Views(config, ctx.graph)
        self._links = Links(self._make, self.catalog, self.report, ctx.graph)
        self._pages: Generator[tuple[str, list[Wire]] | Unread] | None = None
        self._urns = set[str]()  #: of tables and views that were handed on
        self._of_storage: list[tuple[str, Json]] = []  #: lineage that is said of S3 and Iceberg
        of_any = WorkunitProcessorContext(
            source_report=self.report,
            pipeline_context=ctx,
            source_config=config,
            platform=config.platform,
            source_platform=config.platform,
        )
        self._cut = EnsureAspectSizeProcessor.create(of_any)
        self._status = AutoStatusAspectProcessor.create(of_any)

    @classmethod
    def create(cls, config_dict: dict[str, Any], ctx: PipelineContext) -> Source:  # pyright: ignore[reportIncompatibleMethodOverride] - it may be the other source
        """Make the source, or the other one when it is asked for more than we do; that one says so in its report.

        Raises:
            pydantic.ValidationError: an option has a value that it cannot have.
        """
        asked = [f"{name}: not an option of ours" for name in unknown(config_dict)]
        if not asked:
            options = GlueOptions.model_validate(config_dict)
            asked = beyond(options, ctx.flags)
            if not asked:
                return cls(options, ctx)
        from datahub.ingestion.source.aws.glue import GlueSource  # noqa: PLC0415 - it takes a second

        source = GlueSource.create(config_dict, ctx)
        source.get_report().info(
            title="The source glue does it, not headgate-glue",
            message="The recipe asks for what headgate-glue does not do.",
            context="; ".join(asked),
            log=False,
        )
        logger.info("headgate-glue leaves this recipe to the source glue: %s", "; ".join(asked))
        return source

    @property
    def platform(self) -> str:
        return self.source_config.platform

    def get_config(self) -> ConfigModel:
        return self.source_config

    def get_report(self) -> GlueReport:
        return self.report

    def close(self) -> None:
        if self._pages:
            self._pages.close()  # a preview ends before they do
        self._views.close()
        self.catalog.close()
        super().close()

    def get_excluded_workunit_processors(self) -> list[Any]:
        # who removes what is gone looks at each work unit, also where nothing is ever removed
        removes = self.state_provider.is_stateful_ingestion_configured()
        return [*_DONE, *([] if removes else [AutoStaleEntityRemovalProcessor])]

    # -- what is made, in the order of its making

    def get_workunits_internal(self) -> Iterable[MetadataWorkUnit]:
        """Yield the databases, then their tables as they are read, then what is known when all are."""
        weakref.finalize(self, gc.set_threshold, *gc.get_threshold())  # the pipeline lets go of us last of all
        gc.set_threshold(*_SELDOM)
        try:
            databases = [one for one in self.catalog.databases() if self._wanted(one)]
        except HeadgateError as error:
            # raised, it would be an "unexpected exception" of the pipeline's
            self.report.failure(message="The databases of Glue's catalog could not be listed", context=str(error))
            return
        for database in databases:
            yield from self._reported(self._make.containers(database))
        here = {str(one["Name"]): self._make.here(one) for one in databases}
        self._pages = self.catalog.tables(here)
        for found in self._pages:
            if isinstance(found, Unread):
                self._unread(found)
                continue
            database, tables = found
            system = self._system()
            for table in tables:
                yield from self._table(table, here[database], system)
        yield from self._at_last()
        if not self.report.events_produced:
            self.report.warning(
                title="No metadata was produced by the source",
                message="Please check the source configuration, filters, and permissions.",
            )

    def _wanted(self, database: Wire) -> bool:
        own, name = self.source_config, str(database["Name"])
        if own.ignore_resource_links and database.get("TargetDatabase"):
            return False
        elsewhere = own.catalog_id and database.get("CatalogId") not in (None, "", own.catalog_id)
        if not own.database_pattern.allowed(name) or elsewhere:
            self.report.databases.dropped(name)
            return False
        self.report.databases.processed(name)
        return True

    def _unread(self, found: Unread) -> None:
        """Say that a database could not be listed. To the other source it is a warning and no more.

        Where what is missing is removed from DataHub, it is a failure: its tables are not gone, only not seen.
        """
        state = self.source_config.stateful_ingestion
        removes = state is not None and state.enabled and state.remove_stale_metadata
        tell = self.report.failure if removes else self.report.warning
        tell(message="Failed to get tables from database", context=found.database, exc=found.error)

    def _system(self) -> SystemMetadataClass | None:
        """What the proposals of a page share: when they were seen, and by which run."""
        if not self.ctx.flags.set_system_metadata:
            return None
        return SystemMetadataClass(lastObserved=get_sys_time(), runId=self.ctx.run_id)

    def _table(self, table: Wire, here: Here, system: SystemMetadataClass | None) -> Iterator[MetadataWorkUnit]:
        """Yield a table's work units; one that Glue describes badly is reported, and the others go on."""
        if self.source_config.ignore_resource_links and table.get("TargetTable") is not None:
            return
        self.report.tables_scanned += 1
        try:
            if here.database.get("TargetDatabase") and not self.source_config.ignore_resource_links:
                table = renamed(table, here.database, self.source_config.catalog_id)
                self.report.num_resource_link_database_tables += 1
            full_name = f"{table['DatabaseName']}.{table['Name']}"
            if not self.source_config.table_pattern.allowed(full_name):
                self.report.filtered.append(full_name)
                return
            made = list(self._units(table, full_name, here, system))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self.report.failure(
                message="Failed to extract workunit for table", context=f"Table: {table.get('Name')}", exc=error
            )
            return
        yield from made

    def _units(
        self, table: Wire, full_name: str, here: Here, system: SystemMetadataClass | None
    ) -> Iterator[MetadataWorkUnit]:
        urn = self._make.urn(full_name)
        is_view = table.get("TableType") == VIRTUAL
        storage = storage_of(table)
        properties = self._make.properties(table, storage)
        schema = self._schema(table, storage, urn, full_name)
        if schema is None and table.get("TargetTable") and self.source_config.resolve_resource_link_schema:
            schema = self._links.schema(
                table, urn, full_name, lambda owner: self._schema(owner, storage_of(owner), urn, full_name)
            )
        created, modified = (properties.get(key, {}).get("time") for key in ("created", "lastModified"))
        aspects: list[Named] = []
        if created is not None:
            aspects.append(operation("CREATE", created))
        if modified is not None and modified != created:
            aspects.append(operation("UPDATE", modified))
        aspects += [self._make.status, ("datasetProperties", properties)]
        if schema:
            aspects.append(("schemaMetadata", schema.body))
        aspects.append(self._make.instance)
        if self.source_config.extract_owners and table.get("Owner"):
            aspects.append(self._make.owned(str(table["Owner"])))
        aspects += self._copied(table, urn, properties["customProperties"], schema)
        aspects.append(self._make.view if is_view else self._make.table)
        if is_view:
            aspects.append(self._view(table, urn, here, full_name))
        aspects += [one for one in (self._make.domain(full_name),) if one]
        aspects += [here.container, here.paths]

        # from here on nothing fails: what is counted is what is handed on
        self._urns.add(urn)
        if schema and self.source_config.include_view_lineage:
            self._views.table(urn, str(table["Name"]), schema.fields)
        names = tuple(name for name, _ in aspects)
        for number, (name, body) in enumerate(aspects):
            made = unit(Prepared(urn, name, body, system), number if name == "operation" else 0)
            too_large = (schema and name == "schemaMetadata" and schema.bytes_at_most > LIMIT) or (
                name in _MAY_BE_LARGE and _MAY_BE_LARGE[name](body) > LIMIT
            )
            yield from self._cut.process([made]) if too_large else (made,)
        if modified is None and created:
            names += ("datasetProperties",)
            yield unit(PreparedPatch(urn, "datasetProperties", _modified(created), system))
        self.report.dataset(self._make.subtype(is_view), names)

    def _schema(self, table: Wire, storage: Mapping[str, Any], urn: str, full_name: str) -> Schema | None:
        if not storage:
            return None
        if not (self.source_config.extract_delta_schema_from_parameters and is_delta(table, storage)):
            return self._make.schema(columns_of(table, storage), full_name)
        try:
            columns = delta_columns(table)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self.report.num_dataset_invalid_delta_schema += 1
            self.report.warning(
                message="Could not parse delta schema for table", context=f"{urn}: {full_name}", exc=error, log=False
            )
            return None
        self.report.num_dataset_valid_delta_schema += 1
        return self._make.schema(columns, full_name)

    def _view(self, table: Wire, urn: str, here: Here, full_name: str) -> Named:
        self.report.views_scanned += 1

        def warn(message: str, more: str) -> None:
            self.report.warning(
                message=message,  # pyright: ignore[reportArgumentType] - one of three texts of `views`
                context=f"table={full_name}{more}",
                log=False,
            )

        definition = definition_of(table, warn)
        if definition and self.source_config.include_view_lineage:
            self._views.view(urn, here.name, definition)
        logic = definition.sql if definition else ""
        return named(ViewPropertiesClass(materialized=False, viewLanguage="SQL", viewLogic=logic))

    def _copied(self, table: Wire, urn: str, properties: Mapping[str, str], schema: Schema | None) -> Iterator[Named]:
        """Yield the aspect that says what the table's data is a copy of: its storage, or the table that it links to."""
        own = self.source_config
        copied: list[str] = []
        fine: list[Json] = []
        kept = lineage.storage_urn(urn, properties, own.env) if own.emit_storage_lineage else None
        if kept and own.glue_storage_lineage_direction == "downstream":
            self._of_storage.append((kept, lineage.upstreams([urn])))
        elif kept:
            copied.append(kept)
            if own.include_column_lineage and schema:
                fine = lineage.by_column(urn, kept, schema.fields, lambda: self._paths_of(kept, schema.fields))
        linked = self._links.owner(table, urn) if table.get("TargetTable") else None
        if copied or linked:
            yield "upstreamLineage", lineage.upstreams([*copied, *([linked] if linked else [])], fine)

    def _paths_of(self, urn: str, fields: Iterable[Field]) -> Iterator[str]:
        """The field paths that DataHub knows of a dataset; of one that it does not know, our own."""
        found = self.ctx.graph.get_schema_metadata(urn) if self.ctx.graph else None
        return (one.fieldPath for one in found.fields) if found else (one["fieldPath"] for one in fields)

    def _at_last(self) -> Iterator[MetadataWorkUnit]:
        """Yield what is not about a table of ours alone: storage's lineage, views' lineage, and queries."""
        for made in self._status.process(self._cut.process(self._lineage())):
            if isinstance(made.metadata, MetadataChangeEventClass):
                continue
            if made.metadata.aspectName == StatusClass.ASPECT_NAME and made.get_urn() in self._urns:
                continue  # it has one
            yield from self._reported([made])

    def _lineage(self) -> Iterator[MetadataWorkUnit]:
        system = self._system()
        for urn, body in self._of_storage:
            yield unit(Prepared(urn, "upstreamLineage", body, system))
        if not self._views.any:
            return
        try:
            self.report.sql_aggregator = self._views.start().report
            for proposal in self._views.lineage():
                yield proposal.as_workunit()
        except Exception as error:  # noqa: BLE001 - a parser of SQL that others write; the tables are told already
            self.report.failure(
                message="Failed to generate view lineage from SQL parsing",
                context="SqlParsingAggregator.gen_metadata",
                exc=error,
            )

    def _reported(self, units: Iterable[MetadataWorkUnit]) -> Iterator[MetadataWorkUnit]:
        for made in units:
            self.report.report_workunit(made)
            yield made


def _modified(when: int) -> list[Json]:
    return [{"op": "add", "path": "/lastModified", "value": {"time": when}}]
