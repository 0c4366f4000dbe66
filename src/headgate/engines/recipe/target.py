"""This file is where it is read what a run is to ingest: from its job, or from what the run itself brings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from headgate.errors import Invalid
from headgate.flow.targets import RECIPE
from headgate.ports import Order
from headgate.recipes import entry, targeted, text

#: What only a run that brings its recipe may say; see `headgate.flow.targets.implicit_ingestion`.
_BROUGHT: Final = (RECIPE, "--version", "--task", "--extra_env_vars", "--extra_pip_requirements", "--extra_pip_plugins")
#: Who brings an argument of this name hands on what somebody asked DataHub for.
_FOREIGN: Final = "--executor_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What to run. Either `file` or `brought` says where the recipe is."""

    file: Path | None = None
    brought: str = field(default="", repr=False)  #: JSON text
    version: str = ""  #: of acryl-datahub; "" is the installed one
    plugins: Sequence[str] = ()
    requirements: Sequence[str] = ()
    env: Sequence[str] = ()  #: names of variables handed on from the server's environment
    variables: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)  #: brought along
    memory: int | None = None  #: bytes
    cpu: float | None = None  #: cores
    log_limit: int | None = None  #: bytes
    debug: bool = False
    task: str = ""
    tables: Sequence[str] = ()  #: database.table names, of which alone it is to be; none is all the recipe means
    foreign: bool = False  #: whoever wrote the recipe is not who runs this server

    def document(self) -> text.Document:
        """The recipe. Raises Invalid."""
        if self.file is not None:
            return text.read_recipe(self.file)
        return text.parse_recipe(self.brought, "the run's recipe")


def read_target(order: Order, project: Path) -> Target:
    """Read a job's target and a run's arguments.

    Raises:
        Invalid: they do not say which recipe, or say it twice; an argument is not what it should be.
    """
    values, said = cast("Mapping[str, Any]", order.job.target), order.run.arguments
    debug = said.get("--debug_mode", "").lower() == "true"
    tables = targeted.read_tables(said[targeted.TABLES]) if said.get(targeted.TABLES) else ()
    if values.get("recipe"):
        if taken := [name for name in _BROUGHT if name in said]:
            raise Invalid(f"it has a recipe of its own ({values['recipe']}), and takes no {taken[0]} from a run")
        return Target(
            file=project / str(values["recipe"]),
            version=str(values.get("version") or ""),
            plugins=tuple(values.get("plugins") or ()),
            env=tuple(values.get("env") or ()),
            memory=values.get("memory"),
            cpu=values.get("cpu"),
            log_limit=values.get("log_limit"),
            debug=debug,
            tables=tables,
        )
    if not said.get(RECIPE):
        raise Invalid(f"it has no recipe, and the run brings none ({RECIPE})")
    return Target(
        brought=said[RECIPE],
        version=said.get("--version", ""),
        plugins=_list(said, "--extra_pip_plugins"),
        requirements=_list(said, "--extra_pip_requirements"),
        variables=_mapping(said, "--extra_env_vars"),
        debug=debug,
        tables=tables,
        task=entry.TEST_CONNECTION if said.get("--task") == entry.TEST_CONNECTION else "",
        foreign=_FOREIGN in said,
    )


def _list(said: Mapping[str, str], name: str) -> tuple[str, ...]:
    found = _json(said, name, "a JSON list of texts")
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(one, str) for one in cast("list[Any]", found)):
        raise Invalid(f"{name}: expected a JSON list of texts")
    return tuple(cast("list[str]", found))


def _mapping(said: Mapping[str, str], name: str) -> dict[str, str]:
    found = _json(said, name, "a JSON object of texts")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Invalid(f"{name}: expected a JSON object of texts")
    return {key: one if isinstance(one, str) else json.dumps(one) for key, one in cast("dict[str, Any]", found).items()}


def _json(said: Mapping[str, str], name: str, expected: str) -> Any:
    if not said.get(name, "").strip():
        return None
    try:
        return json.loads(said[name])
    except ValueError as error:
        raise Invalid(f"{name}: expected {expected}; it is no JSON") from error
