"""This file is where ingestions stand in repositories, crontabs and containers' logs, and are found there."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headgate.doctor import Finding, Rank, containers, files
from headgate.doctor.places import Regular
from headgate.settings import load

#: What is written where, the line it is found at, and what it is taken for; the password is in none of the findings.
WRITTEN: Mapping[str, tuple[str, int, str, bool]] = {
    "ops/sync.sh": (
        "#!/bin/sh\n# datahub ingest -c no.yml\nPW=hush datahub --debug ingest -c x.yml --token hush\n",
        3, "may ingest: a command", False,
    ),
    "cron.d/nightly": (
        "PATH=/bin\n0 3 * * * ops datahub ingest -c /etc/glue.yml\n",
        2, "ingests by itself: a crontab", True,
    ),
    ".github/workflows/meta.yml": (
        "on:\n  schedule:\n    - cron: '0 1 * * *'\njobs:\n  a: {run: datahub ingest -c x}\n",
        5, "ingests by itself: a workflow of GitHub Actions", True,
    ),
    "ci/.github/workflows/hand.yml": (
        "on: workflow_dispatch\njobs:\n  a: {run: datahub ingest -c x}\n",
        3, "may ingest: a workflow of GitHub Actions", False,
    ),
    "dags/meta.py": (
        "from airflow import DAG\nDAG('x', schedule='@daily')\ncmd = ['datahub', 'ingest', '-c', 'x']\n",
        3, "ingests by itself: a DAG of Airflow", True,
    ),
    "lib/run.py": (
        "import os\n    from datahub.ingestion.run.pipeline import Pipeline\n",
        2, "may ingest: Python", False,
    ),
    "recipes/glue.yml": (
        "# Glue\nsource:\n  type: glue\n  config: {aws_secret_access_key: hush}\n",
        2, "may ingest: a recipe", False,
    ),
    "conf/any.yaml": ("sink: {type: datahub-rest}\nsource: {type: kafka}\n", 2, "may ingest: a recipe", False),
    "cronjobs/job.yaml": (
        "kind: CronJob\nspec:\n  schedule: '0 0 * * *'\n  args: [datahub ingest -c x]\n",
        4, "ingests by itself: a CronJob of Kubernetes", True,
    ),
}  # fmt: skip
#: What looks like it and is none.
INNOCENT: Mapping[str, str | bytes] = {
    "README.md": "DataHub ingests metadata.\n",
    "conf/app.yml": "source:\n  type: file\n",
    "conf/broken.yml": "source: [\nsink: {\n",
    "conf/cloud.yml": "source: !Ref X\nsink: {}\n",
    "bin/tool": b"\0\1datahub ingest -c x\n",
    ".git/hooks/post": "datahub ingest -c x\n",
    "node_modules/a/x.sh": "datahub ingest -c x\n",
    "big.txt": "datahub ingest -c x\n" + "x" * (1 << 20),
}


def look(*paths: Path) -> tuple[list[Finding], list[Regular]]:
    regular: list[Regular] = []
    return list(files.examine(paths, regular)), regular


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    for name, text in {**{name: one[0] for name, one in WRITTEN.items()}, **INNOCENT}.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    outside = tmp_path_factory.mktemp("outside") / "secret.sh"
    outside.write_text("datahub ingest -c outside\n", "utf-8")
    (root / "ops" / "link.sh").symlink_to(outside)
    (root / "ops" / "folder").symlink_to(outside.parent)
    return root


def test_what_ingests_is_found_with_its_line_and_nothing_else_is(repository: Path) -> None:
    """Commands, lists of words, imports, recipes; neither comments, nor links out, nor what programs keep."""
    found, _ = look(repository)

    told = {one.what.removeprefix(f"{repository}/") for one in found}
    assert told == {f"{name}:{line} {what}" for name, (_, line, what, _) in WRITTEN.items()}
    assert {one.rank for one in found} == {Rank.NOTE}
    assert "hush" not in repr(found)
    assert "outside" not in repr(found)


def test_what_has_a_schedule_counts_as_automated(repository: Path) -> None:
    """So that `nothing automated` is not said where a cron of somebody's ingests."""
    _, regular = look(repository)

    assert {one.where.removeprefix(f"{repository}/").rpartition(":")[0] for one in regular} == {
        name for name, one in WRITTEN.items() if one[3]
    }


