"""This file is where what headgate.yaml declares is compared with what is in force, and put in force."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from headgate.adopt import Adoption, GlueChange
from headgate.ledger.catalogs import Change, Declaration, Does
from headgate.ledger.store import Ledger, wait_for
from headgate.settings import Settings, again


class Definitions:
    """`settings` are those in force; `apply` puts others in their place."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self.settings = settings
        self.adoption = Adoption(ledger)
        #: set where a server runs: reads its file again, for plan and apply
        self.read_again: Callable[[], Settings] = lambda: self.settings
        self._ledger = ledger
        self._applying = threading.Lock()
        self._restart: Sequence[str] = ()

    @property
    def declaration(self) -> Declaration:
        """What was declared when the file was last put in force."""
        return Declaration(self.settings.jobs, self.settings.triggers)

    def plan(self) -> list[Change]:
        """What `apply` would do with headgate.yaml as it is now, and which settings wait for a restart.

        Raises:
            InvalidConfiguration: the file is wrong; every place is named.
        """
        read = self.read_again()
        waiting = self._waiting(read)
        return [
            *self._ledger.plan(Declaration(read.jobs, read.triggers)),
            *_rule_changes(self.settings, read),
            *waiting,
        ]

    def apply(self, *, everything: bool, actor: str) -> list[Change]:
        """Put in force what headgate.yaml declares now; answers what was done, and which settings wait for a restart.

        Jobs and triggers go to the ledger, the rules of `datasets:` are this server's. `everything`: mend drift too
        (delete, restore, switch).

        Raises:
            InvalidConfiguration: the file is wrong, so nothing was done. LedgerUnavailable.
        """
        with self._applying:
            read = self.read_again()
            rules, waiting = _rule_changes(self.settings, read), self._waiting(read)
            declared = Declaration(read.jobs, read.triggers)
            done = wait_for(self._ledger.apply(declared, everything=everything, actor=actor, beside=rules))
            self.settings = again.with_definitions(self.settings, read)
        return [*done, *rules, *waiting]

    def plan_glue(self) -> list[GlueChange]:
        """What `apply_glue` would do on AWS, and what is there and not ours. AWS is asked only where it has a part.

        Raises:
            InvalidConfiguration. Unavailable: AWS cannot be asked. Invalid: it refuses to answer.
        """
        return self.adoption.plan(self.read_again())

    def apply_glue(self, *, actor: str) -> list[GlueChange]:
        """Make AWS Glue what headgate.yaml declares of it; answers what was done. The same errors."""
        return self.adoption.apply(self.read_again(), actor=actor)

    def restart_warnings(self) -> list[str]:
        """Which settings headgate.yaml said otherwise when it was last read, for /readyz."""
        if not self._restart:
            return []
        named = ", ".join(self._restart[:5]) + (", …" if len(self._restart) > 5 else "")
        return [f"headgate.yaml has changed in what only a restart puts in force: {named}"]

    def _waiting(self, read: Settings) -> list[Change]:
        """What is not put in force while the server runs."""
        found = again.needs_restart(self.settings, read)
        self._restart = [one.name for one in found]
        return [Change("setting", one.name, Does.RESTART, False, {"value": one.before}, {"value": one.after})
                for one in found]  # fmt: skip


def _rule_changes(running: Settings, read: Settings) -> list[Change]:
    """Which rules of `datasets:` differ, by what they cover; one that only stands elsewhere in the file does not."""
    before, after = again.declared_rules(running), again.declared_rules(read)
    changes: list[Change] = []
    for name in sorted({*before, *after}):
        old, new = (again.rule_spec(those[name]) if name in those else None for those in (before, after))
        if old != new:
            does = Does.CREATE if old is None else Does.DELETE if new is None else Does.UPDATE
            changes.append(Change("rule", name, does, False, old, new))
    return changes
