"""This file is where the environment's mapping file is read again when it is edited, without a restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from headgate.flow.resolve import Rule, RuleSource
from headgate.settings.datasets import FILE, mapping_rules, read_text
from headgate.settings.reading import Report
from headgate.settings.record import Settings

#: Seconds for which a file that was just written is read at every look: its times may not tell two edits apart.
_FRESH: Final = 2.0


class MappingFile:
    """The rules in the file now. A broken edit changes nothing: the last good rules stay, and `problem` says why."""

    def __init__(self, path: Path, shown: str, rules: Sequence[Rule]) -> None:
        self._path = path
        self._shown = shown
        self._rules = tuple(rules)
        self._seen: tuple[int, int, int] | None = None
        self._problem = ""
        self._lock = threading.Lock()

    @staticmethod
    def of(settings: Settings) -> MappingFile | None:
        """The file that the settings name, with the rules they were loaded with; None where they name none."""
        if settings.mapping_file is None:
            return None
        shown = next((str(one.value) for one in settings.effective if one.name == FILE), str(settings.mapping_file))
        rules = [rule for rule in settings.rules if rule.source is RuleSource.ENVIRONMENT_FILE]
        return MappingFile(settings.mapping_file, shown, rules)

    @property
    def problem(self) -> str:
        """What is wrong with the file as it is now; "" when nothing is."""
        self.rules()
        return self._problem

    def rules(self) -> Sequence[Rule]:
        with self._lock:
            self._look()
            return self._rules

    def _look(self) -> None:
        try:
            found = self._path.stat()
        except OSError as error:
            self._seen = None
            self._problem = self._kept(f"{FILE}: the file {self._shown} can not be read: {error.strerror or error}")
            return
        signature = (found.st_mtime_ns, found.st_size, found.st_ino)
        if signature == self._seen:
            return
        fresh = abs(time.time() - found.st_mtime) < _FRESH
        self._seen = None if fresh else signature
        self._read()

    def _read(self) -> None:
        report = Report()
        text = read_text(self._path, FILE, report)
        rules = mapping_rules(text, self._shown, RuleSource.ENVIRONMENT_FILE, report) if text is not None else []
        if report.problems:
            first, more = str(report.problems[0]), len(report.problems) - 1
            self._problem = self._kept(first + (f" (and {more} more)" if more else ""))
        else:
            self._rules, self._problem = tuple(rules), ""

    def _kept(self, problem: str) -> str:
        count = len(self._rules)
        return f"{problem}; the {count} rule{'s' if count != 1 else ''} it had before stay in force until it is mended"
