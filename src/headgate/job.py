"""This file is where a job's own code meets Headgate: the one context a `run: module.function` job is called with.

It imports nothing of the product but the nouns, so that it can be loaded in a job's process at no cost. A job that is a
command or a script gets the same things through its environment: HEADGATE_RUN_ID, HEADGATE_JOB, HEADGATE_ARGUMENTS (a
JSON file), HEADGATE_MANIFEST (JSON lines {bucket, key, etag, version, size, path}; absent when there is none),
HEADGATE_RESULT and HEADGATE_PROGRESS (paths to write a JSON object to), HEADGATE_LAKE (JSON, see `Lake`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from headgate.model import Json, StoredObject


class NotRetryable(Exception):
    """Raise this from a job when trying again cannot help: the run fails at once, whatever its retries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lake:
    """Where the lake is. `inboxes` maps a bucket to the folder that stands for it on this machine."""

    catalog: str = "lake"
    uri: str = ""  #: sqlite:////abs/lake/catalog.db
    warehouse: str = ""  #: file:///abs/lake/warehouse
    inboxes: Mapping[str, str] = field(default_factory=dict[str, str])

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Lake:
        return Lake(**json.loads(text))


@dataclass(slots=True, kw_only=True)
class Context:
    """What a Python job is given. `progress` and `result` may be called as often as wanted; values must be JSON."""

    run_id: str
    job: str
    arguments: Mapping[str, str]  #: keys carry the `--`
    manifest: Sequence[StoredObject] | None  #: None: started without one, by hand or by a schedule
    lake: Lake
    result_file: Path | None = None
    progress_file: Path | None = None
    _result: dict[str, Json] = field(default_factory=dict[str, Json])
    _progress: dict[str, Json] = field(default_factory=dict[str, Json])

    def progress(self, **values: Json) -> None:
        """Say how far the job is. Shown live; the newest value of a key counts."""
        self._progress.update(values)
        _write(self.progress_file, self._progress)

    def result(self, **values: Json) -> None:
        """Add to the run's result. Written at once and atomically, so that it survives a later crash of the job."""
        self._result.update(values)
        _write(self.result_file, self._result)

    @property
    def results(self) -> Mapping[str, Json]:
        return dict(self._result)

    @staticmethod
    def from_environment(environ: Mapping[str, str] = os.environ) -> Context:
        """The context of the process this is called in; raises KeyError where it is no Headgate run."""
        arguments: dict[str, str] = json.loads(Path(environ["HEADGATE_ARGUMENTS"]).read_text("utf-8"))
        manifest = environ.get("HEADGATE_MANIFEST")
        return Context(
            run_id=environ["HEADGATE_RUN_ID"],
            job=environ["HEADGATE_JOB"],
            arguments=arguments,
            manifest=read_manifest(Path(manifest)) if manifest else None,
            lake=Lake.from_json(environ.get("HEADGATE_LAKE", "{}")),
            result_file=_path(environ.get("HEADGATE_RESULT")),
            progress_file=_path(environ.get("HEADGATE_PROGRESS")),
        )


def read_manifest(path: Path) -> list[StoredObject]:
    with path.open(encoding="utf-8") as lines:
        return [_object(json.loads(line)) for line in lines if line.strip()]


def write_manifest(path: Path, objects: Sequence[StoredObject]) -> None:
    with path.open("w", encoding="utf-8") as lines:
        for one in objects:
            lines.write(json.dumps(asdict(one), ensure_ascii=False) + "\n")


def _object(row: Mapping[str, Any]) -> StoredObject:
    known = {name: row[name] for name in StoredObject.__dataclass_fields__ if row.get(name) is not None}
    return StoredObject(**known)


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _write(path: Path | None, values: Mapping[str, Json]) -> None:
    if path is None:
        return
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(values, ensure_ascii=False, default=str), "utf-8")
    temporary.replace(path)
