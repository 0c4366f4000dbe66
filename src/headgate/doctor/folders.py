"""This file is where the folder that stands for a bucket is looked at: is it there, and what of its files counts."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from headgate.doctor.finding import Finding, Rank, unseen
from headgate.doctor.near import near, setting
from headgate.doctor.records import Doc, Records, word
from headgate.flow.match import skip_reason
from headgate.model import StoredObject

MOST: Final = 5_000  #: files that are looked at
ASKED: Final = 20  #: of those that fit, so many of the newest are looked for in the ledger
WRITING: Final = 2.0  #: seconds since its last change within which a file may still be written
LATE: Final = 15.0  #: seconds after which a file should have been reported


@dataclass(frozen=True, slots=True)
class File:
    key: str
    size: int  #: bytes
    changed: float  #: seconds since 1970


def examine(bucket: str, folder: Path, triggers: Sequence[Doc], records: Records, now: datetime) -> Iterator[Finding]:
    """The folder itself, then its files: left out, still being written, nearly fitting, fitting and not reported."""
    broken = _folder(bucket, folder)
    yield from broken
    if any(one.rank is Rank.BROKEN for one in broken):
        return
    try:
        files = list(_files(folder))
    except OSError as error:
        yield unseen(f"the inbox {folder}", f"{error.strerror}: {error.filename}", f"ls -la {word(folder)}")
        return
    left, writing, fits, others = _sorted(bucket, files, triggers, now)
    yield from _unreported(bucket, folder, fits, records, now)
    if others:
        yield _not_fitting(bucket, folder, others, triggers)
    if left:
        key, why = left[0]
        yield Finding(
            Rank.POSSIBLE,
            f"{_files_are(len(left))} never ingested, such as {key}: {why}",
            f"in {folder}",
            f"ls -la {word(folder / key)}; give it its whole name when it is whole: mv",
        )
    if writing:
        yield Finding(
            Rank.POSSIBLE,
            f"{_files_are(len(writing))} still being written, such as {writing[0]}",
            f"changed less than {WRITING:g} s ago; a file counts once it rests",
            "write elsewhere on the same disk and mv it here when it is whole",
        )


def _folder(bucket: str, folder: Path) -> list[Finding]:
    what = f"the inbox of bucket {bucket!r}"
    try:
        found = folder.stat()
    except OSError as error:
        evidence = f"{folder}: {error.strerror}"
        return [Finding(Rank.BROKEN, f"{what} is not there", evidence, f"mkdir -p {word(folder)}")]
    if not stat.S_ISDIR(found.st_mode):
        mend = f"move it away, then: mkdir -p {word(folder)}"
        return [Finding(Rank.BROKEN, f"{what} is no folder", f"{folder} is a file", mend)]
    if not os.access(folder, os.R_OK | os.X_OK):
        mode = stat.filemode(found.st_mode)
        return [Finding(Rank.BROKEN, f"{what} cannot be read", f"{folder} is {mode}", f"chmod u+rx {word(folder)}")]
    if not os.access(folder, os.W_OK):
        mode = stat.filemode(found.st_mode)
        return [Finding(Rank.LIKELY, f"{what} cannot be written", f"{folder} is {mode}", f"chmod u+w {word(folder)}")]
    return []


def _files(folder: Path) -> Iterator[File]:
    """Every regular file below, hidden ones too, at most MOST. Raises OSError: it cannot be read."""
    left = MOST
    waiting = [""]
    while waiting and left:
        below = waiting.pop()
        with os.scandir(folder / below) as entries:
            for entry in entries:
                key = f"{below}/{entry.name}" if below else entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(key)
                elif entry.is_file():
                    found = entry.stat()
                    yield File(key, found.st_size, found.st_mtime)
                    left -= 1
                    if not left:
                        return


def _sorted(
    bucket: str, files: Sequence[File], triggers: Sequence[Doc], now: datetime
) -> tuple[list[tuple[str, str]], list[str], list[File], list[File]]:
    """Left out (each with why), still being written, taken by a trigger (newest first), taken by none."""
    left: list[tuple[str, str]] = []
    writing: list[str] = []
    fits: list[File] = []
    others: list[File] = []
    for file in sorted(files, key=lambda one: one.changed, reverse=True):
        hidden = any(part.startswith(".") for part in file.key.split("/"))
        why = skip_reason(StoredObject(bucket=bucket, key=file.key, size=file.size))
        if hidden and not any(_ends(one["objects"], file.key) for one in triggers):
            continue  # nobody's data: .gitkeep, .DS_Store
        if why or hidden:
            left.append((file.key, why or "hidden: it is in a folder whose name starts with '.'"))
        elif 0 <= now.timestamp() - file.changed < WRITING:
            writing.append(file.key)
        else:
            (fits if any(_takes(one["objects"], file.key) for one in triggers) else others).append(file)
    return left, writing, fits, others


def _takes(wanted: Doc, key: str) -> bool:
    return key.startswith(wanted["prefix"]) and (not wanted["suffix"] or _ends(wanted, key))


def _ends(wanted: Doc, key: str) -> bool:
    lower = key.lower()
    return any(lower.endswith(one.lower()) for one in wanted["suffix"])


def _unreported(bucket: str, folder: Path, fits: Sequence[File], records: Records, now: datetime) -> Iterator[Finding]:
    old = [one for one in fits if now.timestamp() - one.changed > LATE][:ASKED]
    lost = [one for one in old if not records.events(prefix=f"{bucket}/{one.key}", most=1)]
    if not lost:
        return
    newest = lost[0]
    at = datetime.fromtimestamp(newest.changed, UTC)
    yield Finding(
        Rank.LIKELY,
        f"{_files_are(len(lost))} there and no event tells of them, such as {newest.key}",
        f"in {folder}, changed at {at:%Y-%m-%d %H:%M:%S} UTC; of the newest {len(old)} that fit",
        "see /readyz and the server's log" if records.served else "headgate serve",
    )


def _not_fitting(bucket: str, folder: Path, others: Sequence[File], triggers: Sequence[Doc]) -> Finding:
    for file in others:
        for trigger in triggers:
            found = near(trigger["objects"], bucket, file.key)
            if found is not None:
                mend = (
                    f"set {setting(found, trigger['objects'])} at triggers.{trigger['name']} in headgate.yaml"
                    if found.key
                    else ""
                )
                return Finding(
                    Rank.LIKELY,
                    f"{_files_are(len(others))} taken by no trigger, such as {file.key}: {found.what}",
                    f"in {folder}",
                    f"{mend}, then: headgate apply" if mend else f"mv {word(folder / file.key)} to a name that fits",
                )
    wanted = "; ".join(f"{one['name']} takes {_filter(one['objects'])}" for one in triggers)
    return Finding(
        Rank.POSSIBLE,
        f"{_files_are(len(others))} taken by no trigger, such as {others[0].key}",
        f"in {folder}; {wanted}",
        f"mkdir -p {word(folder / str(triggers[0]['objects']['prefix']))}; mv the files there",
    )


def _filter(wanted: Doc) -> str:
    return f"{wanted['prefix'] or 'any key'}…{'|'.join(wanted['suffix'])}"


def _files_are(count: int) -> str:
    return "1 file is" if count == 1 else f"{count} files are"
