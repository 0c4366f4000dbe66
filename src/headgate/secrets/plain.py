"""This file is where secrets that lie ready are read: variables of the environment, and files of a folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from headgate.errors import Invalid, SecretsDenied, Unavailable
from headgate.secrets.resolving import LARGEST, PRIVATE, as_text

#: Ours: no recipe ever gets the key to all the others.
RESERVED = "HEADGATE_"


@dataclass(frozen=True, slots=True)
class Environment:
    """The variables that `allow` names, with * and ? as in file names.

    An empty one counts as not set where its name says that it is private: nobody means an empty password. Of others
    it is their value, as it is to `datahub ingest`: `AWS_ROLE=` says to do without a role.
    """

    allow: Sequence[str] = ("*",)
    own_only: bool = False
    mixed: bool = True
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def where(self, names: Sequence[str]) -> str:
        kept = [name for name in names if not self._allowed(name)]
        return "the environment" + (f" (which may not be asked for {', '.join(kept)})" if kept else "")

    def find(self, names: Sequence[str], *, until: float) -> Mapping[str, str]:  # noqa: ARG002 - it takes no time
        found = {name: self.environ[name] for name in names if name in self.environ and self._allowed(name)}
        return {name: value for name, value in found.items() if value or not PRIVATE.search(name)}

    def _allowed(self, name: str) -> bool:
        return not name.startswith(RESERVED) and any(fnmatchcase(name, one) for one in self.allow)


@dataclass(frozen=True, slots=True)
class Files:
    """A folder with one file a secret, as Docker and Kubernetes mount them. A line end at its end is no part of it."""

    folder: Path
    own_only: bool = False
    mixed: bool = False

    def where(self, names: Sequence[str]) -> str:
        return f"{self.folder}/{names[0]}" if len(names) == 1 else f"the folder {self.folder}"

    def find(self, names: Sequence[str], *, until: float) -> Mapping[str, str]:  # noqa: ARG002 - see `_read`
        values: dict[str, str] = {}
        for name in names:
            value = self._read(name)
            if value is not None:
                values[name] = as_text(value, name, str(self.folder)).removesuffix("\n").removesuffix("\r")
        return values

    def _read(self, name: str) -> bytes | None:
        """The file's bytes. A pipe or device in its place would keep us waiting for ever: only files are read."""
        path = self.folder / name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError as error:
            raise SecretsDenied(
                f"the file {path} may not be read by us; give its reader's group to this user"
            ) from error
        except OSError as error:
            raise Unavailable(f"the file {path} cannot be read: {error.strerror}") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Invalid(f"{path} is no file; a secret is one file with its value")
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(LARGEST + 1)
        except OSError as error:
            raise Unavailable(f"the file {path} cannot be read: {error.strerror}") from error
        finally:
            os.close(descriptor)
