"""Events converted on one core, against DataHub's own classes; this file is where those figures come from.

    python benchmarks/lineage.py convert [--events 4000] [--rounds 5]

The event is a Spark job's COMPLETE of about 7 KB. Both sides get its JSON text and end with plain objects, ready to be
written as JSON. The classes are given every URN and every rule's outcome for nothing: they only parse, build and turn
into objects, and what they give is compared with ours before anything is timed. Rounds alternate; the median counts, in
seconds of CPU. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from headgate.openlineage import LIBRARY, convert

NOW = 1_790_000_000_000
JOBS = 300
PRODUCER = "https://github.com/OpenLineage/OpenLineage/tree/1.30.0/integration/spark"


def facet(kind: str, /, **members: object) -> dict[str, object]:
    return {"_producer": PRODUCER, "_schemaURL": f"https://openlineage.io/spec/facets/1-1-1/{kind}.json", **members}


def event(number: int = 0) -> dict[str, Any]:
    """One of many jobs, its datasets and columns its own: two paths in, one Glue table out, what Spark says beside."""
    columns = ["id", "account", "amount", "booked_at", "currency", "counterparty", "branch", f"channel_{number:03}"]
    types = ["bigint", "string", "decimal(18,2)", "timestamp", "string", "string", "string", "string"]
    fields = [{"name": name, "type": kind} for name, kind in zip(columns, types, strict=True)]
    sources = [("s3://lake-raw", f"{name}/{number:03}/2026/01") for name in ("bookings", "accounts")]
    lineage = {
        name: {
            "inputFields": [
                {
                    "namespace": sources[0][0], "name": sources[0][1], "field": name,
                    "transformations": [{"type": "DIRECT", "subtype": "IDENTITY", "description": "", "masking": False}],
                }
            ]
        }
        for name in columns
    }  # fmt: skip
    return {
        "eventTime": "2026-01-31T12:00:00.123456Z",
        "producer": PRODUCER,
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "eventType": "COMPLETE",
        "run": {
            "runId": "0195600a-0000-7000-8000-000000000001",
            "facets": {
                "parent": facet(
                    "ParentRunFacet",
                    run={"runId": "0195600a-0000-7000-8000-000000000000"},
                    job={"namespace": "prod-etl", "name": "bookings_daily"},
                ),
                "processing_engine": facet(
                    "ProcessingEngineRunFacet", version="3.5.4", name="spark", openlineageAdapterVersion="1.30.0"
                ),
                "spark_properties": facet(
                    "RunFacet", properties={"spark.master": "yarn", "spark.app.name": "bookings_daily"}
                ),
                "environment-properties": facet("RunFacet", **{"environment-properties": {}}),
                "spark_jobDetails": facet("RunFacet", jobId=7, jobDescription="save", jobCallSite="daily.py:42"),
            },
        },
        "job": {
            "namespace": "prod-etl",
            "name": "bookings_daily.execute_insert_into_hadoop_fs_relation_command.sales_bookings",
            "facets": {
                "jobType": facet("JobTypeJobFacet", processingType="BATCH", integration="SPARK", jobType="SQL_JOB")
            },
        },
        "inputs": [
            {
                "namespace": namespace, "name": name, "inputFacets": {},
                "facets": {
                    "dataSource": facet("DatasourceDatasetFacet", name=namespace, uri=namespace),
                    "schema": facet("SchemaDatasetFacet", fields=fields),
                },
            }
            for namespace, name in sources
        ],
        "outputs": [
            {
                "namespace": "s3://lake", "name": f"warehouse/sales/bookings_{number:03}",
                "facets": {
                    "dataSource": facet("DatasourceDatasetFacet", name="s3://lake", uri="s3://lake"),
                    "schema": facet("SchemaDatasetFacet", fields=fields),
                    "symlinks": facet(
                        "SymlinksDatasetFacet",
                        identifiers=[
                            {
                                "namespace": "arn:aws:glue:us-east-1:123456789012",
                                "name": f"table/sales/bookings_{number:03}",
                                "type": "TABLE",
                            }
                        ],
                    ),
                    "lifecycleStateChange": facet(
                        "LifecycleStateChangeDatasetFacet", lifecycleStateChange="OVERWRITE"
                    ),
                    "columnLineage": facet("ColumnLineageDatasetFacet", fields=lineage),
                },
                "outputFacets": {
                    "outputStatistics": facet("OutputStatisticsOutputDatasetFacet", rowCount=1200, size=34567)
                },
            }
        ],
    }  # fmt: skip


def with_classes(data: bytes, urns: dict[str, Any]) -> list[Any]:
    """The same proposals by DataHub's SDK: its aspect classes, its patch builder, its wrapper."""
    from datahub.emitter.mcp import MetadataChangeProposalWrapper as Wrapper
    from datahub.metadata import schema_classes as c

    said = json.loads(data)
    at, flow, job, run = urns["at"], urns["flow"], urns["job"], urns["run"]
    engine, kind = said["run"]["facets"]["processing_engine"], said["job"]["facets"]["jobType"]
    details, spark = said["run"]["facets"]["spark_jobDetails"], said["run"]["facets"]["spark_properties"]
    properties = {
        "processingEngine": engine["name"],
        "processingEngineVersion": engine["version"],
        "openlineageAdapterVersion": engine["openlineageAdapterVersion"],
        **spark["properties"],
        "jobId": str(details["jobId"]),
        "jobDescription": details["jobDescription"],
        "jobCallSite": details["jobCallSite"],
    }
    own = {name: kind[name] for name in ("processingType", "integration", "jobType")}
    name, _, shown = said["job"]["name"].partition(".")
    made: list[Any] = [
        Wrapper(entityUrn=flow, aspect=c.DataFlowInfoClass(name=name, customProperties=properties)),
        Wrapper(entityUrn=flow, aspect=c.StatusClass(removed=False)),
        Wrapper(
            entityUrn=job,
            aspect=c.DataJobInfoClass(
                name=shown, type="spark", flowUrn=flow, customProperties=own | properties, created=c.TimeStampClass(at)
            ),
        ),
        Wrapper(entityUrn=job, aspect=c.StatusClass(removed=False)),
    ]
    words = {"string": c.StringTypeClass, "timestamp": c.TimeTypeClass}
    for dataset in [*sorted(said["inputs"], key=lambda one: one["name"]), *said["outputs"]]:
        urn, platform, path = urns["datasets"][dataset["name"]]
        fields = dataset["facets"]["schema"]["fields"]
        made += [
            Wrapper(entityUrn=urn, aspect=c.DatasetKeyClass(platform=platform, name=path, origin="PROD")),
            Wrapper(entityUrn=urn, aspect=c.StatusClass(removed=False)),
            Wrapper(
                entityUrn=urn,
                aspect=c.SchemaMetadataClass(
                    schemaName="", version=0, hash="", platform="urn:li:dataPlatform:s3",
                    platformSchema=c.MySqlDDLClass(tableSchema=json.dumps(fields, separators=(",", ":"))),
                    fields=[
                        c.SchemaFieldClass(
                            fieldPath=one["name"], nativeDataType=one["type"],
                            type=c.SchemaFieldDataTypeClass(type=words.get(one["type"], c.NumberTypeClass)()),
                        )
                        for one in fields
                    ],
                ),
            ),
        ]  # fmt: skip
    output = said["outputs"][0]
    target, counts = urns["datasets"][output["name"]][0], output["outputFacets"]["outputStatistics"]
    change = output["facets"]["lifecycleStateChange"]["lifecycleStateChange"]
    made.append(
        Wrapper(
            entityUrn=target,
            aspect=c.OperationClass(
                timestampMillis=at, lastUpdatedTimestamp=at, actor="urn:li:corpuser:datahub", operationType="UPDATE",
                numAffectedRows=counts["rowCount"],
                customProperties={"lifecycleStateChange": change, "sizeInBytes": str(counts["size"])},
            ),
        )
    )  # fmt: skip
    made += patched(said, urns, target)
    sides = [[urns["datasets"][one["name"]][0] for one in said[side]] for side in ("inputs", "outputs")]
    actor = c.AuditStampClass(time=at, actor="urn:li:corpuser:datahub")
    result = c.DataProcessInstanceRunResultClass(type="SUCCESS", nativeResultType="COMPLETE")
    made += [
        Wrapper(entityUrn=run, aspect=c.DataProcessInstanceInputClass(inputs=sorted(sides[0]))),
        Wrapper(entityUrn=run, aspect=c.DataProcessInstanceOutputClass(outputs=sides[1])),
        Wrapper(entityUrn=run, aspect=c.DataProcessInstancePropertiesClass(name=said["run"]["runId"], created=actor)),
        Wrapper(
            entityUrn=run,
            aspect=c.DataProcessInstanceRunEventClass(timestampMillis=at, status="COMPLETE", result=result),
        ),
        Wrapper(
            entityUrn=run,
            aspect=c.DataProcessInstanceRelationshipsClass(parentTemplate=job, upstreamInstances=[]),
        ),
    ]
    return [one.to_obj(simplified_structure=True) if isinstance(one, Wrapper) else one.to_obj() for one in made]


