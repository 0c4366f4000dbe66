"""This file is where prepared proposals are held against DataHub's own: what is written, and what is seen of them."""

from __future__ import annotations

import copy
import json

import pytest
from datahub.emitter.mcp import MetadataChangeProposalWrapper
from datahub.metadata.schema_classes import StatusClass, SystemMetadataClass

from headgate.glue_source.proposals import Prepared, PreparedPatch

URN = "urn:li:dataset:(urn:li:dataPlatform:glue,d.t,PROD)"


def system() -> SystemMetadataClass:
    return SystemMetadataClass(lastObserved=7, runId="r", pipelineName="p")


def pair() -> tuple[Prepared, MetadataChangeProposalWrapper]:
    theirs = MetadataChangeProposalWrapper(entityUrn=URN, aspect=StatusClass(removed=False), systemMetadata=system())
    return Prepared(URN, "status", {"removed": False}, system()), theirs


@pytest.mark.parametrize("simplified", [True, False])
def test_what_is_written_is_theirs(simplified: bool) -> None:
    """In both of its forms, as a plain proposal, and when the run's metadata were changed meanwhile."""
    ours, theirs = pair()
    for _ in range(2):
        written = ours.to_obj(simplified_structure=simplified)

        assert written == dict(theirs.to_obj(simplified_structure=simplified))
        assert ours.make_mcp() == theirs.make_mcp()
        assert ours.validate()
        for one in (ours, theirs):
            assert one.systemMetadata
            one.systemMetadata.properties = {"clientId": "x"}


def test_what_is_changed_is_written() -> None:
    """Changed in place, or set anew, in a copy or not."""
    ours, _ = pair()
    copied = copy.deepcopy(ours)
    ours.aspect.removed = True
    copied.aspect = StatusClass(removed=True)

    for one in (ours, copied):
        assert one.to_obj(simplified_structure=True)["aspect"] == {"json": {"removed": True}}
        assert json.loads(one.make_mcp().aspect.value) == {"removed": True}  # type: ignore[union-attr]
        assert one.validate()


def test_headers_are_kept() -> None:
    """What others put into the envelope is written with it."""
    ours, theirs = pair()
    ours.headers = theirs.headers = {"a": "b"}

    assert ours.to_obj() == theirs.to_obj()


def test_a_patch_says_what_it_is_now() -> None:
    """Whoever changes it changes what is written."""
    patch = PreparedPatch(URN, "datasetProperties", [{"op": "add", "path": "/a", "value": 1}], system())
    first = patch.to_obj()
    assert patch.aspect
    patch.aspect.value = b"[]"

    assert json.loads(first["aspect"]["value"]) == [{"op": "add", "path": "/a", "value": 1}]
    assert (first["changeType"], first["aspect"]["contentType"]) == ("PATCH", "application/json-patch+json")
    assert patch.to_obj()["aspect"]["value"] == "[]"
    assert patch.validate()
