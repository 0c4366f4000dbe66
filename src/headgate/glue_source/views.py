"""This file is where views are read: their SQL, and what it says about where their columns come from.

The parsing is DataHub's own. It is loaded and started when all tables are known and there is a view among them, and is
told only of those tables whose names occur in the SQL of some view.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from datahub.ingestion.source.common.presto_view_decoder import decode_presto_view, is_presto_view
from datahub.utilities.urns.field_paths import get_simple_field_path_from_v2_field_path

from headgate.glue_source.columns import Field
from headgate.glue_source.options import GlueOptions
from headgate.glue_source.wire import Wire

if TYPE_CHECKING:
    from datahub.emitter.mcp import MetadataChangeProposalWrapper
    from datahub.sql_parsing.schema_resolver import SchemaResolver
    from datahub.sql_parsing.sql_parsing_aggregator import SqlParsingAggregator

VIRTUAL: Final = "VIRTUAL_VIEW"
_WORD: Final = re.compile(r"\w+")
#: Whose manners DataHub's parser asks after, whatever the view is written in. A test holds it against what is loaded.
_DIALECTS: Final = (
    "bigquery", "clickhouse", "databricks", "hive", "mysql", "oracle", "postgres", "presto", "redshift", "snowflake",
    "spark", "teradata", "trino",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Definition:
    sql: str
    dialect: str  #: sqlglot's


def load_ahead() -> None:
    """Load what the first view of a run waits for otherwise: DataHub's parser, and the dialects that it looks at."""
    import_module("datahub.sql_parsing.sql_parsing_aggregator")
    dialects: Any = import_module("sqlglot").Dialect
    for dialect in _DIALECTS:
        dialects.get_or_raise(dialect)


def definition_of(table: Wire, warn: Callable[[str, str], object]) -> Definition | None:
    """A view's SQL, or None when there is none that can be read; `warn` is told why, and the details."""
    text = table.get("ViewOriginalText") or table.get("ViewExpandedText")
    if not isinstance(text, str) or not text:
        warn("View has no SQL definition", "")
        return None
    if not is_presto_view(text):
        return Definition(text, "spark")  # by Spark or Hive, whose SQL it reads, too
    try:
        sql: Any = decode_presto_view(text).get("originalSql")
    except ValueError as error:  # of base64, of UTF-8, of JSON, or no object
        warn("Failed to decode Presto view definition", f": {error}")
        return None
    if isinstance(sql, str) and sql:
        return Definition(sql, "trino")
    warn("Presto view definition missing 'originalSql'", "")
    return None


class Views:
    """What is known of tables and views so far; afterwards, the lineage of the views."""

    def __init__(self, options: GlueOptions, graph: Any) -> None:
        self._options = options
        self._graph = graph
        self._schemas: list[tuple[str, str, Sequence[Field]]] = []
        self._views: dict[str, tuple[str, Definition]] = {}
        self._resolver: SchemaResolver | None = None
        self._aggregator: SqlParsingAggregator | None = None

    @property
    def any(self) -> bool:
        return bool(self._views)

    def table(self, urn: str, name: str, fields: Sequence[Field]) -> None:
        self._schemas.append((urn, name, fields))

    def view(self, urn: str, database: str, definition: Definition) -> None:
        self._views[urn] = (database, definition)

    def start(self) -> SqlParsingAggregator:
        """DataHub's parser of SQL, told of all that it may come across."""
        from datahub.sql_parsing.schema_resolver import SchemaResolver  # noqa: PLC0415 - sqlglot takes a while
        from datahub.sql_parsing.sql_parsing_aggregator import SqlParsingAggregator  # noqa: PLC0415

        own = self._options
        resolver = SchemaResolver(
            platform=own.platform, platform_instance=own.platform_instance, env=own.env, graph=self._graph
        )
        self._resolver = resolver
        words = {word for _, view in self._views.values() for word in _WORD.findall(view.sql.lower())}
        for urn, name, fields in self._schemas:
            # a name that is no plain word may be written in more than one way
            if urn in self._views or name.lower() in words or not _WORD.fullmatch(name):
                resolver.add_raw_schema_info(urn, dict(_columns(fields)))
        self._schemas.clear()
        self._aggregator = SqlParsingAggregator(
            platform=own.platform,
            platform_instance=own.platform_instance,
            env=own.env,
            graph=self._graph,
            eager_graph_load=False,
            schema_resolver=resolver,
        )
        for urn, (database, view) in self._views.items():
            self._aggregator.add_view_definition(
                view_urn=urn,
                view_definition=view.sql,
                default_db=None,
                default_schema=database,
                override_dialect=view.dialect,
            )
        return self._aggregator

    def lineage(self) -> Iterator[MetadataChangeProposalWrapper]:
        """What the views' SQL says, after `start`. Whatever DataHub's parser raises, it raises."""
        if self._aggregator:
            yield from self._aggregator.gen_metadata()

    def close(self) -> None:
        if self._aggregator:
            self._aggregator.close()
        if self._resolver:
            self._resolver.close()


def _columns(fields: Sequence[Field]) -> Iterator[tuple[str, str]]:
    for field in fields:
        path = get_simple_field_path_from_v2_field_path(field["fieldPath"])
        if "." not in path:
            yield path, field["nativeDataType"] or "str"