def patched(said: Any, urns: dict[str, Any], target: str) -> list[Any]:
    """dataJobInputOutput by the SDK's patch builder."""
    from datahub.metadata import schema_classes as c
    from datahub.specific.datajob import DataJobPatchBuilder

    builder = DataJobPatchBuilder(urns["job"])
    stamp = c.AuditStampClass(time=NOW, actor="urn:li:corpuser:UNKNOWN")
    for side, add in (("inputs", builder.add_input_dataset), ("outputs", builder.add_output_dataset)):
        for one in sorted(urns["datasets"][dataset["name"]][0] for dataset in said[side]):
            add(c.EdgeClass(destinationUrn=one, created=stamp, lastModified=stamp))
    for name, field in said["outputs"][0]["facets"]["columnLineage"]["fields"].items():
        for one in field["inputFields"]:
            change = one["transformations"][0]
            builder.add_fine_grained_lineage(
                c.FineGrainedLineageClass(
                    upstreamType=c.FineGrainedLineageUpstreamTypeClass.FIELD_SET,
                    downstreamType=c.FineGrainedLineageDownstreamTypeClass.FIELD_SET,
                    upstreams=[f"urn:li:schemaField:({urns['datasets'][one['name']][0]},{one['field']})"],
                    downstreams=[f"urn:li:schemaField:({target},{name})"],
                    transformOperation=f"{change['type']}:{change['subtype']}", confidenceScore=0.5,
                )
            )  # fmt: skip
    return list(builder.build())


