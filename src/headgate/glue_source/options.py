"""This file is where a recipe's options are: DataHub's own for `glue`, by the same names, and which are beyond us.

They are written down again, and not taken from that source, because loading it costs a second that a run without SQL
and without jobs never gets back. A test holds these names and defaults against its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from datahub.configuration.common import AllowDenyPattern, ConfigModel
from datahub.configuration.source_common import DatasetSourceConfigMixin
from datahub.configuration.validate_field_rename import pydantic_renamed_field
from datahub.ingestion.run.pipeline_config import FlagsConfig
from datahub.ingestion.source.aws.aws_common import AwsSourceConfig
from datahub.ingestion.source.state.stale_entity_removal_handler import StatefulStaleMetadataRemovalConfig
from datahub.ingestion.source.state.stateful_ingestion_base import StatefulIngestionConfigBase
from pydantic import Field, field_validator

PLATFORMS: Final = ("glue", "athena")

#: What the other source does and we do not, with the values that ask for it; `extract_transforms` is on by default.
BEYOND: Final[Mapping[str, str]] = {
    "extract_transforms": "jobs and their lineage (say `extract_transforms: false` to do without)",
    "use_s3_bucket_tags": "tags of S3 buckets",
    "use_s3_object_tags": "tags of S3 objects",
    "extract_lakeformation_tags": "tags of Lake Formation",
    "extract_column_parameters": "column parameters",
    "incremental_properties": "properties as patches",
    "catalog_to_platform_instance": "other accounts' platform instances",
}


class Instance(ConfigModel):
    """Where another ingestion puts its datasets."""

    platform_instance: str | None = None
    env: str | None = None


class GlueOptions(
    StatefulIngestionConfigBase[StatefulStaleMetadataRemovalConfig], DatasetSourceConfigMixin, AwsSourceConfig
):
    """What `config:` of a recipe may say."""

    platform: Literal["glue", "athena"] = "glue"
    extract_owners: bool | None = True
    emit_storage_lineage: bool = False
    _emit_s3_lineage = pydantic_renamed_field("emit_s3_lineage", "emit_storage_lineage")
    glue_storage_lineage_direction: Literal["upstream", "downstream"] = "upstream"
    _glue_s3_lineage_direction = pydantic_renamed_field("glue_s3_lineage_direction", "glue_storage_lineage_direction")
    include_column_lineage: bool = True
    domain: dict[str, AllowDenyPattern] = Field(default_factory=dict)
    catalog_id: str | None = None
    ignore_resource_links: bool | None = False
    include_view_lineage: bool = True
    extract_delta_schema_from_parameters: bool | None = False
    stateful_ingestion: StatefulStaleMetadataRemovalConfig | None = None

    # what only the other source does, and what matters to it alone
    extract_transforms: bool | None = True
    use_s3_bucket_tags: bool | None = False
    use_s3_object_tags: bool | None = False
    extract_lakeformation_tags: bool | None = False
    propagate_lakeformation_tags: bool = False
    extract_lakeformation_column_tags: bool = True
    extract_column_parameters: bool = False
    incremental_properties: bool = False
    profiling: dict[str, Any] = Field(default_factory=dict)
    ignore_unsupported_connectors: bool | None = True
    resolve_resource_link_schema: bool = True
    target_platform_configs: dict[str, Instance] = Field(default_factory=dict)
    catalog_to_platform_instance: dict[str, Instance] = Field(default_factory=dict)

    @field_validator("profiling")
    @classmethod
    def _as_theirs(cls, given: dict[str, Any]) -> dict[str, Any]:
        """What is switched off must be right all the same: a misspelt key is no profile once it is switched on."""
        if given:
            from datahub.ingestion.source.glue_profiling_config import GlueProfilingConfig  # noqa: PLC0415 - seldom

            GlueProfilingConfig.model_validate(given)
        return given


def beyond(options: GlueOptions, flags: FlagsConfig) -> list[str]:
    """What this recipe asks for that only the other source does, in words; nothing, and we can do all of it."""
    asked = [f"{name}: {what}" for name, what in BEYOND.items() if getattr(options, name)]
    if options.profiling.get("enabled"):
        asked.append("profiling: profiles of tables")
    if not flags.generate_browse_path_v2 or flags.generate_browse_path_v2_dry_run:
        asked.append("flags.generate_browse_path_v2: other browse paths than the usual")
    return asked


def unknown(given: Mapping[str, Any]) -> list[str]:
    """Options that we do not know: the other source, which may be a newer one, knows them or says what is wrong."""
    renamed = {"emit_s3_lineage", "glue_s3_lineage_direction"}
    return sorted(set(given) - set(GlueOptions.model_fields) - renamed)
