"""This file is where it is tested that the example project is whole, written safely, and works as it is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from headgate.errors import Conflict, Unavailable
from headgate.flow.resolve import explain
from headgate.project import FILES, NAME, read_project, write_project
from headgate.settings import load

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / NAME

#: The recipe as the project this example grew from has it.
RECIPE = """\
source:
  type: glue
  config:
    aws_region: '${AWS_DEFAULT_REGION}'
    aws_role: '${AWS_ROLE}'
    extract_transforms: '${GLUE_EXTRACT_TRANSFORMS}'
sink:
  type: datahub-rest
  config:
    server: '${GMS_URL}'
"""


def test_what_is_written_is_the_example_in_the_repository(tmp_path: Path) -> None:
    """Each file of examples/simple-data-hub that git knows is written, byte by byte, and no other."""
    written = write_project(tmp_path / "hub")

    known = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "."],
        cwd=EXAMPLE, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert sorted(str(path.relative_to(tmp_path / "hub")) for path in written) == sorted(known)
    for name in known:
        assert (tmp_path / "hub" / name).read_bytes() == (EXAMPLE / name).read_bytes(), name


def test_the_job_scripts_are_the_repositorys() -> None:
    """Every script of jobs/ is in the project, the same to the byte."""
    scripts = {f"jobs/{path.name}": path.read_bytes() for path in (ROOT / "jobs").glob("*.py")}

    assert {name: content for name, content in read_project().items() if name.startswith("jobs/")} == scripts


def test_the_project_loads_and_means_the_reference_workflow(tmp_path: Path) -> None:
    """The written headgate.yaml is valid as it is, and its jobs, triggers and rules are the workflow's."""
    write_project(tmp_path)
    settings = load(tmp_path, {})

    ingestion, views, *_ = settings.jobs.values()
    assert (ingestion.name, ingestion.target, ingestion.max_concurrent_runs, ingestion.max_retries) == (
        "csv-to-iceberg-ingestion", {"run": "headgate.lake.csv_to_iceberg"}, 1, 2
    )  # fmt: skip
    assert dict(ingestion.arguments) == {
        "--table": "collections.collections_data_staging",
        "--source": "s3://raw-data/collections-data/",
    }
    assert (views.name, views.target) == ("create-views-dual-engine", {"run": "headgate.lake.dual_engine_views"})
    assert {name: trigger.enabled for name, trigger in settings.triggers.items()} == {
        "csv-uploaded": True,
        "dual-engine-views-trigger": True,
        "glue-metadata-schedule": False,
        "glue-metadata-of-written-tables": False,
    }
    assert settings.inboxes == {"raw-data": tmp_path / "inbox"}
    assert (tmp_path / "inbox" / "collections-data").is_dir()


@pytest.mark.parametrize(
    ("dataset", "job"),
    [
        ("athena,AwsDataCatalog.financial_data.us_stocks_sip_v2", "job earnings-ingest"),
        ("athena,AwsDataCatalog.financial_data.polygon_prices", "Lambda polygon-lambda"),
        ("iceberg,collections.collections_data_staging", "job csv-to-iceberg-ingestion"),
        ("iceberg,collections.fry9c_report_view", "job create-views-dual-engine"),
        ("iceberg,collections2.x", "job glue-metadata"),
    ],
)
def test_the_projects_datasets_find_their_jobs(dataset: str, job: str) -> None:
    """A click on each kind of dataset starts the job that makes it."""
    rules = load(EXAMPLE, {}).rules
    winner = explain(f"urn:li:dataset:(urn:li:dataPlatform:{dataset},PROD)", rules, tags=None).winner

    assert winner is not None
    assert winner.target == job


def test_the_recipe_is_the_one_it_grew_from() -> None:
    """The recipe's text is kept as it was, and is what the recipe job names."""
    recipe = load(EXAMPLE, {}).jobs
    (named,) = [job.target["recipe"] for job in recipe.values() if job.engine == "recipe"]

    assert read_project()[str(named)].decode() == RECIPE
    assert yaml.safe_load(RECIPE)["source"]["type"] == "glue"


def test_uploaded_data_and_state_are_ignored_by_git(tmp_path: Path) -> None:
    """In a repository made of the project only the project's own files show."""
    write_project(tmp_path)
    for name in ("inbox/collections-data/ingest_ts=1/a.csv", "inbox/b.csv", ".headgate/ledger.db"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, env=environ, check=True)
    shown = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard"],
        cwd=tmp_path, env=environ, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip

    assert sorted(shown) == sorted(FILES)


def test_writing_twice_is_harmless(tmp_path: Path) -> None:
    """What is there already is left alone; what is missing is written."""
    first = write_project(tmp_path)
    before = (tmp_path / "headgate.yaml").stat().st_mtime_ns
    (tmp_path / "README.md").unlink()

    assert write_project(tmp_path) == [tmp_path / "README.md"]
    assert write_project(tmp_path) == []
    assert len(first) == len(FILES)
    assert (tmp_path / "headgate.yaml").stat().st_mtime_ns == before


def test_other_files_are_never_overwritten(tmp_path: Path) -> None:
    """Files with other content are named, all of them, and nothing at all is written."""
    (tmp_path / "headgate.yaml").write_text("jobs: {}\n", "utf-8")
    (tmp_path / "README.md").mkdir()
    (tmp_path / "inbox").touch()
    with pytest.raises(Conflict) as raised:
        write_project(tmp_path)

    for name in ("headgate.yaml", "README.md", "inbox"):
        assert str(tmp_path / name) in str(raised.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "headgate.yaml", "inbox"]
    assert (tmp_path / "headgate.yaml").read_text("utf-8") == "jobs: {}\n"


def test_a_link_that_leads_nowhere_is_not_written_through(tmp_path: Path) -> None:
    """A dangling link in a file's place is something else that is there."""
    (tmp_path / "headgate.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    with pytest.raises(Conflict):
        write_project(tmp_path)

    assert not (tmp_path / "elsewhere.yaml").exists()


def test_a_folder_that_is_a_file_is_a_conflict(tmp_path: Path) -> None:
    """A file where the folder should be is named."""
    (tmp_path / "hub").touch()
    with pytest.raises(Conflict, match="hub has other files where the project's would be"):
        write_project(tmp_path / "hub")


def test_a_disk_that_takes_nothing_is_said(tmp_path: Path) -> None:
    """A folder nobody can write to (here: a name the system refuses) is an error with its reason, no traceback."""
    with pytest.raises(Unavailable, match=r"the project can not be written to .*: File name too long"):
        write_project(tmp_path / ("x" * 300))
