"""This file is where the stand-in for `awsglue` is tested as a script uses it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

import headgate.supervision

SHIMS = str(Path(headgate.supervision.__file__).parent / "shims")
NAME = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)


@pytest.fixture(scope="module")
def utils() -> Iterator[ModuleType]:
    sys.path.insert(0, SHIMS)
    yield importlib.import_module("awsglue.utils")
    sys.path.remove(SHIMS)


@given(values=st.dictionaries(NAME, st.text(max_size=20), min_size=1, max_size=5))
def test_any_options_come_back(utils: ModuleType, values: dict[str, str]) -> None:
    """Whatever the values are (dashes, spaces, equal signs, nothing), the options come back as they were given."""
    argv = ["script.py", *(word for name, value in values.items() for word in (f"--{name}", value))]
    found = utils.getResolvedOptions([*argv, "--JOB_NAME", "j", "--unknown", "x"], ["JOB_NAME", *values])

    assert found == {"JOB_NAME": "j", **values}


def test_a_dash_in_an_option_is_an_underscore_in_the_result(utils: ModuleType) -> None:
    """`--raw-data-bucket` is found as raw_data_bucket, and what Glue adds by itself is in the result."""
    argv = ["s", "--raw-data-bucket", "b", "--JOB_RUN_ID", "jr_1", "--TempDir=s3://t/"]

    assert utils.getResolvedOptions(argv, ["raw_data_bucket"]) == {
        "raw_data_bucket": "b",
        "JOB_RUN_ID": "jr_1",
        "TempDir": "s3://t/",
    }


def test_a_missing_option_is_named(utils: ModuleType) -> None:
    """An option that was not given is an error that names it."""
    with pytest.raises(utils.GlueArgumentError, match="--catalog_id"):
        utils.getResolvedOptions(["s", "--JOB_NAME", "j"], ["JOB_NAME", "catalog_id"])


def test_the_context_says_what_it_cannot_do(utils: ModuleType) -> None:
    """What needs Glue itself is not silently ignored."""
    context = importlib.import_module(f"{utils.__package__}.context").GlueContext()
    with pytest.raises(AttributeError, match="create_dynamic_frame needs AWS Glue"):
        _ = context.create_dynamic_frame
    with pytest.raises(RuntimeError, match="no Spark"):
        _ = context.spark_session
