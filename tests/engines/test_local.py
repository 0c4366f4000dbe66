"""This file is where the local engine's own behaviour is tested: targets, environment, ends, trees, limits, logs."""

from __future__ import annotations

import base64
import contextlib
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from headgate.engines.local import LocalEngine, read_log
from headgate.errors import EngineRefused, EngineUnavailable, NotFound
from headgate.job import Lake
from headgate.model import Json, RunState, StoredObject
from headgate.ports import Ending, Order
from headgate.supervision import private

from .orders import Recorder, order, until

SECRET, URL_PASSWORD = "hunter2-hunter2", "url-p4ssw0rd"
ENVIRON = {**os.environ, "WAREHOUSE_PASSWORD": SECRET, "OTHER_PASSWORD": "not-for-jobs", "LC_TEST": "C",
           "LAKE_URL": f"postgres://me:{URL_PASSWORD}@host/db", "PIN_TOKEN": "4711471147114711"}  # fmt: skip


class Local:
    """An engine in a project, and short ways to use it."""

    def __init__(self, project: Path, told: Recorder, engine: LocalEngine) -> None:
        self.project = project
        self.home = project / ".headgate"
        self.told = told
        self.engine = engine

    def start(self, asked: Order) -> Order:
        self.engine.start(asked)
        return asked

    def run(self, target: Mapping[str, Json], **more: str) -> tuple[Ending, str]:
        """Run it to its end, and return that and the log."""
        asked = self.start(order(target, arguments={f"--{key}": value for key, value in more.items()}))
        return self.told.wait_ended(asked.attempt_id), self.log(asked)

    def log(self, asked: Order) -> str:
        return read_log(self.home, asked.attempt_id, 0, 1 << 26)[0]

    def write(self, name: str, text: str) -> None:
        file = self.project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[..., Local]]:
    engines: list[LocalEngine] = []

    def make(**options: bool | float) -> Local:
        told = Recorder()
        lake = Lake(uri="sqlite:////somewhere")
        engine = LocalEngine(tmp_path / ".headgate", told, lake, tmp_path, environ=ENVIRON, **options)  # type: ignore[arg-type]
        engines.append(engine)
        return Local(tmp_path, told, engine)

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def local(made: Callable[..., Local]) -> Local:
    return made()


# --- what a job is given ------------------------------------------------------------------------------------------


def test_the_environment_is_an_allow_list(local: Local) -> None:
    """A job sees the ordinary variables, its own HEADGATE_ ones and those it named; nothing else of the server's."""
    _, log = local.run({"command": ["env"], "env": ["WAREHOUSE_PASSWORD", "NOT_SET"]})
    seen = dict(line.split("=", 1) for line in log.splitlines())
    ours = {name for name in seen if name.startswith("HEADGATE_")}
    allowed = {"PATH", "HOME", "LANG", "TZ", "TMPDIR", "USER", "LOGNAME", "VIRTUAL_ENV", "LANGUAGE"}

    assert seen["WAREHOUSE_PASSWORD"] == "****", "it is there, and the log does not tell it"
    assert set(seen) - ours - allowed - {name for name in seen if name.startswith("LC_")} == {
        "PYTHONUNBUFFERED",
        "WAREHOUSE_PASSWORD",
    }
    assert "not-for-jobs" not in log
    names = "HOME RUN_ID JOB ARGUMENTS RESULT PROGRESS LAKE ATTEMPT"
    assert ours == {f"HEADGATE_{name}" for name in names.split()}


