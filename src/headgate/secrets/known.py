"""This file is where a process remembers which values are secret, so that its own log masks them.

There is one such memory a process, as there is one standard error. It only ever grows, by the secrets of the settings
and those that were resolved.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from headgate.supervision.forms import worth_masking
from headgate.supervision.masking import Masker


class Known:
    """Values that were learnt. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: set[str] = set()
        self._masker: Masker | None = Masker()

    def __repr__(self) -> str:
        return f"Known({len(self._values)} values)"

    def learn(self, values: Iterable[str]) -> None:
        fresh = set(worth_masking(values))
        with self._lock:
            if not fresh <= self._values:
                self._values |= fresh
                self._masker = None  # made when the next line is written: values often come one after the other

    def mask(self, text: str) -> str:
        """The text without the values, in any form they may have taken."""
        masker = self._masker
        if masker is None:
            with self._lock:
                masker = self._masker = self._masker or Masker(self._values)
        return masker.text(text)


_known = Known()
learn = _known.learn
mask = _known.mask
