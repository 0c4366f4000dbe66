"""This file is where bytes are sealed: AES-256-GCM, under a key from HEADGATE_SECRETS_KEY or from a file in the home.

A sealed text says which key it was sealed with, and opens only in the context it was sealed for: one row's text put
into another row does not open there. Of several keys the first seals, and each opens what was sealed with it; that is
how keys are changed: put the new one in front, seal everything again (`headgate secrets rotate`), take the old one out.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import errno
import hashlib
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headgate.errors import CannotUnseal, InvalidConfiguration, Unavailable

VARIABLE: Final = "HEADGATE_SECRETS_KEY"
KEY_FILE: Final = "secrets.key"
_FORM: Final = b"hg1"  #: of a sealed text: hg1.KEY.NONCE-AND-TEXT, the last in base64
_NONCE: Final = 12  #: bytes; AES-GCM's own size
_KEY: Final = 32  #: bytes
_MAKE: Final = "make one with `openssl rand -base64 32`"


class Sealer:
    """Seals and opens. Safe from any thread."""

    def __init__(self, keys: Mapping[str, bytes], *, where: str) -> None:
        """Take keys of 32 bytes by their ids, the one that seals first; `where` names their origin in errors."""
        if not keys:
            raise InvalidConfiguration(f"{where} holds no key; {_MAKE}")
        self._keys = {name: AESGCM(key) for name, key in keys.items()}
        self._where = where
        self.key_id = next(iter(keys))  #: of the key that seals

    def __repr__(self) -> str:
        return f"Sealer(keys {', '.join(self._keys)} of {self._where})"

    @classmethod
    def of(
        cls, home: Path, environ: Mapping[str, str] = os.environ, *, file: Path | None = None, make: bool = True
    ) -> Sealer:
        """The sealer of a home.

        The keys are those of HEADGATE_SECRETS_KEY, else of `file`, else of secrets.key in the home; that one is made
        with a new key where there is none. Who wants to open something does not `make` it: it would open nothing.

        Raises:
            CannotUnseal: there is no key, and none is to be made.
            InvalidConfiguration: what is there is no key. Unavailable: the file cannot be read or made, or others may
                read it.
        """
        if said := environ.get(VARIABLE):
            return cls(_parsed(said, VARIABLE), where=VARIABLE)
        if file is not None:
            # who names a file chose who may read it: what Kubernetes mounts is everybody's within the container
            return cls(_parsed(_read(file), str(file)), where=str(file))
        own = home / KEY_FILE
        with contextlib.suppress(FileNotFoundError):
            return cls(_parsed(_read_own(own), str(own)), where=str(own))
        if not make:
            raise CannotUnseal(
                f"the key file {own} is gone, and with it what was sealed; put it back, or set {VARIABLE} to the key"
            )
        _make(own)
        return cls(_parsed(_read_own(own), str(own)), where=str(own))

    def seal(self, data: bytes, context: str) -> bytes:
        """Seal the bytes for a context, such as `secret:DB_PASSWORD`. The text is ASCII without white space."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + self._keys[self.key_id].encrypt(nonce, data, context.encode())
        return b".".join((_FORM, self.key_id.encode(), base64.urlsafe_b64encode(sealed)))

    def open(self, data: bytes, context: str) -> bytes:
        """Open what `seal` made for the same context.

        Raises:
            CannotUnseal: its key is not here, or the text was changed or belongs to another context.
        """
        what = f"the {context.replace(':', ' ', 1)}"
        form, _, rest = data.partition(b".")
        name, _, text = rest.partition(b".")
        if form != _FORM or not text:
            raise CannotUnseal(f"{what} is kept as what is no sealed text; set it again")
        wanted = name.decode("ascii", "replace")
        key = self._keys.get(wanted)
        if key is None:
            raise CannotUnseal(
                f"{what} is sealed with the key {wanted[:40]!r}, and {self._where} holds"
                f" {', '.join(self._keys)}; put that key back (behind the others, in {VARIABLE}), or set it again"
            )
        try:
            sealed = base64.b64decode(text, altchars=b"-_", validate=True)
            return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], context.encode())
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise CannotUnseal(
                f"what is kept of {what} was changed, or belongs to something else; set it again"
            ) from error

    def knows(self, data: bytes) -> bool:
        """Whether the key it is sealed with is here."""
        return data.split(b".")[1:2] in [[name.encode()] for name in self._keys]

    def current(self, data: bytes) -> bool:
        """Whether it is sealed with the key that seals now."""
        return data.startswith(b".".join((_FORM, self.key_id.encode(), b"")))


def key_id(key: bytes) -> str:
    """Eight hex digits that tell keys apart and nothing about them."""
    return hashlib.sha256(b"headgate key id\0" + key).hexdigest()[:8]


def _parsed(text: str, where: str) -> dict[str, bytes]:
    """Keys, the first first: base64 or hex of 32 bytes each, with commas or white space between."""
    keys: dict[str, bytes] = {}
    for number, word in enumerate(re.split(r"[\s,]+", text.strip()), start=1):
        if not word:
            continue
        key = _key(word)
        if key is None:
            # not a word of it in the message: it may be a key with a typing error
            raise InvalidConfiguration(f"{where}: key {number} is not 32 bytes in base64 or hex; {_MAKE}")
        keys[key_id(key)] = key
    return keys


def _key(word: str) -> bytes | None:
    if re.fullmatch(r"[0-9A-Fa-f]{64}", word):
        return bytes.fromhex(word)
    padded = word.rstrip("=") + "=" * (-len(word.rstrip("=")) % 4)
    try:
        key = base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == _KEY else None


def _read(file: Path) -> str:
    try:
        return file.read_text("ascii")
    except UnicodeDecodeError as error:
        raise InvalidConfiguration(f"{file} holds no key of ours; {_MAKE}") from error
    except OSError as error:
        raise Unavailable(
            f"the key file {file} cannot be read: {error.strerror}; mend that, or set {VARIABLE}"
        ) from error


def _read_own(file: Path) -> str:
    """Read the key file of the home. Raises FileNotFoundError, and what `of` raises."""
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unavailable(
            f"the key file {file} cannot be read: {error.strerror}; mend that, or set {VARIABLE}"
        ) from error
    if mode & 0o077:
        raise Unavailable(f"others may read the key file {file}; take that away with `chmod 600 {file}`")
    return _read(file)


def _make(file: Path) -> None:
    """Make the file with a new key, whole or not at all; of two who make it at once the first wins."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            text = base64.b64encode(secrets.token_bytes(_KEY)) + b"\n"
            if os.write(descriptor, text) != len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)  # a key that is lost with the power takes every secret with it
        finally:
            os.close(descriptor)
        try:
            with contextlib.suppress(FileExistsError):
                os.link(fresh, file)
        finally:
            fresh.unlink(missing_ok=True)
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Unavailable(f"the key file {file} cannot be made: {error.strerror}; or set {VARIABLE}") from error
