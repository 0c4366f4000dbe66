"""This file is where the server and the worker are started."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli import logs, session
from headgate.cli.options import Config
from headgate.cli.printing import note, say
from headgate.errors import Invalid

if TYPE_CHECKING:
    from headgate.settings import Settings


def serve(
    host: Annotated[
        str | None, typer.Option("--host", metavar="HOST", help="The address to listen at. Default: 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", metavar="PORT", min=0, max=65535, help="Default: 8090; 0: a free one.")
    ] = None,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="Only doors and console; workers run the jobs.")
    ] = False,
    config: Config = None,
) -> None:
    """Everything in one process: doors, console, API, and the runs. Ends with SIGTERM or Ctrl-C; jobs go on."""
    settings = session.settings(config)
    address = host or settings.host
    refuse_open_doors(settings, address)
    logs.of_server(settings)
    from headgate.app import serve as serve_app  # noqa: PLC0415 - the server, which only this command is

    chosen = settings.port if port is None else port
    code = serve_app(settings, host=address, port=chosen, worker=not no_worker, on_ready=_ready)
    raise typer.Exit(code)


def worker(config: Config = None) -> None:
    """Run runs, and nothing else, until SIGTERM or Ctrl-C. Beside `serve --no-worker`, or with PostgreSQL many."""
    settings = session.settings(config)
    logs.of_server(settings)
    from headgate.app import work  # noqa: PLC0415 - as above

    raise typer.Exit(work(settings, on_ready=lambda name: note(f"worker {name} runs; Ctrl-C stops it, not its jobs")))


def refuse_open_doors(settings: Settings, host: str) -> None:
    """Raise Invalid where others could reach us and need no token to."""
    if is_loopback(host):
        return
    tokens = {"HEADGATE_TOKEN": settings.token, "HEADGATE_EVENTS_TOKEN": settings.events_token}
    missing = [name for name, token in tokens.items() if token is None]
    if missing:
        raise Invalid(
            f"--host {host} can be reached from elsewhere, so callers need tokens; set {' and '.join(missing)}"
            " (`openssl rand -hex 32` makes one), or listen at 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address. A name other than localhost may be anything."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _ready(url: str) -> None:
    say(f"Headgate serves at {url}/headgate/")
