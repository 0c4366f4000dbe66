"""This file is where executors get a project, a DataHub to serve, and recipes that are shell scripts."""

from __future__ import annotations

import json
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from fakes.execution_requests import RequestGms
from fakes.gms import TOKEN
from journeys.world import until
from services.tables import put_tables

from headgate.app import App
from headgate.engines.local import LocalEngine
from headgate.executor.pipeline_file import PipelineFile
from headgate.executor.taking import Options
from headgate.flow.watch import Watch
from headgate.model import Job, Run
from headgate.ports import Order
from headgate.settings.load import load

#: A report as `datahub ingest --report-to` writes it.
REPORT = {
    "cli": {"cli_version": "1.7.0.17"},
    "source": {"type": "shell", "report": {"events_produced": 3, "failures": [], "warnings": [], "infos": []}},
    "sink": {"type": "datahub-rest", "report": {"total_records_written": 3, "failures": [], "warnings": []}},
}


class ShellRecipes(LocalEngine):
    """The engine `recipe` as a test needs it: the recipe's `script` is run by a shell, in a real process."""

    name = "recipe"

    def start(self, order: Order) -> str:
        recipe = json.loads(order.run.arguments["--recipe_json"])
        target = {"command": ["sh", "-c", recipe["source"]["config"]["script"]]}
        job = Job(name=order.job.name, engine="recipe", target=target, timeout=None)
        return super().start(replace(order, job=job))


def script(text: str) -> dict[str, object]:
    """A recipe that runs this."""
    return {"source": {"type": "shell", "config": {"script": text}}}


def reporting(text: str = "echo ingested") -> dict[str, object]:
    """A recipe that runs this and then leaves a report."""
    result = json.dumps({"records": 3, **REPORT})
    return script(f"{text}; cat > \"$HEADGATE_RESULT\" <<'X'\n{result}\nX")


def file(executor_id: str = "default", *, most: int = 4, max_age: float = 86_400.0) -> PipelineFile:
    options = Options(executor_id=executor_id, most=most, max_age=max_age)
    return PipelineFile(name="test", kafka=None, options=options, poll_every=0.1)


@contextmanager
def built(project: Path, environ: dict[str, str]) -> Generator[App]:
    """An App that runs shell recipes; its executor is not started yet."""
    project.mkdir(parents=True, exist_ok=True)
    (project / "headgate.yaml").touch()
    settings = load(project, environ)
    if "HEADGATE_DATABASE_URL" not in environ:
        put_tables(settings.home)
    app = App.build(settings, worker=True, doors=False)
    engine = ShellRecipes(settings.home, Watch(app.ledger), settings.lake, settings.project)
    inside: Any = app
    if known := inside._engines.get("recipe"):
        known.close()
    inside._engines["recipe"] = engine
    inside._dispatcher._pools["recipe"] = ThreadPoolExecutor(4)
    app.start()
    try:
        yield app
    finally:
        app.close()


@contextmanager
def executing(project: Path, gms: RequestGms | None, pipeline: PipelineFile | None = None) -> Generator[App]:
    """An executor at work for this DataHub; without one, for the embedded catalog."""
    environ = {"DATAHUB_GMS_URL": gms.url, "DATAHUB_GMS_TOKEN": TOKEN} if gms else {}
    with built(project, environ) as app:
        app.carry_out(pipeline or file())
        yield app
        # it waits a second for the answer to what it asked of DataHub last, when nobody hurries that
        assert app.executor is not None
        with gms.impatient() if gms else nullcontext():
            app.executor.close()


def until_status(gms: RequestGms, urn: str, status: str) -> None:
    until(lambda: gms.status(urn) == status, f"{urn} to be {status}, not {gms.status(urn) or 'pending'}")


def runs(app: App) -> list[Run]:
    """All runs, the newest first."""
    return list(app.ledger.runs(limit=100).items)


def the_run(app: App) -> Run:
    """The newest run, once there is one; a list may miss one that ends while it is read."""
    found: list[Run] = []

    def some() -> bool:
        found[:] = runs(app)[:1]
        return bool(found)

    until(some, "a run")
    return found[0]
