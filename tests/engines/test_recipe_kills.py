"""This file is where recipes misbehave and their supervisors are killed; each run must still end with the truth."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headgate.engines.recipe import RecipeEngine
from headgate.model import RunId, RunState
from headgate.ports import Order
from headgate.processes import read_log
from headgate.supervision import records

from .orders import Recorder, order, until

TESTS = Path(__file__).parents[1]
SECRET = "hunter2-hunter2"


class Odd:
    """A folder of a test's whose source misbehaves; a home and an engine, which loads DataHub once for all of them."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home
        self.told = Recorder()
        self.engine = RecipeEngine(home, self.told, TESTS, environ={"PATH": os.environ["PATH"]})

    def order(self, does: str, *, run_id: str | None = None, **more: Any) -> Order:
        file = self.folder / f"{does}.yml"
        file.write_text(json.dumps(recipe(self.folder, does)), "utf-8")
        return order({"recipe": str(file), **more}, run_id=RunId(run_id) if run_id else None)

    def start(self, does: str, **more: Any) -> Order:
        asked = self.order(does, **more)
        self.engine.start(asked)
        return asked

    def up(self, asked: Order) -> Order:
        until(lambda: "up\n" in self.log(asked), "the recipe to be up")
        return asked

    def log(self, asked: Order) -> str:
        try:
            return read_log(self.home, asked.attempt_id, 0, 1 << 26)[0]
        except FileNotFoundError:
            return ""

    def pid(self, asked: Order, record: str) -> int:
        return int((records.read(str(self.home / "logs" / asked.attempt_id), record) or {}).get("pid", 0))


def recipe(folder: Path, does: str) -> dict[str, Any]:
    return {
        "source": {"type": "recipes.sources.Odd", "config": {"does": does, "folder": str(folder)}},
        "sink": {"type": "file", "config": {"filename": str(folder / "out.json")}},
    }


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Odd]:
    made = Odd(Path(), tmp_path_factory.mktemp("home"))
    yield made
    made.engine.close()


@pytest.fixture
def odd(shared: Odd, tmp_path: Path) -> Iterator[Odd]:
    shared.folder = tmp_path
    yield shared
    (tmp_path / "go").touch()


def gone(pid: int) -> bool:
    return (records.status(pid) or ("Z",))[0] in "ZX"


DRIVER = """
import os, sys, time
from pathlib import Path
from engines.test_recipe_kills import Odd
odd = Odd(Path(sys.argv[1]), Path(sys.argv[2]))
odd.start("wait", run_id=sys.argv[3])
print("started", flush=True)
sys.stdin.read()
"""


def test_a_killed_supervisor_is_not_missed(odd: Odd) -> None:
    """Whoever started it is killed -9: the ingestion goes on, its log goes on, and its true end is told by another."""
    asked = odd.order("wait")
    command = [sys.executable, "-c", DRIVER, str(odd.folder), str(odd.home), asked.attempt_id]
    environ = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        odd.up(asked)
        process.kill()
    odd.engine.adopt(asked)
    odd.told.wait_running(asked.attempt_id)
    (odd.folder / "go").touch()
    ending = odd.told.wait_ended(asked.attempt_id)

    assert (ending.state, ending.result["records"]) == (RunState.SUCCEEDED, 2), odd.log(asked)
    assert "Pipeline finished" in odd.log(asked)
    assert (odd.folder / "begun").read_text() == "x\n"


@pytest.mark.parametrize(("does", "says"), [("leave", "exit 0"), ("vanish", "without a report")])
def test_an_exit_code_of_zero_is_not_enough(odd: Odd, does: str, says: str) -> None:
    """A source that ends the process in the middle, with the exit code of success, has ingested only a part."""
    ending = odd.told.wait_ended(odd.start(does).attempt_id)
    assert (ending.state, says in (ending.error or "")) == (RunState.FAILED, True), ending
    assert "has ended its process" in (ending.error or "")


def test_a_process_that_died_with_its_shim_is_lost(odd: Odd) -> None:
    """Shim and process killed while nobody looked: the run is told FAILED, lost, and does not start again."""
    first = Odd(odd.folder, odd.home)
    asked = first.up(first.start("wait"))
    first.engine.close()
    for record in (records.SHIM, records.JOB):
        pid = first.pid(asked, record)
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: gone(pid), "it to be gone")
    later = Odd(odd.folder, odd.home)
    later.engine.adopt(asked)
    ending = later.told.wait_ended(asked.attempt_id)
    handle = later.engine.start(asked)
    later.engine.close()

    assert ending.state is RunState.FAILED
    assert ending.detail in {"lost", "signal SIGKILL"}
    assert handle
    assert (odd.folder / "begun").read_text() == "x\n"


