"""This file is where a run that happens elsewhere leaves its traces here: a log to read, and what may not start."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from headgate.errors import EngineUnavailable
from headgate.model import RunState
from headgate.ports import Ending
from headgate.supervision import records

_SETTLED: Final = "settled"
_FAR: Final = "far"
_DOUBT: Final = "doubt"
_PLACE: Final = "place"
_TOKENS: Final = "tokens"
_ATTEMPT: Final = re.compile(r"jr_[0-9a-f]{64}(_attempt_\d{1,4})?")


class RunFiles:
    """Run directories, as the local engine has them: `<home>/logs/<attempt id>/`."""

    def __init__(self, home: Path) -> None:
        self._folder = home.absolute() / "logs"

    def say(self, attempt_id: str, text: str) -> None:
        """Add a line to the attempt's log. A log that cannot be written is no reason not to run."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
        self.add(attempt_id, f"{now}Z {text}\n")

    def add(self, attempt_id: str, text: str) -> None:
        """Add text to the attempt's log as it is."""
        with contextlib.suppress(OSError):
            directory = self._folder / attempt_id
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (directory / records.LOG).open("ab") as log:
                log.write(text.encode("utf-8", "replace"))

    def finish(self, attempt_id: str, ending: Ending) -> None:
        """Mark the log as complete."""
        record = records.ended(None, at=ending.at.timestamp(), stopped=ending.state is RunState.STOPPED)
        with contextlib.suppress(OSError):
            records.write(str(self._folder / attempt_id), records.EXIT, record, durable=False)

    def finished(self, attempt_id: str) -> bool:
        return records.exists(str(self._folder / attempt_id), records.EXIT)

    def note(self, attempt_id: str, handle: str) -> None:
        """Remember what the far side calls the attempt, for a start that comes a second time."""
        self._write(attempt_id, _FAR, {"handle": handle})

    def noted(self, attempt_id: str) -> str:
        record = records.read(str(self._folder / attempt_id), _FAR)
        return str(record.get("handle") or "") if record else ""

    def doubt(self, attempt_id: str, *, durable: bool = True) -> None:
        """Remember that a start is asked for, just now, or that its reply was lost. Not `durable`: a kill, no more."""
        self._write(attempt_id, _DOUBT, {"at": time.time()}, durable=durable)

    def no_doubt(self, attempt_id: str) -> None:
        """Nothing was started, for certain."""
        with contextlib.suppress(OSError):
            (self._folder / attempt_id / _DOUBT).unlink(missing_ok=True)

    def in_doubt(self, attempt_id: str) -> float | None:
        """Seconds since the last start whose reply nobody heard; None: there was none."""
        record = records.read(str(self._folder / attempt_id), _DOUBT)
        return max(0.0, time.time() - float(record["at"])) if record else None

    def place(self, attempt_id: str) -> dict[str, str]:
        """Return how far a log that is kept elsewhere has been read."""
        record = records.read(str(self._folder / attempt_id), _PLACE) or {}
        return {str(name): str(token) for name, token in record.items()}

    def keep_place(self, attempt_id: str, place: Mapping[str, str]) -> None:
        with contextlib.suppress(OSError):
            records.write(str(self._folder / attempt_id), _PLACE, dict(place), durable=False)

    def new_token(self, attempt_id: str) -> str:
        """Make a secret by which somebody may later say how the attempt ended; only its digest is kept."""
        secret = secrets.token_urlsafe(32)
        record = records.read(str(self._folder / attempt_id), _TOKENS) or {}
        self._write(attempt_id, _TOKENS, {"sha256": [*record.get("sha256", []), _digest(secret)]})
        return f"{attempt_id}.{secret}"

    def has_token(self, attempt_id: str) -> bool:
        return records.exists(str(self._folder / attempt_id), _TOKENS)

    def whose_token(self, token: str) -> str | None:
        """Return the attempt a token was made for; None: none that is known here."""
        attempt_id, _, secret = token.rpartition(".")
        if not _ATTEMPT.fullmatch(attempt_id):
            return None
        record = records.read(str(self._folder / attempt_id), _TOKENS) or {}
        given = _digest(secret)
        known = [hmac.compare_digest(given, str(one)) for one in record.get("sha256", [])]
        return attempt_id if any(known) else None

    def settle(self, attempt_id: str, ending: Ending) -> None:
        """Keep the attempt from starting here again, ever: it has ended like this."""
        self._write(
            attempt_id,
            _SETTLED,
            {
                "state": ending.state.value,
                "at": ending.at.timestamp(),
                "error": ending.error,
                "detail": ending.detail,
                "result": dict(ending.result),
                "retryable": ending.retryable,
            },
        )

    def settled(self, attempt_id: str) -> Ending | None:
        record = records.read(str(self._folder / attempt_id), _SETTLED)
        if record is None:
            return None
        return Ending(
            state=RunState(record["state"]),
            at=datetime.fromtimestamp(float(record["at"]), UTC),
            error=record["error"],
            detail=str(record["detail"]),
            result=record["result"],
            retryable=bool(record["retryable"]),
        )

    def _write(self, attempt_id: str, name: str, record: records.Record, *, durable: bool = True) -> None:
        directory = self._folder / attempt_id
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            records.write(str(directory), name, record, durable=durable)
        except OSError as error:
            raise EngineUnavailable(f"{directory} cannot be written: {error.strerror}") from error


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
