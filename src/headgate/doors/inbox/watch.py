"""This file is where a file in a watched folder becomes an event, once it is complete.

It is complete when its size and mtime were the same at two looks an interval apart, or when its mtime was older than
the interval at first sight (it was renamed into place, or came while we were down). Then its bytes are hashed (the etag
is their md5, the sequencer the mtime), and if nothing changed meanwhile its event is handed over.

The kernel's notifications (through watchfiles) only make us look sooner. What counts is the look itself and a slow
rescan of everything, for notifications are lost when their queue overflows, on network mounts, and in folders too new
to be watched. Everything may be reported again after a restart: its identity is the same, and the ledger knows it.
"""

from __future__ import annotations

import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import structlog
import watchfiles

from headgate.doors.inbox.etags import Etags
from headgate.doors.inbox.files import Files, Look
from headgate.errors import HeadgateError, Unavailable
from headgate.flow.match import object_identity
from headgate.model import Event, StoredObject, new_event_id

#: Events handed over at a time.
BATCH: Final = 500
KIND: Final = "ObjectCreated:Put"
#: The part of the time a rescan may take, so that a large folder does not keep a core busy.
_RESCAN_SHARE: Final = 0.01
#: Seconds between rescans while notifications do not work.
_UNNOTIFIED: Final = 2.0
_RETRY_FIRST, _RETRY_LAST = 0.5, 30.0

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Accept = Callable[[Sequence[Event]], object]


