"""This file is where it is listed where else to look for ingestions than Headgate, DataHub and AWS's schedules."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headgate.recipes.twice import Aim


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What a person points at. Nothing of it is changed."""

    crontabs: Sequence[Path] = ()
    look_in: Sequence[Path] = ()  #: folders of repositories, or files
    log_groups: Sequence[str] = ()  #: of CloudWatch Logs: names or ARNs
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)  #: where `docker` is looked for


@dataclass(frozen=True, slots=True)
class Regular:
    """Something that ingests by itself."""

    where: str
    kind: str  #: the recipe's source type, e.g. glue; "" where nobody knows
    enabled: bool = True
    aim: Aim | None = None  #: what its recipe reads, where that is known
    yields: bool = False  #: a trigger of ours that leaves to DataHub what DataHub schedules, too