def test_a_file_may_be_named_and_one_that_is_not_there_is_said(repository: Path) -> None:
    """Where nothing could be looked at nobody knows."""
    found, _ = look(repository / "recipes" / "glue.yml", repository / "gone")

    assert [one.rank for one in found] == [Rank.NOTE, Rank.UNSEEN]
    assert found[0].evidence == "it has a recipe of glue"
    assert "gone" in found[1].what


def test_a_folder_that_is_closed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's refusal, for root is let in everywhere."""
    (tmp_path / "open.sh").write_text("datahub ingest -c x\n", "utf-8")
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def refusing(path: Any) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found, _ = look(tmp_path)

    assert [one.rank for one in found] == [Rank.NOTE, Rank.UNSEEN]
    assert found[1].what == f"{tmp_path / 'closed'} could not be looked at"


def test_the_look_is_bounded_and_says_so(tmp_path: Path) -> None:
    """In time here; what is left unseen is a finding."""
    for number in range(5):
        (tmp_path / f"{number}.sh").write_text("datahub ingest -c x\n", "utf-8")
    ticks = iter(range(0, 1000, 8))
    found = list(files.examine([tmp_path], [], clock=lambda: float(next(ticks))))

    assert found[-1].rank is Rank.UNSEEN
    assert 0 < len(found) - 1 < 5


# -- containers: a `docker` as its documentation describes what it prints

PS = {
    "Command": '"/bin/sh -c /start_dat…"', "CreatedAt": "2026-01-01 10:00:00 +0000 UTC", "ID": "4c01db0b339c" * 5,
    "Image": "acryldata/datahub-actions:v1.7.0", "Labels": "", "LocalVolumes": "0", "Mounts": "",
    "Names": "datahub-datahub-actions-1", "Networks": "datahub_network", "Ports": "", "RunningFor": "2 days ago",
    "Size": "0B", "State": "running", "Status": "Up 2 days",
}  # fmt: skip
OTHER = {**PS, "ID": "aa", "Image": "mysql:8", "Names": "mysql"}
LOG = """\
2026-01-02T03:00:00.123456789Z [INFO] {acryl.executor.dispatcher:55} - Started thread 1 for 7f0c
2026-01-02T03:00:01.123456789Z token=hush Starting execution for task with name=RUN_INGEST
2026-01-02T03:00:02.123456789Z ~~~~ Execution Summary - RUN_INGEST ~~~~ password hush
"""
AWAY = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
DENIED = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"


def stub(folder: Path, *, ps: str = "", log: str = "", fails: str = "", hangs: bool = False) -> Mapping[str, str]:
    """An environment whose PATH has a `docker` that prints this, and what it was called with in `called`."""
    folder.mkdir(exist_ok=True)
    (folder / "ps").write_text(ps, "utf-8")
    (folder / "log").write_text(log, "utf-8")
    lines = ["#!/bin/sh", f'echo "$@ secret=$AWS_SECRET_ACCESS_KEY host=$DOCKER_HOST" >> {folder}/called']
    lines += ["exec /bin/sleep 60"] if hangs else []
    lines += [f"echo '{fails}' >&2", "exit 1"] if fails else []
    # the log of a container comes on both streams
    lines += ["echo 'WARNING: Error loading config file: permission denied' >&2"]
    lines += [f'case "$1" in ps) /bin/cat {folder}/ps;; logs) /bin/cat {folder}/log >&2;; esac']
    (folder / "docker").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "docker").chmod(0o755)
    return {"PATH": str(folder), "AWS_SECRET_ACCESS_KEY": "hush", "DOCKER_HOST": "unix:///there"}


def listed(*those: Mapping[str, str]) -> str:
    return "".join(json.dumps(one) + "\n" for one in those)


