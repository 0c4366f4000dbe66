"""This file is where what was found in a recipe has its words: how bad it is, where it is, what it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is. Only an error keeps the recipe from running, or running well."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found. It never holds a value that may be secret."""

    severity: Severity
    at: str  #: keys with dots between, such as source.config.password; "" is the recipe as a whole
    message: str
    line: int = 0  #: from 1; 0: unknown
    column: int = 0


def is_bad(findings: Sequence[Finding]) -> bool:
    return any(one.severity is Severity.ERROR for one in findings)