def test_a_deaf_recipe_is_stopped_with_all_it_started(odd: Odd) -> None:
    """SIGTERM is ignored, a grandchild has a session of its own: both are gone before STOPPED is told."""
    asked = odd.up(odd.start("deaf"))
    grandchild = int((odd.folder / "grandchild").read_text())
    job = odd.pid(asked, records.JOB)
    odd.engine.stop(asked, grace=0.2)
    ending = odd.told.wait_ended(asked.attempt_id)

    assert ending.state is RunState.STOPPED
    assert gone(grandchild)
    assert gone(job)


def test_a_recipe_that_listens_reports_what_it_did(odd: Odd) -> None:
    """How far it is is told; when it is stopped it closes what is open, and its report so far is its result."""
    asked = odd.up(odd.start("wait"))
    progress = odd.told.wait_progress(asked.attempt_id)
    odd.engine.stop(asked, grace=10)
    ending = odd.told.wait_ended(asked.attempt_id)

    assert (progress["produced"], progress["failures"]) == (1, 0)
    assert (ending.state, ending.result["records"]) == (RunState.STOPPED, 1), odd.log(asked)


def test_odd_recipes_end_truly_and_harm_no_neighbour(odd: Odd) -> None:
    """One prints without end and no text, one eats memory, one dies, one never returns: each ends as it did."""
    neighbour = odd.up(odd.start("wait"))
    chatter, eater, dead = odd.start("chatter"), odd.start("eat", memory=500 << 20), odd.start("die")
    endless = order(odd.order("never").job.target, timeout=1.0)
    odd.engine.start(endless)
    ends = [odd.told.wait_ended(one.attempt_id) for one in (chatter, eater, dead, endless)]

    assert not odd.told.endings.get(neighbour.attempt_id)
    (odd.folder / "go").touch()
    assert odd.told.wait_ended(neighbour.attempt_id).state is RunState.SUCCEEDED
    assert ends[0].state is RunState.SUCCEEDED
    assert len(odd.log(chatter)) > 19_000_000
    assert "not text" in odd.log(chatter)
    assert (ends[1].state, "memory" in (ends[1].error or "").lower() + ends[1].detail) == (RunState.FAILED, True)
    assert (ends[2].state, ends[2].detail) == (RunState.FAILED, "signal SIGKILL")
    assert (ends[3].state, ends[3].retryable) == (RunState.TIMEOUT, False)


def test_each_run_is_forked_from_one_warm_process(odd: Odd) -> None:
    """Runs of one set of plugins share what was imported, and no random numbers: their run ids differ."""
    odd.order("nothing")
    runs = [odd.start("nothing") for _ in range(3)]
    results: list[Any] = [odd.told.wait_ended(one.attempt_id).result for one in runs]
    shims = [records.read(str(odd.home / "logs" / one.attempt_id), records.SHIM) or {} for one in runs]

    assert len({one["run_id"] for one in results}) == 3
    assert len({one["launcher"]["pid"] for one in shims}) == 1


THREADED = """
import threading
from recipes.sources import Odd

threading.Thread(target=threading.Event().wait, daemon=True).start()


class Threaded(Odd):
    def nothing(self):
        print("secret:", self.config["secret"], flush=True)
"""


def test_a_plugin_with_threads_runs_in_an_interpreter_of_its_own(odd: Odd) -> None:
    """What starts threads when it is loaded is not forked; it gets its values all the same, and its log says why."""
    (odd.folder / "threaded.py").write_text(THREADED, "utf-8")
    (odd.folder / "recipes").symlink_to(TESTS / "recipes")
    document = recipe(odd.folder, "nothing")
    document["source"]["type"] = "threaded.Threaded"
    document["source"]["config"]["secret"] = "${PASSWORD}"
    (odd.folder / "r.yml").write_text(json.dumps(document), "utf-8")
    engine = RecipeEngine(odd.home, odd.told, odd.folder, environ={"PATH": os.environ["PATH"], "PASSWORD": SECRET})
    asked = order({"recipe": "r.yml"})
    engine.start(asked)
    ending = odd.told.wait_ended(asked.attempt_id)
    engine.close()

    assert ending.state is RunState.SUCCEEDED, odd.log(asked)
    assert "started in a new interpreter, because importing" in odd.log(asked)
    assert "\nsecret: *" in odd.log(asked)
    assert SECRET not in odd.log(asked)


def test_a_run_asks_nobody_on_the_internet(odd: Odd) -> None:
    """No newer versions, no telemetry, from the pipeline's making to the end of the process; so none is waited for."""
    asked = odd.start("watched")
    ending = odd.told.wait_ended(asked.attempt_id)

    assert ending.state is RunState.SUCCEEDED, odd.log(asked)
    assert (odd.folder / "asked").read_text().split() == ["the.watch.works"]
