"""This file is where a command finds its settings and who answers it; the heavy parts are loaded only here.

A running server is asked over HTTP. With none, what only looks opens the ledger, and what writes opens it under the
lock of its home, so that two writers never meet.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.cli.client import Client
from headgate.cli.printing import note
from headgate.errors import InUse, Invalid, Unavailable

if TYPE_CHECKING:
    from headgate.settings import Settings

#: Who does what is done here without a server: loopback needs no other name.
ACTOR = "urn:li:corpuser:local"
#: Seconds for which another command that writes is waited for; most take one.
_PATIENCE = 5.0


def settings(config: Path | None) -> Settings:
    """The settings in force. Raises InvalidSettings with every problem and its place."""
    from headgate.settings import load  # noqa: PLC0415 - `--help` needs none

    return load(config, os.environ)


@contextmanager
def reading(settings: Settings, *, declare: bool = True) -> Generator[Client]:
    """Somebody to ask: the running server, or else the ledger, opened for looking.

    `declare`: a ledger that is new holds what headgate.yaml declares; not so for who asks what would be changed.
    """
    remote = _server(settings)
    if remote is not None:
        with remote as client:
            yield client
        return
    _make_home(settings)
    from headgate.app import open_reading  # noqa: PLC0415 - the ledger is half a second of imports
    from headgate.cli.local import Local  # noqa: PLC0415

    with open_reading(settings, declare=declare) as gate:
        yield Local(gate)


@contextmanager
def writing(settings: Settings, *, working: bool = False, declare: bool = True) -> Generator[Client]:
    """Somebody to tell: the running server, or else the ledger under its lock.

    `working`: without a server this process runs jobs, too, for as long as the context is open. `declare`: it puts in
    force what headgate.yaml declares, as a server does at its start; not so for a command that does that by itself.

    Raises:
        InUse: another command holds the ledger.
    """
    remote = _server(settings)
    if remote is not None:
        with remote as client:
            yield client
        return
    from headgate.app import App  # noqa: PLC0415 - as above
    from headgate.cli.local import Local  # noqa: PLC0415

    app = App.build(settings, worker=working, doors=False)
    try:
        app.start(declare=declare, patience=_PATIENCE)
    except InUse as error:
        raise InUse(
            f"{settings.home} is held by another headgate command, or by a server that does not answer;"
            " wait for it, or name the server's address in HEADGATE_URL"
        ) from error
    try:
        yield Local(app.gate)
    finally:
        app.close()


def _make_home(settings: Settings) -> None:
    """A ledger that is not there yet is made, so that a new project can be looked at; but not just anywhere."""
    if settings.home.is_dir():
        return
    if settings.config_file is None:
        raise Invalid(
            f"there is no headgate.yaml in {settings.project} and no {settings.home}; name the file with -c FILE,"
            " or write an example project with `headgate init DIR`"
        )
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"{settings.home} cannot be made: {error.strerror}; check the disk, or set HEADGATE_HOME elsewhere"
        ) from error


def _server(settings: Settings) -> AbstractContextManager[Client] | None:
    from headgate.app import other_config, running_server  # noqa: PLC0415 - as above
    from headgate.cli.remote import connected  # noqa: PLC0415

    url = running_server(settings)
    if url is None:
        return None
    if theirs := other_config(settings):
        note(f"The server at {url} answers, and goes by {theirs}: of {settings.config_file} it knows nothing")
    return connected(url, settings.token.reveal() if settings.token else None)
