"""This file is where URNs, the table of kinds, and who is calling are tested."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.embedded import urns
from headgate.embedded.registry import registry
from headgate.errors import Invalid, NotAuthenticated
from headgate.ports import Credential

from .world import DATASET, JOB, World

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("urn", "parts"),
    [
        (DATASET, ["urn:li:dataPlatform:iceberg", "sales.orders", "PROD"]),
        (JOB, ["urn:li:dataFlow:(airflow,daily,PROD)", "load"]),
        ("urn:li:schemaField:(urn:li:dataset:(urn:li:dataPlatform:s3,b/k,PROD),a.b)", None),
        ("urn:li:tag:layer.raw", ["layer.raw"]),
        ("urn:li:dataset:(urn:li:dataPlatform:s3,a%2Cb%28c%29,PROD)", ["urn:li:dataPlatform:s3", "a,b(c)", "PROD"]),
        ("urn:li:dataHubExecutionRequest:3f2c", ["3f2c"]),
    ],
)
def test_urns_come_apart(urn: str, parts: list[str] | None) -> None:
    """At the commas of their own tuple, percent-decoded; a URN among the parts stays whole."""
    parsed = urns.parse(urn)

    assert parts is None or list(parsed.parts) == parts
    assert urns.of_key(parsed.spec, parsed.key).text == urn


@pytest.mark.parametrize(
    "urn",
    [
        "", "urn:li:", "urn:li:dataset", "urn:li:dataset:", "urn:li:dataset:x", "urn:li:dataset:(a,b)",
        "urn:li:dataset:(a,b,c,d)", "urn:li:dataset:(a,b,PROD", "urn:li:dataset:(a,b,PROD)x",
        "urn:li:dataset:(a,,PROD)", " urn:li:tag:x", "urn:li:tag:x\n", "urn:li:tag:a\u241fb", "urn:li:tag:",
        "urn:x:tag:y", "http://x", None, 7,
    ],
)  # fmt: skip
def test_what_is_no_urn(urn: object) -> None:
    """Told as such, with what was expected."""
    with pytest.raises(Invalid, match="urn"):
        urns.parse(urn)


@given(st.text(max_size=40))
def test_any_text_is_a_urn_or_invalid(text: str) -> None:
    """Nothing else is raised, whatever is sent."""
    for given_text in (text, f"urn:li:dataset:{text}", f"urn:li:tag:{text}", f"urn:li:dataset:({text},b,PROD)"):
        try:
            parsed = urns.parse(given_text)
        except Invalid:
            continue
        assert urns.parse(urns.of_key(parsed.spec, parsed.key).text).parts == parsed.parts


def test_the_table_of_kinds_is_the_sdks() -> None:
    """registry.json is what scripts/write_registry.py makes of the installed SDK."""
    pytest.importorskip("datahub")
    spec = importlib.util.spec_from_file_location("write_registry", ROOT / "scripts" / "write_registry.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    assert module.FILE.read_text("utf-8") == module.lines()
    assert registry().aspects["status"].record == "com.linkedin.common.Status"
    assert registry().aspects["datasetProfile"].timeseries


def test_without_a_token_everybody_here_is_local(world: World) -> None:
    """A missing bearer and any bearer: the one who sits at this machine, who may do everything."""
    for authorization in ("", "Bearer anything", "Basic x:y"):
        who = world.datahub.identify(Credential(authorization))
        assert who.actor == "urn:li:corpuser:local"
        assert "EXECUTE_ENTITY" in world.datahub.privileges(Credential(authorization), who, DATASET)


def test_with_a_token_only_its_bearer_is_known(guarded: World) -> None:
    """No other credential passes, whatever its form."""
    assert guarded.datahub.identify(Credential("bearer secret")).actor == "urn:li:corpuser:headgate"
    for authorization in ("", "Bearer wrong", "Basic secret", "secret", "Bearer sécret"):
        with pytest.raises(NotAuthenticated, match="HEADGATE_TOKEN"):
            guarded.datahub.identify(Credential(authorization))
