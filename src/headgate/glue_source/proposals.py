"""This file is where aspects are that DataHub's sinks write as they were prepared.

A proposal of DataHub's own is built of classes, validated by walking them, turned into JSON by walking them again, and
read back once more by the file sink. These carry the JSON from the start. To whoever wants the class (a transformer,
say) they give it, made on the spot; from then on the class is what counts, as it may have been changed.
"""

from __future__ import annotations

import json
from typing import Any, Final, cast

from datahub.emitter.aspect import ASPECT_MAP, JSON_CONTENT_TYPE, JSON_PATCH_CONTENT_TYPE
from datahub.emitter.mcp import MetadataChangeProposalWrapper
from datahub.emitter.serialization_helper import post_json_transform, pre_json_transform
from datahub.ingestion.api.workunit import MetadataWorkUnit
from datahub.metadata.schema_classes import (
    ChangeTypeClass,
    DictWrapper,
    GenericAspectClass,
    MetadataChangeProposalClass,
    SystemMetadataClass,
)

Json = dict[str, Any]

_DATASET: Final = "dataset"


class Prepared(MetadataChangeProposalWrapper):
    """An aspect of a dataset, as the JSON that DataHub's REST interface takes. The JSON is never changed."""

    def __init__(self, urn: str, aspect_name: str, body: Json, system: SystemMetadataClass | None) -> None:
        # not the generated one, which would look at the URN and the aspect to find what we know
        self.entityType = _DATASET
        self.changeType = ChangeTypeClass.UPSERT
        self.entityUrn = urn
        self.entityKeyAspect = None
        self.auditHeader = None
        self.aspectName = aspect_name
        self.systemMetadata = system
        self.headers = None
        self._body: Json | None = body  #: None once the class has been asked for
        self._made: Any = None

    # a field in the class that this is one of; here it is made when it is asked for
    @property
    def aspect(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride] - see above
        """DataHub's class for the aspect. Who has seen it may have changed it, so the JSON is done with."""
        if self._body is not None:
            self._made = ASPECT_MAP[str(self.aspectName)].from_obj(post_json_transform(self._body))
            self._body = None
        return self._made

    @aspect.setter
    def aspect(self, value: Any) -> None:  # pyright: ignore[reportIncompatibleVariableOverride] - a field there
        self._made = value
        self._body = None

    def validate(self) -> bool:
        return True if self._body is not None else super().validate()

    def make_mcp(self) -> MetadataChangeProposalClass:
        if self._body is None:
            return super().make_mcp()
        mcp = self._make_mcp_without_aspects()
        mcp.aspect = GenericAspectClass(value=json.dumps(self._body).encode(), contentType=JSON_CONTENT_TYPE)
        return mcp

    def to_obj(self, tuples: bool = False, simplified_structure: bool = False) -> Json:
        if self._body is None or self.auditHeader or self.headers:
            return super().to_obj(tuples, simplified_structure)
        aspect: Json = (
            {"json": self._body}
            if simplified_structure
            else {"value": json.dumps(self._body), "contentType": JSON_CONTENT_TYPE}
        )
        return _envelope(str(self.entityUrn), str(self.changeType), str(self.aspectName), aspect, self.systemMetadata)


class PreparedPatch(MetadataChangeProposalClass):
    """A JSON patch of a dataset's aspect."""

    def __init__(self, urn: str, aspect_name: str, operations: list[Json], system: SystemMetadataClass | None) -> None:
        text = json.dumps(operations)
        super().__init__(
            entityType=_DATASET,
            entityUrn=urn,
            changeType=ChangeTypeClass.PATCH,
            aspectName=aspect_name,
            aspect=GenericAspectClass(value=text.encode(), contentType=JSON_PATCH_CONTENT_TYPE),
            systemMetadata=system,
        )

    def validate(self) -> bool:
        return True

    def to_obj(self, tuples: bool = False) -> Json:
        if self.auditHeader or self.headers or self.aspect is None:
            return super().to_obj(tuples)
        value = self.aspect.value.decode()  # what it is now, should anybody have changed it
        aspect = {"value": value, "contentType": self.aspect.contentType}
        return _envelope(str(self.entityUrn), str(self.changeType), str(self.aspectName), aspect, self.systemMetadata)


def _envelope(urn: str, change: str, aspect_name: str, aspect: Json, system: SystemMetadataClass | None) -> Json:
    made: Json = {
        "entityType": _DATASET,
        "entityUrn": urn,
        "changeType": change,
        "aspectName": aspect_name,
        "aspect": aspect,
    }
    if system is not None:
        made["systemMetadata"] = _plain(system)
    return made


class _Plain:
    """The last system metadata that became JSON: a page of tables shares one. Kept whole: sinks write from threads."""

    last: tuple[object, ...] = (None, (), {})


def _plain(system: SystemMetadataClass) -> Json:
    known, was, made = _Plain.last
    now = (system.lastObserved, system.runId, system.pipelineName, dict(system.properties) if system.properties else 0)
    if known is not system or was != now:
        made = system.to_obj()
        _Plain.last = (system, now, made)
    return cast("Json", made)


def as_json(aspect: DictWrapper) -> Json:
    """An aspect of DataHub's classes as the JSON it is sent as."""
    return cast("Json", pre_json_transform(aspect.to_obj()))


class _Unit(MetadataWorkUnit):
    """A work unit of one proposal of ours."""

    def __init__(self, name: str, proposal: Prepared | PreparedPatch) -> None:
        # not the generated one, which would look at what it is given to find what we know
        self.id = name
        self.metadata = proposal
        self.treat_errors_as_warnings = False
        self.is_primary_source = True


def unit(proposal: Prepared | PreparedPatch, number: int = 0) -> MetadataWorkUnit:
    """Wrap it up for the pipeline. `number` tells events of one aspect apart."""
    return _Unit(f"{proposal.entityUrn}-{proposal.aspectName}" + (f"-{number}" if number else ""), proposal)
