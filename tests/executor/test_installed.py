"""This file is where what is installed with Headgate is looked at: commands, plug-ins, extras, and what they need."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from .test_pipeline_file import SEED


@pytest.mark.parametrize(
    ("group", "name", "kind"),
    [
        ("console_scripts", "headgate", "main"),
        ("datahub_actions.action.plugins", "headgate", "HeadgateAction"),
        ("datahub.ingestion.source.plugins", "headgate-glue", "HeadgateGlueSource"),
    ],
)
def test_plug_ins_are_found_by_their_entry_points(group: str, name: str, kind: str) -> None:
    """Where DataHub's framework and its ingestion look for them; each names something that is there."""
    [found] = entry_points(group=group, name=name)

    assert found.attr == kind
    assert found.load().__name__ == kind


def test_the_extras_of_the_install_lines_are_there() -> None:
    """`pip install 'headgate[datahub]'`, and those the page names beside it."""
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    page = (root / "docs" / "executor.md").read_text("utf-8")

    assert {"datahub", "kafka", "actions"} <= set(project["optional-dependencies"])
    assert any(one.startswith("acryl-datahub[") for one in project["optional-dependencies"]["datahub"])
    assert "pip install 'headgate[datahub]'" in page


def test_the_executor_does_without_datahubs_packages(tmp_path: Path) -> None:
    """It reads its file and is put together without the framework and the SDK; only recipes need the latter."""
    (tmp_path / "executor.yml").write_text(SEED, "utf-8")
    script = """
import sys
for name in ("datahub", "datahub_actions", "confluent_kafka", "boto3"):
    sys.modules[name] = None
from pathlib import Path
import headgate.executor.sources, headgate.executor.events
from headgate.executor.pipeline_file import read_pipeline_file
print(read_pipeline_file(Path("executor.yml"), {}).options.executor_id)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout.strip()) == (0, "default"), done.stderr


def test_no_support_is_claimed_that_is_not_there() -> None:
    """The seed's page has a badge, `certified`; ours says what this is, as the package's own classifier does."""
    root = Path(__file__).parents[2]
    page = (root / "docs" / "executor.md").read_text("utf-8")
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]

    assert "not DataHub's certified executor" in page
    assert "alpha software" in page
    assert "Development Status :: 3 - Alpha" in project["classifiers"]
    assert "certified" not in (root / "README.md").read_text("utf-8").lower().replace("not certified", "")
