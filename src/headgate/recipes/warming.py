"""This file is where the process that recipes are forked from loads what they will want: DataHub's SDK, and plugins.

A launcher looks attributes of this module up: `base`, `source:glue`, `sink:file`, `transformers:simple_add_tags`. To
look one up is to load it, once. One that cannot be loaded is left to the run, whose log then says why.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from headgate.recipes import own

BASE: Final = "base"
#: Nothing of ours calls home.
TELEMETRY: Final = ("DATAHUB_TELEMETRY_ENABLED", "false")
#: Loaded by the first run otherwise, in this order.
_MODULES: Final = (
    "datahub.ingestion.run.pipeline",
    "datahub.ingestion.run.connection",
    "datahub.utilities.logging_manager",
    "datahub.masking.bootstrap",
    "datahub.ingestion.source_report.ingestion_stage",
    "headgate.recipes.entry",
)
_REGISTRIES: Final[Mapping[str, tuple[str, str]]] = {
    "source": ("datahub.ingestion.source.source_registry", "source_registry"),
    "sink": ("datahub.ingestion.sink.sink_registry", "sink_registry"),
    "transformers": ("datahub.ingestion.transformer.transform_registry", "transform_registry"),
    "extractor": ("datahub.ingestion.extractor.extractor_registry", "extractor_registry"),
}
#: botocore reads these services' models from disk at each client's making; read once, all runs share them.
_AWS: Final[Mapping[str, tuple[str, ...]]] = {
    "glue": ("glue", "s3", "sts", "lakeformation"),
    "headgate-glue": ("glue", "s3", "sts", "lakeformation"),
    "athena": ("athena", "sts"),
    "s3": ("s3", "sts"),
    "dynamodb": ("dynamodb", "sts"),
    "sagemaker": ("sagemaker", "sts"),
}
#: What a source loads when it comes to it, and had better have: module and function.
_AHEAD: Final[Mapping[str, tuple[str, str]]] = {"headgate-glue": ("headgate.glue_source.views", "load_ahead")}


def wanted(types: Mapping[str, Sequence[str]]) -> list[str]:
    """What a launcher is to look up for a recipe with these plugins (see `headgate.recipes.text.part_types`)."""
    here = __name__
    return [f"{here}:{BASE}", *(f"{here}:{part}:{name}" for part, names in sorted(types.items()) for name in names)]


def __getattr__(name: str) -> bool:
    """Load what the name stands for."""
    if name == BASE:
        os.environ.setdefault(*TELEMETRY)  # asked for when DataHub is loaded, and by no run that is forked later
        for module in _MODULES:
            _load(module)
        return _plugin("extractor", "generic")
    part, _, plugin = name.partition(":")
    if part not in _REGISTRIES:
        raise AttributeError(name)
    if part == "source" and plugin in own.OWN and own.find(plugin):
        plugin = own.OWN[plugin].stand_in
    found = _plugin(part, plugin)
    if part == "source":
        if plugin in _AHEAD:
            module, function = _AHEAD[plugin]
            getattr(importlib.import_module(module), function)()
        _read_models(_AWS.get(plugin, ()))
    return found


def _load(module: str) -> None:
    with contextlib.suppress(ImportError):  # an older version has it elsewhere
        importlib.import_module(module)


def _plugin(part: str, name: str) -> bool:
    """Whether the plugin is there; one that is broken is not."""
    module, registry = _REGISTRIES[part]
    try:
        found: Any = getattr(importlib.import_module(module), registry)
        return found.get_optional(name) is not None
    except (ImportError, AttributeError):
        return False


def _read_models(services: Sequence[str]) -> None:
    """Read the services' models, and keep what was read for all runs."""
    if "botocore" not in sys.modules or not services:
        return
    import botocore.loaders  # noqa: PLC0415 -- only where a source has loaded it

    loader: Any = botocore.loaders.JSONFileLoader
    plain, kept = loader.load_file, dict[str, Any]()

    def load_file(self: Any, path: str) -> Any:
        if path not in kept:
            kept[path] = plain(self, path)
        return kept[path]

    loader.load_file = load_file
    for service in services:
        with contextlib.suppress(Exception):
            _client(service)


def _client(service: str) -> None:
    import boto3  # noqa: PLC0415 -- as above

    # in a session of its own: the one that all runs would share must find the credentials of each
    boto3.Session().client(
        service, region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none",  # noqa: S106 -- it is none
        verify=False,
    )  # fmt: skip  # pyright: ignore[reportCallIssue, reportArgumentType]
