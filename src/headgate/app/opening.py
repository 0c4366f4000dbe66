"""This file is where a command finds whom to speak to: a running server, or the ledger itself."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from headgate.app.replica import App
from headgate.errors import Unavailable
from headgate.gate import Gate
from headgate.runtime.home import make_home, noted_config, noted_server
from headgate.runtime.sweep import SYSTEM
from headgate.settings import Settings


@contextmanager
def open_writing(settings: Settings) -> Generator[App]:
    """The whole replica without doors, for a command that no server can be asked to do."""
    app = App.build(settings, worker=True, doors=False)
    app.start()
    try:
        yield app
    finally:
        app.close()


@contextmanager
def open_reading(settings: Settings, *, declare: bool = True) -> Generator[Gate]:
    """The gate for looking only. A ledger that does not exist yet is made; `declare`: with what headgate.yaml says."""
    app = App.build(settings, worker=False, doors=False)
    if app.ledger.on_sqlite:
        make_home(settings.home)
    app.ledger.open()
    try:
        if declare and not app.ledger.catalog.jobs:
            app.gate.definitions.apply(everything=False, actor=SYSTEM)
            app.ledger.refresh()
        yield app.gate
    finally:
        app.ledger.close()
        app.close_datahub()


def running_server(settings: Settings) -> str | None:
    """The URL of a server to speak to: HEADGATE_URL's (which must answer), or the one this home noted, if alive.

    Raises:
        Unavailable: HEADGATE_URL is set and nobody answers there.
    """
    if settings.url:
        if not _answers(settings.url):
            raise Unavailable(f"nobody answers at {settings.url} (HEADGATE_URL); start `headgate serve` or unset it")
        return settings.url.rstrip("/")
    noted = noted_server(settings.home)
    if noted is None or not Path(f"/proc/{noted[1]}").exists():
        return None
    return noted[0] if _answers(noted[0]) else None


def other_config(settings: Settings) -> Path | None:
    """The file that the server noted in this home goes by, where it is another than ours; else None."""
    theirs = None if settings.url else noted_config(settings.home)
    ours = settings.config_file
    same = theirs is None or ours is None or theirs.resolve() == ours.resolve()
    return None if same else theirs


def _answers(url: str) -> bool:
    import httpx  # noqa: PLC0415 - a server does not need it, and it takes a tenth of a second

    try:
        return httpx.get(f"{url.rstrip('/')}/healthz", timeout=3.0, trust_env=False).is_success
    except (httpx.HTTPError, httpx.InvalidURL):
        return False
