"""This file is where the lake's jobs say what they read and wrote, column by column, in OpenLineage's words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pyiceberg.schema import Schema

#: The platform of tables and views in DataHub; a namespace without a scheme is taken for one.
PLATFORM: Final = "iceberg"
_FACETS: Final = "https://openlineage.io/spec/facets"
_IDENTITY: Final = {"type": "DIRECT", "subtype": "IDENTITY"}
_CAST: Final = {"type": "DIRECT", "subtype": "TRANSFORMATION", "description": "CAST"}

Dataset = dict[str, Any]


def landed(folders: Sequence[tuple[str, str]], columns: Sequence[str], table: str, schema: Schema) -> dict[str, Any]:
    """What an ingestion read and wrote.

    Args:
        folders: (bucket, prefix) of the files that landed.
        columns: of the table, that the files have.
        table: namespace.name.
        schema: the table's.
    """
    inputs = [_files(bucket, prefix, columns) for bucket, prefix in folders]
    types = {one.name: str(one.field_type) for one in schema.fields}
    lineage = {
        name: {
            "inputFields": [
                {
                    "namespace": one["namespace"],
                    "name": one["name"],
                    "field": name,
                    "transformations": [_IDENTITY if types.get(name) == "string" else _CAST],
                }
                for one in inputs
            ]
        }
        for name in columns
    }
    return {"inputs": inputs, "outputs": [_table(table, schema, lineage)]}


def viewed(table: str, schema: Schema, views: Iterable[str]) -> dict[str, Any]:
    """What the making of views read and wrote: every view's column is the table's of that name."""
    source = _table(table, schema, {})
    names = [one.name for one in schema.fields]
    outputs = [
        _table(
            view,
            schema,
            {
                name: {
                    "inputFields": [
                        {"namespace": PLATFORM, "name": table, "field": name, "transformations": [_IDENTITY]}
                    ]
                }
                for name in names
            },
            kind="VIEW",
        )
        for view in views
    ]
    return {"inputs": [source], "outputs": outputs}


def folders_of(objects: Iterable[tuple[str, str]], *, most: int = 20) -> list[tuple[str, str]]:
    """The folders of (bucket, key), each once; with more than `most` their common parents."""
    found = dict.fromkeys((bucket, key.rpartition("/")[0]) for bucket, key in objects)
    while len(found) > most:
        shorter = dict.fromkeys((bucket, folder.rpartition("/")[0]) for bucket, folder in found)
        if len(shorter) == len(found) and all(not folder for _, folder in shorter):
            break
        found = shorter
    return list(found)


def _files(bucket: str, folder: str, columns: Sequence[str]) -> Dataset:
    fields = [{"name": name, "type": "string"} for name in columns]
    return {
        "namespace": f"s3://{bucket}",
        "name": folder or "/",
        "facets": {"schema": _facet("1-2-0/SchemaDatasetFacet", fields=fields)},
    }


def _table(name: str, schema: Schema, lineage: Mapping[str, Any], *, kind: str = "TABLE") -> Dataset:
    fields = [{"name": one.name, "type": str(one.field_type)} for one in schema.fields]
    facets: dict[str, Any] = {
        "schema": _facet("1-2-0/SchemaDatasetFacet", fields=fields),
        "datasetType": _facet("1-0-1/DatasetTypeDatasetFacet", datasetType=kind, subType="ICEBERG"),
    }
    if lineage:
        facets["columnLineage"] = _facet("1-2-0/ColumnLineageDatasetFacet", fields=dict(lineage))
    return {"namespace": PLATFORM, "name": name, "facets": facets}


def _facet(name: str, /, **values: object) -> dict[str, Any]:
    return {"_producer": "urn:headgate", "_schemaURL": f"{_FACETS}/{name}.json", **values}
