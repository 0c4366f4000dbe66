"""This file is where a replica is run: with its port until a signal comes, or without one."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from headgate.app.replica import App
from headgate.errors import HeadgateError, InUse
from headgate.runtime.home import forget_server, note_server
from headgate.settings import Settings
from headgate.settings.again import read_again

if TYPE_CHECKING:
    from headgate.executor.pipeline_file import PipelineFile


class Interrupts:
    """What SIGTERM and SIGINT do: the first asks for the end, the second ends the process, whatever it is busy with."""

    def __init__(self) -> None:
        """From here on signals are heard; other threads than the main one have none."""
        self.asked = threading.Event()
        self._end: Callable[[], None] | None = None
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._first)

    def then(self, end: Callable[[], None]) -> None:
        """Say what else is to be done when the end is asked for; at once, if it was."""
        self._end = end
        if self.asked.is_set():
            end()

    def _first(self, _number: int, _frame: object) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        self.asked.set()
        if self._end is not None:
            self._end()


def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    worker: bool = True,
    on_ready: Callable[[str], None] | None = None,
    alongside: Callable[[App, str], None] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; a second signal ends the process at once. Answers the exit code.

    `alongside` is run in a thread of its own once the server answers.

    Raises:
        InUse: the port or the home is taken. LedgerUnavailable: the database cannot be used.
    """
    listening = _bind(host, port)
    interrupts = Interrupts()  # before anything is begun that wants an orderly end
    app = App.build(settings, worker=worker, doors=True)
    try:
        app.start(role="all" if worker else "doors")
    except HeadgateError:
        listening.close()
        raise
    app.gate.definitions.read_again = partial(read_again, settings, os.environ)
    url = f"http://{'localhost' if host in ('127.0.0.1', 'localhost', '::1') else host}:{listening.getsockname()[1]}"
    try:
        app.carry_out_as_set()
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(app, listening, interrupts, host=host, url=url, on_ready=on_ready, alongside=alongside))
    finally:
        forget_server(settings.home)
        app.close()
    return 0


def work(
    settings: Settings, *, on_ready: Callable[[str], None] | None = None, requests: PipelineFile | None = None
) -> int:
    """Run runs, until SIGTERM or SIGINT; with `requests` carry out those of DataHub's, too."""
    interrupts = Interrupts()
    app = App.build(settings, worker=True, doors=False)
    app.start(role="runs")
    try:
        if requests is not None:
            app.carry_out(requests)
        else:
            app.carry_out_as_set()
        if on_ready:
            on_ready(app.ledger.id)
        while not interrupts.asked.wait(3600):
            pass
    finally:
        app.close()
    return 0


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise InUse(
            f"port {port} on {host} cannot be used: {error.strerror}; choose another with --port, or stop what uses it"
        ) from error
    listening.listen(2048)
    return listening


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - only where there is one
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(
    app: App,
    listening: socket.socket,
    interrupts: Interrupts,
    *,
    host: str,
    url: str,
    on_ready: Callable[[str], None] | None,
    alongside: Callable[[App, str], None] | None,
) -> None:
    import uvicorn  # noqa: PLC0415 - commands that only look do without

    from headgate.http import build  # noqa: PLC0415

    asgi = build(app.gate, readiness=app.readiness, host=host, port=int(listening.getsockname()[1]))
    config = uvicorn.Config(
        asgi, log_config=None, access_log=False, server_header=False, date_header=False, lifespan="off",
        timeout_graceful_shutdown=5, timeout_keep_alive=75, limit_concurrency=4096,
        proxy_headers=False,
    )  # fmt: skip

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Generator[None]:
            """Capture none: uvicorn raises them again when it is done, and the process would end before `app.close`."""
            yield

    server = Server(config)

    def end() -> None:
        asgi.close()  # an open page would hold the end up until uvicorn loses patience
        server.should_exit = True

    interrupts.then(end)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    announcing = asyncio.create_task(_announce(server, app, url, on_ready, alongside))
    await server.serve(sockets=[listening])
    await announcing


async def _announce(
    server: object,
    app: App,
    url: str,
    on_ready: Callable[[str], None] | None,
    alongside: Callable[[App, str], None] | None,
) -> None:
    while not getattr(server, "started", False):
        if getattr(server, "should_exit", False):
            return
        await asyncio.sleep(0.005)
    note_server(app.settings.home, url, app.settings.config_file)
    if on_ready:
        on_ready(url)
    if alongside:
        threading.Thread(target=alongside, args=(app, url), name="alongside", daemon=True).start()
