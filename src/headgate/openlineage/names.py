"""This file is where flows, jobs and runs get their names and URNs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from headgate.errors import MalformedEvent, UnconvertibleEvent
from headgate.openlineage.datasets import table_name
from headgate.openlineage.options import Options
from headgate.openlineage.scalars import text
from headgate.openlineage.wire import Dataset, Job, JobType, ProcessingEngine

_OPENLINEAGE: Final = re.compile(r"https://github\.com/OpenLineage/OpenLineage/.*/([^/]+)")
_STARTS: Final = (("https://github.com/apache/airflow/", "airflow"), ("https://github.com/trinodb/trino/", "trino"))
_RUN_ID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_MERGE_COMMAND: Final = "execute_merge_into_command_edge"
_WAREHOUSE: Final = re.compile(r"/warehouse/([^/]+)\.db/([^/]+)")


class Names(NamedTuple):
    orchestrator: str
    flow: str  #: the flow's name
    flow_urn: str
    job: str  #: what the job is shown as
    job_urn: str


def orchestrator(producer: str | None, engine: ProcessingEngine | None, kind: JobType | None, options: Options) -> str:
    """Who runs the job.

    Raises:
        UnconvertibleEvent: nothing says who it is.
    """
    if options.orchestrator:
        return options.orchestrator
    for name in (
        text(engine.name) if engine is not None else None,
        text(kind.integration) if kind is not None and not options.released else None,
    ):
        if name and name.strip():
            return name.lower()
    if producer is not None:
        if found := _OPENLINEAGE.fullmatch(producer):
            return found[1]
        for start, name in _STARTS:
            if producer.startswith(start):
                return name
        if options.orchestrator_from_producer and (last := _last_part(producer)):
            return last
    raise UnconvertibleEvent(
        "Unable to determine orchestrator: neither processing_engine.name, jobType.integration nor the producer"
        f" {(producer or '')[:200]!r} says who ran the job; the option `orchestrator` would"
    )


def _last_part(producer: str) -> str:
    """The last part of a producer's path that is not empty."""
    path = re.split(r"[?#]", producer.partition("://")[2] or producer, maxsplit=1)[0]
    parts = [part for part in path.split("/")[1:] if part]
    return parts[-1].lower() if parts else ""


def names(job: Job | None, runs: str, query: str | None, outputs: Sequence[Dataset | None], options: Options) -> Names:
    """The names of a job and its flow. `runs` is the orchestrator, `query` the job's SQL, `outputs` a run's alone.

    Raises:
        UnconvertibleEvent: the job has no name, or nothing to be told from others by.
    """
    name = text(job.name) if job is not None else None
    if job is None or not name:
        raise UnconvertibleEvent("the event has no job.name; every run and every job needs one")
    cluster = options.platform_instance or text(job.namespace)
    if not cluster:
        raise UnconvertibleEvent("the event has no job.namespace; every job needs one")
    flow = options.pipeline_name or (name.partition(".")[0] if name.strip(".") else name)
    if options.enhanced_merge_into_extraction and _MERGE_COMMAND in name:
        target = _merged_into(query, outputs)
        if target:
            name = f"{name}.{re.sub('[. ]', '_', target.lower())}"
    shown = name.partition(".")[2] if "." in name and name.strip(".") else name
    flow_urn = f"urn:li:dataFlow:({runs},{flow},{cluster})"
    return Names(runs, flow, flow_urn, shown, f"urn:li:dataJob:({flow_urn},{name})")


def _merged_into(query: str | None, outputs: Sequence[Dataset | None]) -> str | None:
    """The target of MERGE INTO: as the SQL says, else as the outputs do."""
    for line in (query or "").splitlines():
        words = line.split(maxsplit=3)
        if line.strip().upper().startswith("MERGE INTO") and len(words) > 2:
            return words[2].replace("`", "")
    given = [(one, text(one.name) or "") for one in outputs if one is not None]
    for _, name in given:
        if "." in name and not name.startswith("/"):
            return name
    for one, _ in given:
        links = one.facets.symlinks.identifiers if one.facets is not None and one.facets.symlinks is not None else None
        for link in links or ():
            if link is not None and link.type == "TABLE" and (name := text(link.name)):
                return table_name(name)
    for _, name in given:
        if found := _WAREHOUSE.search(name):
            return f"{found[1]}.{found[2]}"
    return None


def run_urn(run_id: str | None) -> tuple[str, str]:
    """A run's id in lower case, and its URN.

    Raises:
        UnconvertibleEvent: there is none.
        MalformedEvent: it is no UUID.
    """
    if run_id is None:
        raise UnconvertibleEvent("the event has no run.runId; every run needs one")
    if not _RUN_ID.fullmatch(run_id):
        raise MalformedEvent(f"run.runId: expected a UUID, found {run_id[:60]!r}")
    return (lower := run_id.lower()), f"urn:li:dataProcessInstance:{lower}"
