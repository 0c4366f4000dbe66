"""This file is where functions' tokens go through the ledger: given by one replica, taken in by any."""

from __future__ import annotations

import structlog

from headgate.errors import Unavailable
from headgate.ledger import callbacks
from headgate.ledger.store import Ledger, wait_for

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Tokens:
    """What the Lambda engine is given to keep its tokens."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def keep(self, token: str) -> None:
        """Returns once every replica knows it. Raises Unavailable."""
        wait_for(self._ledger.write(lambda batch: callbacks.keep(batch, token)))

    def given(self, attempt_id: str) -> bool:
        """Whether some replica gave the attempt a token. With the ledger away: yes, so nobody is given up for it."""
        try:
            return self._ledger.read(lambda connection: callbacks.given(connection, attempt_id))
        except Unavailable as error:
            _log.warning("whether a function calls back is not known now", attempt=attempt_id, why=str(error))
            return True