def given(ours: list[dict[str, Any]]) -> dict[str, Any]:
    """What the classes need not find out for themselves."""
    by_aspect = {one["aspectName"]: one for one in ours}
    keys = [one for one in ours if one["aspectName"] == "datasetKey"]
    names = ["accounts/000/2026/01", "bookings/000/2026/01", "warehouse/sales/bookings_000"]
    return {
        "at": by_aspect["dataProcessInstanceRunEvent"]["aspect"]["timestampMillis"],
        "flow": by_aspect["dataFlowInfo"]["entityUrn"],
        "job": by_aspect["dataJobInfo"]["entityUrn"],
        "run": by_aspect["dataProcessInstanceRunEvent"]["entityUrn"],
        "datasets": {
            name: (one["entityUrn"], one["aspect"]["platform"], one["aspect"]["name"])
            for name, one in zip(names, keys, strict=True)
        },
    }


def same(ours: list[dict[str, Any]], theirs: list[Any]) -> None:
    """Both sides made the same: every proposal has its like in the other, with as many fields and operations."""
    for mine, its in zip(ours, theirs, strict=True):
        assert (mine["entityUrn"], mine["aspectName"]) == (its["entityUrn"], its["aspectName"]), (mine, its)
        aspect = its["aspect"]["json"] if "json" in its["aspect"] else json.loads(its["aspect"]["value"])
        if mine["changeType"] == "PATCH":
            assert len(mine["aspect"]) == len(aspect), (mine, its)
        elif mine["aspectName"] == "schemaMetadata":
            paths = [[one["fieldPath"] for one in side["fields"]] for side in (mine["aspect"], aspect)]
            assert paths[0] == paths[1]
        elif mine["aspectName"].endswith("Info"):
            assert mine["aspect"]["customProperties"] == aspect["customProperties"], (mine, its)


def seconds(work: Callable[[], object], times: int) -> float:
    """CPU seconds of one call, of this process alone."""
    gc.collect()
    begin = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - begin) / times


def measured(events: int, rounds: int) -> dict[str, Any]:
    # of different jobs in turn, so that nothing is remembered that a server would not remember, too
    many = itertools.cycle([json.dumps(event(number), separators=(",", ":")).encode() for number in range(JOBS)])
    data = next(many)
    ours = convert(data, LIBRARY, now=NOW)
    urns = given(ours)
    same(ours, with_classes(data, urns))
    mine: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds):
        mine.append(seconds(lambda: convert(next(many), LIBRARY, now=NOW), events))
        theirs.append(seconds(lambda: with_classes(data, urns), max(events // 20, 10)))
    return {
        "event_bytes": len(data),
        "proposals": len(ours),
        "events_per_s": round(1 / statistics.median(mine)),
        "us_per_event": round(statistics.median(mine) * 1e6, 1),
        "classes_events_per_s": round(1 / statistics.median(theirs)),
        "times_classes": round(statistics.median(theirs) / statistics.median(mine), 1),
        "rounds_us": [round(one * 1e6, 1) for one in mine],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["convert"])
    parser.add_argument("--events", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    print(json.dumps(measured(asked.events, asked.rounds), indent=2))


if __name__ == "__main__":
    main()
