"""This file is where sources are that misbehave: DataHub loads them by their dotted names, as it does people's own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from datahub.emitter.mcp import MetadataChangeProposalWrapper
from datahub.ingestion.api.common import PipelineContext
from datahub.ingestion.api.source import Source, SourceReport
from datahub.ingestion.api.workunit import MetadataWorkUnit
from datahub.metadata.schema_classes import StatusClass
from datahub.telemetry.telemetry import telemetry_instance


class Odd(Source):
    """Does what its config says: {"does": name, "folder": where it leaves its traces}."""

    def __init__(self, config: dict[str, Any], ctx: PipelineContext) -> None:
        super().__init__(ctx)
        self.report = SourceReport()
        self.config = config
        self.folder = Path(config["folder"])
        if config["does"] == "watched":
            sys.addaudithook(self._watch)

    @classmethod
    def create(cls, config_dict: dict[str, Any], ctx: PipelineContext) -> Odd:
        return cls(config_dict, ctx)

    def get_report(self) -> SourceReport:
        return self.report

    def get_workunits(self) -> Iterable[MetadataWorkUnit]:
        with (self.folder / "begun").open("a") as traces:
            traces.write("x\n")
        yield self._work_unit("first")
        getattr(self, self.config["does"])()
        yield self._work_unit("last")

    def _work_unit(self, name: str) -> MetadataWorkUnit:
        urn = f"urn:li:dataset:(urn:li:dataPlatform:hive,{name},PROD)"
        proposal = MetadataChangeProposalWrapper(entityUrn=urn, aspect=StatusClass(removed=False))
        unit = proposal.as_workunit()
        self.report.report_workunit(unit)
        return unit

    def nothing(self) -> None:
        """End at once."""

    def leave(self) -> None:
        sys.exit(0)

    def vanish(self) -> None:
        os._exit(0)

    def fail(self) -> None:
        self.report.failure(title="Odd", message="it is meant to fail", context="here")

    def wait(self) -> None:
        """Say that it is up, and go on when the file `go` is there."""
        print("up", flush=True)
        while not (self.folder / "go").exists():
            time.sleep(0.01)

    def _watch(self, event: str, arguments: tuple[object, ...]) -> None:
        """Note whom this process looks for, or connects to, from now on."""
        if event in ("socket.getaddrinfo", "socket.connect"):
            with (self.folder / "asked").open("a") as asked:
                asked.write(f"{arguments[0] if event == 'socket.getaddrinfo' else arguments[1]}\n")

    def watched(self) -> None:
        """Tell of it, as sources do when they profile; then look for somebody, so that more than nothing was noted."""
        telemetry_instance.ping("watched")
        with contextlib.suppress(OSError):
            socket.getaddrinfo("the.watch.works", 80)

    def deaf(self) -> None:
        """Ignore SIGTERM, leave a grandchild in a session of its own that does, too, and never return."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        script = "trap '' TERM; echo $$ > grandchild; while :; do sleep 0.05; done"
        subprocess.Popen(["setsid", "sh", "-c", script], cwd=self.folder, start_new_session=True)
        while not (self.folder / "grandchild").exists():
            time.sleep(0.01)
        self.wait()

    def never(self) -> None:
        """Never return."""
        while True:
            time.sleep(60)

    def chatter(self) -> None:
        """Print as many megabytes of lines as its config says, or 20, and then what is no text."""
        for _ in range(int(self.config.get("megabytes", 20)) * 10):
            sys.stdout.write(f"{'x' * 99}\n" * 1000)
        sys.stdout.flush()
        os.write(1, b"\xff\xfe\x00 not text\n")

    def eat(self) -> None:
        """Take memory until there is none."""
        eaten: list[bytes] = []
        while True:
            eaten.append(b"x" * (16 << 20))

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
