"""This file is where it is decided what a recipe's process is handed: which variables openly, which only in memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from headgate.engines.recipe.target import Target
from headgate.processes import environment
from headgate.recipes import text
from headgate.recipes.awsing import uses_aws

#: Where AWS is and as whom, without a secret in it.
_AWS: Final = frozenset(
    {
        "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_CA_BUNDLE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_MAX_ATTEMPTS",
        "AWS_RETRY_MODE", "AWS_STS_REGIONAL_ENDPOINTS", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_EC2_METADATA_DISABLED",
    }
)  # fmt: skip
_AWS_PREFIX: Final = "AWS_ENDPOINT_URL"
#: Who has these is whoever they belong to; libraries look for them in the environment.
_AWS_SECRET: Final = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
)  # fmt: skip
#: Of the variables that a run brings along, those that are masked.
_SECRET_NAME: Final = re.compile("KEY|SECRET|TOKEN|PASS|PWD|CREDENTIAL|AUTH", re.IGNORECASE)
_TOKEN: Final = "DATAHUB_GMS_TOKEN"  # noqa: S105 -- its name
#: Nothing of ours calls home; for processes that load DataHub themselves, as the warm ones are told before they do.
_OWN: Final[Mapping[str, str]] = {"DATAHUB_TELEMETRY_ENABLED": "false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The DataHub that recipes without a sink write to; no URL: there is none."""

    url: str = ""
    token: str = field(default="", repr=False)
    client_id: str = ""  #: of DataHub's system client, where there is no token
    client_secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """What a recipe's process is given."""

    environ: Mapping[str, str]  #: its environment, beside what every process has
    values: Mapping[str, str] = field(repr=False)  #: in memory: the recipe's, and those of the next two
    quiet: Sequence[str] = ()  #: names of values that libraries look for in the environment, and find in memory
    brought: Sequence[str] = ()  #: names of variables that the run brings: its process sets them when it runs
    plain: Sequence[str] = ()  #: names of values that are no secrets


def handed(
    document: text.Document,
    target: Target,
    values: Mapping[str, str],
    *,
    environ: Mapping[str, str],
    server: Callable[[], Server],
) -> Handed:
    """Return what the recipe's process is given: its values, variables its job names, and AWS's where it wants them."""
    openly = {**_OWN, **environment.named(environ, target.env)}
    keys, login = dict[str, str](), dict[str, str]()
    if uses_aws(document):
        openly |= {name: value for name, value in environ.items() if name in _AWS or name.startswith(_AWS_PREFIX)}
        keys = {name: environ[name] for name in _AWS_SECRET if environ.get(name)}
    if not document.get("sink"):
        there = server()
        if there.url:
            openly["DATAHUB_GMS_URL"] = there.url
        if there.token:
            login[_TOKEN] = there.token
        elif there.client_id and there.client_secret:
            openly["DATAHUB_SYSTEM_CLIENT_ID"] = there.client_id
            login["DATAHUB_SYSTEM_CLIENT_SECRET"] = there.client_secret
    # what a job names stands; then who we are at DataHub, which no run replaces; then what a run brings
    login = {name: value for name, value in login.items() if name not in openly}
    brought = {name: value for name, value in target.variables.items() if name not in openly and name not in login}
    quietly = login | {name: value for name, value in keys.items() if name not in openly and name not in brought}
    # a recipe's own ${NAME} wins over a variable of that name, as whoever wrote it meant that one
    plain = [name for name in target.variables if name not in values and not _SECRET_NAME.search(name)]
    return Handed(
        environ=openly,
        values={**brought, **quietly, **values},
        quiet=tuple(quietly),
        brought=tuple(brought),
        plain=plain,
    )
