"""This file is where what a job left behind is masked, before anybody reads it: its result, progress and error.

Its log is masked while it is written; these three the job writes itself. Of a job that was started before a restart the
values are those that its variables have now.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, cast

from headgate.supervision import records
from headgate.supervision.masking import Masker

Mask = Callable[[str], str]

_FILES: Final = (records.RESULT, records.PROGRESS, records.ERROR)
_LARGEST: Final = 1 << 22  #: bytes; what is larger is nobody's result


class Hiding:
    """What is to be masked of each attempt. Safe from any thread."""

    def __init__(self) -> None:
        self._maskers: dict[str, Masker] = {}

    def learn(self, attempt_id: str, texts: Iterable[str]) -> None:
        if masker := Masker(texts):
            self._maskers[attempt_id] = masker

    def forget(self, attempt_id: str) -> None:
        self._maskers.pop(attempt_id, None)

    def value(self, attempt_id: str, value: Any) -> Any:
        """A copy without the attempt's secrets."""
        masker = self._maskers.get(attempt_id)
        return value if masker is None else masked(value, masker.text)

    def files(self, attempt_id: str, directory: Path) -> None:
        """Mask what the attempt, which is over, left in its run directory. Its secrets are forgotten."""
        masker = self._maskers.pop(attempt_id, None)
        for name in _FILES if masker is not None else ():
            with contextlib.suppress(OSError):  # it is not there; or the disk is full, and what is there stays
                _mask_file(directory / name, masker.text if masker else str)


def masked(value: Any, mask: Mask) -> Any:
    """A copy of a JSON value with every text masked, names too; a number that is a secret becomes a text."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {mask(name): masked(one, mask) for name, one in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [masked(one, mask) for one in cast("list[Any]", value)]
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = str(value)
        return value if mask(text) == text else mask(text)
    return value


def _mask_file(file: Path, mask: Mask) -> None:
    with file.open("rb") as opened:
        data = opened.read(_LARGEST + 1)
    text = data.decode("utf-8", "surrogateescape")
    if len(data) > _LARGEST or mask(text) == text:
        return
    try:
        found = json.dumps(masked(json.loads(text), mask))
    except (ValueError, RecursionError):
        found = mask(text)
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    fresh.write_text(found, "utf-8", "surrogateescape")
    fresh.replace(file)
