"""This file is where a DataHub learns of our own sources, and what a recipe does with one that cannot take them.

Where Headgate is installed, DataHub finds them by their entry points. A recipe with a version of its own runs in an
environment that has our package on its path and nothing of its installation: there they are registered by hand. They
are written against one version of DataHub; with another that they do not fit, DataHub's own source does the work.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, cast


class Own(NamedTuple):
    place: str  #: module:class
    stand_in: str  #: the source of DataHub's that takes the same options


OWN: Final[Mapping[str, Own]] = {"headgate-glue": Own("headgate.glue_source.source:HeadgateGlueSource", "glue")}

#: What is raised where a module, a name or a parameter of DataHub's is not what our code was written against.
MISFIT: Final = (ImportError, AttributeError, TypeError, NameError)


def find(name: str) -> str:
    """Have DataHub know a source of ours; answers why it cannot be had, or "" where it can."""
    registry: Any = importlib.import_module("datahub.ingestion.source.source_registry").source_registry
    failed: Any = importlib.import_module("datahub.configuration.common").ConfigurationError
    try:
        try:
            registry.get(name)
        except KeyError:
            registry.register_lazy(name, OWN[name].place)
            registry.get(name)
    except failed as error:
        return str(error.__cause__ or error)
    return ""


def without(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The recipe with DataHub's source in the place of ours; None where it has none of ours."""
    source = config.get("source")
    if not isinstance(source, Mapping):
        return None
    given = cast("Mapping[str, Any]", source)
    own = OWN.get(str(given.get("type")))
    return {**config, "source": {**given, "type": own.stand_in}} if own else None


def fitting(config: Mapping[str, Any], say: Callable[[str], object]) -> dict[str, Any]:
    """The recipe as this environment's DataHub can take it; where that changes its source, `say` is told."""
    other = without(config)
    if other and (why := find(str(config["source"]["type"]))):
        say(told(config, why))
        return other
    return dict(config)


def told(config: Mapping[str, Any], why: str) -> str:
    """What is said when DataHub's source takes over."""
    name = str(config["source"]["type"])
    version = _version()
    return f"{name} does not go with acryl-datahub {version} ({why}); its source {OWN[name].stand_in} does the recipe"


def misfit(error: BaseException | None) -> BaseException | None:
    """What in an error and its causes says that our source and this DataHub do not fit; None: it says nothing of it."""
    while error is not None:
        if isinstance(error, MISFIT):
            return error
        error = error.__cause__
    return None


def _version() -> str:
    import importlib.metadata as installed  # noqa: PLC0415 - only where something does not fit

    try:
        return installed.version("acryl-datahub")
    except installed.PackageNotFoundError:
        return "of an unknown version"