class _Ready(NamedTuple):
    key: str
    look: Look
    etag: str
    event: Event


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Inbox:
    """Reports the files of one folder, each version of each exactly once in this life, to `accept`.

    `accept` gets at most BATCH events at a time, from the inbox's own thread. When it raises Unavailable the same
    events are offered again, with backoff, until they are taken. Any other HeadgateError refuses, for this life, the
    event it is raised for alone, and is logged.
    """

    def __init__(
        self,
        bucket: str,
        folder: Path,
        accept: Accept,
        *,
        home: Path,
        interval: float = 0.5,
        rescan: float = 30.0,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        """Nothing happens before `start`.

        Args:
            bucket: the bucket's name in the events.
            folder: its files are the objects, their paths below it the keys; made at `start` if missing.
            accept: takes the events.
            home: where the etags of known files are kept between lives; may be lost without harm.
            interval: seconds a file must be unchanged.
            rescan: seconds between two looks at everything.
            now: the time, with a zone, for the events and for the age of files.
        """
        self.bucket = bucket
        self.folder = folder
        #: Why the folder can not be watched now, in words; None while all is well.
        self.problem: str | None = None
        self._accept = accept
        self._interval = interval
        self._rescan = rescan
        self._now = now
        self._etags = Etags(home, bucket)
        self._files = Files(folder, bucket)
        self._known: dict[str, Look] = {}  # in the outbox, or taken
        self._pending: dict[str, tuple[Look, float]] = {}  # changing, with when each was first seen as it is
        self._new_folders: dict[str, float] = {}  # to be looked into once more, and when
        self._outbox: list[_Ready] = []  # complete, not taken yet
        self._looked = False  # at everything, once
        self._next_rescan = self._retry_at = 0.0
        self._backoff = _RETRY_FIRST
        self._notified = False  # whether a thread listens to notifications
        self._watched: tuple[int, int] | None = None  # device and inode of the folder that is watched
        self._touched: set[str] = set()  # by any thread, with the lock
        self._all_touched = False  # likewise
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._stop_watching = threading.Event()
        self._threads: list[threading.Thread] = []

    # --- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, in threads of its own; the first look takes in what came while we were down.

        Raises:
            Unavailable: the folder is missing and can not be made, or is no folder.
        """
        self.open()
        self._notified = True
        self._thread(self._work)

    def open(self) -> None:
        """Make the folder and remember the etags, for whoever calls `turn` without threads.

        Raises:
            Unavailable: the folder is missing and can not be made, or is no folder.
        """
        try:
            self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(
                f"the inbox of bucket {self.bucket!r} can not be at {self.folder}: {error.strerror};"
                " make that folder, or name another under `inboxes:`"
            ) from error
        self._files = Files(self.folder.resolve(), self.bucket)
        self._etags.load()

    def close(self, timeout: float = 5.0) -> None:
        """Stop looking, within `timeout` seconds. What was not taken yet is found again at the next start."""
        deadline = time.monotonic() + timeout
        self._stop.set()
        self._wake.set()
        while self._threads:
            # The first is the one that starts the others, so none is started after it has ended.
            self._threads.pop(0).join(max(0.0, deadline - time.monotonic()))
            self._stop_watching.set()

    def _thread(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name=f"inbox-{self.bucket}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                due = self.turn(time.monotonic())
            except Exception:  # noqa: BLE001 - a watcher that dies unseen loses events; it says so and begins anew
                _log.exception("an inbox failed; it looks at everything again", bucket=self.bucket)
                self._next_rescan = 0.0
                due = self._wait_longer(time.monotonic())
            if self._wake.wait(max(0.0, due - time.monotonic())):
                self._wake.clear()

    # --- one turn ------------------------------------------------------------------------------------------------

    def turn(self, at: float) -> float:
        """Do what is to be done at the monotonic time `at`; return when to come again if nobody wakes us before."""
        if at < self._retry_at:
            return self._retry_at  # while nobody takes events there is no use in finding more
        if not self._folder_is_there():
            return at + 1.0
        self._hand_over(at)
        for key, look in self._looks(at):
            self._settle(key, look, at)
            if len(self._outbox) >= BATCH:
                self._hand_over(at)
            if self._stop.is_set() or len(self._outbox) >= BATCH:
                self._next_rescan = 0.0  # what was not come to is found by looking at everything
                break
        else:
            if not self._looked:
                self._looked = True
                self._etags.forget(self._known)
        self._hand_over(at)
        if self._outbox:
            return self._retry_at
        soon = [seen + self._interval for _, seen in self._pending.values()]
        return min([self._next_rescan, *soon, *self._new_folders.values()])

    def _folder_is_there(self) -> bool:
        try:
            found = self._files.root.stat()
        except OSError as error:
            found, reason = None, error.strerror
        else:
            reason = "it is no folder"
        if found is None or not stat.S_ISDIR(found.st_mode):
            if self.problem is None:
                self.problem = f"the inbox of bucket {self.bucket!r} is gone from {self._files.root}: {reason}"
                _log.error("an inbox is gone; it is taken up again when it is back", problem=self.problem)
            self._stop_watching.set()
            self._watched = None
            return False
        if self._watched != (found.st_dev, found.st_ino):
            if self.problem is not None:
                _log.info("an inbox is back", bucket=self.bucket, folder=str(self._files.root))
            self.problem = None
            self._watched = (found.st_dev, found.st_ino)
            self._next_rescan = 0.0
            self._stop_watching.set()
            self._stop_watching = threading.Event()
            if self._notified:
                self._thread(self._listen, self._stop_watching)
        return True

    def _looks(self, at: float) -> Iterator[tuple[str, Look]]:
        """Look at what was touched, what is changing, and now and then at everything."""
        with self._lock:
            touched, self._touched = self._touched, set()
            everything, self._all_touched = self._all_touched or at >= self._next_rescan, False
        if everything:
            yield from self._everything(at)
            return
        for key in [key for key, when in self._new_folders.items() if when <= at]:
            del self._new_folders[key]
            yield from self._files.look(key)
        for key in touched:
            if self._files.is_folder(key):
                # Files may have come into it before it was watched: look now, and once more when it surely is.
                self._new_folders[key] = at + self._interval
        for key in touched | {key for key, (_, seen) in self._pending.items() if seen + self._interval <= at}:
            found = dict(self._files.look(key))
            if key not in found:
                self._known.pop(key, None)
                self._pending.pop(key, None)
            yield from found.items()

    def _everything(self, at: float) -> Iterator[tuple[str, Look]]:
        started = time.monotonic()
        found = dict(self._files.walk())
        took = time.monotonic() - started
        self._next_rescan = at + max(self._rescan, took / _RESCAN_SHARE)
        for table in (self._known, self._pending):
            for gone in table.keys() - found.keys():
                del table[gone]
        yield from sorted(found.items(), key=lambda file: file[1].mtime_ns)

    def _settle(self, key: str, look: Look, at: float) -> None:
        """Put a file into the outbox if this look shows that it is complete."""
        if self._known.get(key) == look:
            self._pending.pop(key, None)
            return
        seen, since = self._pending.get(key, (None, at))
        old = seen is None and self._now().timestamp() - look.mtime_ns / 1e9 > self._interval
        if not old and (seen != look or since + self._interval > at):
            self._pending[key] = (look, since if seen == look else at)
            return
        try:
            etag = self._etags.get(key, look) or self._files.etag(key, look, self._stop.is_set)
        except OSError as error:
            self._pending.pop(key, None)  # the next rescan tries again
            if not isinstance(error, FileNotFoundError):
                self._files.leave_out(key, error)
            return
        if etag is None:
            self._pending[key] = (look, at)  # it changed under the hashing: the next look sees what it is now
            return
        self._pending.pop(key, None)
        self._known[key] = look
        self._outbox.append(_Ready(key, look, etag, self._event(key, look, etag)))

    def _event(self, key: str, look: Look, etag: str) -> Event:
        stored = StoredObject(
            bucket=self.bucket,
            key=key,
            size=look.size,
            etag=etag,
            sequencer=look.sequencer,
            path=str(self._files.root / key),
        )
        return Event(
            id=new_event_id(),
            door="inbox",
            kind=KIND,
            identity=object_identity(stored, KIND, ""),
            at=self._now(),
            object=stored,
            payload={"sender": "local:fs"},
        )

    # --- handing over --------------------------------------------------------------------------------------------

    def _hand_over(self, at: float) -> None:
        while self._outbox and at >= self._retry_at:
            batch = self._outbox[:BATCH]
            done = self._offer(batch, at)
            del self._outbox[:done]
            if done == len(batch):
                self._backoff = _RETRY_FIRST

    def _offer(self, batch: Sequence[_Ready], at: float) -> int:
        """Offer events; return how many of them are done with (taken, or refused for good)."""
        try:
            self._accept([ready.event for ready in batch])
        except Unavailable as error:
            _log.warning(
                "events of an inbox are not taken now; they are kept and offered again",
                bucket=self.bucket,
                events=len(self._outbox),
                again_in=self._backoff,
                error=str(error),
            )
            self._wait_longer(at)
            return 0
        except HeadgateError as error:
            if len(batch) > 1:  # find the one it was refused for
                for done, ready in enumerate(batch):
                    if self._offer([ready], at) == 0:
                        return done
            else:
                _log.error("a file of the inbox is refused", bucket=self.bucket, file=batch[0].key, error=str(error))
            return len(batch)
        self._etags.add((ready.key, ready.look, ready.etag) for ready in batch)
        return len(batch)

    def _wait_longer(self, at: float) -> float:
        self._retry_at = at + self._backoff
        self._backoff = min(self._backoff * 2, _RETRY_LAST)
        return self._retry_at

    # --- being told sooner ---------------------------------------------------------------------------------------

    def _listen(self, stop: threading.Event) -> None:
        """Pass on what the kernel tells, until `stop`; where it tells nothing, ask for a look at everything."""
        complained = False
        while not stop.is_set():
            pause = _UNNOTIFIED
            try:
                self._pass_on(stop)
                pause = self._interval
            except (OSError, RuntimeError) as error:
                if not complained:
                    complained = True
                    _log.warning("an inbox is not notified; it looks by itself", bucket=self.bucket, error=str(error))
            self.touch(set(), everything=True)
            stop.wait(pause)

    def _pass_on(self, stop: threading.Event) -> None:
        """Listen until `stop`, or until something happened to the folder itself: then it may be another one by now."""
        root = str(self._files.root)
        listening = False
        for changes in watchfiles.watch(
            root,
            watch_filter=None,
            stop_event=stop,
            debounce=400,  # milliseconds, like the next two
            step=100,
            rust_timeout=1_000,
            yield_on_timeout=True,
            raise_interrupt=False,
        ):
            paths = {path for _, path in changes}
            if root in paths:
                return
            # The first answer means that we are told from here on: what came before it is looked for.
            if paths or not listening:
                self.touch({path.removeprefix(root + "/") for path in paths}, everything=not listening)
            listening = True

    def touch(self, keys: set[str], *, everything: bool = False) -> None:
        """Have these paths below the folder (or everything) looked at soon. Safe from any thread."""
        with self._lock:
            self._touched |= keys
            self._all_touched |= everything
        self._wake.set()
