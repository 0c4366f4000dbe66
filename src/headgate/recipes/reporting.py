"""This file is where what an ingestion says about itself becomes the run's result, its progress and its error.

All of it is masked and small enough to be kept. It is written for the process of one run.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

Report = dict[str, Any]
Mask = Callable[[str], str]

LARGEST: Final = 700_000  #: characters of a result; the ledger keeps 1 MiB
_LONGEST_ERROR: Final = 4000  #: characters
_EVERY: Final = 1.0  #: seconds between looks at how far it is
_PROBLEMS: Final = ("failures", "warnings", "infos")
#: What a report may lose, in this order, when it is too large: the details of what went well first.
_SPARED: Final = ("infos", "aspects_by_subtypes", "samples", "warnings")


def result_of(pipeline: Any, mask: Mask) -> Report:
    """Return what a pipeline of DataHub's did, whether or not it ended well.

    {"records", "warnings", "failures": counts, "run_id", "source": {"type", "report"}, "sink": {…}, "cli": {…}}; the
    three reports are DataHub's own, as `datahub ingest --report-to` writes them.
    """
    source, sink = pipeline.source.get_report(), pipeline.sink.get_report()
    report: Report = {
        "cli": _plain(pipeline.cli_report),
        "source": {"type": pipeline.source_type, "report": _plain(source)},
        "sink": {"type": pipeline.sink_type, "report": _plain(sink)},
    }
    counts = {name: count(getattr(source, name, None)) + count(getattr(sink, name, None)) for name in _PROBLEMS[:2]}
    written = int(getattr(sink, "total_records_written", 0) or 0)
    return fitted(masked({"records": written, **counts, "run_id": pipeline.config.run_id, **report}, mask))


def failure_of(result: Report) -> str:
    """Return how many failures there were, and the first one, in one line; "" where there were none."""
    number = int(result.get("failures") or 0)
    if not number:
        return ""
    first = next((text for part in ("source", "sink") for text in _first_failures(result, part)), "")
    return f"{number} failure{'s' if number > 1 else ''} reported{f'; the first: {first}' if first else ''}"


def count(problems: Any) -> int:
    """How many there were, of a list that may have forgotten some."""
    total = getattr(problems, "total_elements", None)
    return int(total) if isinstance(total, int) else len(problems or ())


def masked(value: Any, mask: Mask) -> Any:
    """A copy with every text masked, keys too; numbers stay, so that it is still JSON."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {mask(str(key)): masked(one, mask) for key, one in cast("Report", value).items()}
    if isinstance(value, list | tuple):
        return [masked(one, mask) for one in cast("list[Any]", value)]
    return value


def fitted(result: Report) -> Report:
    """The result, less what makes it too large; `omitted` names what that was."""
    omitted: list[str] = []
    for part, name in ((part, name) for name in _SPARED for part in ("source", "sink")):
        if len(json.dumps(result)) <= LARGEST:
            break
        report = result[part]["report"]
        if report.pop(name, None):
            omitted.append(f"{part}.{name}")
    if len(json.dumps(result)) > LARGEST:
        for part in ("source", "sink"):
            result[part]["report"] = {"failures": _cut(result[part]["report"].get("failures"))}
            omitted.append(part)
    return {**result, "omitted": omitted} if omitted else result


def leave(file: str | Path, values: Report) -> None:
    """Write a JSON object, all or nothing."""
    path = Path(file)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(values, ensure_ascii=False, default=str), "utf-8")
    temporary.replace(path)


def leave_error(file: Path, text: str, *, kind: str, retryable: bool) -> None:
    """Say why the run failed, for the engine."""
    leave(file, {"error": text[:_LONGEST_ERROR], "retryable": retryable, "type": kind})


class Progress:
    """Says once a second how far a pipeline is, where that has changed."""

    def __init__(self, pipeline: Any, file: str) -> None:
        self._pipeline = pipeline
        self._file = file
        self._over = threading.Event()
        self._said: Report = {}
        self._thread = threading.Thread(target=self._run, name="headgate-progress", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join(_EVERY)

    def _run(self) -> None:
        while not self._over.wait(_EVERY):
            try:
                now = self._now()
                if now != self._said:
                    leave(self._file, now)
                    self._said = now
            except (OSError, RuntimeError, AttributeError, TypeError):
                continue  # a report that changes while it is read, or a full disk: how far it is can wait

    def _now(self) -> Report:
        source, sink = self._pipeline.source.get_report(), self._pipeline.sink.get_report()
        return {
            "produced": int(getattr(source, "events_produced", 0) or 0),
            "records": int(getattr(sink, "total_records_written", 0) or 0),
            "failures": count(source.failures) + count(sink.failures),
            "warnings": count(source.warnings) + count(sink.warnings),
        }


def _plain(report: Any) -> Report:
    """A report as JSON can say it; what it can not say becomes text."""
    return json.loads(json.dumps(report.as_obj(), default=str))


def _first_failures(result: Report, part: str) -> list[str]:
    failures: Any = result.get(part, {}).get("report", {}).get("failures")
    if isinstance(failures, dict):  # older versions: message -> contexts
        return [f"{message}: {found}" for message, found in cast("Report", failures).items()]
    return [_said(one) for one in cast("list[Any]", failures or [])]


def _said(problem: Any) -> str:
    if not isinstance(problem, dict):
        return str(problem)
    found = cast("Report", problem)
    words = [str(found[key]) for key in ("title", "message") if found.get(key)]
    context: Any = found.get("context")
    if isinstance(context, list) and context:
        words.append("; ".join(map(str, cast("list[Any]", context)[:3])))
    return ": ".join(dict.fromkeys(words))[:1500]


def _cut(failures: Any) -> Any:
    return cast("list[Any]", failures)[:20] if isinstance(failures, list) else failures
