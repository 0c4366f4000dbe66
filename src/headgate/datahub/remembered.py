"""This file is where short-lived answers are remembered, under keys from which no credential can be read."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """At most `most` answers, each for `seconds`; the oldest goes first. Safe from any thread."""

    def __init__(self, seconds: float, most: int = 1000, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._salt = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, tuple[float, T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, *parts: str) -> T | None:
        key = self._key(parts)
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            if found[0] < self._clock():
                del self._kept[key]
                return None
            return found[1]

    def put(self, value: T, *parts: str) -> T:
        key = self._key(parts)
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = (self._clock() + self._seconds, value)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return value

    def forget(self, *parts: str) -> None:
        with self._lock:
            self._kept.pop(self._key(parts), None)

    def _key(self, parts: tuple[str, ...]) -> bytes:
        digest = hashlib.blake2b(key=self._salt, digest_size=32)
        for part in parts:
            text = part.encode("utf-8", "surrogatepass")
            digest.update(len(text).to_bytes(8, "big") + text)
        return digest.digest()
