"""This file is where our options are held against DataHub's, and where recipes go that ask for more than we do."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from datahub.ingestion.api.common import PipelineContext
from datahub.ingestion.run.pipeline_config import FlagsConfig
from datahub.ingestion.source.aws.glue import GlueSource, GlueSourceConfig
from datahub.ingestion.source.source_registry import source_registry
from fakes.glue_catalog import FakeGlue
from pydantic import ValidationError
from services.moto import CREDENTIALS, REGION

from headgate.glue_source.aspects import STORAGE, as_parsed, millis
from headgate.glue_source.options import BEYOND, GlueOptions, beyond
from headgate.glue_source.source import HeadgateGlueSource

pytestmark = pytest.mark.filterwarnings("ignore:")  # DataHub's own

USUAL = {"aws_region": REGION, "extract_transforms": False}


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


def made(**options: Any) -> Any:
    return HeadgateGlueSource.create({**USUAL, **options}, PipelineContext(run_id="r"))


def test_the_options_are_theirs() -> None:
    """The same names, and what they are when nothing is said."""
    theirs, ours = GlueSourceConfig.model_validate({}), GlueOptions.model_validate({})

    assert set(GlueOptions.model_fields) == set(GlueSourceConfig.model_fields)
    for name in GlueOptions.model_fields:
        if name != "profiling":
            assert getattr(ours, name) == getattr(theirs, name), name


def test_it_is_found_by_its_type() -> None:
    """`type: headgate-glue` is ours, by the entry point."""
    assert source_registry.get("headgate-glue") is HeadgateGlueSource


@pytest.mark.parametrize("name", [*BEYOND, "profiling", "flags"])
def test_what_only_the_other_source_does_is_known(name: str) -> None:
    """Each of these alone is asked for, by name; without them there is nothing beyond us."""
    asked: dict[str, Any] = {
        "catalog_to_platform_instance": {f"arn:aws:glue:{REGION}:123456789012": {"platform_instance": "x"}},
        "profiling": {"enabled": True},
    }
    options = {**USUAL, **({} if name == "flags" else {name: asked.get(name, True)})}
    flags = FlagsConfig.model_validate({"generate_browse_path_v2": name != "flags"})

    found = beyond(GlueOptions.model_validate(options), flags)
    assert [one.partition(":")[0].partition(".")[0] for one in found] == [name]
    assert beyond(GlueOptions.model_validate(USUAL), FlagsConfig.model_validate({})) == []


def test_what_only_the_other_source_does_it_does() -> None:
    """And its report says so, and why."""
    source = made(extract_lakeformation_tags=True, use_s3_bucket_tags=True)
    infos = list(source.get_report().infos)
    source.close()

    assert isinstance(source, GlueSource)
    assert [one.title for one in infos] == ["The source glue does it, not headgate-glue"]
    assert list(infos[0].context) == [
        "use_s3_bucket_tags: tags of S3 buckets; extract_lakeformation_tags: tags of Lake Formation"
    ]


def test_without_a_word_about_jobs_the_other_source_reads_them() -> None:
    """As they are read by default, there."""
    source = HeadgateGlueSource.create({"aws_region": REGION}, PipelineContext(run_id="r"))
    source.close()

    assert isinstance(source, GlueSource)


@pytest.mark.parametrize(
    "options",
    [{"no_such_option": 1}, {"env": "NOWHERE"}, {"profiling": {"misspelt": 1}}, {"platform": "hive"}],
    ids=str,
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    """By name, and before anything is read."""
    with pytest.raises(ValidationError, match=next(iter(options))):
        made(**options)


def test_off_is_not_asked_for() -> None:
    """An option said to be off is none that we lack."""
    source = made(use_s3_bucket_tags=False, extract_lakeformation_tags=False, profiling={"enabled": False})
    source.close()

    assert isinstance(source, HeadgateGlueSource)


def test_a_descriptor_is_what_the_sdk_knows() -> None:
    """Members, and their order, are those of botocore's model; so are those below."""
    model = botocore.session.get_session().get_service_model("glue")

    def known(shape: Any) -> Any:
        if shape.type_name == "structure":
            return {name: known(member) for name, member in shape.members.items()}
        if shape.type_name == "list" and shape.member.type_name == "structure":
            return [known(shape.member)]
        return None

    shape = known(model.shape_for("StorageDescriptor"))
    shape["Columns"] = None  # read by itself, not as text
    assert json.dumps(shape) == json.dumps(STORAGE)


def test_values_are_as_the_sdk_parses_them() -> None:
    """In its order, without nulls and members that it does not know; maps as they came."""
    sent = {
        "SchemaVersionNumber": 3,
        "New": 1,
        "SchemaVersionId": None,
        "SchemaId": {"RegistryName": "r", "SchemaArn": "a"},
    }

    assert str(as_parsed(sent, STORAGE["SchemaReference"])) == (
        "{'SchemaId': {'SchemaArn': 'a', 'RegistryName': 'r'}, 'SchemaVersionNumber': 3}"
    )
    assert as_parsed([{"SortOrder": 1, "Column": "c"}], STORAGE["SortColumns"]) == [{"Column": "c", "SortOrder": 1}]
    assert list(as_parsed({"Parameters": {"z": "1", "a": "2"}}, STORAGE["SerdeInfo"])["Parameters"]) == ["z", "a"]


@pytest.mark.parametrize(
    ("zone", "off"), [("UTC", 0), ("America/New_York", -4 * 3_600_000), ("Asia/Kolkata", 19_800_000)]
)
def test_times_are_theirs(monkeypatch: pytest.MonkeyPatch, zone: str, off: int) -> None:
    """Milliseconds, cut off and not rounded; and of the host's local time taken for UTC, as that source does."""
    with monkeypatch.context() as environ:
        environ.setenv("TZ", zone)
        time.tzset()
        found = [millis(sent) for sent in (1_760_000_000, 1_760_000_000.1239, "2025-10-09T08:53:20.999Z")]
    time.tzset()

    # a text says its zone itself, and is not moved
    assert found == [1_760_000_000_000 + off, 1_760_000_000_123 + off, 1_760_000_000_999]


def test_a_recipe_of_the_other_sources_options(tmp_path: Path) -> None:
    """A role to assume, a proxy, how often to try: taken by the part that both share."""
    with FakeGlue({"d": {}}, {}) as fake, pytest.MonkeyPatch.context() as environ:
        environ.setenv("AWS_ENDPOINT_URL_GLUE", fake.url)
        source = made(aws_retry_num=1, read_timeout=2, aws_advanced_config={"max_pool_connections": 3})
        found = [one["Name"] for one in source.catalog.databases()]
        source.close()

    assert found == ["d"]