def contained(folder: Path, environ: Mapping[str, str], *, executor: bool = False) -> list[Finding]:
    settings = load(folder, {"DATAHUB_GMS_URL": "http://127.0.0.1:9"})
    if executor:
        settings = replace(settings, datahub=replace(settings.datahub, executor=Path("executor.yml")))
    return list(containers.examine(settings, environ, patience=5.0))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "headgate.yaml").touch()
    return tmp_path


def test_the_log_of_an_actions_container_is_looked_through(project: Path) -> None:
    """Whether it speaks of ingestions and when last; docker is given nothing of ours, and no line is quoted."""
    environ = stub(project / "bin", ps=listed(OTHER, PS), log=LOG)
    [found] = contained(project, environ)
    called = (project / "bin" / "called").read_text("utf-8")

    assert found.rank is Rank.NOTE
    assert found.what.startswith("the container datahub-datahub-actions-1 (acryldata/datahub-actions:v1.7.0) runs, and")
    assert found.evidence == "2 of its last 4 lines; the newest at 2026-01-02 03:00:02 UTC: RUN_INGEST"
    assert found.mend.startswith("docker logs --tail 2000 datahub-datahub-actions-1 2>&1 | grep")
    assert f"logs --timestamps --tail 2000 {PS['ID']} secret= host=unix:///there" in called
    assert "hush" not in repr(found) + called


def test_a_log_without_ingestions_and_a_container_that_stopped_are_said(project: Path) -> None:
    """Running ones come first."""
    stopped = {
        **PS,
        "ID": "bb",
        "Names": "my-datahub-actions",
        "Image": "own:1",
        "State": "exited",
        "Status": "Exited (0)",
    }
    found = contained(project, stub(project / "bin", ps=listed(stopped, PS), log="all quiet\n"))

    assert [one.what.partition(", and")[0].rpartition(") ")[2] for one in found] == ["runs", "does not run"]
    assert all("its log says nothing of ingestions" in one.what for one in found)


def test_an_executor_of_ours_beside_it_is_a_finding(project: Path) -> None:
    """Of one executor id both would race."""
    environ = stub(project / "bin", ps=listed(PS), log=LOG)

    assert [one.rank for one in contained(project, environ, executor=True)] == [Rank.POSSIBLE, Rank.NOTE]


@pytest.mark.parametrize(
    ("rank", "said", "how"),
    [
        (Rank.NOTE, "no container whose image or name says datahub-actions", {"ps": listed(OTHER)}),
        (Rank.NOTE, "Cannot connect to the Docker daemon", {"fails": AWAY}),
        (Rank.UNSEEN, "permission denied", {"fails": DENIED}),
        (Rank.UNSEEN, "what is no JSON", {"ps": "CONTAINER ID   IMAGE\n"}),
    ],
)
def test_without_a_log_the_command_is_told(project: Path, rank: Rank, said: str, how: Mapping[str, str]) -> None:
    """For somebody who can type it where the containers are."""
    [found] = contained(project, stub(project / "bin", **how))  # type: ignore[arg-type] - only texts

    assert found.rank is rank
    assert said in found.evidence
    assert "docker logs --tail 2000 CONTAINER 2>&1 | grep" in found.mend


def test_no_docker_at_all_is_no_trouble(project: Path) -> None:
    """The command is told all the same."""
    [found] = contained(project, {"PATH": str(project)})

    assert (found.rank, found.evidence) == (Rank.NOTE, "no docker is on this machine's PATH")
    assert list(containers.examine(load(project, {}), {"PATH": str(project)})) == [], "nor asked for without a DataHub"


def test_a_docker_that_hangs_is_given_up(project: Path) -> None:
    """Within the time it is given, with what it started."""
    environ = stub(project / "bin", hangs=True)
    began = time.monotonic()
    [found] = containers.examine(load(project, {}), environ, patience=0.3)

    assert found.rank is Rank.UNSEEN
    assert "docker ps did not end within 0.3 s" in found.evidence
    assert time.monotonic() - began < 30, "it was not waited for"
