"""A lake with an inbox; this file is where the tests get one, put files into it and run the ingestion."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table

from headgate.job import Context, Lake
from headgate.lake import csv_to_iceberg, open_catalog
from headgate.model import StoredObject

TABLE = "collections.collections_data_staging"


@dataclass
class World:
    """A lake with one inbox for the bucket `raw-data`."""

    lake: Lake
    inbox: Path
    lines: list[str] = field(default_factory=list[str])

    @property
    def catalog(self) -> SqlCatalog:
        return open_catalog(self.lake)

    def table(self, name: str = TABLE) -> Table:
        return self.catalog.load_table(name)

    def file(self, key: str, content: bytes | str) -> StoredObject:
        """Put a file (packed if it is called .gz) and announce it as the watched folder does."""
        data = content.encode() if isinstance(content, str) else content
        if key.endswith(".gz"):
            data = gzip.compress(data)
        return self.bytes(key, data)

    def bytes(self, key: str, data: bytes) -> StoredObject:
        path = self.inbox / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        etag = hashlib.md5(data).hexdigest()
        return StoredObject(bucket="raw-data", key=key, size=len(data), etag=etag, path=str(path))

    def context(self, manifest: Sequence[StoredObject] | None, **arguments: str) -> Context:
        named = {"--table": TABLE, **{f"--{name}": value for name, value in arguments.items()}}
        return Context(run_id="jr_test", job="job", arguments=named, manifest=manifest, lake=self.lake)

    def ingest(self, *manifest: StoredObject, **arguments: str) -> dict[str, object]:
        """Run the job over these objects (over the inbox without any) and give back its result."""
        context = self.context(manifest or None, **arguments)
        csv_to_iceberg(context)
        return dict(context.results)

    def rows(self, name: str = TABLE) -> list[dict[str, object]]:
        return self.table(name).scan().to_arrow().to_pylist()

    def rejects(self, name: str = TABLE) -> list[dict[str, object]]:
        found = self.rows(f"{name}_rejects")
        return sorted(found, key=lambda row: (str(row["source_file"]), row["record_number"] or 0))


def make_world(base: Path) -> World:
    inbox = base / "inbox"
    inbox.mkdir(parents=True)
    lake = Lake(
        uri=f"sqlite:///{base}/lake/catalog.db",
        warehouse=f"file://{base}/lake/warehouse",
        inboxes={"raw-data": str(inbox)},
    )
    return World(lake=lake, inbox=inbox)