KINDS = {
    "command": ["python", "-c", "import base64, os; v = os.environ['WAREHOUSE_PASSWORD']; "
                "print(v, base64.b64encode(v.encode()).decode(), os.environ['LC_TEST'], len(v))"],
    "script": "tells.py",
    "run": "telling.tell",
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_a_variable_s_name_calls_a_secret_is_masked_in_the_log(local: Local, kind: str) -> None:
    """Plain and in base64; the job itself has the value, and the rest of its log is as it was written."""
    body = KINDS["command"][2]
    local.write("tells.py", body)
    local.write("telling.py", "def tell(context):\n    " + body)
    ending, log = local.run({kind: KINDS[kind], "env": ["WAREHOUSE_PASSWORD", "LC_TEST"]})

    assert ending.state is RunState.SUCCEEDED
    assert SECRET not in log
    assert base64.b64encode(SECRET.encode()).decode()[:-4] not in log
    assert log.startswith("****")
    assert log.rstrip().endswith(f" C {len(SECRET)}")


def test_which_names_call_their_value_a_secret() -> None:
    """The words people use for it; an id of a key, a user or a path is none."""
    secret = ["DB_PASSWORD", "PGPASSWORD", "API_KEY", "APIKEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "KEY"]
    secret += ["TLS_PASSPHRASE", "SLACK_CREDENTIALS", "db_passwd"]
    plain = ["AWS_ACCESS_KEY_ID", "USER", "KEYBOARD", "MONKEYS", "DATABASE", "KEY_COLUMN", "REGION"]
    assert private.names(dict.fromkeys([*secret, *plain], "anything")) == secret
    held = {"DATABASE_URL": "postgres://me:p%40ss@host/db", "SEVERAL": "http://h:80/a tcp://u:p/w@h", "URL": "s3://b/a"}
    assert private.names(held) == ["DATABASE_URL", "SEVERAL"]
    assert private.texts(held, held) == ["p%40ss", "p@ss", "p/w"]
    assert private.texts({"USE_TOKEN": "True", "TOKEN": ""}, ["USE_TOKEN", "TOKEN", "PASSWORD"]) == []


LEFT = """import json, os, sys
def leave(context=None):
    password = os.environ["WAREHOUSE_PASSWORD"]
    told = {"password": password, "rows": 3, password: [4711471147114711]}
    for name in ("HEADGATE_RESULT", "HEADGATE_PROGRESS"):
        with open(os.environ[name], "w") as file:
            json.dump({**told, "path": os.environ["LAKE_URL"]}, file)
    raise ValueError("cannot log in with " + password + " at " + os.environ["LAKE_URL"])
"""


@pytest.mark.parametrize("kind", [{"run": "left.leave"}, {"command": ["python", "-c", "import left; left.leave()"]}])
def test_what_a_job_leaves_behind_is_masked(local: Local, kind: Mapping[str, Json]) -> None:
    """Its result, progress, error and log, in memory and on disk; also the password of a URL, and a number."""
    local.write("left.py", LEFT)
    ending, log = local.run({**kind, "env": ["WAREHOUSE_PASSWORD", "LAKE_URL", "PIN_TOKEN"]})

    assert ending.result == {"password": "****", "rows": 3, "****": ["****"], "path": "postgres://me:****@host/db"}
    assert "cannot log in with **** at postgres://me:****@host/db" in (ending.error or "")
    written = [file for file in local.home.rglob("*") if file.is_file()]
    assert [str(file) for file in written for text in (SECRET, URL_PASSWORD) if text in file.read_text("utf-8")] == []
    assert "Traceback" in log


@pytest.fixture
def cores() -> Iterator[None]:
    """Who starts us wants cores, as large as they may be."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


@pytest.mark.usefixtures("cores")
def test_a_job_leaves_no_core_file(local: Local) -> None:
    """What was in its memory is on no disk after a crash, unless it raises the limit itself."""
    code = "import resource; print(resource.getrlimit(resource.RLIMIT_CORE)[0])"

    assert local.run({"command": ["python", "-c", code]})[1].strip() in ("0", "1")


def test_no_secret_is_written_to_disk_or_argv(local: Local) -> None:
    """The value of a variable a job named is in no file of the home and in no command line."""
    target = {"command": ["sh", "-c", "echo up; exec sleep 30"], "env": ["WAREHOUSE_PASSWORD"]}
    asked = local.start(order(target))
    until(lambda: local.log(asked), "the job to be up")
    files = [file for file in local.home.rglob("*") if file.is_file()]
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]

    assert files
    assert not [file for file in files if SECRET.encode() in file.read_bytes()]
    assert not [line for line in lines if SECRET in line]
    local.engine.stop(asked, grace=1)
    local.told.wait_ended(asked.attempt_id)


def test_a_run_directory_is_private(local: Local) -> None:
    """Only the owner may look into a run directory."""
    asked = local.start(order({"command": ["true"]}))
    local.told.wait_ended(asked.attempt_id)

    assert (local.home / "logs" / asked.attempt_id).stat().st_mode & 0o777 == 0o700


PYTHON_JOB = """
import os, sys
def main(context):
    print(context.job, dict(context.arguments), [o.key for o in context.manifest or ()], context.lake.uri)
    print(os.getcwd(), sys.path[0], file=sys.stderr)
    context.progress(rows=7)
    context.result(rows=9, note="über")
def fails(context):
    raise ValueError("line one\\nthe amount is no number")
def for_good(context):
    from headgate.job import NotRetryable
    raise NotRetryable("the table is gone")
def leaves(context):
    sys.exit(66)
def starves(context):
    raise MemoryError
"""


def test_a_python_job_gets_its_context(local: Local) -> None:
    """`run:` is called with arguments, manifest and lake, in the project; its progress and result come back."""
    local.write("work/job.py", PYTHON_JOB)
    manifest = [StoredObject(bucket="raw", key="a b/ü.csv", size=3)]
    asked = local.start(order({"run": "work.job.main"}, arguments={"--x": "1"}, manifest=manifest))
    ending = local.told.wait_ended(asked.attempt_id)

    assert ending.state is RunState.SUCCEEDED
    assert ending.result == {"rows": 9, "note": "über"}
    assert local.told.wait_progress(asked.attempt_id) == {"rows": 7}
    assert local.log(asked).splitlines() == [
        "tested {'--x': '1'} ['a b/ü.csv'] sqlite:////somewhere",
        f"{local.project} {local.project}",
    ]


@pytest.mark.parametrize(
    ("function", "error", "detail", "retryable"),
    [
        ("fails", "ValueError: line one\nthe amount is no number", "exit 1", True),
        ("for_good", "NotRetryable: the table is gone", "exit 1", False),
        ("starves", "MemoryError", "out of memory", True),
        ("leaves", "exit 66", "exit 66", False),
        ("nope", "NotRetryable: module 'work.job' ", "exit 1", False),
    ],
)
def test_a_python_job_fails_with_its_error(
    local: Local, function: str, error: str, detail: str, *, retryable: bool
) -> None:
    """What a Python job raises is the run's error; whether to try again follows from it."""
    local.write("work/job.py", PYTHON_JOB)
    ending, log = local.run({"run": f"work.job.{function}"})

    assert (ending.state, ending.detail, ending.retryable) == (RunState.FAILED, detail, retryable)
    assert str(ending.error).startswith(error)
    assert function == "leaves" or "Traceback" in log


def test_a_changed_module_is_run_as_it_is_now(local: Local) -> None:
    """Between two runs a job's module is edited: the second runs the new code, though the launcher was warm."""
    local.write("work/job.py", "def main(context): print('old')")
    first = local.run({"run": "work.job.main"})[1]
    again = local.run({"run": "work.job.main"})[1]
    local.write("work/job.py", "def main(context): print('the new one')")
    second = local.run({"run": "work.job.main"})[1]

    assert (first, again, second) == ("old\n", "old\n", "the new one\n")


def test_what_a_package_loads_lazily_is_warm_too(local: Local) -> None:
    """A package that imports a function's module only when it is asked for has it imported in the launcher, once."""
    local.write(
        "lazy/__init__.py",
        "from importlib import import_module\ndef __getattr__(name):\n    return import_module('lazy.heavy').main\n",
    )
    local.write("lazy/heavy.py", "import os\nBY = os.getpid()\ndef main(context): print(BY == os.getpid(), BY)\n")
    first, second = (local.run({"run": "lazy.main"})[1] for _ in range(2))

    assert first.startswith("False ")
    assert first == second


def test_a_module_that_starts_threads_is_started_cold(local: Local) -> None:
    """A process with threads is never forked: the job runs in a new interpreter, and its log says why."""
    local.write(
        "work/threads.py",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
        "def main(context): print('ran', threading.active_count())\n",
    )
    for _ in range(2):
        ending, log = local.run({"run": "work.threads.main"})

        assert ending.state is RunState.SUCCEEDED
        assert "new interpreter, because importing" in log.splitlines()[0]
        assert log.splitlines()[1] == "ran 2"


def test_a_module_that_ends_its_interpreter_is_started_cold(local: Local) -> None:
    """A module that kills whoever imports it takes no launcher for good: its job fails, the next job runs."""
    local.write("work/deadly.py", "import os\nos._exit(5)\n")
    local.write("work/job.py", PYTHON_JOB)
    ending, log = local.run({"run": "work.deadly.main"})

    assert (ending.state, ending.detail) == (RunState.FAILED, "exit 5")
    assert "new interpreter" in log
    assert local.run({"run": "work.job.main"})[0].state is RunState.SUCCEEDED


def test_a_glue_script_finds_its_options(local: Local) -> None:
    """A script gets Glue's argv, and `awsglue` to read it with."""
    local.write(
        "jobs/glue.py",
        "import sys\nfrom awsglue.utils import getResolvedOptions\nfrom awsglue.job import Job\n"
        "from awsglue.context import GlueContext\n"
        "options = getResolvedOptions(sys.argv, ['JOB_NAME', 'raw_data_bucket'])\n"
        "job = Job(GlueContext()); job.init(options['JOB_NAME'], options)\n"
        "print(options['JOB_NAME'], options['raw_data_bucket'], options['JOB_RUN_ID'][:3]); job.commit()\n",
    )
    ending, log = local.run({"script": "jobs/glue.py"}, raw_data_bucket="-raw-")

    assert (ending.state, log) == (RunState.SUCCEEDED, "tested -raw- jr_\n")


# --- how it ends --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "detail", "retryable"),
    [
        ("exit 3", "exit 3", True),
        ("exit 64", "exit 64", False),
        ("exit 75", "exit 75", True),
        ("exit 78", "exit 78", False),
        ("kill -9 $$", "signal SIGKILL", True),
        ("kill -TERM $$", "signal SIGTERM", True),
    ],
)
def test_exit_codes_are_true(local: Local, script: str, detail: str, *, retryable: bool) -> None:
    """A command's exit code or signal is its detail; sysexits but 75 are for good; the last line is the error."""
    ending, _ = local.run({"command": ["sh", "-c", f"echo first; echo the last word; {script}"]})

    assert (ending.state, ending.detail, ending.retryable) == (RunState.FAILED, detail, retryable)
    assert ending.error == f"{detail}: the last word"


@pytest.mark.parametrize(
    ("write", "note"),
    [
        ("echo '[1]' > $HEADGATE_RESULT", "result ignored: it is a JSON list, not an object"),
        ("echo '{' > $HEADGATE_RESULT", "result ignored: it is not JSON"),
        ("head -c 1100000 /dev/zero > $HEADGATE_RESULT", "result ignored: it is larger than 1 MiB"),
    ],
)
def test_a_bad_result_is_ignored_with_a_note(local: Local, write: str, note: str) -> None:
    """A result that is no JSON object of at most 1 MiB does not fail the run; the detail says what was wrong."""
    ending, _ = local.run({"command": ["sh", "-c", write]})

    assert (ending.state, ending.detail, ending.result) == (RunState.SUCCEEDED, note, {})


def test_what_cannot_be_executed_could_not_start(local: Local) -> None:
    """A file that is executable but no program is "could not start", for good, and not "exited 127"."""
    local.write("tool", "neither script nor program")
    (local.project / "tool").chmod(0o755)
    for limited in ({}, {"cpu": 1}):
        ending, _ = local.run({"command": ["./tool"], **limited})

        assert (ending.state, ending.detail, ending.retryable) == (RunState.FAILED, "could not start", False)
        assert str(ending.error) == "could not start: execute ./tool: Exec format error"


def test_an_own_exit_of_127_is_an_exit(local: Local) -> None:
    """A job that exits 127 by itself is not mistaken for one that could not start."""
    assert local.run({"command": ["sh", "-c", "exit 127"]})[0].detail == "exit 127"


@pytest.mark.parametrize("target", [{"script": "no.py"}, {"command": ["./no"]}, {"run": "nodot"}, {"cwd": "x"}, {}])
def test_a_bad_target_is_refused_before_anything_runs(local: Local, target: Mapping[str, Json]) -> None:
    """A target that can never start is EngineRefused, naming the job and what is wrong."""
    with pytest.raises(EngineRefused, match="job 'tested' cannot start: "):
        local.engine.start(order(target))


def test_a_home_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    """Without a place for the run directory the start is refused for now, not for good."""
    (tmp_path / ".headgate").write_text("a file where the folder should be")
    engine = LocalEngine(tmp_path / ".headgate", Recorder(), Lake(), tmp_path)

    with pytest.raises(EngineUnavailable):
        engine.start(order({"command": ["true"]}))
    engine.close()


def test_an_environment_that_is_too_large_is_refused(made: Callable[..., Local], tmp_path: Path) -> None:
    """More environment than a socket takes is an error that says so, and harms no later start."""
    environ = {**ENVIRON, "LARGE": "x" * 4_000_000}
    told = Recorder()
    engine = LocalEngine(tmp_path / ".headgate", told, Lake(), tmp_path, environ=environ)
    try:
        with pytest.raises(EngineRefused, match="environment of the job is too large"):
            engine.start(order({"command": ["true"], "env": ["LARGE"]}))
        asked = order({"command": ["true"]})
        engine.start(asked)

        assert told.wait_ended(asked.attempt_id).state is RunState.SUCCEEDED
    finally:
        engine.close()


# --- stopping, and trees ------------------------------------------------------------------------------------------


def launchers(mark: str) -> set[psutil.Process]:
    """Return the launchers this process started (and that are not over) whose configuration holds the mark."""
    found: set[psutil.Process] = set()
    for one in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # it may end while we look
            if mark in " ".join(one.cmdline()):
                found.add(one)
    return found


DAEMON = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
for depth in range(2):
    if os.fork():
        if depth: os._exit(0)
        break
    os.setsid()
else:
    os.environ.clear()
    open(sys.argv[1], "a").write(f"{os.getpid()}\\n")
    for fd in range(3): os.close(fd)
    os.closerange(3, 256)
    time.sleep(600)
time.sleep(float(sys.argv[2]))
sys.exit(int(sys.argv[3]))
"""


def pids(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.parametrize("limit", [{}, {"cpu": 1}], ids=["spawned", "limited"])
@pytest.mark.parametrize("cgroups", [True, False], ids=["cgroup", "subreaper"])
def test_a_stop_ends_the_whole_tree_before_it_is_told(
    made: Callable[..., Local], limit: Mapping[str, Json], *, cgroups: bool
) -> None:
    """A double-forked daemon in its own session that ignores SIGTERM is gone when STOPPED is told."""
    local = made(cgroups=cgroups)
    local.write("daemon.py", DAEMON)
    born = local.project / "born"
    asked = local.start(order({"command": [sys.executable, "daemon.py", str(born), "600", "0"], **limit}))
    until(lambda: len(pids(born)) == 1, "the daemon to be there")
    local.engine.stop(asked, grace=0.2)
    ending = local.told.wait_ended(asked.attempt_id)

    assert not psutil.pid_exists(pids(born)[0])
    assert ending.state is RunState.STOPPED


def test_what_outlives_the_main_process_is_ended(local: Local) -> None:
    """A main process that exits 3 leaving a daemon behind has the code 3, and the daemon is gone when that is told."""
    local.write("daemon.py", DAEMON)
    born = local.project / "born"
    ending, _ = local.run(
        {"command": ["sh", "-c", f"{sys.executable} daemon.py {born} 0 0; until [ -e {born} ]; do :; done; exit 3"]}
    )

    assert (ending.state, ending.detail) == (RunState.FAILED, "exit 3")
    assert not psutil.pid_exists(pids(born)[0])


def test_a_job_may_end_politely(local: Local) -> None:
    """A stop gives the job its grace: what it does on SIGTERM is done, and the run is STOPPED though it exits 0."""
    asked = local.start(
        order({"command": ["sh", "-c", "trap 'echo tidy; exit 0' TERM; echo up; while :; do sleep 0.01; done"]})
    )
    until(lambda: "up" in local.log(asked), "the job to be up")
    local.engine.stop(asked, grace=15)

    assert local.told.wait_ended(asked.attempt_id).state is RunState.STOPPED
    assert "tidy" in local.log(asked)


def test_a_timeout_ends_the_run(local: Local) -> None:
    """A run past its timeout is ended by its shim, and is TIMEOUT, not to be tried again."""
    asked = local.start(order({"command": ["sleep", "600"]}, timeout=0.2))
    ending = local.told.wait_ended(asked.attempt_id)

    assert (ending.state, ending.retryable) == (RunState.TIMEOUT, False)


def test_stops_while_starting_lose_nothing(local: Local) -> None:
    """Forty runs stopped at once after their start all end STOPPED or by themselves; none is left running."""
    asked = [order({"command": ["sleep", "0.3"]}) for _ in range(40)]
    for number, one in enumerate(asked):
        local.engine.start(one)
        time.sleep(0.0004 * (number % 20))  # another moment of the start each time
        local.engine.stop(one, grace=5)

    assert {local.told.wait_ended(one.attempt_id).state for one in asked} <= {RunState.STOPPED, RunState.SUCCEEDED}


# --- limits and logs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cgroups", [True, False])
def test_memory_is_limited(made: Callable[..., Local], *, cgroups: bool) -> None:
    """A job that takes more memory than it may fails, and says that it was memory."""
    local = made(cgroups=cgroups)
    local.write("work/greedy.py", "def main(context):\n    return len(bytearray(1 << 30))\n")
    ending, _ = local.run({"run": "work.greedy.main", "memory": "256M"})

    assert (ending.state, ending.detail) == (RunState.FAILED, "out of memory")
    assert local.run({"run": "work.greedy.main"})[0].state is RunState.SUCCEEDED


def test_the_log_has_the_limit_of_the_job_or_of_all(made: Callable[..., Local]) -> None:
    """A job's own `log_limit` is its log's; one that says nothing has the limit of all."""
    local = made(log_limit=50_000)
    words = "headgate: the log has reached its limit of "
    command = ["sh", "-c", "head -c 2000000 /dev/zero | tr '\\0' '\\n'"]
    assert f"{words}50,000 bytes." in local.run({"command": command})[1]
    assert f"{words}1 MiB." in local.run({"command": command, "log_limit": "1M"})[1]


def test_a_long_log_is_complete_and_in_order(local: Local) -> None:
    """200,000 lines read in pieces while they are written are all there, in order, with every character whole."""
    asked = local.start(order({"command": ["sh", "-c", "seq -f 'line %.0f äöü€🦫' 200000"]}))
    offset, over, parts = 0, False, list[str]()
    give_up = time.monotonic() + 60
    while not over:
        assert time.monotonic() < give_up
        text, offset, over = read_log(local.home, asked.attempt_id, offset, 9973)
        parts.append(text)

    assert "".join(parts).splitlines() == [f"line {number} äöü€🦫" for number in range(1, 200001)]


def test_a_log_that_is_not_there_is_not_found(local: Local) -> None:
    """Asking for the log of an attempt nobody started says so."""
    with pytest.raises(NotFound):
        read_log(local.home, "jr_nothing")


def test_an_idle_warm_launcher_ends(made: Callable[..., Local]) -> None:
    """An interpreter with a job's modules does not stay for ever; the next run starts another."""
    local = made(warm_idle=0.05)
    local.write("work/job.py", PYTHON_JOB)

    assert local.run({"run": "work.job.main"})[0].state is RunState.SUCCEEDED
    until(lambda: not launchers('"idle": 0.05'), "the launcher to end")
    assert local.run({"run": "work.job.main"})[0].state is RunState.SUCCEEDED


def test_nothing_is_left_of_an_engine_that_closed(made: Callable[..., Local]) -> None:
    """A closed engine leaves no thread and, once its runs are over, no process."""
    before = launchers('"idle": null')
    local = made()
    assert local.run({"command": ["true"]})[0].state is RunState.SUCCEEDED
    ours = launchers('"idle": null') - before
    local.engine.close()
    local.engine.close()

    assert len(ours) == 1
    assert not ours & launchers('"idle": null')
    assert not [one for one in threading.enumerate() if one.name == "headgate-supervisor"]
