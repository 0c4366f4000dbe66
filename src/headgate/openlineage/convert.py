"""This file is where an OpenLineage event becomes proposals for DataHub, in the order DataHub's own converter has.

In the order of the output: the flow, the job, their tags and owners, the datasets, what the job reads and writes, the
run, and last the structured properties of the job.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from headgate.errors import MalformedEvent, UnconvertibleEvent
from headgate.openlineage import aspects
from headgate.openlineage.datasets import Aliases, DatasetUrn, Found, Resolver, in_urn_order
from headgate.openlineage.java import milliseconds, scheme_of
from headgate.openlineage.lineage import Lineage, Pairs, input_output, without_legacy
from headgate.openlineage.names import Names, names, orchestrator, run_urn
from headgate.openlineage.options import Options
from headgate.openlineage.properties import Properties, job_type, run_properties
from headgate.openlineage.runs import event_type, instance
from headgate.openlineage.scalars import text
from headgate.openlineage.schema import schema_metadata
from headgate.openlineage.structured import structured_properties
from headgate.openlineage.wire import (
    Dataset,
    DatasetEvent,
    Documentation,
    Facets,
    Job,
    JobEvent,
    JobType,
    Ownership,
    ProcessingEngine,
    RunEvent,
    SourceCodeLocation,
    Sql,
    Tags,
    facet,
    read,
)

#: {entityType, entityUrn, aspectName, changeType, aspect}. Answers share parts of aspects: they are to be read only.
Mcp = dict[str, Any]
_THERE: Final = {"removed": False}
#: What was left out of events, counted by what it was.
Tally = Counter[str]
_RDD: Final = ("map", "map_partitions", "flatmap", "filter", "distinct")
_RDD_SOURCES: Final = ("parallel_collection", "text_file", "hadoopfile")
_RDD_ENDS: Final = tuple(f"{step}_{source}" for step in _RDD for source in _RDD_SOURCES)


def convert(
    event: bytes | Mapping[str, object],
    options: Options,
    *,
    now: int,
    aliases: Aliases | None = None,
    tally: Tally | None = None,
) -> list[Mcp]:
    """What DataHub is to be told of one event, in the order it is to be written.

    Args:
        event: one event, as JSON text or as what JSON text gives.
        options: how it is converted.
        now: the wall clock, milliseconds since 1970.
        aliases: what symlinks of earlier events have taught; by default every event starts anew.
        tally: counts what was left out: `datasets`, `lineage`, `domains`, `properties`.

    Raises:
        MalformedEvent: it is no event (HTTP 400).
        UnconvertibleEvent: nothing can be made of it, or it is larger than `options.limits` (HTTP 422).
    """
    found = read(event, options.limits)
    if found.producer is not None and scheme_of(found.producer) is None:
        raise MalformedEvent(f"producer: expected a URI, found {found.producer[:80]!r}")
    out = _Out()
    given = {} if aliases is None else aliases
    if isinstance(found, DatasetEvent):
        _dataset_event(found, options, Resolver(options, given), out, now)
    else:
        _Conversion(found, options, Resolver(options, given), out, now).run()
    if tally is not None:
        for what, count in out.left:
            tally[what] += count
    return out.proposals


class _Out:
    """The proposals so far."""

    def __init__(self) -> None:
        self.proposals: list[Mcp] = []
        self.left: list[tuple[str, int]] = []

    def add(self, kind: str, urn: str, aspect: str, value: Any, change: str = "UPSERT") -> None:
        self.proposals.append(
            {"entityType": kind, "entityUrn": urn, "aspectName": aspect, "changeType": change, "aspect": value}
        )

    def leave(self, what: str, count: int) -> None:
        if count:
            self.left.append((what, count))

    def changed(self, kind: str, urn: str, aspect: str, change: aspects.Change | None) -> None:
        if change is not None:
            self.add(kind, urn, aspect, change[1], change[0])


def _time(said: str | None) -> int:
    if said is None:
        raise UnconvertibleEvent("the event has no eventTime; every event needs one")
    return milliseconds(said, "eventTime")


def _dataset_event(event: DatasetEvent, options: Options, resolver: Resolver, out: _Out, now: int) -> None:
    if options.released:
        raise UnconvertibleEvent("DataHub's released converter takes only run events")
    at = _time(event.eventTime)
    if event.dataset is None:
        raise UnconvertibleEvent("the event has no dataset")
    found = resolver.dataset(event.dataset, "the dataset")
    if found is None:
        namespace = text(event.dataset.namespace) or ""
        raise UnconvertibleEvent(f"the dataset's namespace {namespace[:200]!r} and its name make no legal URI")
    if options.materialize_dataset:
        _dataset(found, options, out, at, now)


def _dataset(found: Found, options: Options, out: _Out, at: int, now: int, *, output: bool = False) -> None:
    urn, facets = found.urn, found.facets
    platform = f"urn:li:dataPlatform:{urn.platform}"
    out.add("dataset", urn.text, "datasetKey", {"platform": platform, "name": urn.name, "origin": urn.env})
    out.add("dataset", urn.text, "status", _THERE)
    if facets.schema and options.include_schema_metadata and found.platform is not None:
        schema = schema_metadata(bytes(facets.schema), found.platform, options)
        if schema is not None:
            out.add("dataset", urn.text, "schemaMetadata", schema)
    if options.released:
        return
    if output and (operation := aspects.operation(found, at)) is not None:
        out.add("dataset", urn.text, "operation", operation)
    if (profile := aspects.profile(facets.dataQualityMetrics, at)) is not None:
        out.add("dataset", urn.text, "datasetProfile", profile)
    if tags := aspects.tag_names(facets.tags):
        out.changed("dataset", urn.text, "globalTags", aspects.global_tags(tags, options))
    out.changed("dataset", urn.text, "ownership", aspects.ownership(facets.ownership, options, now))
    if properties := aspects.dataset_properties(facets):
        out.add("dataset", urn.text, "datasetProperties", properties, "PATCH")


class _Conversion:
    """One run or job event on its way."""

    def __init__(self, event: RunEvent | JobEvent, options: Options, resolver: Resolver, out: _Out, now: int) -> None:
        if options.released and not isinstance(event, RunEvent):
            raise UnconvertibleEvent("DataHub's released converter takes only run events")
        self.event = event
        self.options = options
        self.resolver = resolver
        self.out = out
        self.now = now
        self.at = _time(event.eventTime)
        self.job = event.job or Job()
        self.facets: Facets = self.job.facets or {}
        self.lineage: list[Lineage] = []
        #: By output: what column lineage says of it, and the datasets that names.
        self.legacy: dict[str, tuple[list[Lineage], list[str]]] = {}

    def run(self) -> None:
        event, options, out = self.event, self.options, self.out
        run_facets, kind, run_id, run = None, None, "", ""
        written: Sequence[Dataset | None] = ()
        if isinstance(event, RunEvent):
            if event.run is None:
                raise UnconvertibleEvent(
                    "the event has neither run, job nor dataset; one of them says what it is about"
                )
            kind = event_type(event.eventType, options)
            run_id, run = run_urn(event.run.runId)
            run_facets = event.run.facets
            written = event.outputs or ()
        engine = facet(run_facets, "processing_engine", ProcessingEngine)
        job_kind = facet(self.facets, "jobType", JobType)
        sql = facet(self.facets, "sql", Sql)
        query = text(sql.query) if sql is not None else None
        runs = orchestrator(event.producer, engine, job_kind, options)
        named = names(event.job, runs, query, written, options)
        inputs, outputs = self._datasets(query, job_kind)
        self._flow_and_job(named, run_properties(run_facets, engine, options), job_kind)
        if options.materialize_dataset:
            self._materialize(inputs, outputs)
        change = input_output(inputs, outputs, self.lineage, options, at=self.at, now=self.now)
        if change is not None:
            how = "PATCH" if options.use_patch else "UPSERT"
            out.add("dataJob", named.job_urn, "dataJobInputOutput", change, how)
        if run:
            for name, aspect in instance(
                run_id=run_id, kind=kind, job_urn=named.job_urn, inputs=inputs, outputs=outputs,
                facets=run_facets, options=options, at=self.at,
            ):  # fmt: skip
                out.add("dataProcessInstance", run, name, aspect)
        properties, wrong = structured_properties(self.facets, options)
        out.changed("dataJob", named.job_urn, "structuredProperties", properties)
        out.leave("properties", wrong)

    def _datasets(self, query: str | None, kind: JobType | None) -> tuple[list[Found], list[Found]]:
        """Both sides in URN order, and so their lineage. They are gone through in the event's order: symlinks count
        from where they stand.
        """
        event, options = self.event, self.options
        outputs: Sequence[Dataset | None] = event.outputs or ()
        if options.is_spark and self._reads_only(kind):
            outputs = ()
        pairs = Pairs(options, self.resolver, query)
        sides: list[list[Found]] = []
        for what, side in (("inputs", event.inputs or ()), ("outputs", outputs)):
            if len(side) > options.limits.datasets:
                raise UnconvertibleEvent(f"the event has {len(side):,} {what}; {options.limits.datasets:,} are taken")
            found: dict[str, Found] = {}
            self.legacy = {}
            for index, dataset in enumerate(side):
                if dataset is not None:
                    self._dataset(dataset, f"{what}[{index}]", pairs, found)
            sides.append(in_urn_order(found))
            for one in sides[-1]:
                if (known := self.legacy.get(one.urn.text)) is not None:
                    self.lineage += known[0]
        self.out.leave("lineage", pairs.dropped)
        return sides[0], sides[1]

    def _dataset(self, dataset: Dataset, what: str, pairs: Pairs, found: dict[str, Found]) -> None:
        one = self.resolver.dataset(dataset, what)
        if one is None or one.urn.text in found:
            self.out.leave("datasets", 1)
            return
        found[one.urn.text] = one
        if one.facets.columnLineage is None or not self.options.capture_column_level_lineage:
            return
        lineage, upstreams = pairs.of(one.facets.columnLineage, one.urn)
        if lineage:
            self.legacy[one.urn.text] = (lineage, upstreams)

    def _reads_only(self, kind: JobType | None) -> bool:
        """Spark says of an RDD that was only read that it was written, too."""
        name = text(self.job.name) or ""
        if kind is None or kind.jobType != "RDD_JOB" or not name.endswith(_RDD_ENDS):
            return False
        sides = (self.event.inputs or (), self.event.outputs or ())
        read_, written = ({text(one.name) for one in side if one is not None} for side in sides)
        return read_ == written and len(sides[0]) == len(sides[1])

    def _flow_and_job(self, named: Names, properties: Properties, kind: JobType | None) -> None:
        out, options = self.out, self.options
        documentation = facet(self.facets, "documentation", Documentation)
        described = text(documentation.description) if documentation is not None else None
        flow: dict[str, Any] = {"name": named.flow}
        if isinstance(self.event, RunEvent):
            flow["customProperties"] = properties.flow
        description = described if options.released else properties.description
        if description is not None:
            flow["description"] = description
        job: dict[str, Any] = {
            "name": named.job,
            "flowUrn": named.flow_urn,
            "type": {"string": named.orchestrator},
            "created": {"time": self.at},
            "customProperties": (job_type(kind) if not options.released else {}) | properties.job,
        }
        if described is not None:
            job["description"] = described
        out.add("dataFlow", named.flow_urn, "dataFlowInfo", flow)
        out.add("dataFlow", named.flow_urn, "status", _THERE)
        if options.platform_instance:
            platform = f"urn:li:dataPlatform:{named.orchestrator}"
            urn = f"urn:li:dataPlatformInstance:({platform},{options.platform_instance})"
            out.add("dataFlow", named.flow_urn, "dataPlatformInstance", {"platform": platform, "instance": urn})
            out.add("dataJob", named.job_urn, "dataPlatformInstance", {"platform": platform, "instance": urn})
        out.add("dataJob", named.job_urn, "dataJobInfo", job)
        out.add("dataJob", named.job_urn, "status", _THERE)
        self._tags_and_owners(named, aspects.flow_tags(properties.tags))

    def _tags_and_owners(self, named: Names, flow_tags: list[str] | None) -> None:
        out, options = self.out, self.options
        if flow_tags is not None and (flow_tags or not options.keep_flow_tags):
            out.changed("dataFlow", named.flow_urn, "globalTags", aspects.global_tags(flow_tags, options))
        if options.released:
            return
        if tags := aspects.tag_names(facet(self.facets, "tags", Tags)):
            change = aspects.global_tags(aspects.without_case(tags), options)
            out.changed("dataJob", named.job_urn, "globalTags", change)
        owners = aspects.ownership(facet(self.facets, "ownership", Ownership), options, self.now)
        out.changed("dataJob", named.job_urn, "ownership", owners)
        memory = aspects.institutional_memory(facet(self.facets, "sourceCodeLocation", SourceCodeLocation), self.at)
        if memory is not None:
            out.add("dataJob", named.job_urn, "institutionalMemory", memory)
        if options.domains:
            domains = [one for one in options.domains if one.startswith("urn:li:domain:") and one != "urn:li:domain:"]
            out.leave("domains", len(options.domains) - len(domains))
            if domains:
                aspect = {"domains": aspects.without_case(domains)}
                out.add("dataFlow", named.flow_urn, "domains", aspect)
                out.add("dataJob", named.job_urn, "domains", aspect)

    def _materialize(self, inputs: Sequence[Found], outputs: Sequence[Found]) -> None:
        for found in inputs:
            _dataset(found, self.options, self.out, self.at, self.now)
        for found in outputs:
            _dataset(found, self.options, self.out, self.at, self.now, output=True)
            legacy = self.legacy.get(found.urn.text)
            if legacy is not None and self.options.remove_legacy_lineage:
                how = "PATCH" if self.options.use_patch else "UPSERT"
                change = without_legacy(*legacy, self.options)
                self.out.add("dataset", found.urn.text, "upstreamLineage", change, how)


__all__ = ["DatasetUrn", "Mcp", "Tally", "convert"]
