"""This file is where what is declared is made on Headgate's own Glue door, which has what moto has not, and on moto."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from journeys.aws_world import served
from journeys.world import make_project
from services.moto import moto

from headgate.adopt.writing import written
from headgate.aws import Clients

from .world import CREATED, ENVIRON, PROJECT, VIEWS, Near, near


def client(url: str) -> Any:
    return boto3.client(
        "glue", endpoint_url=url, region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any"
    )


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(make_project(tmp_path_factory.mktemp("far"), "jobs: {}\n")) as made:
        yield made.url


@pytest.fixture(scope="module")
def motos() -> Iterator[str]:
    with moto() as url:
        yield url


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Near]:
    with near(tmp_path / "project", Clients(environ=ENVIRON)) as made:
        yield made


def at(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name, value in {**ENVIRON, "AWS_ENDPOINT_URL": url}.items():
        monkeypatch.setenv(name, value)


def test_a_door_of_ours_is_made_what_is_declared(here: Near, door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made, found the same, changed by a hand, taken back, written down, deleted: with a Glue that checks all of it."""
    at(monkeypatch, door)
    glue = client(door)
    glue.create_job(Name="views", **VIEWS)
    text = PROJECT.replace("WorkerType: G.1X", "GlueVersion: 5.0\n      WorkerType: G.1X")
    here.says(text)
    assert here.apply() == CREATED
    assert here.plan() == []
    shown = glue.get_job(JobName="nightly")["Job"]
    assert (shown["JobRunQueuingEnabled"], shown["MaxRetries"], shown["Timeout"]) == (True, 0, 30)
    assert glue.get_trigger(Name="after")["Trigger"]["State"] == "ACTIVATED"

    update = {name: value for name, value in shown.items() if name not in ("Name", "CreatedOn", "LastModifiedOn")}
    glue.update_job(JobName="nightly", JobUpdate={**update, "SecurityConfiguration": "sc", "NumberOfWorkers": 9})
    glue.stop_trigger(Name="after")
    here.says(text.replace("timeout: 30m", "timeout: 31m"))
    assert here.plan() == ["update job nightly !", "enable trigger after !"]
    here.apply()
    shown = glue.get_job(JobName="nightly")["Job"]
    assert (shown["NumberOfWorkers"], shown["Timeout"], shown["SecurityConfiguration"]) == (2, 31, "sc")
    assert (glue.get_trigger(Name="after")["Trigger"]["State"], here.plan()) == ("ACTIVATED", [])

    here.says(written(here.clients, []))
    assert here.plan() == []
    here.says("jobs: {views: {engine: glue, job_name: views}}\n")
    assert here.apply() == ["delete trigger after", "delete trigger start", "delete job nightly"]
    assert ([one["Name"] for one in glue.get_jobs()["Jobs"]], glue.get_triggers()["Triggers"]) == (["views"], [])


def test_moto_is_made_what_is_declared(here: Near, motos: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as moto goes: made, switched, written down, deleted. It keeps no queueing, and updates nothing."""
    at(monkeypatch, motos)
    glue = client(motos)
    glue.create_job(Name="views", **VIEWS)
    here.says(PROJECT.replace("job_name: nightly", "job_name: nightly\n    queueing: false"))
    assert here.apply() == CREATED
    assert here.plan() == []
    glue.stop_trigger(Name="after")
    assert here.plan() == ["enable trigger after !"]
    here.apply()
    here.says(written(here.clients, []))
    assert here.plan() == []
    here.says("jobs: {views: {engine: glue, job_name: views}}\n")
    assert here.apply() == ["delete trigger after", "delete trigger start", "delete job nightly"]
