"""This file is where a database and a table of Glue's become aspects, the same ones as DataHub's own source makes.

Glue's JSON is taken as it came. What botocore would have made of it matters where a value's text is kept (members of
the storage descriptor): only members that the SDK knows, in its order, without nulls, as Python writes them.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from botocore.utils import parse_timestamp
from datahub.emitter.mce_builder import (
    make_dataplatform_instance_urn,
    make_dataset_urn_with_platform_instance,
    make_domain_urn,
    make_user_urn,
)
from datahub.emitter.mcp import MetadataChangeProposalWrapper
from datahub.emitter.mcp_builder import DatabaseKey, gen_containers
from datahub.ingestion.api.workunit import MetadataWorkUnit
from datahub.ingestion.source.common.subtypes import DatasetContainerSubTypes, DatasetSubTypes
from datahub.metadata.schema_classes import (
    BrowsePathEntryClass,
    BrowsePathsV2Class,
    ContainerClass,
    DataPlatformInstanceClass,
    DomainsClass,
    OwnerClass,
    OwnershipClass,
    OwnershipTypeClass,
    StatusClass,
    SubTypesClass,
)
from datahub.utilities.delta import delta_type_to_hive_type

from headgate.glue_source.columns import Column, Field, column
from headgate.glue_source.options import GlueOptions
from headgate.glue_source.proposals import Json, as_json
from headgate.glue_source.wire import Wire

Named = tuple[str, Json]  #: an aspect's name and what it is

_NOBODY: Final[Json] = {"time": 0, "actor": "urn:li:corpuser:unknown"}
_WHOLE_TABLE: Final[Json] = {"partition": "FULL_TABLE_SNAPSHOT", "type": "FULL_TABLE"}
_NO_DDL: Final[Json] = {"com.linkedin.schema.MySqlDDL": {"tableSchema": ""}}
#: A name that stands in a URN as it is.
_ORDINARY: Final = re.compile(r"[A-Za-z0-9_.-]+")
_ANY: Final = "Any.table_of-0urs"

#: The SDK's shape of a storage descriptor: None is kept as it is, a mapping has these members, a list has one of these.
#: A test holds it against botocore's model.
STORAGE: Final[Mapping[str, Any]] = {
    "Columns": None,
    "Location": None,
    "AdditionalLocations": None,
    "InputFormat": None,
    "OutputFormat": None,
    "Compressed": None,
    "NumberOfBuckets": None,
    "SerdeInfo": {"Name": None, "SerializationLibrary": None, "Parameters": None},
    "BucketColumns": None,
    "SortColumns": [{"Column": None, "SortOrder": None}],
    "Parameters": None,
    "SkewedInfo": {
        "SkewedColumnNames": None,
        "SkewedColumnValues": None,
        "SkewedColumnValueLocationMaps": None,
    },
    "StoredAsSubDirectories": None,
    "SchemaReference": {
        "SchemaId": {"SchemaArn": None, "SchemaName": None, "RegistryName": None},
        "SchemaVersionId": None,
        "SchemaVersionNumber": None,
    },
}


@dataclass(frozen=True, slots=True)
class Here:
    """A database, and the aspects that all its tables have alike."""

    name: str
    database: Wire
    container: Named
    paths: Named


@dataclass(frozen=True, slots=True)
class Schema:
    body: Json
    fields: Sequence[Field]
    bytes_at_most: int  #: of its JSON


class Makers:
    """What makes aspects, with what a whole run has alike."""

    def __init__(self, options: GlueOptions, partition: str) -> None:
        self._options = options
        self.platform = options.platform
        self._platform_urn = f"urn:li:dataPlatform:{options.platform}"
        region = options.aws_region or ""
        self._arn = f"arn:{partition}:glue:{region}"
        instance = options.platform_instance
        self._instance_urn = make_dataplatform_instance_urn(options.platform, instance) if instance else None
        self.status: Named = named(StatusClass(removed=False))
        self.instance: Named = named(
            DataPlatformInstanceClass(platform=self._platform_urn, instance=self._instance_urn)
        )
        self.table: Named = named(SubTypesClass(typeNames=[DatasetSubTypes.TABLE]))
        self.view: Named = named(SubTypesClass(typeNames=[DatasetSubTypes.VIEW]))
        self.owned: Callable[[str], Named] = lru_cache(maxsize=4096)(_owned)
        #: What DataHub writes around a name; nothing where it changes the name, too.
        self._around = self._urn(_ANY).split(_ANY)

    @staticmethod
    def subtype(is_view: bool) -> str:
        return DatasetSubTypes.VIEW if is_view else DatasetSubTypes.TABLE

    # -- databases

    def key(self, database: str) -> DatabaseKey:
        return DatabaseKey(
            database=database,
            platform=self.platform,
            instance=self._options.platform_instance,
            env=self._options.env,
            backcompat_env_as_instance=True,
        )

    def here(self, database: Wire) -> Here:
        name = str(database["Name"])
        urn = self.key(name).as_urn()
        path = [BrowsePathEntryClass(id=one, urn=one) for one in (self._instance_urn, urn) if one]
        return Here(name, database, named(ContainerClass(container=urn)), named(BrowsePathsV2Class(path=path)))

    def containers(self, database: Wire) -> Iterator[MetadataWorkUnit]:
        """What DataHub is told of a database: its own functions make it, as there are few."""
        name = str(database["Name"])
        account = database.get("CatalogId") or self._options.catalog_id
        properties = dict(database.get("Parameters") or {})
        if database.get("LocationUri") is not None:
            properties["LocationUri"] = database["LocationUri"]
        if database.get("CreateTime") is not None:
            properties["CreateTime"] = parse_timestamp(database["CreateTime"]).strftime("%B %d, %Y at %H:%M:%S")
        key = self.key(name)
        yield from gen_containers(
            container_key=key,
            name=name,
            sub_types=[DatasetContainerSubTypes.DATABASE],
            domain_urn=self._domain_of(name),
            description=database.get("Description"),
            qualified_name=f"{self._arn}:{account}:database/{name}" if account else None,
            extra_properties=properties,
        )
        path = [BrowsePathEntryClass(id=one, urn=one) for one in (self._instance_urn,) if one]
        yield MetadataChangeProposalWrapper(entityUrn=key.as_urn(), aspect=BrowsePathsV2Class(path=path)).as_workunit()

    # -- tables

    def urn(self, full_name: str) -> str:
        if len(self._around) == 2 and _ORDINARY.fullmatch(full_name):
            return full_name.join(self._around)
        return self._urn(full_name)

    def _urn(self, full_name: str) -> str:
        return make_dataset_urn_with_platform_instance(
            platform=self.platform,
            name=full_name,
            platform_instance=self._options.platform_instance,
            env=self._options.env,
        )

    def _domain_of(self, name: str) -> str | None:
        return next(
            (make_domain_urn(one) for one, wanted in self._options.domain.items() if wanted.allowed(name)), None
        )

    def domain(self, name: str) -> Named | None:
        found = self._domain_of(name)
        return named(DomainsClass(domains=[found])) if found else None

    def properties(self, table: Wire, storage: Mapping[str, Any]) -> Json:
        """The aspect datasetProperties.

        Raises:
            KeyError: Glue did not say the account, database or name.
        """
        name, account, database = (_there(table, key) for key in ("Name", "CatalogId", "DatabaseName"))
        custom = {key: value for key, value in (table.get("Parameters") or {}).items() if value is not None}
        for key, value in storage.items():
            if key not in ("Columns", "Parameters"):
                custom[key] = str(as_parsed(value, STORAGE[key]))
        made: Json = {
            "customProperties": custom,
            "name": name,
            "qualifiedName": f"{self._arn}:{account}:table/{database}/{name}",
            "tags": [],
        }
        if table.get("Description") is not None:
            made["description"] = table["Description"]
        for key, when in (("created", "CreateTime"), ("lastModified", "UpdateTime")):
            if table.get(when) is not None:
                made[key] = {"time": millis(table[when])}
        return made

    def schema(self, columns: Sequence[Column], full_name: str) -> Schema:
        """The aspect schemaMetadata. Of two fields with one path the first counts; one without a path is left out."""
        fields: list[Field] = []
        seen = {""}
        for one in columns:
            for field in one.fields:
                path = field["fieldPath"]
                if path not in seen:
                    seen.add(path)
                    fields.append(field)
        body: Json = {
            "schemaName": full_name,
            "platform": self._platform_urn,
            "version": 0,
            "created": _NOBODY,
            "lastModified": _NOBODY,
            "hash": "",
            "platformSchema": _NO_DDL,
            "fields": fields,
        }
        return Schema(body, fields, sum(one.bytes_at_most for one in columns) + 6 * len(full_name) + 600)


def storage_of(table: Wire) -> dict[str, Any]:
    """The members of the storage descriptor that the SDK knows, in its order, without nulls."""
    storage = table.get("StorageDescriptor") or {}
    return {key: storage[key] for key in STORAGE if storage.get(key) is not None}


def columns_of(table: Wire, storage: Mapping[str, Any]) -> list[Column]:
    """The table's columns and, after them, its partition keys.

    Raises:
        KeyError: the descriptor has no columns, or a column no type.
    """
    made = [
        column(_there(one, "Name"), _there(one, "Type"), one.get("Comment") or "", True) for one in storage["Columns"]
    ]
    for one in table.get("PartitionKeys") or ():
        kind = one.get("Type")
        made.append(column(_there(one, "Name"), "unknown" if kind is None else kind, one.get("Comment") or "", False))
    return made


def is_delta(table: Wire, storage: Mapping[str, Any]) -> bool:
    """Whether it is a table of Delta Lake whose schema is in its parameters, and a placeholder in its columns."""
    parameters = table.get("Parameters") or {}
    return (
        parameters.get("spark.sql.sources.provider") == "delta"
        and int(parameters.get("spark.sql.sources.schema.numParts") or 0) > 0
        and [(one.get("Name"), one.get("Type")) for one in storage.get("Columns") or ()] == [("col", "array<string>")]
    )


def delta_columns(table: Wire) -> list[Column]:
    """The columns of a table of Delta Lake, from its parameters.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the parameters hold no schema.
    """
    parameters = table["Parameters"]
    parts = int(parameters["spark.sql.sources.schema.numParts"])
    text = "".join(parameters[f"spark.sql.sources.schema.part.{part}"] for part in range(parts))
    return [
        column(
            one["name"],
            delta_type_to_hive_type(one.get("type", "unknown")),
            one.get("description") or "",
            bool(one.get("nullable", True)),
        )
        for one in json.loads(text)["fields"]
    ]


def operation(kind: str, when: int) -> Named:
    """The aspect operation: CREATE or UPDATE of the whole table, at this time in milliseconds."""
    return "operation", {
        "timestampMillis": when,
        "partitionSpec": _WHOLE_TABLE,
        "operationType": kind,
        "lastUpdatedTimestamp": when,
    }


def as_parsed(value: Any, shape: Any) -> Any:
    """Return a value as botocore parses it."""
    if isinstance(shape, Mapping):
        return {key: as_parsed(value[key], inner) for key, inner in shape.items() if value.get(key) is not None}
    if isinstance(shape, list):
        return [as_parsed(one, shape[0]) for one in value]
    return value


def millis(sent: Any) -> int:
    """A time of Glue's in milliseconds, as the other source has it: the host's local time taken for UTC."""
    if type(sent) in (int, float) and (not time.daylight or time.altzone == time.timezone):
        # what botocore comes to where there is no summer time, without asking for the zone at each table
        parsed = datetime.fromtimestamp(sent, UTC) - timedelta(seconds=time.timezone)
    else:
        parsed = parse_timestamp(sent)
    return int(parsed.replace(tzinfo=UTC).timestamp() * 1000)


def named(aspect: Any) -> Named:
    return str(aspect.get_aspect_name()), as_json(aspect)


def _owned(owner: str) -> Named:
    owners = [OwnerClass(owner=make_user_urn(owner), type=OwnershipTypeClass.DATAOWNER)]
    return named(OwnershipClass(owners=owners))


def _there(mapping: Mapping[str, Any], key: str) -> Any:
    value = mapping[key]
    if value is None:
        raise KeyError(key)
    return value
