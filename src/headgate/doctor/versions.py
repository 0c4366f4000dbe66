"""This file is where it is said which versions of DataHub Headgate was made for, and whether this is one of them."""

from __future__ import annotations

import re
from typing import Final

from headgate.doctor.finding import Finding, Rank

#: The oldest whose answers are understood, and the newest whose source was read; docs/datahub.md says the same.
OLDEST, NEWEST = (1, 4), (1, 7)
_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)(?:[.\-\w]*)?\Z")
_WHERE: Final = "GET /config"
_PAGE: Final = "docs/datahub.md, Versions"


def judged(version: str) -> Finding:
    """What the version means for us. `version` as DataHub says it, e.g. v1.7.0; "" where it says none."""
    between = f"{_words(OLDEST)} to {_words(NEWEST)}"
    found = _VERSION.match(version.strip())
    if found is None:
        return Finding(
            Rank.NOTE,
            f"DataHub {version or 'of an unknown version'} answers; whether it is supported, nobody can say",
            f"{_WHERE}; Headgate was made for DataHub {between}",
        )
    number = (int(found[1]), int(found[2]))
    if OLDEST <= number <= NEWEST:
        return Finding(Rank.NOTE, f"DataHub {version} answers, a version Headgate was made for", f"{_WHERE}; {between}")
    if number > NEWEST:
        return Finding(
            Rank.POSSIBLE,
            f"DataHub {version} is newer than what Headgate was made for",
            f"{_WHERE}; {between}; what Headgate reads may have changed since",
            f"look for a newer Headgate (pip install --upgrade headgate), or see {_PAGE}",
        )
    if number[0] == 0 and number[1] < 8:
        # the cloud service counts otherwise
        return Finding(
            Rank.NOTE,
            f"DataHub {version} answers, a number of DataHub Cloud's; whether it is supported, nobody can say",
            f"{_WHERE}; Headgate was made for DataHub {between}",
        )
    return Finding(
        Rank.POSSIBLE,
        f"DataHub {version} is older than what Headgate was made for",
        f"{_WHERE}; {between}; it lacks questions and answers that Headgate relies on",
        f"upgrade DataHub to {_words(OLDEST)} or newer, see {_PAGE}",
    )


def _words(number: tuple[int, int]) -> str:
    return f"{number[0]}.{number[1]}"
