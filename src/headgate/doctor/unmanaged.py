"""This file is where datasets are found that somebody ingests of whom neither Headgate nor DataHub has any record.

DataHub notes beside every aspect which run wrote it, and when it was last seen. What is fresher than any run that is
known (ours, DataHub's execution requests, `datahub ingest` with its report) was written by a system nobody sees here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from headgate.doctor.finding import Finding, Rank, unseen
from headgate.doctor.records import Doc, Records, moment, told, word
from headgate.errors import Forbidden, Invalid, NotFound, Unavailable

_WRITES: Final = 100  #: of datasets written last, that are looked at
_RUNS: Final = 200  #: of our newest runs
_REQUESTS: Final = 100  #: of DataHub's
_TOLD: Final = 10  #: writers that are told one by one
_SHOWN: Final = 3  #: of a writer's datasets
_BEFORE, _AFTER = timedelta(minutes=1), timedelta(minutes=5)  #: a run's writes arrive late, and clocks differ
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_REQUEST: Final = "urn:li:dataHubExecutionRequest:"
_SOURCE: Final = "urn:li:dataHubIngestionSource:"
_MORE: Final = "headgate doctor datahub --look-in REPOSITORY --log-group NAME --crontab FILE"


class _Known:
    """The runs that are known, and when they were under way."""

    def __init__(self, runs: Sequence[Doc], requests: Sequence[Doc]) -> None:
        self.ids: set[str] = set()
        self.pipelines: set[str] = set()
        self._spans: list[tuple[datetime, datetime]] = []
        self._unnamed: list[tuple[datetime, datetime]] = []  #: of ours that cannot say (yet) what their run id is
        for one in [*runs, *requests]:
            given = (one["external_id"], one["arguments"].get("--request"), one["result"].get("run_id"))
            named = [str(one["id"]), *(str(each) for each in given if each)]
            self.ids |= {each.removeprefix(_REQUEST) for each in named}
            self.pipelines |= {f"{_SOURCE}{str(one['job']).removeprefix('ingestion:')}", str(one["job"])}
            begun = moment(one["started_at"] or one["created_at"])
            if begun is not None:
                ended = moment(one["ended_at"]) or datetime.now(UTC)
                span = (begun - _BEFORE, ended + _AFTER)
                self._spans.append(span)
                if one["engine"] == "recipe" and not one["result"].get("run_id"):
                    self._unnamed.append(span)
        full = [those for those, most in ((runs, _RUNS), (requests, _REQUESTS)) if len(those) >= most]
        #: before this there were runs that are not in the lists
        self.since = max((moment(those[-1]["created_at"]) or _NEVER for those in full), default=_NEVER)

    def explains(self, write: Doc) -> bool:
        at = moment(write["at"]) or _NEVER
        if at < self.since or write["pipeline"] in self.pipelines:
            return True
        if write["run"]:
            named = str(write["run"]).removeprefix(_REQUEST) in self.ids
            return named or any(begun <= at <= ended for begun, ended in self._unnamed)
        return any(begun <= at <= ended for begun, ended in self._spans)


def examine(records: Records, actor: str, *, of_datahub: bool) -> Iterator[Finding]:
    """One finding for each writer nobody knows.

    `actor`: as whom Headgate itself writes, a URN. `of_datahub`: not so where the embedded catalog stands for it, which
    lists no runs.
    """
    try:
        writes = records.last_writes(most=_WRITES)
        known = _Known(records.runs(most=_RUNS), records.external(most=_REQUESTS) if writes else ())
    except (Unavailable, Forbidden, NotFound, Invalid) as error:
        yield unseen(
            "who wrote the catalog's datasets last", str(error), "give Headgate's token the right to read them"
        )
        return
    by_writer: dict[tuple[str, str, str], list[Doc]] = {}
    for one in writes:
        if one["actor"] != actor and not known.explains(one):
            by_writer.setdefault((one["run"], one["pipeline"], one["actor"] or ""), []).append(one)
    for those in list(by_writer.values())[:_TOLD]:
        yield _finding(those, of_datahub=of_datahub)
    if len(by_writer) > _TOLD:
        yield Finding(
            Rank.POSSIBLE,
            f"unmanaged ingestion: {len(by_writer) - _TOLD} more writers that no known run explains",
            f"{_TOLD} are told one by one",
            _MORE,
        )


def _finding(those: Sequence[Doc], *, of_datahub: bool) -> Finding:
    newest, several = those[0], len(those) > 1
    who = [
        f"run id {newest['run']}" if newest["run"] else "no run id",
        *([f"pipeline {newest['pipeline']}"] if newest["pipeline"] else []),
        f"written by {newest['actor'] or 'nobody named'}",
        *([f"with {newest['client']}"] if newest["client"] else []),
    ]
    shown = ", ".join(str(one["dataset"]) for one in those[:_SHOWN])
    shown += f" and {len(those) - _SHOWN} more" if len(those) > _SHOWN else ""
    return Finding(
        Rank.POSSIBLE,
        f"unmanaged ingestion: {shown} {'were' if several else 'was'} written at {told(moment(newest['at']))} by no run"
        " that is known",
        f"{newest['aspect']}: {', '.join(who)}; neither Headgate's runs nor DataHub's execution requests explain it",
        f"datahub ingest show --run-id {word(newest['run'])}; {_MORE}" if newest["run"] and of_datahub else _MORE,
    )
