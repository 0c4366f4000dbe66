"""This file is where the region that the settings name is followed to the signature of a function's call."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from fakes.aws import FakeAws

from headgate.aws import Clients
from headgate.engines.lambda_ import LambdaEngine
from headgate.gate import Gate
from headgate.ledger.store import Ledger
from headgate.settings import load

from .orders import Recorder, order

URN = "urn:li:dataset:(urn:li:dataPlatform:athena,c.d.t,PROD)"
NAMES = ("DATAHUB_INGESTION_LAMBDA_REGION", "AWS_REGION", "AWS_DEFAULT_REGION")
REGIONS = ("eu-west-1", "eu-west-2", "eu-west-3")
SOME = [one for one in itertools.product([True, False], repeat=3) if any(one)]


def started(folder: Path, environ: dict[str, str], text: str = "") -> None:
    """Click on a dataset with these settings, and let the engine start what that leads to."""
    (folder / "headgate.yaml").write_text(text, "utf-8")
    settings = load(folder / "headgate.yaml", {"DATAHUB_INGESTION_LAMBDA_DEFAULT": "succeeds", **environ})
    settings.home.mkdir(parents=True)
    ledger = Ledger(settings.database_url)
    ledger.open()
    job = Gate(settings, ledger).datasets.resolve(URN).implicit
    ledger.close()
    assert job is not None
    engine = LambdaEngine(folder, Recorder(), clients=Clients(environ=environ), region=settings.lambda_region)
    engine.start(order(dict(job.target)))
    engine.close()


@pytest.mark.parametrize("present", SOME, ids=["".join("01"[there] for there in one) for one in SOME])
def test_the_first_region_set_signs_the_call(fake_aws: FakeAws, tmp_path: Path, present: tuple[bool, ...]) -> None:
    """The seed's variable, then AWS_REGION, then AWS_DEFAULT_REGION, in every combination that names one."""
    environ = {name: region for name, region, there in zip(NAMES, REGIONS, present, strict=True) if there}
    started(tmp_path, environ)

    assert [call.region for call in fake_aws.calls if call.operation == "Invoke"] == [next(iter(environ.values()))]


def test_a_rules_own_region_signs_its_call(fake_aws: FakeAws, tmp_path: Path) -> None:
    """Before all of them."""
    text = "datasets: [{prefix: c, lambda: succeeds, region: us-west-2}]\n"
    started(tmp_path, dict(zip(NAMES, REGIONS, strict=True)), text)

    assert [call.region for call in fake_aws.calls if call.operation == "Invoke"] == ["us-west-2"]
